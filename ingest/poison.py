"""A batch that the database refuses: which of its readings are to blame."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final

import psycopg

from ingest.database import Connection
from ingest.errors import ArceauxError, Verdict, describe, judge
from ingest.raw_tables import SQL, copy, raw_rows
from ingest.transaction import Batch
from processors.columns import Records
from processors.decode import Unfit
from processors.pgcopy import Column
from schemas.topics import Table

_MOST: Final = 100
"""More bad readings in one batch mean that not they are wrong but something else, a schema for instance."""


class PoisonError(ArceauxError):
    """The database refuses something in the batch itself."""


class UnisolatedError(ArceauxError):
    """No reading of the batch is to blame by itself, or too many are."""


async def find_poison(connection: Connection, batch: Batch) -> Sequence[Unfit]:
    """Bisect the batch by trial, under savepoints that are all rolled back.

    Raises UnisolatedError where no reading is to blame, or too many are.
    """
    found: list[Unfit] = []
    async with connection.transaction(force_rollback=True):
        for table, readings, columns_of in raw_rows(batch.reduced):
            async for bad, error in _bisect(connection, table, partial(columns_of, batch.layout), readings):
                found.append(Unfit(table, bad, error))
                if len(found) > _MOST:
                    raise UnisolatedError(f"the database refuses more than {_MOST} readings of a batch: {error}")
    if not found:
        raise UnisolatedError(
            "the database refuses a batch, but none of its readings by itself; nothing was acknowledged"
        )
    return found


async def _bisect(
    connection: Connection,
    table: Table,
    columns_of: Callable[[Records], Sequence[Column]],
    readings: Records,
) -> AsyncIterator[tuple[Records, str]]:
    suspects = [readings]
    while suspects:
        part = suspects.pop()
        error = await _try(connection, table, columns_of(part)) if len(part) else None
        if error is None:
            continue
        if len(part) == 1:
            yield part, describe(error)
        else:
            middle = len(part) // 2
            suspects += [part[:middle], part[middle:]]


async def _try(connection: Connection, table: Table, columns: Sequence[Column]) -> Exception | None:
    """Give the error that isolates these readings, None where they are good."""
    try:
        async with connection.transaction(force_rollback=True):
            await copy(connection, f"stage_{table}", columns)
            await connection.execute(SQL[f"merge_{table}"])
    except (psycopg.Error, OverflowError, TypeError, UnicodeEncodeError) as error:
        if judge(error, 1) is not Verdict.ISOLATE:
            raise
        return error
    return None
