"""Retention: rows past their time go, and are counted.

Whoever removes rows writes their number into `removal`, in the transaction that removes them. So the audit holds for
ever: stored = held + removed. Removal is our own on every server, because TimescaleDB's policies do not count
(docs/decisions/0003-own-rollup-and-retention.md).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import psycopg
import structlog
from psycopg import sql

from ingest.database import Connection, connect_patiently, earlier_clock
from ingest.errors import ArceauxError, describe
from ingest.metrics import Metrics
from ingest.sql import load_queries
from schemas.settings import Settings

_SQL: Final = load_queries("retention.sql")
_DEAD_LETTER: Final = "dead_letter"
_FIRST_AFTER: Final = 2.0
_EVERY: Final = 3600.0
"""Seconds between passes; a table's rows fall due once a day."""
_PORTION: Final = 10_000
"""Rows deleted in one transaction: a second's work, also of dead letters with long payloads."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rule:
    """How long the rows of a table are kept, by the time in this column."""

    table: str
    keep: timedelta
    column: str = "time"

    def cutoff(self, now: datetime) -> datetime:
        """Give the moment before which rows are removed: whole UTC days, as the chunks are."""
        return (now - self.keep).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def rules_of(settings: Settings) -> tuple[Rule, ...]:
    """Give the rule of every table that has one, homes first."""
    return (
        Rule("dwelling_reading", settings.retention_dwelling_readings),
        Rule("dwelling_minute", settings.kept_minutes, "bucket"),
        Rule("dwelling_hour", settings.kept_totals, "bucket"),
        Rule("dwelling_day", settings.kept_totals, "bucket"),
        Rule(_DEAD_LETTER, settings.retention_dead_letters, "received_at"),
        Rule("parking_event", settings.retention_parking),
        Rule("parking_count", settings.retention_parking),
        Rule("availability_history", settings.retention_parking),
    )


class Purged(NamedTuple):
    """How many dead letters were removed, and how many readings they stood for."""

    letters: int
    readings: int


class Retention:
    """Removes what is past its time, every hour. One process of a deployment at a time does so, by advisory lock."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._url = settings.database_url
        self._rules = rules_of(settings)
        self._metrics = metrics
        for rule in self._rules:
            metrics.removed_rows.labels(rule.table)  # there from the start: a rate misses the rise of a late series

    async def run(self) -> None:
        """Remove for ever. What fails is logged and tried again at the next pass: the stream need not stop for it."""
        await asyncio.sleep(_FIRST_AFTER)
        while True:
            done = [await self._apply(rule) for rule in self._rules]
            if all(done):
                self._metrics.last_retention.set_to_current_time()
            await asyncio.sleep(_EVERY)

    async def _apply(self, rule: Rule) -> bool:
        """Apply one rule, on a connection of its own: a table that is locked or broken does not hold up the others."""
        rows, is_done = 0, False
        try:
            async with await connect_patiently(self._url, "retention") as connection:
                if await try_lock(connection):
                    async for part in retain(connection, rule, await earlier_clock(connection)):
                        rows += part
                        self._metrics.removed_rows.labels(rule.table).inc(part)
                    is_done = True
        except (psycopg.Error, OSError, ArceauxError) as error:
            log.warning("retention_postponed", table=rule.table, error=describe(error))
        if rows:
            log.info("retention_removed", table=rule.table, rows=rows)
        return is_done


async def try_lock(connection: Connection) -> bool:
    """Become the one that removes, as long as the connection lasts, unless another is."""
    row = await (await connection.execute(_SQL["try_lock"])).fetchone()
    return bool(row and row[0])


async def retain(connection: Connection, rule: Rule, now: datetime) -> AsyncIterator[int]:
    """Remove what is past its time, part by part; gives the number of each part once it is committed.

    Whole chunks first, where there are chunks, then what is left, in portions. Of dead letters the number is that of
    the readings that they stand for.
    """
    before = rule.cutoff(now)
    await connection.execute(_SQL["note_retained"], (rule.table, before))
    if rule.table == _DEAD_LETTER:
        async for purged in _dead_letters(connection, before, "retention"):
            yield purged.readings
        return
    async for rows in _chunks(connection, rule.table, before):
        yield rows
    async for rows in _portions(connection, rule, before):
        yield rows


async def purge_dead_letters(connection: Connection, before: datetime) -> Purged:
    """Remove the dead letters that arrived before a moment; gives how many, and the readings they stood for."""
    letters = readings = 0
    async for purged in _dead_letters(connection, before, "purge"):
        letters += purged.letters
        readings += purged.readings
    return Purged(letters, readings)


async def _chunks(connection: Connection, table: str, before: datetime) -> AsyncIterator[int]:
    """Drop the chunks that end before a moment, each in a transaction of its own; gives their rows."""
    row = await (await connection.execute(_SQL["has_chunks"])).fetchone()
    if not (row and row[0]):
        return
    chunks = await (await connection.execute(_SQL["chunks"], (table, before))).fetchall()
    for schema, name, start, end in chunks:
        chunk = sql.Identifier(schema, name)
        async with connection.transaction():
            await connection.execute(_SQL["no_statement_timeout"])
            # A late reading waits here, and is either counted or stored anew; one that came before it is counted.
            await connection.execute(sql.SQL(_SQL["lock_chunk"]).format(chunk=chunk))
            counted = await (await connection.execute(sql.SQL(_SQL["count_chunk"]).format(chunk=chunk))).fetchone()
            rows = counted[0] if counted else 0
            await connection.execute(_SQL["drop_chunk"], (table, start, end))
            await _record(connection, table, rows)
        yield rows


async def _portions(connection: Connection, rule: Rule, before: datetime) -> AsyncIterator[int]:
    """Delete what is older than a moment, each portion in a transaction of its own; gives their rows."""
    names = {"table": sql.Identifier(rule.table), "column": sql.Identifier(rule.column)}
    is_last = False
    while not is_last:
        async with connection.transaction():
            await connection.execute(_SQL["no_decompression_limit"])
            # Not one statement with the DELETE: from a chunk kept by column that would delete what it has just read.
            query = sql.SQL(_SQL["portion_end"]).format(**names)
            end = await (await connection.execute(query, (before, _PORTION - 1))).fetchone()
            is_last = end is None
            query = sql.SQL(_SQL["delete_portion"]).format(**names)
            rows = (await connection.execute(query, (before, end[0] if end else before))).rowcount
            await _record(connection, rule.table, rows)
        yield rows


async def _dead_letters(connection: Connection, before: datetime, cause: str) -> AsyncIterator[Purged]:
    """Delete the dead letters that arrived before a moment, in portions; gives what each came to."""
    letters = _PORTION
    while letters == _PORTION:
        parameters = {"before": before, "most": _PORTION, "cause": cause}
        row = await (await connection.execute(_SQL["delete_dead_letters"], parameters)).fetchone()
        letters, readings = row or (0, 0)
        yield Purged(letters, readings)


async def _record(connection: Connection, table: str, rows: int) -> None:
    if rows:
        await connection.execute(_SQL["record"], (table, rows))
