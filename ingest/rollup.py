"""One pass of the roller: from marks and raw readings to minutes, from these to hours, and from these to days.

A pass reads marks, reads the raw rows of the minutes that they name, replaces the aggregates and removes exactly the
marks that it read, all in one snapshot; what commits meanwhile has left marks of its own. So a pass may be cut off
anywhere, and a row depends on the raw rows alone, whatever the order in which they came.

Columns come as one array each (docs/decisions/0014-columns-as-arrays.md).
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

import numpy as np
from psycopg import IsolationLevel, sql

from ingest.arrays import Float8s, Int4s, Times
from ingest.database import Connection
from ingest.sql import load_queries
from processors import pgarray
from processors.aggregates import (
    AGGREGATE,
    DAY,
    HOUR,
    INSTANT,
    MINUTE,
    SAMPLE,
    Int64s,
    aggregates_of,
    buckets_of,
    combine,
    distinct_keys,
    is_among,
    keys_of,
    slices_of,
)
from processors.columns import Records
from processors.pgarray import Kind
from processors.times import to_datetime

_SQL: Final = load_queries("rollup.sql")
_SETTLED: Final = timedelta(seconds=70)
"""After its start a minute is first taken: 10 seconds after its end, when most of its readings have come."""
_PORTION_MARKS: Final = 5_000
_BYTES_EACH: Final = 4
_SLICE: Final = 100_000
"""Rows that are held in memory at once, some 300 bytes each while they are combined."""
_RETAINED: Final = ["dwelling_reading", "dwelling_minute", "dwelling_hour", "dwelling_day"]
_KINDS: Final[dict[str, Kind]] = {"i4": "int4", "i8": "timestamptz", "f8": "float8"}
_ARRAYS: Final = {"i4": Int4s, "i8": Times, "f8": Float8s}
_KEY: Final = np.dtype([("sensor_id", "i4"), ("bucket", "i8")])
_MARK: Final = np.dtype([("sensor_id", "i4"), ("bucket", "i8"), ("readings", "i4")])


class Level(NamedTuple):
    """A table of aggregates, and the length of its buckets in microseconds."""

    table: LiteralString
    length: int


MINUTES: Final = Level("dwelling_minute", MINUTE)
HOURS: Final = Level("dwelling_hour", HOUR)
DAYS: Final = Level("dwelling_day", DAY)


class Rolled(NamedTuple):
    """What a pass came to: how many minutes of sensors were rolled, how many marks dropped as too old."""

    minutes: int
    dropped: int


async def prepare(connection: Connection) -> None:
    """Make a connection fit for rolling."""
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    # Each query is planned for the times that it names.
    connection.prepare_threshold = None
    await connection.execute(_SQL["plan_by_keys"])


async def try_lock(connection: Connection) -> bool:
    """Become the one that rolls, as long as the connection lasts, unless another is."""
    row = await (await connection.execute(_SQL["try_lock"])).fetchone()
    return bool(row and row[0])


async def roll(connection: Connection, now: datetime, portion: int) -> Rolled | None:
    """Roll the oldest minutes that are marked and due; None where there are none.

    They are as many as have so many readings marked, and at least one; all of a minute belong to one pass. Where it
    raises, locks stay behind, and the connection has to be closed.
    """
    # Before the snapshot, so that it sees what an erasure has left.
    await connection.execute(_SQL["share_homes"])
    async with connection.transaction():
        rolled = await _roll_portion(connection, now - _SETTLED, portion)
    await connection.execute(_SQL["release_homes"])
    return rolled


async def _roll_portion(connection: Connection, due: datetime, portion: int) -> Rolled | None:
    most = {"due": due, "marks": _PORTION_MARKS, "bytes": portion * _BYTES_EACH}
    row = await (await connection.execute(_SQL["portion"], most)).fetchone()
    if row is None or row[0] is None:
        return None
    marks = {"until": row[0], "tables": _RETAINED}
    await connection.execute(_SQL["hold_retained"], marks)
    dropped = (await connection.execute(_SQL["drop_marks"], marks)).rowcount
    named = await _read(connection, _SQL["marks"], marks, _MARK)
    marked = distinct_keys(keys_of(named["sensor_id"], named["bucket"], MINUTE))
    if len(marked):
        parts = slices_of(marked, int(named["readings"].sum()), _SLICE)
        minutes = distinct_keys(*[await _roll_minutes(connection, part) for part in parts])
        hours = await _roll_up(connection, minutes, MINUTES, HOURS)
        await _roll_up(connection, hours, HOURS, DAYS)
    await connection.execute(_SQL["take_marks"], marks)
    return Rolled(len(marked), dropped)


async def _roll_minutes(connection: Connection, marked: Int64s) -> Int64s:
    """Replace minutes from their raw readings; give the keys of those that were.

    A sensor's next minute rests on the value held before it, and so is rolled, too.
    """
    ends_run = np.append(marked[1:] != marked[:-1] + 1, True)
    following = await _read(connection, _of(MINUTES, "next"), _between(marked[ends_run], MINUTE), _KEY)
    keys = distinct_keys(marked, keys_of(following["sensor_id"], following["bucket"], MINUTE))
    held = await _held(connection, MINUTES, keys, MINUTE)
    samples = await _read(connection, _SQL["readings"], _between(keys, MINUTE), SAMPLE)
    samples = samples[is_among(keys_of(samples["sensor_id"], samples["time"], MINUTE), keys)]
    rows = await asyncio.to_thread(lambda: combine(aggregates_of(samples, held), held, INSTANT, MINUTE))
    await _replace(connection, MINUTES, keys, rows)
    return keys


async def _roll_up(connection: Connection, changed: Int64s, lower: Level, upper: Level) -> Int64s:
    """Replace the longer buckets in which shorter ones changed; give the keys of those that were.

    Where the last value of a longer bucket changed, the sensor's next shorter one was rolled, and so is the longer one
    that this lies in, which rests on that value.
    """
    every = distinct_keys(keys_of(*buckets_of(changed, lower.length), upper.length))
    for keys in slices_of(every, len(every) * (upper.length // lower.length), _SLICE):
        held = await _held(connection, lower, keys, upper.length)
        parts = await _read(connection, _of(lower, "parts"), _between(keys, upper.length), AGGREGATE)
        rows = await asyncio.to_thread(combine, parts, held, lower.length, upper.length)
        await _replace(connection, upper, keys, rows)
    return every


async def _held(connection: Connection, level: Level, keys: Int64s, length: int) -> Records:
    """Give the values held when these buckets began, as the rows of a level tell them, as far as they lie outside.

    Those inside are told by the buckets themselves, which may be rows no more.
    """
    begins_run = np.append(True, keys[1:] != keys[:-1] + 1)
    held = await _read(connection, _of(level, "held"), _between(keys[begins_run], length), SAMPLE)
    return held[~is_among(keys_of(held["sensor_id"], held["time"], length), keys)]


async def _replace(connection: Connection, level: Level, keys: Int64s, rows: Records) -> None:
    """Write the rows that these buckets have come to, and remove those that have none."""
    if len(rows):
        columns = {name: _ARRAYS[rows.dtype[name].str[1:]](rows[name]) for name in AGGREGATE.names or ()}
        await connection.execute(_of(level, "replace"), columns)
    gone = keys[~is_among(keys, keys_of(rows["sensor_id"], rows["bucket"], level.length))]
    if len(gone):
        await connection.execute(_of(level, "remove"), _between(gone, level.length))


async def _read(
    connection: Connection, query: sql.Composed | LiteralString, parameters: dict[str, Any], dtype: np.dtype[np.void]
) -> Records:
    """Read one row that has an array for each field."""
    row = await (await connection.execute(query, parameters, binary=True)).fetchone() or ()
    columns = [pgarray.decode(cell, _KINDS[dtype[index].str[1:]]) for index, cell in enumerate(row)]
    rows = np.empty(len(columns[0]), dtype)
    for name, column in zip(dtype.names or (), columns, strict=True):
        rows[name] = column
    return rows


def _of(level: Level, query: str) -> sql.Composed:
    return sql.SQL(_SQL[query]).format(table=sql.Identifier(level.table))


def _between(keys: Int64s, length: int) -> dict[str, Any]:
    """Give the parameters of a query over buckets: these, and the time from the first to the end of the last."""
    sensors, buckets = buckets_of(keys, length)
    return {
        "sensors": Int4s(sensors),
        "buckets": Times(buckets),
        "first": to_datetime(int(buckets.min())),
        "end": to_datetime(int(buckets.max()) + length),
        "length": timedelta(microseconds=length),
    }
