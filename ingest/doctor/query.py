"""The doctor's questions to the database, all of them read-only."""

import time
from datetime import datetime
from typing import Any, Final, LiteralString

from ingest.database import Connection
from ingest.doctor.database import ServerFacts
from ingest.doctor.tables import DeadLetters, TableFacts, Worker
from ingest.migrate import columnstore_policies, find_server, hypertables_of, is_extension_available, schema_version
from ingest.sql import load_queries
from schemas.reasons import Reason

_SQL: Final = load_queries("doctor.sql")
_SETTINGS: Final = (
    "synchronous_commit",
    "fsync",
    "full_page_writes",
    "default_transaction_read_only",
    "max_connections",
    "superuser_reserved_connections",
    "max_locks_per_transaction",
    "max_worker_processes",
    "timescaledb.max_background_workers",
)
_CLOCK_LOOKS: Final = 5


async def ask_server(connection: Connection) -> ServerFacts:
    """Ask what can be asked without our tables. Raises psycopg.Error."""
    server = await find_server(connection)
    has_jobs = server.edition == "community"
    offset, error = await _clock(connection)
    return ServerFacts(
        server=server,
        is_extension_available=await is_extension_available(connection),
        schema=await schema_version(connection),
        settings=dict(await _rows(connection, "settings", list(_SETTINGS))),
        is_standby=await _value(connection, "is_standby"),
        connections=await _value(connection, "connections"),
        lacking=tuple(row[0] for row in await _rows(connection, "lacking")),
        hypertables=await hypertables_of(connection) if server.timescaledb else frozenset(),
        chunks=await _value(connection, "chunks") if server.timescaledb else 0,
        policies=len(await columnstore_policies(connection)) if has_jobs else 0,
        failed_jobs=tuple(row[0] for row in await _rows(connection, "failed_jobs")) if has_jobs else (),
        clock_offset=offset,
        clock_error=error,
    )


async def ask_tables(connection: Connection) -> TableFacts:
    """Ask what the tables hold. Raises psycopg.Error, also where the role may not read one."""
    (marks,) = await _rows(connection, "marks")
    return TableFacts(
        workers=tuple(Worker(*row) for row in await _rows(connection, "workers")),
        spots={(code, label): at for code, label, at in await _rows(connection, "spots")},
        counters={code: at for code, at in await _rows(connection, "counters") if isinstance(at, datetime)},
        attention=dict(await _rows(connection, "attention")),
        dead_letters=tuple(
            DeadLetters(Reason(reason), new, repeats)
            for reason, new, repeats in await _rows(connection, "dead_letters")
        ),
        size=await _value(connection, "size"),
        held=await _value(connection, "held"),
        added=await _value(connection, "added"),
        marks=marks[0],
        lag=marks[1],
    )


async def _clock(connection: Connection) -> tuple[float, float]:
    """Compare clocks: seconds that the server is ahead, and half the round trip, by which that may be wrong."""
    looks = []
    for _ in range(_CLOCK_LOOKS):
        before = time.time()
        there = await _value(connection, "clock")
        after = time.time()
        looks.append(((after - before) / 2, there - (before + after) / 2))
    error, offset = min(looks)
    return offset, error


async def _rows(connection: Connection, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_SQL[query], parameters or None)).fetchall()


async def _value(connection: Connection, query: LiteralString) -> Any:  # noqa: ANN401 - whatever the one column holds
    return (await _rows(connection, query))[0][0]
