"""The picture of a flat's day: small, and of a registry that has homes."""

from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from unit.simulated_homes import REGISTRY, TOPICS

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from simulators.dwellings.pictures import draw_flat_day

DAY = date(2026, 1, 12)


def test_a_day_is_drawn(tmp_path: Path) -> None:
    """SVG of less than 250 kB. That two runs draw the same is shown where the command is tested."""
    path = tmp_path / "flat.svg"
    draw_flat_day(path, REGISTRY, TOPICS, 1, DAY)
    drawn = path.read_bytes()
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert len(drawn) < 250_000


def test_without_homes_there_is_nothing_to_draw(tmp_path: Path) -> None:
    """That is said in one line."""
    with pytest.raises(ConfigurationError, match="no dwellings"):
        draw_flat_day(tmp_path / "none.svg", Registry(), TOPICS, 1, DAY)
