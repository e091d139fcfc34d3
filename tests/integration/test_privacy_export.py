"""An export equals the tables, is whole or not there at all, and holds nothing of anybody else."""

import asyncio
import csv
import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.homes import secret, write_homes
from harness.service import run_command

from ingest.database import connect

pytestmark = pytest.mark.one_server

MINE, OTHER = "hut-01", "home-b"
NOW = datetime(2026, 11, 21, 22, tzinfo=UTC)


@pytest.fixture
async def filled(ask: Callable[..., Any], registry_path: Path) -> None:
    """Fill the tables with readings, pauses and letters of two homes, one of which names the other."""
    write_homes(registry_path, hut_01=True, home_b=True)
    for home in (MINE, OTHER):
        await ask("INSERT INTO dwelling (pseudonym, district, consent) VALUES (%s, 'antigone', true)", secret(home))
        for name in ("kitchen/t", "bath/t"):
            await ask(
                "INSERT INTO sensor (dwelling_id, name, kind, unit) "
                "SELECT id, %s, 'temperature', 'Cel' FROM dwelling WHERE pseudonym = %s",
                name,
                secret(home),
            )
        await ask(
            "INSERT INTO pause SELECT id, %s, %s FROM dwelling WHERE pseudonym = %s",
            *(NOW - timedelta(days=3), NOW - timedelta(days=2), secret(home)),
        )
        for payload in (
            b'{"mine": 1}',
            secret(MINE).encode(),
            secret(OTHER).encode(),
            secret(OTHER).encode() + b"\xc3",
            None,
        ):
            await ask(
                "INSERT INTO dead_letter (received_at, topic, payload, size, digest, reason, detail, last_seen_at) "
                "VALUES (%s, 'city/dwellings/' || %s || '/senml', %s, 9, gen_random_uuid()::text::bytea, 'x', 'y', %s)",
                *(NOW, secret(home), payload, NOW),
            )
    other_of_mine = f"city/dwellings/{secret(OTHER)}/dwellings/{secret(MINE)}/z"
    for topic in (other_of_mine, f"application/-/device/{secret(MINE)}/event/up"):
        await ask(
            "INSERT INTO dead_letter (received_at, topic, size, digest, reason, detail, last_seen_at) "
            "VALUES (%s, %s, 0, convert_to(%s, 'UTF8'), 'x', 'y', %s)",
            *(NOW, topic, topic, NOW),
        )
    for level in ("minute", "hour", "day"):
        await ask(
            f"INSERT INTO dwelling_{level} "
            "SELECT date_trunc(%s, %s::timestamptz), id, 1, id, NULL, id, id, id, id, id, 0, %s, %s FROM sensor",
            *(level, NOW, NOW, NOW),
        )
    await ask("INSERT INTO last_told SELECT id, id / 3.0 FROM sensor")
    await ask("INSERT INTO pooled_month VALUES ('2026-11-01', now())")
    await ask("INSERT INTO pooled_member SELECT '2026-11-01', id, district FROM dwelling")
    await ask(
        "INSERT INTO dwelling_reading SELECT %s::timestamptz - n * interval '1.5 h', sensor.id, n / 3.0 + sensor.id "
        "FROM sensor, generate_series(1, 50) n",
        NOW,
    )


async def export(settings: dict[str, str], place: Path, *options: str, status: int = 0) -> str:
    """Run the command; give what it says."""
    arguments = ("privacy", "export", MINE, "--output", str(place), *options)
    done = await run_command(*arguments, settings=settings)
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


def read(place: Path) -> dict[str, bytes]:
    """Read all files of an export."""
    if place.suffix == ".zip":
        with zipfile.ZipFile(place) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    return {path.name: path.read_bytes() for path in place.iterdir()}


