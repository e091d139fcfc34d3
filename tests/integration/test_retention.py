"""Retention and purge: exactly what is past its time goes, all of it is counted, and the audit holds for ever."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from harness.books import Books
from harness.broker import Mosquitto
from harness.clients import publish
from harness.community import community_server
from harness.databases import KINDS, TestServer
from harness.facts import NOW, spot_message
from harness.judge import ledger
from harness.service import Service, run_command
from harness.waiting import eventually
from structlog.testing import capture_logs

from ingest.audit_report import as_text
from ingest.database import Connection, connect
from ingest.errors import Verdict, judge
from ingest.metrics import Metrics
from ingest.migrate import HYPERTABLES, find_server, migrate
from ingest.raw_tables import SQL, RawTable
from ingest.retention import Retention, Rule, purge_dead_letters, retain, rules_of, try_lock
from processors.pgcopy import Column
from processors.times import from_datetime
from schemas.settings import Settings
from schemas.topics import ROUTES, Route, Table

DAY = timedelta(days=1)
SETTINGS = Settings.model_construct(
    retention_parking=45 * DAY,
    retention_dwelling_readings=21 * DAY,
    retention_dwelling_minutes=25 * DAY,
    retention_dwelling_totals=35 * DAY,
    retention_dead_letters=30 * DAY,
)
FIRST_DAY = datetime(2026, 3, 1, 7, tzinfo=UTC)
SIZE = 500
"""Of a batch of late readings."""
TIMES = {table.table: table.column for table in HYPERTABLES} | {"dead_letter": "received_at"}
"""The tables that grow with time, and what tells the age of their rows."""
COMPRESS = """
SELECT compress_chunk(format('%%I.%%I', chunk_schema, chunk_name)::regclass, true)
FROM timescaledb_information.chunks JOIN timescaledb_information.hypertables USING (hypertable_schema, hypertable_name)
WHERE hypertable_schema = 'arceaux' AND compression_enabled AND range_end <= %s
"""


@pytest.fixture(params=[*KINDS, "community"])
def empty(
    request: pytest.FixtureRequest, server_of: Callable[[str], TestServer], tmp_path: Path
) -> Callable[[], AbstractAsyncContextManager[Connection]]:
    """Give what opens a connection to a migrated database, each kind of server in turn."""
    if request.param == "community":
        return lambda: migrated_community(tmp_path)
    server = server_of(request.param)
    return lambda: migrated(server)


@asynccontextmanager
async def migrated(server: TestServer) -> AsyncIterator[Connection]:
    """Open a connection to a database of its own."""
    url = server.create()
    try:
        async with await connect(url, "test") as connection:
            yield connection
    finally:
        server.drop(url)


@asynccontextmanager
async def migrated_community(directory: Path) -> AsyncIterator[Connection]:
    """Open the one connection to a database of the Community edition."""
    async with community_server(directory) as connection:
        await migrate(connection, 8 * DAY)
        yield connection


async def removed_by(connection: Connection, rule: Rule, now: datetime) -> int:
    """Retain; give how much was removed."""
    return sum([rows async for rows in retain(connection, rule, now)])


async def held(books: Books, table: str, moment: datetime) -> tuple[int, int]:
    """Count what a table holds of before a moment, and from then on; of dead letters the readings."""
    number = "coalesce(sum(seen), 0)::bigint" if table == "dead_letter" else "count(*)"
    old, new = [
        await books.value(f"SELECT {number} FROM {table} WHERE {TIMES[table]} {side} %s", moment)
        for side in ("<", ">=")
    ]
    return old, new


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
async def test_months_of_retention_and_purge_leave_the_books_right(
    empty: Callable[[], AbstractAsyncContextManager[Connection]], seed: int
) -> None:
    """Over three months exactly what is past its time is gone after every pass, and the audit balances."""
    async with empty() as connection:
        books = Books(connection, random.Random(seed))
        server = await find_server(connection)
        for now in (FIRST_DAY + passes * 10 * DAY for passes in range(1, 10)):
            for back in (9, 4, 0):
                await books.write_day(now.replace(hour=0) - back * DAY)
            if server.has_columnstore:
                await connection.execute(COMPRESS, (now - 9 * DAY,))
            if now.day % 2:
                await purge_and_check(books, now - 12 * DAY)
            for rule in rules_of(SETTINGS):
                await retain_and_check(books, rule, now)
            found = await books.audit()
            assert found.is_right, as_text(found)
        for table in TIMES:
            assert await books.value("SELECT sum(rows) FROM removal WHERE table_name = %s", table) > 50
        causes = "SELECT count(DISTINCT cause) FROM removal WHERE table_name = 'dead_letter'"
        assert await books.value(causes) == 2
        if server.timescaledb:
            old_chunks = "SELECT count(*) FROM show_chunks('parking_event', older_than => %s::timestamptz)"
            assert await books.value(old_chunks, now - 45 * DAY) == 0, "whole days go as chunks"


async def retain_and_check(books: Books, rule: Rule, now: datetime) -> None:
    """Apply a rule twice: the first time removes what is past its time and nothing else, the second time nothing."""
    old, new = await held(books, rule.table, rule.cutoff(now))
    assert await removed_by(books.connection, rule, now) == old
    assert await held(books, rule.table, rule.cutoff(now)) == (0, new)
    assert await books.value("SELECT since FROM retained WHERE table_name = %s", rule.table) == rule.cutoff(now)
    assert await removed_by(books.connection, rule, now) == 0


async def purge_and_check(books: Books, before: datetime) -> None:
    """Purge: what is older goes, and nothing else."""
    old, new = await held(books, "dead_letter", before)
    assert (await purge_dead_letters(books.connection, before)).readings == old
    assert await held(books, "dead_letter", before) == (0, new)


async def test_late_readings_that_meet_the_removal_are_counted(database_url: str) -> None:
    """While old days are removed, late readings of them are stored: each ends as held or as removed, none uncounted."""
    rule = Rule("parking_event", 30 * DAY)
    async with await connect(database_url, "test") as connection:
        books = Books(connection, random.Random())
        stop = asyncio.Event()
        writer = asyncio.create_task(store_late_readings(database_url, stop))
        while await books.value("SELECT count(*) FROM removal") < 60:
            with passing_errors():
                await removed_by(connection, rule, NOW)
        stop.set()
        await writer
        found = await books.audit()
        assert found.is_right, as_text(found)
        await removed_by(connection, rule, NOW)
        assert await books.value("SELECT count(*) FROM parking_event") == 0
        assert (await books.audit()).is_right


async def store_late_readings(url: str, stop: asyncio.Event) -> None:
    """Store and book readings of days past, batch by batch, going on with a new connection after errors that pass."""
    numbers = itertools.count(step=SIZE)
    while not stop.is_set():
        with passing_errors():
            async with await connect(url, "test") as connection:
                await connection.execute(SQL["stage_tables"])
                table = RawTable(Table.PARKING_EVENT)
                while not stop.is_set():
                    async with connection.transaction():
                        routes = np.full(SIZE, ROUTES.index(Route.SPOT), dtype=np.uint8)
                        stored = (await table.insert(connection, late_readings(next(numbers)), routes)).total()
                        row = (NOW, "test", "spot", SIZE, SIZE, stored, SIZE - stored, 0, 0)
                        await connection.execute(SQL["add_to_ledger"], row)


def late_readings(number: int) -> tuple[Column, ...]:
    """Give columns of distinct events that lie 40 to 45 days back, in any order."""
    numbers = number + np.arange(SIZE)
    seconds = from_datetime(NOW - 40 * DAY) // 1_000_000 - numbers * 7919 % (5 * 86_400)
    return (
        ("time", "timestamptz", seconds * 1_000_000 + numbers % 1_000_000),
        ("spot_id", "int4", np.ones(SIZE, np.int32)),
        ("occupied", "bool", np.ones(SIZE, np.bool_)),
        ("arrived_at", "timestamptz", seconds * 1_000_000),
    )


@contextmanager
def passing_errors() -> Iterator[None]:
    """Bear what the service would try again."""
    try:
        yield
    except psycopg.Error as error:
        assert judge(error, 1) is Verdict.RETRY, error  # noqa: PT017 - others are borne


@pytest.mark.one_server
async def test_the_service_removes_what_is_past_its_time(
    service: Service, broker: Mosquitto, database_url: str, ask: Callable[..., Any]
) -> None:
    """It does so by itself, counts it, holds up nothing for a table that is locked, and takes that up the next time."""
    times = [NOW - days * DAY for days in range(0, 60, 3)]
    old = sum(time < Rule("", 20 * DAY).cutoff(NOW) for time in times)
    usual = service.settings
    service.settings = usual | {"ARCEAUX_MAX_LATENESS": "90d", "ARCEAUX_RETENTION_DWELLING_READINGS": "91d"}
    await service.start_ready()
    events = [spot_message("ANTI", "P-001", occupied=True, time=time) for time in times]
    counts = [("city/parking/COME/count", json.dumps({"free": 1, "time": time.isoformat()}).encode()) for time in times]
    await publish(broker.url, [*events, *counts, ("city/parking/nowhere", b"1")])
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] > 2 * len(times))
    assert await service.stop() == 0
    impatient = f"{database_url}?options=-c%20lock_timeout%3D200ms"
    service.settings = usual | {"ARCEAUX_DATABASE_URL": impatient, "ARCEAUX_RETENTION_PARKING": "20d"}

    async with await connect(database_url, "test") as locking, locking.transaction():
        await locking.execute("SELECT FROM parking_event FOR UPDATE")
        await service.start_ready()
        await eventually(
            lambda: asyncio.to_thread(service.metric, "arceaux_removed_rows_total", table="parking_count"),
            lambda rows: rows == old,
        )
        await eventually(lambda: logged(service, "retention_removed"), bool)
        assert [event["table"] for event in await logged(service, "retention_postponed")] == ["parking_event"]
    assert await ask("SELECT count(*) FROM parking_event") == len(times)
    assert service.metric("arceaux_last_retention_timestamp_seconds") == 0
    assert await service.stop() == 0
    await service.start_ready()
    last = lambda: asyncio.to_thread(service.metric, "arceaux_last_retention_timestamp_seconds")  # noqa: E731 - as above
    await eventually(last, bool)

    assert await ask("SELECT table_name, sum(rows) FROM removal GROUP BY 1 ORDER BY 1") == [
        ("parking_count", old),
        ("parking_event", old),
    ]
    for table in ("parking_event", "parking_count"):
        assert sorted(time for (time,) in await ask(f"SELECT time FROM {table}")) == sorted(times)[old:]
    assert service.metric("arceaux_removed_rows_total", table="parking_event") == old
    found = await run_command("audit", settings=service.settings)
    assert found.returncode == 0, found.stdout


async def logged(service: Service, name: str) -> list[dict[str, Any]]:
    """Give the events of a name that a service has logged."""
    events = (json.loads(line) for line in service.log.splitlines())
    return [event for event in events if event["event"] == name]


async def test_one_process_removes_at_a_time(database_url: str) -> None:
    """The lock is had by one connection, until it ends."""
    async with await connect(database_url, "test") as first, await connect(database_url, "test") as second:
        assert await try_lock(first)
        assert not await try_lock(second)
        await first.close()
        await eventually(lambda: try_lock(second))


async def test_more_than_a_portion_is_removed_and_counted(database_url: str) -> None:
    """Rows beyond one portion go, too, also where more of them than a portion have the same time."""
    async with await connect(database_url, "test") as connection:
        books = Books(connection, random.Random())
        await connection.execute(
            "INSERT INTO parking_event SELECT %s::timestamptz - n %% 2 * interval '1 s', n, true, now() "
            "FROM generate_series(1, 45000) n",
            (NOW - 40 * DAY,),
        )
        await connection.execute(
            "INSERT INTO dead_letter (received_at, topic, size, digest, reason, detail, seen, last_seen_at) "
            "SELECT %(at)s, '', 0, n::text::bytea, '', '', 3, %(at)s FROM generate_series(1, 25000) n",
            {"at": NOW - 40 * DAY},
        )
        assert await removed_by(connection, Rule("parking_event", 30 * DAY), NOW) == 45_000
        assert await purge_dead_letters(connection, NOW - 39 * DAY) == (25_000, 75_000)
        assert await books.value("SELECT sum(rows) FROM removal") == 120_000
        assert await held(books, "parking_event", NOW) == await held(books, "dead_letter", NOW) == (0, 0)


async def test_a_summary_that_grows_while_it_is_removed_is_counted_whole(database_url: str) -> None:
    """Readings that join a dead letter just before it goes are in the removal; those that come after make a new one."""
    upsert = (
        "INSERT INTO dead_letter AS held (received_at, topic, size, digest, reason, detail, seen, last_seen_at) "
        "VALUES (%(at)s, '', 0, '1', '', '', 5, %(at)s) ON CONFLICT (digest) DO UPDATE SET seen = held.seen + 5"
    )
    at = {"at": NOW - 40 * DAY}
    async with await connect(database_url, "test") as writing, await connect(database_url, "test") as purging:
        books = Books(writing, random.Random())
        await writing.execute(upsert, at)
        async with writing.transaction():
            await writing.execute(upsert, at)
            purge = asyncio.create_task(purge_dead_letters(purging, NOW))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await eventually(lambda: books.value(waiting))
        assert await purge == (1, 10)
        await writing.execute(upsert, at)
        assert await held(books, "dead_letter", NOW) == (5, 0)


async def test_chunks_of_another_length_kept_by_column_lose_the_days_that_are_due(tmp_path: Path) -> None:
    """Where a chunk reaches beyond the cutoff, rows before it are deleted from the columns, however many they are."""
    async with migrated_community(tmp_path) as connection:
        books = Books(connection, random.Random())
        await connection.execute("SELECT set_chunk_time_interval('dwelling_reading', interval '30 days')")
        await connection.execute(
            "INSERT INTO dwelling_reading SELECT %s::timestamptz - n * interval '1 minute', sensor, 1 "
            "FROM generate_series(1, 1100) n, generate_series(1, 102) sensor",
            (FIRST_DAY,),
        )
        await connection.execute("SELECT compress_chunk(c) FROM show_chunks('dwelling_reading') c")
        await retain_and_check(books, Rule("dwelling_reading", DAY), FIRST_DAY + DAY)
        assert await books.value("SELECT sum(rows) FROM removal") == 102 * (1100 - 7 * 60)


async def test_a_purge_that_meets_the_retention_goes_on_to_the_end(
    database_url: str, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Letters that another has just removed are not the last ones, and are counted by who removed them."""
    monkeypatch.setattr("ingest.retention._PORTION", 2)
    await ask(
        "INSERT INTO dead_letter (received_at, topic, size, digest, reason, detail, last_seen_at) "
        "SELECT now() - n * interval '1 day', 't', 0, sha256(n::text::bytea), 'unknown_asset', '', now() "
        "FROM generate_series(1, 5) AS n"
    )
    async with await connect(database_url, "test") as other, await connect(database_url, "test") as connection:
        async with other.transaction():
            await other.execute("DELETE FROM dead_letter WHERE received_at < now() - interval '3 days 12 hours'")
            purging = asyncio.create_task(purge_dead_letters(connection, datetime.now(UTC)))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
            await eventually(lambda: ask(waiting, "%dead_letter%"), lambda count: count > 0)
        assert await purging == (3, 3)
    assert await ask("SELECT count(*) FROM dead_letter") == 0


async def test_a_database_that_refuses_the_retention_does_not_end_it(database_url: str) -> None:
    """Whatever the error: it is logged, and tried again at the next pass."""
    settings = Settings(database_url=f"{database_url}_that_is_not_there")
    with capture_logs() as logs:
        running = asyncio.create_task(Retention(settings, Metrics()).run())

        async def told() -> bool:
            return len(logs) >= len(rules_of(settings)) or running.done()

        await eventually(told)
        assert not running.done()
        running.cancel()
    assert {entry["event"] for entry in logs} == {"retention_postponed"}
