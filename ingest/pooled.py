"""Judges the pooled figures of districts: each step once, a day after its end, in the transaction that writes them.

What is said and what is suppressed is decided in `processors.pooled`; the publisher sends what stands in the tables.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import psycopg
import structlog

from ingest.database import Connection, connect_patiently
from ingest.errors import ArceauxError, describe
from ingest.metrics import Metrics
from ingest.sql import load_queries
from processors.pooled import STEP, Heard, Member, Pooled, judge, month_of, newest_due, next_due
from schemas.registry import Registry
from schemas.settings import Settings
from schemas.units import POOLED

_SQL: Final = load_queries("pooled.sql")
_LOOK_EVERY: Final = 2.0
_TRY_AGAIN: Final = 10.0

log = structlog.get_logger()


class Outcome(StrEnum):
    """What came of a look at a district's next step."""

    PUBLISHED = "published"
    SUPPRESSED = "suppressed"
    WAITING = "waiting"
    NOTHING_DUE = "nothing_due"


class PooledFigures:
    """Judges what is due, for ever, every half hour.

    `is_caught_up` tells whether nothing is left of what was sent while the service was away: neither readings nor a
    pressed button may still be on their way when a step is judged.
    """

    def __init__(
        self, settings: Settings, registry: Registry, metrics: Metrics, is_caught_up: Callable[[], bool]
    ) -> None:
        self._url = settings.database_url
        self._minimum = settings.privacy_minimum_group
        self._districts = registry.districts
        self._metrics = metrics
        self._is_caught_up = is_caught_up
        self._done_until: datetime | None = None
        for outcome in (Outcome.PUBLISHED, Outcome.SUPPRESSED):
            metrics.pooled_steps.labels(outcome)  # there from the start: a rate misses the rise of a late series

    def take_up(self, registry: Registry) -> None:
        """Go on with another registry: a new district has its notice soon."""
        self._districts, self._done_until = registry.districts, None

    async def run(self) -> None:
        """Judge for ever. What fails is logged and tried again: the stream need not stop for it."""
        was_caught_up = False
        while True:
            is_caught_up, wait = self._is_caught_up(), _LOOK_EVERY
            # Without homes no group is fixed: the first homes count from when they come, not from the month after.
            is_due = bool(self._districts) and self._done_until != newest_due(datetime.now(UTC))
            # Twice in a row: what arrived last has been committed by then.
            if is_due and was_caught_up and is_caught_up and not await self._look():
                wait = _TRY_AGAIN
            was_caught_up = is_caught_up
            await asyncio.sleep(wait)

    async def _look(self) -> bool:
        """Judge all that is due; tell whether nothing is left."""
        districts = self._districts
        try:
            async with await connect_patiently(self._url, "pooled") as connection:
                now = await _earlier_clock(connection)
                await fix_groups(connection, now)
                ends = [await self._judge_all(connection, district, now) for district in districts]
        except (psycopg.Error, OSError, ArceauxError) as error:
            log.warning("pooled_postponed", error=describe(error))
            return False
        is_done = all(end is Outcome.NOTHING_DUE for end in ends)
        if is_done and districts is self._districts:
            self._done_until = newest_due(now)
            self._metrics.pooled_until.set((self._done_until + STEP).timestamp())
        return is_done

    async def _judge_all(self, connection: Connection, district: str, now: datetime) -> Outcome:
        """Judge a district's steps, in order, until none is due or one has to wait."""
        while True:
            outcome = await judge_next(connection, district, now, self._minimum)
            if outcome in (Outcome.WAITING, Outcome.NOTHING_DUE):
                return outcome
            self._metrics.pooled_steps.labels(outcome).inc()


async def _earlier_clock(connection: Connection) -> datetime:
    """Give the time by the slower of two clocks, ours and the server's: one that is ahead would publish too early."""
    row = await (await connection.execute(_SQL["now"])).fetchone()
    ours = datetime.now(UTC)
    return min(ours, row[0]) if row else ours


async def fix_groups(connection: Connection, now: datetime) -> None:
    """Fix the groups of this month, all districts at once, unless they are: the homes that consent now.

    Those of the month before the last one are forgotten: nothing can be judged by them any more.
    """
    parameters = {"month": month_of(now), "now": now}
    async with connection.transaction():
        await connection.execute(_SQL["lock"])
        row = await (await connection.execute(_SQL["fix_month"], parameters)).fetchone()
        await connection.execute(_SQL["forget_members"], parameters)
    if row and row[0]:
        log.info("pooled_month_fixed", month=str(parameters["month"]))


async def judge_next(connection: Connection, district: str, now: datetime, minimum: int) -> Outcome:
    """Judge the next step of a district that is due, and write what may be said of it, in one transaction."""
    async with connection.transaction():
        await connection.execute(_SQL["lock"])
        (last,) = (await _rows(connection, "last_judged", (district, newest_due(now))))[0]
        start = next_due(last, now)
        if start is None:
            return Outcome.NOTHING_DUE
        step = {
            "district": district,
            "month": month_of(start),
            "before": start - STEP,
            "start": start,
            "end": start + STEP,
        }
        if (await _rows(connection, "waits_for_roller", step))[0][0]:
            return Outcome.WAITING
        members = [Member(*row) for row in await _rows(connection, "members", step)]
        heard = [Heard(*row) for row in await _rows(connection, "heard", step | {"kinds": list(POOLED)})]
        figures = judge(members, heard, minimum)
        await _write(connection, figures, step | {"now": now, "minimum": minimum})
        return Outcome.PUBLISHED if figures else Outcome.SUPPRESSED


async def _write(connection: Connection, figures: tuple[Pooled, ...], step: dict[str, Any]) -> None:
    """Write that a step was judged, and what may be said of it."""
    await connection.execute(_SQL["write_step"], step | {"suppressed": not figures})
    columns = {
        "names": [figure.kind for figure in figures],
        "units": [figure.unit for figure in figures],
        "hows": [figure.how for figure in figures],
        "values": [figure.value for figure in figures],
    }
    await connection.execute(_SQL["write_figures"], step | columns)


async def _rows(connection: Connection, query: str, parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - psycopg's
    return await (await connection.execute(_SQL[query], parameters)).fetchall()