def rows(content: bytes) -> list[dict[str, str]]:
    """Read a CSV file."""
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", ["mine", "mine.zip"])
async def test_an_export_equals_the_tables_and_holds_nothing_of_others(
    service_settings: dict[str, str], ask: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    """Every reading to the last bit; the manifest tells rows, digests and the meaning of every column."""
    place = tmp_path / name
    await export(service_settings, place)
    files = await asyncio.to_thread(read, place)
    manifest = json.loads(files.pop("manifest.json"))

    stored = await ask(
        "SELECT time, name, value FROM dwelling_reading JOIN sensor s ON s.id = sensor_id "
        "JOIN dwelling d ON d.id = dwelling_id WHERE pseudonym = %s ORDER BY time, name",
        secret(MINE),
    )
    told = [(datetime.fromisoformat(r["time"]), r["sensor"], float(r["value"])) for r in rows(files["readings.csv"])]
    assert told == stored
    assert len(told) == 100
    assert [row["sensor"] for row in rows(files["sensors.csv"])] == ["bath/t", "kitchen/t"]
    assert [row["began_at"] for row in rows(files["pauses.csv"])] == ["2026-11-18T22:00:00.000000Z"]
    for file in ("minutes.csv", "hours.csv", "days.csv"):
        assert [(row["sensor"], row["n"], row["stddev"]) for row in rows(files[file])] == [
            ("bath/t", "1", ""),
            ("kitchen/t", "1", ""),
        ]
        times = {row[name] for row in rows(files[file]) for name in ("first_at", "last_at")}
        assert times == {"2026-11-21T22:00:00.000000Z"}
    assert [row["sensor"] for row in rows(files["last_told.csv"])] == ["bath/t", "kitchen/t"]
    assert rows(files["groups.csv"]) == [{"month": "2026-11-01", "district": "antigone"}]
    letters = [json.loads(line) for line in files["dead_letters.jsonl"].splitlines()]
    assert [letter["payload"] for letter in letters] == ['{"mine": 1}', MINE, "-", None, None, None]
    assert [letter["topic"] for letter in letters] == [
        *[f"city/dwellings/{MINE}/senml"] * 5,
        f"application/-/device/{MINE}/event/up",
    ]
    assert "payload_base64" not in letters[3]

    assert manifest["format_version"] == 1
    assert manifest["dwelling"] == {
        "id": MINE,
        "district": "antigone",
        "consent": True,
        "erased_at": None,
        "readmitted_at": None,
    }
    assert manifest["named_in_messages_of_others"] == 2
    described = {entry["name"]: entry for entry in manifest["files"]}
    assert described.keys() == files.keys()
    for file, content in files.items():
        assert described[file]["sha256"] == hashlib.sha256(content).hexdigest()
        assert described[file]["kept_for"]
        assert described[file]["purpose"]
        columns = [column["name"] for column in described[file]["columns"]]
        found = letters if file.endswith("jsonl") else rows(content)
        assert described[file]["rows"] == len(found)
        assert set(found[0]) <= set(columns) if file.endswith("jsonl") else list(found[0]) == columns
    whole = b"".join(files.values()) + json.dumps(manifest).encode()
    assert [word for word in (secret(MINE), secret(OTHER), OTHER) if word.encode() in whole] == []


@pytest.mark.usefixtures("filled")
async def test_a_period_is_exported_alone(service_settings: dict[str, str], tmp_path: Path) -> None:
    """Since is included and before is not; both are in the manifest."""
    since, before = NOW - timedelta(hours=30), NOW - timedelta(hours=15)
    place = tmp_path / "part"
    await export(service_settings, place, "--since", since.isoformat(), "--before", before.isoformat())
    files = await asyncio.to_thread(read, place)
    times = sorted({datetime.fromisoformat(row["time"]) for row in rows(files["readings.csv"])})
    assert (times[0], times[-1], len(times)) == (since, before - timedelta(hours=1.5), 10)
    assert files["dead_letters.jsonl"] == b""
    assert rows(files["pauses.csv"]) == []
    assert json.loads(files["manifest.json"])["period"]["before"] == "2026-11-21T07:00:00.000000Z"


@pytest.mark.usefixtures("filled")
async def test_files_are_for_their_owner_alone_and_nothing_is_overwritten(
    service_settings: dict[str, str], tmp_path: Path
) -> None:
    """Neither files nor directory can be read by others; a place that is taken is refused before anything is read."""
    place = tmp_path / "mine"
    await export(service_settings, place)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}
    assert (modes, stat.S_IMODE(place.stat().st_mode)) == ({0o600}, 0o700)
    assert "is there already" in await export(service_settings, place, status=2)
    archive = tmp_path / "mine.zip"
    await export(service_settings, archive)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


@pytest.mark.usefixtures("filled")
async def test_an_export_that_fails_leaves_nothing_behind(
    service_settings: dict[str, str], ask: Callable[..., Any], tmp_path: Path, database_url: str
) -> None:
    """Not even a part under another name."""
    for name in ("half", "half.zip"):
        place = tmp_path / "out" / name
        await asyncio.to_thread(place.parent.mkdir, exist_ok=True)
        async with await connect(database_url, "test") as connection, connection.transaction():
            await connection.execute("LOCK TABLE sensor IN ACCESS EXCLUSIVE MODE")
            await export(service_settings, place, status=1)
        assert await asyncio.to_thread(lambda: list(place.parent.iterdir())) == []  # noqa: B023 - awaited here
    assert await ask("SELECT count(*) FROM dwelling") == 2


async def test_nothing_is_held_of_a_home_that_is_not_there(service_settings: dict[str, str], tmp_path: Path) -> None:
    """It is said, and no files are made."""
    assert "nothing is held" in await export(service_settings, tmp_path / "none", status=1)
    assert not (tmp_path / "none").exists()
