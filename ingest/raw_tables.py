"""The tables of raw readings: their columns from records, and how readings get in, each fact once."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import errors

from ingest.database import Connection
from ingest.sql import load_queries
from processors import pgcopy
from processors.columns import Records
from processors.decode import by_route
from processors.layout import Layout
from processors.pgcopy import Column
from processors.reduce import Reduced
from schemas.topics import ROUTES, Route, Table

SQL: Final = load_queries("store.sql")
_STAGED_BATCHES: Final = 20
"""Repeats come in storms, after a reconnect: having met one, take the way that expects them for so many batches."""


def event_columns(layout: Layout, events: Records) -> tuple[Column, ...]:
    """Give SPOT_EVENT records as columns of parking_event."""
    return (
        ("time", "timestamptz", events["time"]),
        ("spot_id", "int4", layout.spot_id[events["spot"]]),
        ("occupied", "bool", events["occupied"]),
        ("arrived_at", "timestamptz", events["arrived"]),
    )


def count_columns(layout: Layout, counts: Records) -> tuple[Column, ...]:
    """Give COUNT records as columns of parking_count."""
    return (
        ("time", "timestamptz", counts["time"]),
        ("car_park_id", "int4", layout.car_park_id[counts["car_park"]]),
        ("free", "int4", counts["free"]),
        ("total", "int4", counts["total"]),
        ("status", "text", counts["status"]),
        ("arrived_at", "timestamptz", counts["arrived"]),
    )


def reading_columns(layout: Layout, readings: Records) -> tuple[Column, ...]:
    """Give READING records as columns of dwelling_reading."""
    return (
        ("time", "timestamptz", readings["time"]),
        ("sensor_id", "int4", sensor_ids(layout, readings)),
        ("value", "float8", readings["value"]),
    )


def sensor_ids(layout: Layout, readings: Records) -> NDArray[np.int32]:
    """Give the ids of the sensors of READING records."""
    ids: NDArray[np.int32] = layout.homes.sensors.ids[readings["sensor"]]
    return ids


def raw_rows(reduced: Reduced) -> tuple[tuple[Table, Records, Callable[[Layout, Records], tuple[Column, ...]]], ...]:
    """Give the distinct readings of a batch by table, and what makes columns of them."""
    return (
        (Table.PARKING_EVENT, reduced.events, event_columns),
        (Table.PARKING_COUNT, reduced.counts, count_columns),
        (Table.DWELLING_READING, reduced.homes.readings, reading_columns),
    )


async def copy(connection: Connection, query: str, columns: Sequence[Column]) -> None:
    """Send columns by a binary COPY."""
    body = pgcopy.encode(columns)
    async with connection.cursor() as cursor, cursor.copy(SQL[query]) as stream:
        await stream.write(body)


class RawTable:
    """A table of raw readings: straight COPY while readings are new, a staged merge where some are repeats."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._staged_batches = 0

    async def insert(
        self, connection: Connection, columns: Sequence[Column], routes: NDArray[np.uint8]
    ) -> Counter[Route]:
        """Store distinct readings, each of a route; give how many were new, exactly."""
        if not len(routes):
            return Counter()
        if self._staged_batches:
            self._staged_batches -= 1
            return await self._merge(connection, columns, routes)
        try:
            async with connection.transaction():  # a savepoint
                await copy(connection, f"copy_{self._name}", columns)
        except errors.UniqueViolation:
            self._staged_batches = _STAGED_BATCHES
            return await self._merge(connection, columns, routes)
        return by_route(routes)

    async def _merge(
        self, connection: Connection, columns: Sequence[Column], routes: NDArray[np.uint8]
    ) -> Counter[Route]:
        """Store what is new, a route at a time: what an earlier one has left on the stage is a repeat by then."""
        stored: Counter[Route] = Counter()
        for route in np.unique(routes).tolist():
            of_route = [(name, kind, column[routes == route]) for name, kind, column in columns]
            await copy(connection, f"stage_{self._name}", of_route)
            stored[ROUTES[route]] = (await connection.execute(SQL[f"merge_{self._name}"])).rowcount
        return stored
