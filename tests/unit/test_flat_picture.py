"""The picture of a flat's day: the same bytes for the same seed, small, and of the day that was asked for."""

from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from unit.simulated_homes import REGISTRY, TOPICS

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from simulators.dwellings.pictures import draw_flat_day

DAY = date(2026, 1, 12)


def test_a_day_is_drawn_the_same_twice(tmp_path: Path) -> None:
    """SVG of less than 250 kB without a date of its own."""
    paths = [tmp_path / f"{number}.svg" for number in range(2)]
    for path in paths:
        draw_flat_day(path, REGISTRY, TOPICS, 1, DAY)
    first, again = (path.read_bytes() for path in paths)
    assert first == again
    assert ET.fromstring(first).tag.endswith("svg")
    assert len(first) < 250_000
    assert b"dc:date" not in first


def test_without_homes_there_is_nothing_to_draw(tmp_path: Path) -> None:
    """That is said in one line."""
    with pytest.raises(ConfigurationError, match="no dwellings"):
        draw_flat_day(tmp_path / "none.svg", Registry(), TOPICS, 1, DAY)
