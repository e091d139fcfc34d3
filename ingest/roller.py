"""The roller: the task that keeps minutes, hours and days of homes equal to their raw readings."""

import asyncio
from typing import Final

import psycopg
import structlog

from ingest.backoff import Backoff
from ingest.database import ROLLER, Connection, connect_patiently, earlier_clock
from ingest.errors import ArceauxError, describe
from ingest.metrics import Metrics
from ingest.rollup import Rolled, prepare, roll, try_lock
from schemas.settings import Settings

_OPTIONS: Final = (
    # One minute of very many sensors may take its time.
    "-c statement_timeout=300s"
    # Passes keep the session busy. One that falls silent is of a frozen process, and loses its locks.
    " -c idle_session_timeout=15s"
)
_PASS_SECONDS: Final = 1800
"""Longer than every time-out of the server: by then it is frozen or gone."""
_EVERY: Final = 2.0
"""Seconds between looks for marks, once none is due."""
_LONGEST_WAIT: Final = 30.0

log = structlog.get_logger()


class Roller:
    """Rolls, for ever. One process of a deployment at a time does so, by advisory lock."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._url = settings.database_url
        self._purpose = f"{ROLLER} {settings.client_id}"
        self._metrics = metrics

    async def run(self) -> None:
        """Roll. What fails is logged and tried again on another connection: the stream need not stop for it."""
        backoff = Backoff(cap=_LONGEST_WAIT)
        while True:
            try:
                async with await connect_patiently(self._url, self._purpose, _OPTIONS) as connection:
                    await self._serve(connection, backoff)
            except (psycopg.Error, OSError, ArceauxError) as error:  # a time-out is an OSError, too
                wait = backoff.wait()
                log.warning("roller_postponed", error=describe(error), wait=round(wait, 1))
                await asyncio.sleep(wait)

    async def _serve(self, connection: Connection, backoff: Backoff) -> None:
        await prepare(connection)
        while not await try_lock(connection):  # noqa: ASYNC110 - the lock is another process's, in the database
            await asyncio.sleep(_EVERY)
        log.info("roller_ready")
        while True:
            async with asyncio.timeout(_PASS_SECONDS):
                rolled = await roll(connection, await earlier_clock(connection))
            backoff.reset()
            if rolled is None:
                self._metrics.last_roll.set_to_current_time()
                await asyncio.sleep(_EVERY)
            else:
                self._observe(rolled)

    def _observe(self, rolled: Rolled) -> None:
        self._metrics.minutes_rolled.inc(rolled.minutes)
        if rolled.dropped:
            self._metrics.marks_dropped.inc(rolled.dropped)
            log.warning("marks_dropped", marks=rolled.dropped, reason="retention has removed the raw readings there")
