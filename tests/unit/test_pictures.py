"""`arceaux simulate pictures`: what it draws, prints and says where it cannot."""

import json
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

import pytest
from harness.missing import missing
from typer.testing import CliRunner, Result

from ingest.cli import app
from schemas.faults import ConfigurationError

REGISTRY = """
[[car_park]]
code = "FOCH"
name = "Foch"
zone = "centre"
capacity = 60
basis = "count"

[[car_park]]
code = "MOSS"
name = "Mosson"
aliases = ["FR_MTP_MOSS"]
zone = "park-and-ride"
capacity = 50
basis = "count"

[[car_park]]
code = "S-ARC"
name = "Arceaux"
capacity = 4
basis = "spots"
spots = ["A-1..A-4"]
"""
PICTURES = ("simulated-days.svg", "simulated-week.svg")


@pytest.fixture(autouse=True)
def _registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(REGISTRY, encoding="utf-8")
    monkeypatch.setenv("ARCEAUX_REGISTRY", str(path))


@pytest.fixture
def _matplotlib() -> None:
    if find_spec("matplotlib") is None:
        missing("matplotlib", "pip install 'arceaux[pictures]'")


def draw(directory: Path, *options: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["simulate", "pictures", str(directory), *options])


def polls(directory: Path) -> Path:
    """Write an archive of two polls."""
    directory.mkdir()
    (directory / "data2023-01-13@10-10-00.dat").write_text("FOCH;20;60\nFR_MTP_MOSS;25;50\n")
    (directory / "data2023-01-13@11-10-00.dat").write_text("FOCH;10;60\nFR_MTP_MOSS;30;50\n")
    return directory


@pytest.mark.usefixtures("_matplotlib")
def test_the_same_seed_draws_the_same_pictures(tmp_path: Path) -> None:
    """Byte by byte, and they are SVG."""
    first, again, other = tmp_path / "first", tmp_path / "again", tmp_path / "other"
    assert draw(first).exit_code == draw(again).exit_code == draw(other, "--seed", "9").exit_code == 0
    for name in PICTURES:
        assert (first / name).read_bytes() == (again / name).read_bytes() != (other / name).read_bytes()
        assert ET.fromstring((first / name).read_bytes()).tag.endswith("svg")  # our own file
        assert b"<dc:date>" not in (first / name).read_bytes()


@pytest.mark.usefixtures("_matplotlib")
def test_real_days_are_compared(tmp_path: Path) -> None:
    """The measures are printed, as JSON where it is asked for; a day without real data is measured alone."""
    result = draw(tmp_path / "pictures", "--archive", str(polls(tmp_path / "polls")), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert [(one["kind"], one["day"]) for one in told[:3]] == [("centre", f"2023-01-{day}") for day in (13, 14, 15)]
    friday, saturday, _ = told[:3]
    assert friday["half_hours"] == 2
    assert friday["real"] == {"peak_hour": 11.0, "trough_hour": 10.0, "mean": 0.75, "swing": 0.1667}
    assert friday["rmse"] > 0
    assert (saturday["half_hours"], saturday["real"], saturday["correlation"]) == (48, None, None)


@pytest.mark.usefixtures("_matplotlib")
def test_the_table_tells_each_day(tmp_path: Path) -> None:
    """A line for each kind and day."""
    lines = draw(tmp_path / "pictures", "--day", "2026-11-20").output.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        [kind, day] for kind in ("centre", "park-and-ride") for day in ("Fri", "Sat", "Sun")
    ]


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that is not there is a matter of one line."""
    monkeypatch.delitem(sys.modules, "simulators.pictures", raising=False)
    for name in ("matplotlib", "matplotlib.axes", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    result = draw(tmp_path)
    assert isinstance(result.exception, ConfigurationError)
    assert "pip install 'arceaux[pictures]'" in str(result.exception)


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize(
    ("options", "what"), [(("--day", "Friday"), "--day: expected a day"), (("--archive", "nowhere"), "nowhere")]
)
def test_wrong_options_are_told(tmp_path: Path, options: tuple[str, ...], what: str) -> None:
    """A day that is none and an archive that is not there end it with what is wrong."""
    result = draw(tmp_path / "pictures", *options)
    assert what in str(result.exception)
