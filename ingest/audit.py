"""The audit: proves from the tables alone that every reading is accounted for, and tells where one is not.

readings summed      = stored + duplicate + dead-lettered + refused, in every row of the ledger, too
stored by a route    = rows of its table held + removed - stored there by replays
dead-lettered summed = readings that dead letters stand for + those removed
stored by replays    = what `replayed` says of all tables
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from psycopg import IsolationLevel, sql

from ingest.database import Connection
from ingest.sql import load_queries
from schemas.topics import TABLES, Route

_SQL: Final = load_queries("audit.sql")
OUTCOMES: Final = ("stored", "duplicate", "dead_lettered", "refused")
DEAD_LETTER: Final = "dead_letter"
_ROWS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Balance:
    """One line of the audit: what the ledger says, against the named parts that have to add up to it."""

    name: str
    ledger: int
    parts: Mapping[str, int]

    @property
    def tables(self) -> int:
        """The parts, summed."""
        return sum(self.parts.values())

    @property
    def difference(self) -> int:
        """How much more the ledger says: 0 where it balances."""
        return self.ledger - self.tables

    @property
    def is_right(self) -> bool:
        """Tell whether it balances, by counts that can be."""
        return self.difference == 0 and min(self.parts.values()) >= 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What the tables say, counted in one snapshot. `ledger` has the sums of each route, by column."""

    ledger: Mapping[str, Mapping[str, int]]
    held: Mapping[str, int]
    removed: Mapping[str, int]
    replayed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Audit:
    """The balance of the books, and the first rows of the ledger that are wrong in themselves."""

    balances: tuple[Balance, ...]
    wrong_rows: tuple[Balance, ...]

    @property
    def is_right(self) -> bool:
        """Tell whether every reading is accounted for."""
        return not self.wrong_rows and all(balance.is_right for balance in self.balances)


async def audit(connection: Connection, on_step: Callable[[str], None]) -> Audit:
    """Compare ledger and tables in one snapshot; `on_step` is told what is being counted."""
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)
    await connection.execute("SET statement_timeout = 0")
    async with connection.transaction():
        # Before the snapshot: a chunk dropped after it would be missing, and its row in `removal` not be seen yet.
        await connection.execute(_SQL["hold_chunks"])
        on_step("ledger")
        rows = await (await connection.execute(_SQL["ledger"])).fetchall()
        ledger = {route: dict(zip(("readings", *OUTCOMES), sums, strict=True)) for route, *sums in rows}
        wrong_rows = await _wrong_rows(connection)
        removed: dict[str, int] = dict(await (await connection.execute(_SQL["removed"])).fetchall())
        replayed: dict[str, int] = dict(await (await connection.execute(_SQL["replayed"])).fetchall())
        held = await _held(connection, on_step)
    return Audit(compare(Counts(ledger, held, removed, replayed)), wrong_rows)


def compare(counts: Counts) -> tuple[Balance, ...]:
    """Hold what the ledger booked against what is there."""

    def booked(column: str) -> int:
        return sum(sums[column] for sums in counts.ledger.values())

    def stored(route: str) -> int:
        return counts.ledger[route]["stored"] if route in counts.ledger else 0

    def there(*tables: str) -> Mapping[str, int]:
        return {
            "held": sum(counts.held[table] for table in tables),
            "removed": sum(counts.removed.get(table, 0) for table in tables),
        }

    return (
        Balance("readings", booked("readings"), {name: booked(name) for name in OUTCOMES}),
        Balance("stored", booked("stored"), there(*TABLES.values())),
        *(
            Balance(table, stored(route) + counts.replayed.get(table, 0), there(table))
            for route, table in TABLES.items()
        ),
        Balance(Route.REPLAY, stored(Route.REPLAY), {"replayed": sum(counts.replayed.values())}),
        Balance("dead_lettered", booked("dead_lettered"), there(DEAD_LETTER)),
    )


async def _held(connection: Connection, on_step: Callable[[str], None]) -> Mapping[str, int]:
    held = {}
    for table in (*TABLES.values(), DEAD_LETTER):
        on_step(table)
        count = sql.SQL(_SQL["held"]).format(table=sql.Identifier(table))
        row = await (await connection.execute(_SQL["seen"] if table == DEAD_LETTER else count)).fetchone()
        held[table] = int(row[0]) if row else 0
    return held


async def _wrong_rows(connection: Connection) -> tuple[Balance, ...]:
    """Give the first rows of the ledger that do not add up: the check constraint that forbids them may be gone."""
    rows = await (await connection.execute(_SQL["wrong_rows"], (_ROWS_SHOWN,))).fetchall()
    return tuple(
        Balance(f"{minute:%Y-%m-%d %H:%M} {worker} {route}", readings, dict(zip(OUTCOMES, outcomes, strict=True)))
        for minute, worker, route, readings, *outcomes in rows
    )
