"""Removes a home: everything that the database holds of it.

Its mark is noted before (ingest/privacy/erased.py): from then on whoever writes of homes refuses this one. Then, alone
for a moment, what the roller would compute of it next is forgotten. So what is there cannot grow, and is removed in
portions while the stream goes on. At the end, alone again, the home itself goes. Stopped anywhere, whoever does it
next goes on with it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, timedelta
from typing import Final, NamedTuple

import psycopg
from psycopg import errors, sql

from ingest.database import Connection
from ingest.privacy.erased import lock_alone
from ingest.privacy.home_tables import DEAD_LETTER, DWELLING, DWELLING_TABLES, LAST_TOLD, SENSOR_TABLES, SensorTable
from ingest.sql import load_queries

_SQL: Final = load_queries("erasure.sql")
_RAW_PORTION: Final = timedelta(days=1)
_COMPUTED_PORTION: Final = timedelta(days=7)
_LETTERS: Final = 10_000
"""Dead letters that are looked at in one transaction."""
_BETWEEN_TRIES: Final = 0.5

Told = Callable[[str], None]
"""Told what is being done."""


class Home(NamedTuple):
    """The row of a home, whether it consents, and its sensors."""

    id: int
    consents: bool
    sensors: tuple[int, ...]


class Removed(NamedTuple):
    """What was removed: the home as it was, None where it had no row, and rows by table; of dead letters readings."""

    home: Home | None
    rows: Mapping[str, int]


async def find(connection: Connection, pseudonym: str) -> Home | None:
    """Find the row of a home."""
    row = await (await connection.execute(_SQL["dwelling"], (pseudonym,))).fetchone()
    if row is None:
        return None
    sensors = await (await connection.execute(_SQL["sensors"], (row[0],))).fetchall()
    return Home(row[0], row[1], tuple(number for (number,) in sensors))


async def remove(connection: Connection, pseudonym: str, told: Told) -> Removed:
    """Remove everything of a home whose mark is noted."""
    rows: Counter[str] = Counter()
    async with _as_the_one_that_removes(connection):
        home = await _withdraw(connection, pseudonym)
        async for table, number in _parts(connection, pseudonym, home):
            rows[table] += number
            told(f"removing from {table}: {rows[table]}")
    return Removed(home, rows)


@asynccontextmanager
async def _as_the_one_that_removes(connection: Connection) -> AsyncIterator[None]:
    """Keep retention away meanwhile: two that delete the same rows would wait for each other."""
    while True:
        try:
            await connection.execute(_SQL["remove_alone"])
            break
        except errors.LockNotAvailable:
            await asyncio.sleep(_BETWEEN_TRIES)
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # a connection that is lost holds no lock
            await connection.execute(_SQL["remove_no_longer"])


async def _withdraw(connection: Connection, pseudonym: str) -> Home | None:
    """Let nothing be computed that rests on a part of what is being removed; give the home, which gets no sensors more.

    No pass of the roller is under way meanwhile, and the next one finds no mark of this home.
    """
    async with connection.transaction():
        await lock_alone(connection)
        await connection.execute(_SQL["take_your_time"])
        await connection.execute(_SQL["withdraw"], (pseudonym,))
        home = await find(connection, pseudonym)
        if home is not None:
            await connection.execute(_SQL["forget_marks"], {"sensors": list(home.sensors)})
    return home


async def _parts(connection: Connection, pseudonym: str, home: Home | None) -> AsyncIterator[tuple[str, int]]:
    sensors = home.sensors if home is not None else ()
    for table in SENSOR_TABLES if sensors else ():
        async for rows in _measured(connection, table, sensors):
            yield table.name, rows
    async for readings in _dead_letters(connection, pseudonym):
        yield DEAD_LETTER, readings
    if home is not None:
        for name, rows in (await _the_rest(connection, home)).items():
            yield name, rows


async def _measured(connection: Connection, table: SensorTable, sensors: Sequence[int]) -> AsyncIterator[int]:
    """Delete the rows of sensors, some days at a time, each in a transaction of its own."""
    portion = _COMPUTED_PORTION if table.is_computed else _RAW_PORTION
    names = {"table": sql.Identifier(table.name), "time": sql.Identifier(table.time)}
    span = sql.SQL(_SQL["span"]).format(**names)
    row = await (await connection.execute(span)).fetchone()
    day, last = row or (None, None)
    while day is not None and day <= last:
        following = (day + portion).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        async with connection.transaction():
            await connection.execute(_SQL["take_your_time"])
            await connection.execute(_SQL["no_decompression_limit"])
            query = sql.SQL(_SQL["delete_span"]).format(**names)
            rows = (await connection.execute(query, (list(sensors), day, following))).rowcount
            await _record(connection, table.name, rows)
        yield rows
        day = following


async def _dead_letters(connection: Connection, pseudonym: str) -> AsyncIterator[int]:
    """Delete the dead letters that name a home, in portions; gives the readings that they stood for."""
    after = 0
    while (end := await _portion_end(connection, after)) is not None:
        async with connection.transaction():
            await connection.execute(_SQL["take_your_time"])
            portion = {"after": after, "end": end, "home": pseudonym}
            seen = await (await connection.execute(_SQL["delete_letters"], portion)).fetchall()
            readings = sum(number for (number,) in seen)
            await _record(connection, DEAD_LETTER, readings)
        yield readings
        after = end


async def _portion_end(connection: Connection, after: int) -> int | None:
    row = await (await connection.execute(_SQL["letters_end"], (after, _LETTERS))).fetchone()
    return row[0] if row else None


async def _the_rest(connection: Connection, home: Home) -> Mapping[str, int]:
    """Delete the home and the few rows that hang on it, alone."""
    rows = {}
    async with connection.transaction():
        await lock_alone(connection)
        await connection.execute(_SQL["take_your_time"])
        rows[LAST_TOLD.name] = await _delete(connection, LAST_TOLD.name, LAST_TOLD.key, home.sensors)
        await connection.execute(_SQL["become_nobody"], (home.id,))
        for table in (*DWELLING_TABLES, DWELLING):
            rows[table.name] = await _delete(connection, table.name, table.key, (home.id,))
    return rows


async def _delete(connection: Connection, table: str, key: str, keys: Sequence[int]) -> int:
    query = sql.SQL(_SQL["delete"]).format(table=sql.Identifier(table), key=sql.Identifier(key))
    return (await connection.execute(query, (list(keys),))).rowcount


async def _record(connection: Connection, table: str, rows: int) -> None:
    if rows:
        await connection.execute(_SQL["record"], (table, rows))
