"""The roller on real databases: every level equals its definition, whatever comes late, twice, or meanwhile."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from harness.community import community_server
from harness.rolled import PORTION, Reading, Writer, assert_rolled, roll_all, rolling, rows_of
from harness.waiting import eventually
from structlog.testing import capture_logs

from ingest.arrays import Float8s, Int4s, Times
from ingest.database import Connection, connect
from ingest.errors import Verdict, judge
from ingest.metrics import Metrics
from ingest.migrate import migrate
from ingest.retention import Rule, retain
from ingest.roller import Roller
from ingest.rollup import prepare, roll, try_lock
from ingest.sql import load_queries
from ingest.transaction import mark_minutes
from processors.aggregates import DAY, HOUR, MINUTE
from schemas.settings import Settings

START = datetime(2026, 11, 21, tzinfo=UTC)
ORIGIN = round(START.timestamp() * 1e6)
LATER = START + timedelta(days=30)
SECOND = 1_000_000
DAYS = timedelta(days=1)
SQL = load_queries("rollup.sql")


@pytest.fixture
async def writer(database_url: str) -> AsyncIterator[Writer]:
    """Give what commits batches."""
    made = await Writer.on(database_url)
    async with made.connection:
        yield made


@pytest.fixture
async def roller(database_url: str) -> AsyncIterator[Connection]:
    """Connect as the roller does."""
    async with await rolling(database_url) as connection:
        yield connection


def a_day(rng: random.Random, sensors: int, readings: int) -> list[Reading]:
    """Make readings of some days: regular ones, meters that begin anew, sensors that are silent for long."""
    made = []
    for sensor in range(1, sensors + 1):
        span = rng.choice((10 * MINUTE, 5 * HOUR, 3 * DAY))
        scale, digits = rng.choice(((30, 1), (2, 0), (1e7, 6)))
        made += [(sensor, ORIGIN + rng.randrange(span), round(rng.random() * scale, digits)) for _ in range(readings)]
    return made


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
async def test_batches_that_commit_while_the_roller_runs_end_as_defined(
    database_url: str, roller: Connection, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writers, readings in any order, some twice, passes of any size in between: every row is as defined."""
    rng = random.Random(seed)
    readings = a_day(rng, sensors=6, readings=60)
    told = [*readings, *rng.sample(readings, len(readings) // 4)]
    rng.shuffle(told)
    passes: list[bool] = []
    stop = asyncio.Event()

    async def write(part: list[Reading]) -> None:
        writer = await Writer.on(database_url)
        async with writer.connection:
            while part:
                await writer.write([part.pop() for _ in range(min(len(part), rng.choice((1, 5, 40))))])
                if rng.random() < 0.3:
                    await another_pass(len(passes))

    async def another_pass(seen: int) -> None:
        await eventually(lambda: asyncio.sleep(0, len(passes) > seen))

    async def roll_meanwhile() -> None:
        while not stop.is_set():
            monkeypatch.setattr("ingest.rollup._SLICE", rng.choice((5, 60, 1000)))
            passes.append(await roll(roller, LATER, rng.choice((10, 100, 1000))) is not None)

    rolling_meanwhile = asyncio.create_task(roll_meanwhile())
    await asyncio.gather(write(told[::2]), write(told[1::2]))
    stop.set()
    await rolling_meanwhile
    assert sum(passes) > 3
    await roll_all(roller, LATER)
    assert await assert_rolled(roller) > 100
    assert await roll(roller, LATER, PORTION) is None


async def test_late_readings_correct_every_level_and_what_rests_on_them(writer: Writer, roller: Connection) -> None:
    """One before all others, one into an empty hour, one that becomes the last of its day."""
    day = [(1, ORIGIN + hour * HOUR + 30 * SECOND, float(hour)) for hour in (1, 2, 9, 30, 31)]
    await writer.write(day)
    assert (await roll_all(roller, LATER)).minutes == len(day)
    before = await rows_of(roller, "day")
    for late in ((1, ORIGIN + 5 * SECOND, 7.0), (1, ORIGIN + 5 * HOUR, -3.0), (1, ORIGIN + 23 * HOUR, 100.0)):
        await writer.write([late])
        assert (await roll_all(roller, LATER)).minutes == 1
        assert await assert_rolled(roller)
    after = await rows_of(roller, "day")
    assert before.keys() == after.keys()
    assert all(before[key] != after[key] for key in before), "the second day rests on the last value of the first"


async def test_a_minute_settles_before_it_is_rolled(writer: Writer, roller: Connection) -> None:
    """It is first taken ten seconds after its end; another, later one does not hold it up."""
    await writer.write([(1, ORIGIN + 59 * SECOND, 1.0), (1, ORIGIN + 61 * SECOND, 2.0)])
    assert await roll(roller, START + timedelta(seconds=69), PORTION) is None
    assert (await roll_all(roller, START + timedelta(seconds=70))).minutes == 1
    assert [bucket for _, bucket in await rows_of(roller, "minute")] == [ORIGIN]
    assert (await roll_all(roller, START + timedelta(seconds=130))).minutes == 1
    await assert_rolled(roller)


async def test_repeats_write_nothing(writer: Writer, roller: Connection) -> None:
    """Marked again they are rolled again, and no row is another one than before, not even in its place on the disk."""
    readings = a_day(random.Random(1), sensors=3, readings=20)
    await writer.write(readings)
    await roll_all(roller, LATER)

    async def places() -> list[Any]:
        found = await roller.execute(
            "SELECT 1, sensor_id, bucket, ctid::text, xmin::text FROM dwelling_minute UNION ALL "
            "SELECT 2, sensor_id, bucket, ctid::text, xmin::text FROM dwelling_hour UNION ALL "
            "SELECT 3, sensor_id, bucket, ctid::text, xmin::text FROM dwelling_day ORDER BY 1, 2, 3"
        )
        return await found.fetchall()

    first = await places()
    await writer.write(readings)
    assert (await roll_all(roller, LATER)).minutes > 0
    assert await places() == first


async def test_rows_go_with_the_last_raw_reading(writer: Writer, roller: Connection) -> None:
    """Where raw rows were deleted and their minutes marked, no aggregate of them is left, and the next are right."""
    await writer.write([(1 + place % 2, ORIGIN + place * 3 * MINUTE, place**2 / 7) for place in range(60)])
    await roll_all(roller, LATER)
    await roller.execute(
        "DELETE FROM dwelling_reading WHERE sensor_id = 1 AND extract(minute FROM time)::integer % 4 = 0"
    )
    await roller.execute(
        "INSERT INTO touched_minute (minute, sensors) SELECT bucket, ARRAY[sensor_id] FROM dwelling_minute"
    )
    await roll_all(roller, LATER)
    await assert_rolled(roller)
    await roller.execute("DELETE FROM dwelling_reading")
    await roller.execute(
        "INSERT INTO touched_minute (minute, sensors) SELECT bucket, ARRAY[sensor_id] FROM dwelling_minute"
    )
    await roll_all(roller, LATER)
    assert await assert_rolled(roller) == 0


async def test_a_pass_that_is_cut_off_leaves_its_marks(
    database_url: str, writer: Writer, roller: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the session ends, nothing of the pass is there; the next one does all of it."""
    await writer.write(a_day(random.Random(3), sensors=2, readings=30))
    marks = await count(writer.connection, "touched_minute")
    for statement in range(3, 14):
        async with await rolling(database_url) as victim:
            with monkeypatch.context() as patch:
                cut_before(statement, victim, writer.connection, patch)
                with pytest.raises(psycopg.OperationalError):
                    await roll(victim, LATER, PORTION)
        assert await count(writer.connection, "touched_minute") == marks
        assert await count(writer.connection, "dwelling_minute") == 0
    await roll_all(roller, LATER)
    assert await assert_rolled(roller)


def cut_before(statement: int, victim: Connection, other: Connection, patch: pytest.MonkeyPatch) -> None:
    """End the session of the victim just before its n-th statement."""
    execute, calls = psycopg.AsyncConnection.execute, itertools.count(1)

    async def cut_off(self: Connection, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        if self is victim and next(calls) == statement:
            await execute(other, "SELECT pg_terminate_backend(%s)", (victim.info.backend_pid,))
        return await execute(self, *args, **options)

    patch.setattr(psycopg.AsyncConnection, "execute", cut_off)


async def count(connection: Connection, table: str) -> int:
    """Count rows."""
    row = await (await connection.execute(f"SELECT count(*) FROM {table}".encode())).fetchone()
    return int(row[0]) if row else 0


async def test_the_community_edition_rolls_from_columns(tmp_path: Path) -> None:
    """Raw readings in a chunk that is kept by column are rolled like others, and so are those that come after it."""
    async with community_server(tmp_path) as connection:
        await migrate(connection, timedelta(days=8))
        await prepare(connection)
        readings = a_day(random.Random(4), sensors=2, readings=20)
        for part in (readings[::2], readings[1::2]):
            await insert(connection, part)
            await connection.execute("SELECT compress_chunk(c, true) FROM show_chunks('dwelling_reading') c")
            await roll_all(connection, LATER)
            assert await assert_rolled(connection)


async def insert(connection: Connection, readings: list[Reading]) -> None:
    """Write readings and marks by plain SQL."""
    sensors, times, values = (np.array(column) for column in zip(*readings, strict=True))
    await connection.execute(
        "INSERT INTO dwelling_reading (sensor_id, time, value) SELECT * FROM unnest(%s, %s, %s) ON CONFLICT DO NOTHING",
        (Int4s(sensors), Times(times), Float8s(values)),
    )
    await mark_minutes(connection, times, sensors)


async def test_what_retention_has_taken_is_not_rolled_again(writer: Writer, roller: Connection) -> None:
    """A reading of a removed day, as a replayed dead letter may bring one, leaves the aggregates of that day alone."""
    old = [(1, ORIGIN + place * HOUR, float(place)) for place in range(5)]
    new = [(1, ORIGIN + 20 * DAY + place * HOUR, float(place)) for place in range(5)]
    await writer.write([*old, *new])
    await roll_all(roller, LATER)
    levels = ("minute", "hour", "day")
    before = [await rows_of(roller, level) for level in levels]
    removed = [rows async for rows in retain(writer.connection, Rule("dwelling_reading", 10 * DAYS), START + 25 * DAYS)]
    assert sum(removed) == len(old)
    await writer.write([(1, ORIGIN + HOUR + SECOND, 99.0)])
    assert await roll_all(roller, LATER) == (0, 1)
    assert [await rows_of(roller, level) for level in levels] == before
    await writer.write([(1, ORIGIN + 20 * DAY + 1, 99.0)])
    assert await roll_all(roller, LATER) == (1, 0)
    assert len(await rows_of(roller, "hour")) == len(before[1])


async def test_retention_and_a_pass_do_not_meet(database_url: str, writer: Writer, roller: Connection) -> None:
    """Retention waits for a pass; a pass whose snapshot is from before the retention fails, and is tried again."""
    rule = Rule("dwelling_reading", 10 * DAYS)
    await writer.write([(1, ORIGIN, 1.0)])
    async with roller.transaction():
        await roller.execute(SQL["hold_retained"], {"tables": ["dwelling_reading"]})
        removing = asyncio.create_task(removed(database_url, rule))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%retained%'"
        await eventually(lambda: value(writer.connection, waiting))
    assert await removing == 1

    await writer.write([(1, ORIGIN + 40 * DAY, 1.0)])
    async with roller.transaction(force_rollback=True):
        await roller.execute("SELECT")
        await removed(database_url, Rule("dwelling_reading", DAYS))
        with pytest.raises(psycopg.errors.SerializationFailure) as failure:
            await roller.execute(SQL["hold_retained"], {"tables": ["dwelling_reading"]})
    assert judge(failure.value, 1) is Verdict.RETRY


async def removed(url: str, rule: Rule) -> int:
    """Apply a rule on a connection of its own; give how much was removed."""
    async with await connect(url, "test") as connection:
        return sum([rows async for rows in retain(connection, rule, START + 50 * DAYS)])


async def value(connection: Connection, query: str) -> Any:  # noqa: ANN401 - whatever the query gives
    """Ask for one value."""
    row = await (await connection.execute(query.encode())).fetchone()
    return row and row[0]


@pytest.mark.one_server
async def test_a_pass_sees_what_an_erasure_has_left(database_url: str, writer: Writer, roller: Connection) -> None:
    """While a home is erased the roller waits, and its snapshot is from afterwards: nothing of the home comes back."""
    await writer.write([(1, ORIGIN, 1.0), (2, ORIGIN, 2.0)])
    async with await connect(database_url, "test") as erasing:
        await erasing.execute("SELECT pg_advisory_lock(hashtextextended('arceaux.erasure', 0))")
        pass_ = asyncio.create_task(roll(roller, LATER, PORTION))
        await eventually(
            lambda: value(erasing, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        )
        await erasing.execute("DELETE FROM dwelling_reading WHERE sensor_id = 1")
    assert await pass_ is not None
    assert [sensor for sensor, _ in await rows_of(roller, "minute")] == [2]
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert await value(writer.connection, held) == 0


@pytest.mark.one_server
async def test_one_process_rolls_at_a_time(database_url: str) -> None:
    """The lock is had by one connection, until it ends."""
    async with await connect(database_url, "test") as first, await connect(database_url, "test") as second:
        assert await try_lock(first)
        assert not await try_lock(second)
        await first.close()
        await eventually(lambda: try_lock(second))


@pytest.mark.one_server
async def test_whatever_fails_the_roller_goes_on(database_url: str, writer: Writer) -> None:
    """A database that refuses it, then a session that is ended: each is logged, and tried again."""
    metrics = Metrics()
    await writer.connection.execute("ALTER TABLE touched_minute RENAME TO away")
    with capture_logs() as logs:
        running = asyncio.create_task(Roller(Settings(database_url=database_url), metrics, lambda: True).run())

        async def told(event: str) -> bool:
            return event in {entry["event"] for entry in logs} or running.done()

        await eventually(lambda: told("roller_postponed"))
        await writer.connection.execute("ALTER TABLE away RENAME TO touched_minute")
        await writer.write([(1, ORIGIN - 400 * DAY, 1.0)])
        await eventually(lambda: value(writer.connection, "SELECT count(*) FROM dwelling_minute"))
        logs.clear()
        ended = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'arceaux roller arceaux'"
        )
        assert await value(writer.connection, ended)
        await eventually(lambda: told("roller_ready"))
        assert {entry["event"] for entry in logs} == {"roller_postponed", "roller_ready"}
        assert not running.done()
        running.cancel()
    assert metrics.registry.get_sample_value("arceaux_minutes_rolled_total") == 1


@pytest.mark.one_server
async def test_while_the_stream_is_busy_the_roller_rests(
    database_url: str, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a pass it leaves the way to the stream, and goes on when that has less to do."""
    monkeypatch.setattr("ingest.roller._RESTS", 1e9)
    monkeypatch.setattr("ingest.roller._PORTION_WHILE_BUSY", 1)
    is_busy, looks = asyncio.Event(), itertools.count()
    is_busy.set()
    metrics = Metrics()
    await writer.write([(1, ORIGIN - place * HOUR, 1.0) for place in range(400 * 24, 400 * 24 + 3)])

    def look() -> bool:
        next(looks)
        return is_busy.is_set()

    async def rolled() -> float:
        return metrics.registry.get_sample_value("arceaux_minutes_rolled_total") or 0

    running = asyncio.create_task(Roller(Settings(database_url=database_url), metrics, look).run())
    await eventually(rolled)
    seen = next(looks)
    await eventually(lambda: asyncio.sleep(0, next(looks) - seen), lambda more: more > 20)
    assert await rolled() == 1
    is_busy.clear()
    await eventually(rolled, lambda minutes: minutes == 3)
    assert not running.done()
    running.cancel()
