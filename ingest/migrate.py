"""Brings the database to the current schema and features: numbered migrations first, then what the server can do.

Migrations make plain tables. Hypertables, columnstore and roles are reconciled after them at every run, so that a
database may change its edition later (docs/decisions/0003-own-rollup-and-retention.md).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from typing import Final, LiteralString, NamedTuple

import structlog
from psycopg import sql

import schemas.sql
from ingest.database import Connection
from ingest.errors import ArceauxError
from ingest.roles import reconcile_roles
from ingest.sql import load_queries

_SQL: Final = load_queries("migrate.sql")
_COLUMNSTORE_SINCE: Final = (2, 18, 1)
"""Before it, a merge into the columnstore stopped at its first conflict and lost the rest (timescaledb #7672)."""
_AFTER_LATENESS: Final = timedelta(days=1)

log = structlog.get_logger()


class Migration(NamedTuple):
    """One numbered SQL file."""

    version: int
    name: str
    statements: LiteralString


@dataclass(frozen=True, slots=True)
class Hypertable:
    """A table that grows with time, by this column, in chunks of this length, and how closed ones are kept by column.

    Without `segment_by` they stay as rows.
    """

    table: LiteralString
    segment_by: str = ""
    order_by: str = ""
    column: str = "time"
    chunk: timedelta = timedelta(days=1)


HYPERTABLES: Final = (
    Hypertable("parking_event", "spot_id", "time, occupied"),
    Hypertable("parking_count", "car_park_id", "time, free, total, status"),
    Hypertable("dwelling_reading", "sensor_id", "time, value"),
    Hypertable("availability_history", "car_park_id", "time, revision"),
    # As rows: each may still be corrected, and each home erased, by ordinary statements.
    Hypertable("dwelling_minute", column="bucket", chunk=timedelta(days=7)),
    Hypertable("dwelling_hour", column="bucket", chunk=timedelta(days=90)),
    Hypertable("dwelling_day", column="bucket", chunk=timedelta(days=365)),
)


@dataclass(frozen=True, slots=True)
class Server:
    """What kind of server this is. `timescaledb` is empty on plain PostgreSQL."""

    postgresql: str
    timescaledb: str
    edition: str

    @property
    def has_columnstore(self) -> bool:
        """Tell whether closed chunks can be kept by column without losing merged rows."""
        return self.edition == "community" and version_numbers(self.timescaledb) >= _COLUMNSTORE_SINCE

    def __str__(self) -> str:
        if not self.timescaledb:
            return f"PostgreSQL {self.postgresql}, without TimescaleDB"
        name = "Community" if self.edition == "community" else "Apache-2"
        return f"PostgreSQL {self.postgresql} with TimescaleDB {self.timescaledb}, {name} edition"


def version_numbers(text: str) -> tuple[int, ...]:
    """Give the numbers of a version, so that versions can be compared: `2.29.1-dev` is 2, 29, 1."""
    return tuple(int(part) for part in text.split("-", maxsplit=1)[0].split(".") if part.isdigit())


def migrations() -> tuple[Migration, ...]:
    """Read the migrations, in order."""
    files = (entry for entry in resources.files(schemas.sql).iterdir() if entry.name.endswith(".sql"))
    read = (Migration(int(file.name[:4]), file.name, file.read_text(encoding="utf-8")) for file in files)
    return tuple(sorted(read))


async def migrate(connection: Connection, max_lateness: timedelta) -> Server:
    """Apply what is missing, one transaction a file, and reconcile features; safe to run twice or twice at once.

    Raises ArceauxError where the database is newer than this program.
    """
    async with _exclusively(connection):
        await connection.execute(_SQL["create_schema"])
        await connection.execute(_SQL["create_migration"])
        current = await schema_version(connection)
        known = migrations()
        if current > known[-1].version:
            raise ArceauxError(
                f"the database has schema {current}, this program knows {known[-1].version}: install a newer Arceaux"
            )
        for migration in known[current:]:
            async with connection.transaction():
                await connection.execute(migration.statements)
                await connection.execute(_SQL["record"], (migration.version, migration.name))
            log.info("migration_applied", migration=migration.name)
        return await _reconcile(connection, max_lateness + _AFTER_LATENESS)


@asynccontextmanager
async def _exclusively(connection: Connection) -> AsyncIterator[None]:
    """Hold the advisory lock. Moving data into a hypertable takes what it takes: no statement time-out."""
    await connection.execute("SET statement_timeout = 0")
    await connection.execute("SET lock_timeout = 0")
    await connection.execute(_SQL["lock"])
    try:
        yield
    finally:
        await connection.execute(_SQL["unlock"])


async def schema_version(connection: Connection) -> int:
    """Give the number of the newest migration applied, 0 for none."""
    row = await (await connection.execute(_SQL["has_migration"])).fetchone()
    if row is None or not row[0]:
        return 0
    row = await (await connection.execute(_SQL["version"])).fetchone()
    return int(row[0]) if row else 0


async def check_schema(connection: Connection) -> None:
    """Raise ArceauxError, naming the remedy, unless the schema is the one this program was written for."""
    current, expected = await schema_version(connection), migrations()[-1].version
    if current < expected:
        state = "missing" if current == 0 else f"at version {current}, {expected} is needed"
        raise ArceauxError(f"the database schema is {state}: run `arceaux migrate`")
    if current > expected:
        raise ArceauxError(f"the database has schema {current}, this program knows {expected}: install a newer Arceaux")


async def find_server(connection: Connection) -> Server:
    """Find out what kind of server this is."""
    row = await (await connection.execute(_SQL["server_version"])).fetchone()
    postgresql = str(row[0]).split(" ", maxsplit=1)[0] if row else "?"
    extension = await (await connection.execute(_SQL["extension"])).fetchone()
    if extension is None:
        return Server(postgresql, "", "")
    edition = "community" if extension[1] == "timescale" else "apache"
    return Server(postgresql, str(extension[0]), edition)


async def is_extension_available(connection: Connection) -> bool:
    """Tell whether the server has TimescaleDB loaded, used by this database or not."""
    row = await (await connection.execute(_SQL["extension_available"])).fetchone()
    return bool(row and row[0])


async def hypertables_of(connection: Connection) -> frozenset[str]:
    """Name our tables that are hypertables; the server has to have TimescaleDB."""
    return frozenset(row[0] for row in await (await connection.execute(_SQL["hypertables"])).fetchall())


async def columnstore_policies(connection: Connection) -> dict[str, timedelta]:
    """Tell, by table, after which time closed chunks are converted; the server has to have the Community edition."""
    return dict(await (await connection.execute(_SQL["columnstore_policies"])).fetchall())


async def _reconcile(connection: Connection, columnstore_after: timedelta) -> Server:
    if await is_extension_available(connection):
        await connection.execute(_SQL["create_extension"])
    server = await find_server(connection)
    if server.timescaledb:
        await _make_hypertables(connection)
    if server.has_columnstore:
        await _set_columnstore(connection, columnstore_after)
    await reconcile_roles(connection)
    log.info("database_server", server=str(server))
    return server


async def _make_hypertables(connection: Connection) -> None:
    present = await hypertables_of(connection)
    for hypertable in HYPERTABLES:
        if hypertable.table not in present:
            await connection.execute(_SQL["create_hypertable"], (hypertable.table, hypertable.column, hypertable.chunk))
            log.info("hypertable_made", table=hypertable.table)


async def _set_columnstore(connection: Connection, after: timedelta) -> None:
    policies = await columnstore_policies(connection)
    for hypertable in HYPERTABLES:
        if not hypertable.segment_by or policies.get(hypertable.table) == after:
            continue
        if hypertable.table not in policies:
            await connection.execute(_columnstore_of(hypertable))
        await connection.execute(_SQL["remove_columnstore_policy"], (hypertable.table,))
        await connection.execute(_SQL["add_columnstore_policy"], (hypertable.table, after))
        log.info("columnstore_set", table=hypertable.table, after=str(after))


def _columnstore_of(hypertable: Hypertable) -> sql.Composed:
    return sql.SQL(_SQL["enable_columnstore"]).format(
        table=sql.Identifier(hypertable.table),
        segment_by=sql.Literal(hypertable.segment_by),
        order_by=sql.Literal(hypertable.order_by),
    )
