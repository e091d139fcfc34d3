"""`arceaux simulate pictures`: what it draws, prints and says where it cannot."""

import json
import subprocess
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

import pytest
from harness.missing import missing
from harness.service import run_command

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

[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
"""
PICTURES = ("simulated-days.svg", "simulated-week.svg", "simulated-flat.svg")


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Write a registry of every kind that is drawn."""
    path = tmp_path / "registry.toml"
    path.write_text(REGISTRY, encoding="utf-8")
    return path


@pytest.fixture
def _matplotlib() -> None:
    if find_spec("matplotlib") is None:
        missing("matplotlib", "pip install 'arceaux[pictures]'")


async def draw(registry: Path, name: str, *options: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command; the pictures go into a directory beside the registry. `path` leads Python's own."""
    settings = {"ARCEAUX_REGISTRY": str(registry)} | ({"PYTHONPATH": path} if path else {})
    return await run_command("simulate", "pictures", str(registry.parent / name), *options, settings=settings)


def polls(directory: Path) -> str:
    """Write an archive of two polls."""
    directory.mkdir()
    (directory / "data2023-01-13@10-10-00.dat").write_text("FOCH;20;60\nFR_MTP_MOSS;25;50\n")
    (directory / "data2023-01-13@11-10-00.dat").write_text("FOCH;10;60\nFR_MTP_MOSS;30;50\n")
    return str(directory)


@pytest.mark.usefixtures("_matplotlib")
async def test_pictures_are_drawn_and_real_days_compared(registry: Path, tmp_path: Path) -> None:
    """The measures are printed, as JSON where it is asked for; a day without real data is measured alone.

    The same seed draws the same SVG in another process, byte by byte.
    """
    archive = polls(tmp_path / "polls")
    result = await draw(registry, "first", "--archive", archive, "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert [(one["kind"], one["day"]) for one in told[:3]] == [("centre", f"2023-01-{day}") for day in (13, 14, 15)]
    friday, saturday, _ = told[:3]
    assert friday["half_hours"] == 2
    assert friday["real"] == {"peak_hour": 11.0, "trough_hour": 10.0, "mean": 0.75, "swing": 0.1667}
    assert friday["rmse"] > 0
    assert (saturday["half_hours"], saturday["real"], saturday["correlation"]) == (48, None, None)

    table = (await draw(registry, "again", "--archive", archive)).stdout.splitlines()
    days = [[kind, day] for kind in ("centre", "park-and-ride") for day in ("Fri", "Sat", "Sun")]
    assert [line.split()[:2] for line in table[1:]] == days
    for name in PICTURES:
        first, again = ((tmp_path / made / name).read_bytes() for made in ("first", "again"))
        assert first == again
        assert ET.fromstring(first).tag.endswith("svg")  # our own file
        assert b"<dc:date>" not in first


async def test_without_matplotlib_it_says_what_to_install(registry: Path, tmp_path: Path) -> None:
    """An extra that is not there is a matter of one line."""
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('none', name='matplotlib')")
    result = await draw(registry, "pictures", path=str(tmp_path))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "arceaux: matplotlib draws the pictures: pip install 'arceaux[pictures]'\n"


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize(
    ("options", "status", "what"),
    [
        (("--day", "0001-01-01"), 2, "from 1970 to 2100"),
        (("--archive", "nowhere"), 1, "nowhere"),
    ],
)
async def test_wrong_options_are_told(registry: Path, options: tuple[str, ...], status: int, what: str) -> None:
    """A day that is none and an archive that is not there end it with what is wrong, in one line."""
    result = await draw(registry, "pictures", *options)
    assert (result.returncode, result.stderr.count("\n")) == (status, 1)
    assert what in result.stderr
