"""The audit finds whatever is not as it was booked, and says where."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from harness.books import Books
from harness.service import run_command

from ingest.audit import audit
from ingest.audit_report import as_text
from ingest.database import connect
from ingest.migrate import find_server
from ingest.retention import Rule, retain
from schemas.topics import Table

TODAY = datetime(2026, 5, 1, tzinfo=UTC)
RULES = [
    Rule(table, timedelta(days=12)) for table in ("parking_event", "parking_count", "dwelling_reading", "dead_letter")
]
KNOWN = """
INSERT INTO parking_event SELECT now(), spot, true, now() FROM generate_series(1, 9) AS spot;
INSERT INTO ledger VALUES (date_trunc('minute', now()), 'known', 'spot', 9, 9, 9, 0, 0, 0);
INSERT INTO dead_letter (received_at, topic, size, digest, reason, detail, seen, last_seen_at)
VALUES (now(), 'known', 0, '', '', '', 7, now());
INSERT INTO ledger VALUES (date_trunc('minute', now()), 'known', 'unroutable', 7, 7, 0, 0, 7, 0);
INSERT INTO ledger VALUES (date_trunc('minute', now()), 'known', 'count', 4, 4, 0, 3, 0, 1)
"""
TAMPERED = {
    "a row deleted": ("DELETE FROM parking_event WHERE spot_id = 9", {"stored": 1, "parking_event": 1}),
    "rows written": (
        "INSERT INTO dwelling_reading VALUES (now(), 9, 1), (now(), 9, 2)",
        {"stored": -2, "dwelling_reading": -2},
    ),
    "a repeat stored as another fact": (
        "INSERT INTO parking_count VALUES (now(), 1, 7, 0, '', now())",
        {"stored": -1, "parking_count": -1},
    ),
    "a dead letter deleted": ("DELETE FROM dead_letter WHERE topic = 'known'", {"dead_lettered": 7}),
    "a dead letter counted down": ("UPDATE dead_letter SET seen = 5 WHERE topic = 'known'", {"dead_lettered": 2}),
    "a removal invented": (
        "INSERT INTO removal (table_name, rows, cause) VALUES ('dead_letter', 3, '')",
        {"dead_lettered": -3},
    ),
    "a row of the ledger changed": (
        "UPDATE ledger SET stored = stored + 2, duplicate = duplicate - 2 WHERE worker = 'known' AND route = 'count'",
        {"stored": 2, "parking_count": 2},
    ),
    "a row of the ledger deleted": (
        "DELETE FROM ledger WHERE worker = 'known' AND route = 'spot'",
        {"stored": -9, "parking_event": -9},
    ),
    "stored under a route without a table": (
        "UPDATE ledger SET stored = 1, dead_lettered = 6 WHERE worker = 'known' AND route = 'unroutable'",
        {"stored": 1, "dead_lettered": -1},
    ),
    "a replay said to have gone to another table": (
        """INSERT INTO destination VALUES ('replay', 'dwelling_reading', 1)
           ON CONFLICT (route, table_name) DO UPDATE SET rows = destination.rows + 1""",
        {"dwelling_reading": 1, "replay": -1},
    ),
    "a replay booked and not told": (
        "INSERT INTO ledger VALUES (now(), 'known', 'replay', 0, 1, 1, 0, 0, 0)",
        {"stored": 1, "replay": 1},
    ),
    "a reading that became nothing": (
        """ALTER TABLE ledger DROP CONSTRAINT ledger_check;
           UPDATE ledger SET readings = 8 WHERE worker = 'known' AND route = 'unroutable'""",
        {"readings": 1},
    ),
}
COMPENSATED = """
ALTER TABLE ledger DROP CONSTRAINT ledger_check;
UPDATE ledger SET readings = readings + 1 WHERE worker = 'known' AND route = 'spot';
UPDATE ledger SET readings = readings - 1 WHERE worker = 'known' AND route = 'count';
UPDATE ledger SET duplicate = -1, refused = 1 WHERE worker = 'known' AND route = 'unroutable'
"""


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    """Write a month of readings, of which a part is removed already; every line of the balance has something in it."""
    async with await connect(database_url, "test") as connection:
        made = Books(connection, random.Random(1))
        for back in range(30, -1, -2):
            await made.write_day(TODAY - timedelta(days=back))
        await connection.execute(KNOWN)
        for rule in RULES:
            assert sum([rows async for rows in retain(connection, rule, TODAY)])
        found = await made.audit()
        assert found.is_right, as_text(found)
        assert all(part for balance in found.balances[1:] for part in balance.parts.values())
        yield made


@pytest.mark.parametrize("name", TAMPERED)
async def test_what_was_changed_behind_the_service_is_found_where_it_was(books: Books, name: str) -> None:
    """Each line that the change touches differs by exactly that much, and every other one balances."""
    statement, differences = TAMPERED[name]
    await books.connection.execute(statement.encode())
    found = await books.audit()
    assert {b.name: b.difference for b in found.balances if b.difference} == differences
    assert not found.is_right


async def test_rows_of_the_ledger_that_make_up_for_each_other_are_found(books: Books) -> None:
    """Where all sums balance and single rows do not, those are named; so is a count below zero."""
    await books.connection.execute(COMPENSATED)
    found = await books.audit()
    assert not any(balance.difference for balance in found.balances)
    assert [row.name.split()[-2:] for row in found.wrong_rows] == [
        ["known", "count"],
        ["known", "spot"],
        ["known", "unroutable"],
    ]
    assert not found.is_right
    assert "known count" in as_text(found)


async def test_the_command_prints_the_balance_and_where_it_fails(books: Books, database_url: str) -> None:
    """Status 0 and every line balancing, then status 1 with the lines that differ, in text and in JSON."""
    settings = {"ARCEAUX_DATABASE_URL": database_url}
    well = await run_command("audit", settings=settings)
    assert (well.returncode, well.stderr) == (0, "")
    lines = well.stdout.splitlines()
    names = ["readings", "stored", *Table, "chirpstack", "tts", "replay", "dead_lettered"]
    assert [line.split()[0] for line in lines] == names
    assert all(line.endswith("  balances") for line in lines)

    await books.connection.execute("DELETE FROM parking_event WHERE spot_id = 9")
    text = await run_command("audit", settings=settings)
    assert text.returncode == 1
    unlike = [line for line in text.stdout.splitlines() if not line.endswith("  balances")]
    assert [line.split()[0] for line in unlike] == ["stored", "1", "parking_event", "1"]
    assert "removal" in unlike[-1]
    as_json = await run_command("audit", "--json", settings=settings)
    assert as_json.returncode == 1
    found = json.loads(as_json.stdout)
    assert list(found) == names
    assert {
        name: line["ledger"] - line["tables"] for name, line in found.items() if line["ledger"] != line["tables"]
    } == {
        "stored": 1,
        "parking_event": 1,
    }
    assert found["parking_event"]["held"] + found["parking_event"]["removed"] == found["parking_event"]["tables"]
    assert found["readings"]["wrong_rows"] == []


async def test_an_audit_is_exact_while_rows_are_removed(books: Books, database_url: str) -> None:
    """Rows removed after its snapshot are counted as held: deleted ones are in it, and chunks stay until it is over."""
    impatient = f"{database_url}?options=-c%20lock_timeout%3D200ms"

    async def remove() -> int:
        removed = 0
        async with await connect(impatient, "test") as connection:
            for rule in RULES:
                try:
                    removed += sum([rows async for rows in retain(connection, rule, TODAY + timedelta(days=9))])
                except psycopg.errors.LockNotAvailable:
                    assert (await find_server(connection)).timescaledb
        return removed

    def on_step(step: str) -> None:
        if step == "parking_event":  # the ledger has been read, the tables have not
            with ThreadPoolExecutor() as thread:
                assert thread.submit(asyncio.run, remove()).result() > 0

    async with await connect(database_url, "test") as auditing:
        found = await audit(auditing, on_step)
        assert found.is_right, as_text(found)
    assert (await books.audit()).is_right
    assert await remove() > 0 or not (await find_server(books.connection)).timescaledb
    assert (await books.audit()).is_right
