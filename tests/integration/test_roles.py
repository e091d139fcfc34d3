"""The two database roles: what each may do is done, and what it may not is refused, table by table."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from harness.homes import secret, write_homes
from harness.service import run_command
from structlog.testing import capture_logs

from ingest.database import Connection, connect
from ingest.migrate import HYPERTABLES, migrate
from ingest.roles import DASHBOARD, GRANTS, PRIVACY, ensure_role

HOMES = {"dwelling", "sensor", "dwelling_reading", "pause", "dead_letter", "erased", "erasure"}


@asynccontextmanager
async def acting_as(url: str, role: str) -> AsyncIterator[Connection]:
    """Open a connection that has the rights of a role and no others."""
    async with await connect(url, "test") as connection:
        await connection.execute(f"SET ROLE {role}".encode())
        yield connection


async def may(connection: Connection, statement: str) -> bool:
    """Tell whether a statement is allowed; nothing of it stays."""
    try:
        async with connection.transaction(force_rollback=True):
            await connection.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return False
    except psycopg.IntegrityError:
        pass  # allowed, and not such a row
    return True


async def tables(ask: Callable[..., Any]) -> list[str]:
    """Name every table of the schema."""
    return [name for (name,) in await ask("SELECT tablename::text FROM pg_tables WHERE schemaname = 'arceaux'")]


@pytest.mark.one_server
async def test_every_table_has_an_entry(ask: Callable[..., Any]) -> None:
    """Somebody has decided who may read it."""
    assert sorted(await tables(ask)) == sorted(GRANTS)
    assert {hypertable.table for hypertable in HYPERTABLES} <= set(GRANTS)


@pytest.mark.parametrize("role", [DASHBOARD, PRIVACY])
async def test_a_role_can_do_what_is_listed_and_nothing_else(
    database_url: str, ask: Callable[..., Any], role: str
) -> None:
    """Of every table and every kind of statement; of hypertables, chunks that came later included."""
    await ask("INSERT INTO dwelling_reading VALUES (now(), 1, 2), (now() - interval '3 days', 1, 2)")
    async with acting_as(database_url, role) as connection:
        for table in await tables(ask):
            allowed = GRANTS[table].dashboard if role == DASHBOARD else GRANTS[table].privacy
            done = {
                "SELECT": await may(connection, f"SELECT count(*) FROM {table}"),
                "DELETE": await may(connection, f"DELETE FROM {table} WHERE true"),
                "INSERT": await may(connection, f"INSERT INTO {table} DEFAULT VALUES"),
                "TRUNCATE": await may(connection, f"TRUNCATE {table} CASCADE"),
            }
            assert {kind for kind, is_allowed in done.items() if is_allowed} == set(allowed) - {"UPDATE"}, table


async def test_a_dashboard_sees_nothing_of_homes(database_url: str, ask: Callable[..., Any]) -> None:
    """No table of theirs, whatever is tried, and no chunk of one; parking all the same."""
    await ask("INSERT INTO dwelling_reading VALUES (now(), 1, 2)")
    chunks = await ask(
        "SELECT coalesce(array_agg(schemaname || '.' || tablename), '{}') FROM pg_tables "
        "WHERE tablename ~ '^_hyper.*chunk$'"
    )
    async with acting_as(database_url, DASHBOARD) as connection:
        for table in HOMES:
            assert not await may(connection, f"SELECT FROM {table}"), table
        for chunk in chunks:
            assert not await may(connection, f"SELECT FROM {chunk}"), chunk
        assert await may(connection, "SELECT * FROM availability")
    assert {table for table, granted in GRANTS.items() if granted.dashboard} & HOMES == set()


@pytest.mark.one_server
async def test_what_was_granted_beyond_the_list_is_taken_back(database_url: str, ask: Callable[..., Any]) -> None:
    """By the next `arceaux migrate`; one that finds everything right changes nothing."""
    await ask(f"GRANT SELECT ON dwelling_reading TO {DASHBOARD}")
    await ask(f"REVOKE SELECT ON availability FROM {DASHBOARD}")
    async with await connect(database_url, "test") as connection:
        for changed in ([DASHBOARD], []):
            with capture_logs() as logs:
                await migrate(connection, timedelta(days=8))
            assert [entry["role"] for entry in logs if entry["event"] == "role_set"] == changed
    async with acting_as(database_url, DASHBOARD) as connection:
        assert not await may(connection, "SELECT FROM dwelling_reading")
        assert await may(connection, "SELECT FROM availability")


@pytest.mark.one_server
async def test_a_role_that_may_not_be_made_is_told_with_the_remedy(database_url: str, ask: Callable[..., Any]) -> None:
    """Migrating goes on without it."""
    async with acting_as(database_url, DASHBOARD) as connection:
        with capture_logs() as logs:
            assert not await ensure_role(connection, "arceaux_nobody")
    assert [(entry["event"], "CREATE ROLE arceaux_nobody NOLOGIN" in entry["remedy"]) for entry in logs] == [
        ("role_missing", True)
    ]
    assert await ask("SELECT count(*) FROM pg_roles WHERE rolname = 'arceaux_nobody'") == 0


async def test_who_looks_after_privacy_can_export_and_erase(
    database_url: str, ask: Callable[..., Any], service_settings: dict[str, str], registry_path: Path
) -> None:
    """With a login of their own that is a member of the role; the search of every table included."""
    write_homes(registry_path, hut_01=False)
    officer = f"officer_{database_url.rsplit('/', 1)[1]}"
    await ask(f"CREATE ROLE {officer} LOGIN PASSWORD 'word' IN ROLE {PRIVACY}")
    try:
        await ask("INSERT INTO dwelling (pseudonym, district, consent) VALUES (%s, 'x', false)", secret("hut-01"))
        await ask("INSERT INTO sensor (dwelling_id, name, kind, unit) SELECT id, 't', 'other', '' FROM dwelling")
        await ask(
            "INSERT INTO dwelling_reading SELECT now() - n * interval '1 h', sensor.id, n "
            "FROM sensor, generate_series(1, 100) n"
        )
        theirs = re.sub("//.*@", f"//{officer}:word@", database_url)
        settings = service_settings | {"ARCEAUX_DATABASE_URL": theirs}
        output = str(registry_path.parent / "export")
        exported = await run_command("privacy", "export", "hut-01", "--output", output, settings=settings)
        assert exported.returncode == 0, exported.stderr
        done = await run_command("privacy", "erase", "hut-01", settings=settings)
        assert done.returncode == 0, done.stderr
        assert "100 removed" in done.stdout
        assert "ARCEAUX_ERASED_FILE is not set" in done.stderr
        assert await ask("SELECT count(*) FROM dwelling_reading") == 0
        assert await ask("SELECT rows FROM removal") is not None
    finally:
        await ask(f"DROP ROLE {officer}")
