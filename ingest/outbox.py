"""Which live figures are due at the broker: reads the outbox tables, remembers what was acknowledged. No MQTT."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from psycopg.rows import dict_row

from ingest.database import Connection
from ingest.sql import load_queries
from schemas.live import (
    MOST_ATTENTION,
    CarParkFigure,
    CityFigure,
    DistrictFigure,
    DistrictSuppressed,
    HealthFigure,
)
from schemas.topics import Topics

_SQL: Final = load_queries("publisher.sql")
_ANSWER_SECONDS: Final = 40
"""Longer than every time-out of the server: by then it is gone, though nothing on the way says so."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure to publish. `row` is what the history keeps of it, None but for car parks."""

    topic: str
    revision: int
    payload: bytes
    arrived_at: datetime | None = None
    row: Mapping[str, Any] | None = None


class Outbox:
    """The outbox as the one publisher of a deployment sees it."""

    def __init__(self, connection: Connection, topics: Topics, districts: Sequence[str]) -> None:
        self._connection = connection
        self._topics = topics
        self._districts = list(districts)
        self.acknowledged: dict[str, int] = {}

    async def try_lock(self) -> bool:
        """Become the one publisher of the deployment, unless another is."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            row = await (await self._connection.execute(_SQL["try_lock"])).fetchone()
        return bool(row and row[0])

    async def load(self) -> list[Figure]:
        """Give all figures, and read which revisions the broker has acknowledged."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            self.acknowledged = dict(await (await self._connection.execute(_SQL["published"])).fetchall())
        return await self._figures(every=True)

    async def newer(self) -> list[Figure]:
        """Give the figures whose revision is newer than the acknowledged one."""
        return await self._figures(every=False)

    async def record(self, figures: Sequence[Figure]) -> list[Figure]:
        """Note what the broker has acknowledged; give those of a revision it had not seen before."""
        new = [figure for figure in figures if figure.revision > self.acknowledged.get(figure.topic, 0)]
        at = datetime.now(UTC)
        history = [{**figure.row, "at": at} for figure in new if figure.row]
        async with (
            asyncio.timeout(_ANSWER_SECONDS),
            self._connection.transaction(),
            self._connection.cursor() as cursor,
        ):
            await cursor.executemany(
                _SQL["record"], [{"topic": f.topic, "revision": f.revision, "at": at} for f in figures]
            )
            if history:
                await cursor.executemany(_SQL["record_history"], history)
        self.acknowledged |= {figure.topic: figure.revision for figure in figures}
        return new

    async def _figures(self, *, every: bool) -> list[Figure]:
        parameters = {"all": every, "prefix": self._topics.live(""), "topic": self._topics.live_city}
        async with asyncio.timeout(_ANSWER_SECONDS), self._connection.cursor(row_factory=dict_row) as cursor:
            car_parks = await (await cursor.execute(_SQL["car_parks"], parameters)).fetchall()
            cities = await (await cursor.execute(_SQL["city"], parameters)).fetchall()
            of_health = {"all": every, "topic": self._topics.live_health, "most": MOST_ATTENTION}
            health = await (await cursor.execute(_SQL["health"], of_health)).fetchall()
            of_districts = {"all": every, "prefix": self._topics.live_district(""), "districts": self._districts}
            districts = await (await cursor.execute(_SQL["districts"], of_districts)).fetchall()
        figures = [*map(self._car_park, car_parks), *map(self._city, cities), *map(self._health, health)]
        return [*figures, *map(self._district, districts)]

    async def forget(self, topic: str) -> None:
        """Note that a topic has been cleared."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            await self._connection.execute(_SQL["forget"], (topic,))
        self.acknowledged.pop(topic, None)

    def _car_park(self, row: dict[str, Any]) -> Figure:
        arrived_at, told = row["arrived_at"], {k: v for k, v in row.items() if k not in ("car_park_id", "arrived_at")}
        figure = CarParkFigure.of(**told)
        return Figure(self._topics.live(figure.car_park), figure.revision, figure.payload(), arrived_at, row)

    def _city(self, row: dict[str, Any]) -> Figure:
        return Figure(self._topics.live_city, row["revision"], CityFigure(**row).payload())

    def _health(self, row: dict[str, Any]) -> Figure:
        return Figure(self._topics.live_health, row["revision"], HealthFigure.model_validate(row).payload())

    def _district(self, row: dict[str, Any]) -> Figure:
        kind = DistrictFigure if row["figures"] else DistrictSuppressed
        return Figure(self._topics.live_district(row["district"]), row["revision"], kind.model_validate(row).payload())
