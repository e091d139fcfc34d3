"""The homes that were erased: a table, and a file kept apart from the database, which bring each other up to date.

A home is known there by its mark, which leads to it only with the pseudonyms' key. Of each mark the newest event
counts, erased or readmitted, wherever it stands. So a restored backup learns from the file what was erased since.
"""

import asyncio
from typing import Final

from psycopg import errors

from ingest.database import Connection
from ingest.erased_file import ErasedFile, Standing, Standings
from ingest.sql import load_queries

_SQL: Final = load_queries("erasure.sql")
_BETWEEN_TRIES: Final = 0.5
"""Whoever waits for the lock alone keeps out those who share it: now and then they are let through."""


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


async def look(connection: Connection) -> tuple[int, frozenset[bytes]]:
    """Keep erasures out, and give their generation and the marks of the homes that are erased."""
    await share(connection)
    row = await (await connection.execute(_SQL["look"])).fetchone()
    generation, marks = row or (0, [])
    return generation, frozenset(map(bytes, marks))


async def _standings(connection: Connection) -> Standings:
    """Read the table."""
    rows = await (await connection.execute(_SQL["standings"])).fetchall()
    return {bytes(mark): Standing(at, is_erased) for mark, at, is_erased in rows}


async def note(connection: Connection, file: ErasedFile | None, new: Standings) -> None:
    """Note events, in the file first: what stops in between is gone on with from there, by the next start."""
    if file is not None:
        file.append(new)
    await _write(connection, new)


async def bring_up_to_date(connection: Connection, file: ErasedFile | None) -> Standings:
    """Let table and file learn from each other what is newer there; give what both say now."""
    in_table = await _standings(connection)
    in_file = file.read() if file is not None else {}
    if new := _newer(in_file, in_table):
        await _write(connection, new)
    if file is not None and (told := _newer(in_table, in_file)):
        file.append(told)
    return {**in_table, **new}


def _newer(there: Standings, here: Standings) -> Standings:
    return {mark: standing for mark, standing in there.items() if mark not in here or standing > here[mark]}


async def _write(connection: Connection, new: Standings) -> None:
    """Write into the table, alone, and raise the generation: whatever was decoded before is decoded again."""
    async with connection.transaction():
        await lock_alone(connection)
        for mark, (at, is_erased) in new.items():
            await connection.execute(_SQL["note_erased" if is_erased else "note_readmitted"], {"mark": mark, "at": at})
        await connection.execute(_SQL["next_generation"])
