"""The homes that were erased: a table, and a file kept apart from the database, which bring each other up to date.

A home is known there by its mark, which leads to it only with the pseudonyms' key. Of each mark the newest event
counts, erased or readmitted, wherever it stands. So a restored backup learns from the file what was erased since, and
is readmitted only by whoever has removed what the backup held.
"""

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final, NamedTuple

from psycopg import errors

from ingest.database import Connection
from ingest.privacy.erased_file import NEVER_ERASED, ErasedFile, Standing, Standings
from ingest.sql import load_queries

_SQL: Final = load_queries("erasure.sql")
_BETWEEN_TRIES: Final = 0.5
"""Whoever waits for the lock alone keeps out those who share it: now and then they are let through."""


class Erasures(NamedTuple):
    """What a writer of homes goes by: a generation, and the marks of homes that are erased or were readmitted."""

    generation: int
    refused: AbstractSet[bytes]
    readmitted: Mapping[bytes, datetime]


class Known(NamedTuple):
    """What table and file know together, and the marks that the table refuses.

    A mark that is refused though it was readmitted is one of a restored backup: the table knows of its erasure again,
    and must not know of its readmission before the home is removed.
    """

    standings: Standings
    refused: AbstractSet[bytes]


async def share(connection: Connection) -> None:
    """Keep erasures out until the end of the transaction; to be asked before anything of homes is written."""
    await connection.execute(_SQL["share"])


async def lock_alone(connection: Connection) -> None:
    """Keep all who write of homes out until the end of the transaction, once those at work are done."""
    await connection.execute(_SQL["wait_shortly"])
    while True:
        try:
            async with connection.transaction():  # a savepoint
                await connection.execute(_SQL["lock"])
        except errors.LockNotAvailable:
            await asyncio.sleep(_BETWEEN_TRIES)
        else:
            return


async def look(connection: Connection) -> Erasures:
    """Keep erasures out, and give those that there were."""
    await share(connection)
    rows = await (await connection.execute(_SQL["look"])).fetchall()
    standings = {bytes(mark): readmitted_at for _, mark, readmitted_at in rows if mark is not None}
    return Erasures(
        generation=rows[0][0] if rows else 0,
        refused={mark for mark, at in standings.items() if at is None},
        readmitted={mark: at for mark, at in standings.items() if at is not None},
    )


async def note(connection: Connection, file: ErasedFile | None, new: Standings) -> None:
    """Note events, in the file first: what stops in between is gone on with from there, by the next start."""
    if file is not None:
        file.append(new)
    await _write(connection, new)


async def bring_up_to_date(connection: Connection, file: ErasedFile | None) -> Known:
    """Let the file learn from the table all that is newer there, and the table from the file what was erased."""
    in_table = await _standings(connection)
    in_file = file.read() if file is not None else {}
    if file is not None and (told := _news(in_table, in_file)):
        file.append(told)
    learned = {mark: Standing(erased_at=new.erased_at) for mark, new in _news(in_file, in_table).items()}
    if learned := {mark: new for mark, new in learned.items() if new.erased_at is not None}:
        await _write(connection, learned)
        in_table = await _standings(connection)
    known = {mark: _of(in_table, mark).joined(_of(in_file, mark)) for mark in in_table.keys() | in_file.keys()}
    return Known(known, {mark for mark, standing in in_table.items() if standing.is_erased})


async def readmit_again(connection: Connection, known: Known) -> None:
    """Let the table know who was readmitted, once every home that it refuses is removed."""
    standings = {mark: known.standings[mark] for mark in known.refused}
    new = {mark: Standing(readmitted_at=s.readmitted_at) for mark, s in standings.items() if not s.is_erased}
    if new:
        await _write(connection, new)


async def _standings(connection: Connection) -> Standings:
    """Read the table."""
    rows = await (await connection.execute(_SQL["standings"])).fetchall()
    return {bytes(mark): Standing(erased_at, readmitted_at) for mark, erased_at, readmitted_at in rows}


def _news(there: Standings, here: Standings) -> Standings:
    news = {mark: standing.news(_of(here, mark)) for mark, standing in there.items()}
    return {mark: new for mark, new in news.items() if any(new)}


def _of(standings: Standings, mark: bytes) -> Standing:
    return standings.get(mark, NEVER_ERASED)


async def _write(connection: Connection, new: Standings) -> None:
    """Write into the table, alone, and raise the generation: whatever was decoded before is decoded again."""
    async with connection.transaction():
        await lock_alone(connection)
        for mark, (erased_at, readmitted_at) in new.items():
            if erased_at is not None:
                await connection.execute(_SQL["note_erased"], {"mark": mark, "at": erased_at})
            if readmitted_at is not None:
                await connection.execute(_SQL["note_readmitted"], {"mark": mark, "at": readmitted_at})
        await connection.execute(_SQL["next_generation"])
