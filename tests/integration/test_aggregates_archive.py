"""Real measurements of a house, played to the service: hours and days as computed directly from the file."""

import csv
import signal
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from harness.archives import archive
from harness.rolled import rows_of
from harness.service import Service, run_command
from harness.waiting import eventually
from unit.aggregate_reference import LENGTHS, aggregate

from ingest.database import connect

pytestmark = pytest.mark.one_server

HOME = '\n[[dwelling]]\nid = "hut-01"\ndistrict = "antigone"\nconsent = true\n'
ROWS = 450
"""Three days. The whole file takes minutes."""
BELGIUM = timezone(timedelta(hours=1))
COLUMNS = {
    "T1": ("kitchen/temperature", 1.0),
    "T6": ("outside-north/temperature", 1.0),
    "RH_5": ("bathroom/humidity", 1.0),
    "Press_mm_hg": ("weather/pressure", 133.322387415),
    "Appliances": ("appliances/energy", 3600.0),
}
"""Columns of the file, the sensors that they are, and what makes their numbers the stored ones."""


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add the home to the small registry."""
    with registry_path.open("a", encoding="utf-8") as file:
        file.write(HOME)
    return registry_path


@pytest.fixture
def service_settings(service_settings: dict[str, str]) -> dict[str, str]:
    """Accept what is years old, and keep it."""
    names = ("PARKING", "DWELLING_READINGS", "DWELLING_MINUTES", "DWELLING_TOTALS")
    kept = {f"ARCEAUX_RETENTION_{name}": "4300d" for name in names}
    return {**service_settings, "ARCEAUX_MAX_LATENESS": "4200d", **kept}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Copy the first rows of the archive."""
    lines = archive("uci_appliances_energy/energydata_complete.csv").read_text().splitlines(keepends=True)
    path = tmp_path / "energydata_part.csv"
    path.write_text("".join(lines[: ROWS + 1]))
    return path


async def test_hours_and_days_equal_a_direct_computation_from_the_file(
    service: Service, database_url: str, ask: Callable[..., Any], file: Path
) -> None:
    """Also where the service is killed while it rolls: every row of five columns, and no row more or less of any."""
    await service.start_ready()
    options = ("--dwelling", "hut-01", "--speed", "max")
    ended = await run_command("replay", str(file), *options, settings=service.settings)
    assert ended.returncode == 0, ended.stderr
    await eventually(lambda: ask("SELECT count(*) FROM dwelling_minute"))
    assert service.process is not None
    service.process.send_signal(signal.SIGKILL)
    service.process.wait()
    await service.start_ready()
    columns = len(csv_rows(file)[0]) - 1
    await eventually(lambda: ask("SELECT count(*) FROM dwelling_reading"), lambda count: count == ROWS * columns)
    await eventually(lambda: ask("SELECT count(*) FROM touched_minute"), lambda marks: marks == 0)

    names: dict[str, int] = dict(await ask("SELECT name, id FROM sensor"))
    assert len(names) == columns
    async with await connect(database_url, "test") as connection:
        for level in ("hour", "day"):
            rows = await rows_of(connection, level)
            assert {sensor for sensor, _ in rows} == set(names.values())
            for column, (name, factor) in COLUMNS.items():
                expected = aggregate(readings(file, column, factor), LENGTHS[level])
                found = {bucket: row for (sensor, bucket), row in rows.items() if sensor == names[name]}
                assert found.keys() == expected.keys()
                assert all(found[bucket].is_like(expected[bucket], scale=1) for bucket in expected), name
    assert await ask("SELECT count(*) FROM dwelling_minute") == ROWS * columns
    assert (await run_command("audit", settings=service.settings)).returncode == 0


def csv_rows(file: Path) -> list[dict[str, str]]:
    """Read the file."""
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def readings(file: Path, column: str, factor: float) -> list[tuple[int, float]]:
    """Give a column as (microseconds since 1970, value)."""
    times = [datetime.strptime(row["date"], "%Y/%m/%d %H:%M").replace(tzinfo=BELGIUM) for row in csv_rows(file)]
    values = [float(row[column]) * factor for row in csv_rows(file)]
    return [(round(time.timestamp() * 1e6), value) for time, value in zip(times, values, strict=True)]
