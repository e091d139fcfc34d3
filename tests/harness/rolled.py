"""Readings of homes written as batches write them, and the tables of aggregates held against their definition."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
from unit.aggregate_reference import LENGTHS, Row, aggregate

from ingest.database import Connection, connect
from ingest.raw_tables import SQL, RawTable
from ingest.rollup import Rolled, prepare, roll
from ingest.transaction import mark_minutes
from processors.pgcopy import Column
from schemas.topics import ROUTES, Route, Table

SENML = ROUTES.index(Route.SENML)
Reading = tuple[int, int, float]
"""Sensor, time in microseconds since 1970, value."""
_CELLS = ", ".join(
    f"(extract(epoch FROM {name}) * 1000000)::bigint" if name.endswith("_at") else name for name in Row._fields
)
_ROWS = "SELECT sensor_id, (extract(epoch FROM bucket) * 1000000)::bigint, {cells} FROM dwelling_{level}"
_READINGS = "SELECT sensor_id, (extract(epoch FROM time) * 1000000)::bigint, value FROM dwelling_reading"


class Writer:
    """Commits batches on a connection of its own, raw rows and marks in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._table = RawTable(Table.DWELLING_READING)

    @classmethod
    async def on(cls, url: str) -> "Writer":
        """Connect."""
        connection = await connect(url, "test")
        await connection.execute(SQL["stage_tables"])
        return cls(connection)

    async def write(self, readings: Iterable[Reading]) -> None:
        """Write a batch."""
        told = sorted(set(readings), key=lambda reading: (reading[1], reading[0], reading[2]))
        sensors, times, values = (np.array(column) for column in zip(*told, strict=True))
        columns: list[Column] = [
            ("time", "timestamptz", times),
            ("sensor_id", "int4", sensors),
            ("value", "float8", values),
        ]
        async with self.connection.transaction():
            await self._table.insert(self.connection, columns, np.full(len(told), SENML, dtype=np.uint8))
            await mark_minutes(self.connection, times, sensors)


async def rolling(url: str) -> Connection:
    """Connect as the roller does."""
    connection = await connect(url, "test")
    await prepare(connection)
    return connection


PORTION = 10_000


async def roll_all(connection: Connection, now: datetime) -> Rolled:
    """Roll until nothing is due; gives the sums of all passes."""
    sums = Rolled(0, 0)
    while (rolled := await roll(connection, now, PORTION)) is not None:
        sums = Rolled(sums.minutes + rolled.minutes, sums.dropped + rolled.dropped)
    return sums


async def assert_rolled(connection: Connection) -> int:
    """Hold every row of every level against the raw readings; give how many rows there are."""
    by_sensor: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for sensor, time, value in await (await connection.execute(_READINGS.encode())).fetchall():
        by_sensor[sensor].append((time, value))
    scale = max((abs(value) for told in by_sensor.values() for _, value in told), default=0)
    count = 0
    for level, length in LENGTHS.items():
        rows = await rows_of(connection, level)
        expected = {(s, at): row for s, told in by_sensor.items() for at, row in aggregate(told, length).items()}
        unlike = {key for key in rows.keys() | expected.keys() if not _is_like(rows.get(key), expected.get(key), scale)}
        assert not unlike, [(level, key, rows.get(key), expected.get(key)) for key in sorted(unlike)[:3]]
        count += len(rows)
    return count


async def rows_of(connection: Connection, level: str) -> dict[tuple[int, int], Row]:
    """Give the rows of a level, by sensor and start of the bucket."""
    found: list[tuple[Any, ...]] = await (
        await connection.execute(_ROWS.format(cells=_CELLS, level=level).encode())
    ).fetchall()
    return {(sensor, bucket): Row(*cells) for sensor, bucket, *cells in found}


def _is_like(row: Row | None, expected: Row | None, scale: float) -> bool:
    return row is not None and expected is not None and row.is_like(expected, scale)
