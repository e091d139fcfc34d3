"""The roller: the task that keeps minutes, hours and days of homes equal to their raw readings."""

import asyncio
import time
from collections.abc import Callable
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
_PORTION: Final = 50_000
"""Readings in a pass: a second's work or two."""
_PORTION_WHILE_BUSY: Final = 10_000
_RESTS: Final = 19
"""While the stream has all it can do, a pass is followed by so many times its duration for the stream alone."""
_LOOK_EVERY: Final = 0.1

log = structlog.get_logger()


class Roller:
    """Rolls, for ever. One process of a deployment at a time does so, by advisory lock."""

    def __init__(self, settings: Settings, metrics: Metrics, is_busy: Callable[[], bool]) -> None:
        """`is_busy` tells whether the stream has more to do than it can."""
        self._is_busy = is_busy
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
            began = time.monotonic()
            async with asyncio.timeout(_PASS_SECONDS):
                portion = _PORTION_WHILE_BUSY if self._is_busy() else _PORTION
                rolled = await roll(connection, await earlier_clock(connection), portion)
            backoff.reset()
            if rolled is None:
                self._metrics.last_roll.set_to_current_time()
                await asyncio.sleep(_EVERY)
            else:
                self._observe(rolled)
                await self._leave_way(_RESTS * (time.monotonic() - began))

    async def _leave_way(self, seconds: float) -> None:
        """Wait for so long, or until the stream has less to do."""
        until = time.monotonic() + seconds
        while self._is_busy() and time.monotonic() < until:  # noqa: ASYNC110 - nobody tells when a stream has ended
            await asyncio.sleep(_LOOK_EVERY)

    def _observe(self, rolled: Rolled) -> None:
        self._metrics.minutes_rolled.inc(rolled.minutes)
        if rolled.dropped:
            self._metrics.marks_dropped.inc(rolled.dropped)
            log.warning("marks_dropped", marks=rolled.dropped, reason="retention has removed the raw readings there")
