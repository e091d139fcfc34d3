"""The database roles: what a dashboard may read, and what whoever looks after privacy may read and erase.

Both are groups without a login: an administrator grants them to people's own roles. Every table has an entry here, so
that a new one is readable to nobody until somebody has decided that it may be read; a test fails without one.
"""

from collections.abc import Mapping
from typing import Final, LiteralString, NamedTuple

import structlog
from psycopg import errors, sql

from ingest.database import Connection
from ingest.sql import load_queries

_SQL: Final = load_queries("roles.sql")
DASHBOARD: Final = "arceaux_dashboard"
PRIVACY: Final = "arceaux_privacy"

log = structlog.get_logger()

Privileges = frozenset[LiteralString]

_NOTHING: Final[Privileges] = frozenset()
_READ: Final[Privileges] = frozenset({"SELECT"})


class Granted(NamedTuple):
    """What the two roles may do with a table."""

    dashboard: Privileges
    privacy: Privileges


_PARKING: Final = Granted(_READ, _READ)
_INSIDE: Final = Granted(_NOTHING, _READ)
"""Nothing of homes, and nothing to show: read only by who searches every table for what may be left of one."""
_HOMES: Final = Granted(_NOTHING, frozenset({"SELECT", "DELETE"}))
GRANTS: Final[Mapping[LiteralString, Granted]] = {
    **dict.fromkeys(("car_park", "spot", "parking_event", "parking_count", "spot_state", "count_state"), _PARKING),
    **dict.fromkeys(("availability", "city_availability", "availability_history", "publication"), _PARKING),
    **dict.fromkeys(("attention", "sensor_health", "ledger", "migration"), _PARKING),
    # Of districts, and of no home: open data.
    **dict.fromkeys(("pooled_step", "pooled_figure"), _PARKING),
    **dict.fromkeys(("worker", "destination", "retained", "pooled_month"), _INSIDE),
    "dwelling": Granted(_NOTHING, frozenset({"SELECT", "UPDATE", "DELETE"})),
    **dict.fromkeys(("sensor", "dwelling_reading", "last_told", "pause", "dead_letter"), _HOMES),
    **dict.fromkeys(("dwelling_minute", "dwelling_hour", "dwelling_day"), _HOMES),
    **dict.fromkeys(("touched_minute", "pooled_member"), Granted(_NOTHING, frozenset({"SELECT", "UPDATE"}))),
    "removal": Granted(_NOTHING, frozenset({"SELECT", "INSERT"})),
    "erasure": Granted(_NOTHING, frozenset({"SELECT", "UPDATE"})),
    "erased": Granted(_NOTHING, frozenset({"SELECT", "INSERT", "UPDATE"})),
}


async def reconcile_roles(connection: Connection) -> None:
    """Make both roles where they are missing, and let them do what is listed here and nothing else."""
    for number, role in enumerate((DASHBOARD, PRIVACY)):
        if await ensure_role(connection, role):
            await _reconcile(connection, role, {table: granted[number] for table, granted in GRANTS.items()})


async def ensure_role(connection: Connection, role: str) -> bool:
    """Make a role unless it is there; tell whether it is. Roles are those of the whole server."""
    row = await (await connection.execute(_SQL["role"], (role,))).fetchone()
    if row and row[0]:
        return True
    try:
        await connection.execute(sql.SQL(_SQL["create"]).format(role=sql.Identifier(role)))
    except (errors.DuplicateObject, errors.UniqueViolation):
        pass  # made for another database at this moment
    except errors.InsufficientPrivilege:
        remedy = f"let an administrator run CREATE ROLE {role} NOLOGIN, then run arceaux migrate again"
        log.warning("role_missing", role=role, remedy=remedy)
        return False
    return True


async def _reconcile(connection: Connection, role: str, wanted: Mapping[LiteralString, Privileges]) -> None:
    """Grant and revoke what differs. On a hypertable that takes a while: each of its chunks has the same grants."""
    there = {(table, kind) for table, kinds in wanted.items() for kind in kinds}
    held = {(table, kind) for table, kind in await (await connection.execute(_SQL["grants"], (role,))).fetchall()}
    async with connection.transaction():
        await connection.execute(sql.SQL(_SQL["use_schema"]).format(role=sql.Identifier(role)))
        for query, differences in (("grant", there - held), ("revoke", held - there)):
            for table, kind in sorted(differences):
                names = {"table": sql.Identifier(table), "role": sql.Identifier(role)}
                await connection.execute(sql.SQL(_SQL[query]).format(privilege=sql.SQL(kind), **names))
    if there != held:
        log.info("role_set", role=role)
