"""Days of readings and their booking, written by plain SQL: for servers without COPY, and for days long past."""

import random
from datetime import datetime, timedelta
from typing import Any

from ingest.audit import Audit, audit
from ingest.database import Connection
from ingest.raw_tables import SQL
from ingest.sql import load_queries
from schemas.topics import TABLES, Route, Table

EVENTS = """
INSERT INTO parking_event SELECT time, spot, value = 1, now()
FROM unnest(%s::timestamptz[], %s::integer[], %s::integer[]) AS told (time, spot, value)
ON CONFLICT DO NOTHING
"""
COUNTS = """
INSERT INTO parking_count SELECT time, park, free, 0, '', now()
FROM unnest(%s::timestamptz[], %s::integer[], %s::integer[]) AS told (time, park, free)
ON CONFLICT DO NOTHING
"""
READINGS = """
INSERT INTO dwelling_reading SELECT * FROM unnest(%s::timestamptz[], %s::integer[], %s::float8[])
ON CONFLICT DO NOTHING
"""
HISTORY = """
INSERT INTO availability_history
SELECT time, park, free, 0, 0, free, 'open', 1
FROM unnest(%s::timestamptz[], %s::integer[], %s::integer[]) AS told (time, park, free)
ON CONFLICT DO NOTHING
"""
ROLLED = """
INSERT INTO dwelling_{level}
SELECT time, sensor, 1, value, NULL, value, value, value, value, value, 0, time, time
FROM unnest(%s::timestamptz[], %s::integer[], %s::integer[]) AS rolled (time, sensor, value)
ON CONFLICT DO NOTHING
"""
LEVELS = ("minute", "hour", "day")
RAW = {Table.PARKING_EVENT: EVENTS, Table.PARKING_COUNT: COUNTS, Table.DWELLING_READING: READINGS}
ALONE = {route: tables[0] for route, tables in TABLES.items() if len(tables) == 1}
SHARED = [route for route in TABLES if route not in ALONE]
STORE = load_queries("store.sql")
LETTERS = load_queries("dead_letters.sql")
SENT = 12
"""Readings of each kind that a call writes."""


class Books:
    """Writes what the service would leave behind, in the order of the days."""

    def __init__(self, connection: Connection, rng: random.Random) -> None:
        self.connection = connection
        self._rng = rng

    async def write_day(self, day: datetime) -> None:
        """Write readings of a day, some of them twice, dead letters, and late readings of routes to several tables."""
        for route, table in ALONE.items():
            stored = await self._insert(RAW[table], day)
            await self._book(day, route, SENT, stored=stored, duplicate=SENT - stored)
        for others in (HISTORY, *(ROLLED.format(level=level) for level in LEVELS)):
            await self._insert(others, day)
        await self._write_dead_letters(day)
        for route in SHARED:
            table = self._rng.choice(TABLES[route])
            stored = await self._insert(RAW[table], day - timedelta(days=self._rng.randrange(38)))
            await self.connection.execute(STORE["add_to_destination"], (route, table, stored))
            await self._book(day, route, SENT, stored=stored, duplicate=SENT - stored)

    async def audit(self) -> Audit:
        """Audit on the same connection, and leave that as it was."""
        try:
            return await audit(self.connection, lambda _: None)
        finally:
            await self.connection.set_isolation_level(None)
            await self.connection.set_read_only(None)

    async def value(self, query: str, *parameters: object) -> Any:  # noqa: ANN401 - whatever the query gives
        """Ask for one value."""
        row = await (await self.connection.execute(query.encode(), parameters)).fetchone()
        assert row is not None
        return row[0]

    async def _insert(self, query: str, day: datetime) -> int:
        times = [day + timedelta(minutes=self._rng.randrange(1440)) for _ in range(SENT - 3)]
        things = [self._rng.randrange(1, 5) for _ in times]
        values = [self._rng.randrange(2) for _ in times]
        columns = [[*column, *column[:3]] for column in (times, things, values)]
        return (await self.connection.execute(query.encode(), columns)).rowcount

    async def _write_dead_letters(self, day: datetime) -> None:
        seen = [self._rng.randrange(1, 50) for _ in range(3)]
        digests = [self._rng.randbytes(32) for _ in seen]
        columns = [[day] * 3, ["t"] * 3, [0] * 3, digests, ["unknown_asset"] * 3, [""] * 3, seen, [day] * 3]
        await self.connection.execute(LETTERS["add_to_summaries"], columns)
        await self._book(day, Route.UNROUTABLE, sum(seen), dead_lettered=sum(seen))

    async def _book(self, day: datetime, route: str, readings: int, **outcomes: int) -> None:
        names = ("stored", "duplicate", "dead_lettered", "refused")
        row = (day, "test", route, readings, readings, *(outcomes.get(name, 0) for name in names))
        await self.connection.execute(SQL["add_to_ledger"], row)
