"""Connections to the database, with every time-out that keeps a dead one from being waited for."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final, Literal

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict

from ingest.arrays import adapt_arrays
from ingest.backoff import Backoff
from ingest.errors import ArceauxError, Verdict, describe, judge
from ingest.sql import load_queries

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

SCHEMA: Final = "arceaux"
WRITER: Final = "writer"
ASIDE: Final = "aside"
PUBLISHER: Final = "publisher"
ROLLER: Final = "roller"
"""What a connection of the service is for; the name of its worker follows."""
_OPTIONS: Final = (
    f"-c search_path={SCHEMA},public -c timezone=UTC -c statement_timeout=30s -c lock_timeout=5s"
    " -c idle_in_transaction_session_timeout=60s"
    # The server's side, too, has to notice that a machine is gone: its session holds locks until then.
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
_MOST_NAME_BYTES: Final = 63
_SQL: Final = load_queries("database.sql")

log = structlog.get_logger()


def session_name(purpose: str) -> str:
    """Give the name by which the server knows a connection."""
    return f"arceaux {purpose}".encode("ascii", "replace")[:_MOST_NAME_BYTES].decode()


async def connect(
    url: str, purpose: str, options: str = "", *, session: Literal["read-write", "any"] = "read-write"
) -> Connection:
    """Open a connection in autocommit mode, to a server that takes writes unless `any` will do.

    `options` come after ours, and those of the URL after both.
    """
    own = conninfo_to_dict(url).get("options") or ""
    connection = await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        connect_timeout=5,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=15_000,
        target_session_attrs=session,
        application_name=session_name(purpose),
        options=f"{_OPTIONS} {options} {own}",
    )
    adapt_arrays(connection)
    return connection


async def connect_patiently(url: str, purpose: str, options: str = "") -> Connection:
    """Open a connection, waiting for a server that is absent, with back-off.

    Raises ArceauxError for what waiting does not mend, such as a wrong password.
    """
    backoff = Backoff()
    while True:
        try:
            return await connect(url, purpose, options)
        except (psycopg.Error, OSError) as error:
            if judge(error, 1) is not Verdict.RETRY:
                raise ArceauxError(f"database: {describe(error)}; check ARCEAUX_DATABASE_URL") from None
            wait = backoff.wait()
            log.warning("database_waiting", error=describe(error), wait=round(wait, 1))
            await asyncio.sleep(wait)


async def earlier_clock(connection: Connection) -> datetime:
    """Give the time by the slower of two clocks, ours and the server's: one that is ahead would call things past."""
    row = await (await connection.execute(_SQL["clock"])).fetchone()
    ours = datetime.now(UTC)
    return min(ours, row[0]) if row else ours
