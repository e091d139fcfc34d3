"""The audit: proves from the tables alone that every reading is accounted for.

stored summed        = raw rows held + raw rows removed
dead-lettered summed = readings that dead letters stand for + those removed
readings summed      = stored + duplicate + dead-lettered + refused
"""

from dataclasses import dataclass
from typing import Final

from psycopg import IsolationLevel

from ingest.database import Connection
from ingest.sql import load_queries

_SQL: Final = load_queries("audit.sql")
_RAW: Final = ("parking_event", "parking_count", "dwelling_reading")


@dataclass(frozen=True, slots=True)
class Balance:
    """One line of the audit: what the ledger says against what the tables show."""

    name: str
    ledger: int
    tables: int

    @property
    def difference(self) -> int:
        """Zero where it balances."""
        return self.ledger - self.tables


async def audit(connection: Connection) -> tuple[Balance, ...]:
    """Compare ledger and tables in one snapshot."""
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.execute("SET statement_timeout = 0")
    async with connection.transaction():
        ledger = await (await connection.execute(_SQL["ledger"])).fetchone()
        held: dict[str, int] = dict(await (await connection.execute(_SQL["held"])).fetchall())
        removed: dict[str, int] = dict(await (await connection.execute(_SQL["removed"])).fetchall())
    _, readings, stored, duplicate, dead_lettered, refused = map(int, ledger or (0,) * 6)
    accounted = {name: int(count) + int(removed.get(name, 0)) for name, count in held.items()}
    return (
        Balance("readings", readings, stored + duplicate + dead_lettered + refused),
        Balance("stored", stored, sum(accounted[name] for name in _RAW)),
        Balance("dead_lettered", dead_lettered, accounted["dead_letter"]),
    )
