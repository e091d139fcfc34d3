"""Migrations: repeatable, refused on a newer database, and features that follow the server's edition."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from harness.community import community_server
from harness.databases import TestServer, asking
from harness.service import run_command

from ingest.database import connect
from ingest.errors import ArceauxError
from ingest.migrate import HYPERTABLES, migrate, migrations

LATENESS = timedelta(days=8)
MARKS_SINCE = 5


async def test_migrate_can_be_run_again_and_at_once(server: TestServer) -> None:
    """Several at once on an empty database make one schema."""
    url = server.create_empty()
    try:
        ended = await asyncio.gather(
            *(run_command("migrate", settings={"ARCEAUX_DATABASE_URL": url}) for _ in range(3))
        )
        assert [end.returncode for end in ended] == [0, 0, 0], [end.stderr for end in ended]
        ask = asking(url)
        assert await ask("SELECT count(*) FROM migration") == len(migrations())
        assert ("TimescaleDB" in ended[0].stdout) is True
        assert ("without TimescaleDB" in ended[0].stdout) is (server.kind == "postgresql")
    finally:
        server.drop(url)


async def test_a_role_that_is_no_administrator_can_migrate(server: TestServer) -> None:
    """It needs to be allowed to make the schema, and the extension to be there; nothing else."""
    url = server.create_empty()
    role = f"owner_{url.rsplit('/', 1)[1]}"
    try:
        ask = asking(url)
        await ask(f"CREATE ROLE {role} LOGIN PASSWORD 'word'")
        await ask(f"GRANT CREATE ON DATABASE {url.rsplit('/', 1)[1]} TO {role}")
        if server.kind == "timescaledb":
            await ask("CREATE EXTENSION timescaledb")
        ended = await run_command("migrate", settings={"ARCEAUX_DATABASE_URL": as_role(url, role)})
        assert ended.returncode == 0, ended.stderr
        assert await ask("SELECT count(*) FROM migration") == len(migrations())
    finally:
        server.drop(url)


def as_role(url: str, role: str) -> str:
    """Give the URL of the same database for another role, whose password is `word`."""
    return re.sub("//.*@", f"//{role}:word@", url)


async def test_a_missing_schema_names_the_remedy(server: TestServer, registry_path: Path) -> None:
    """The service ends with status 1 and says `arceaux migrate`."""
    url = server.create_empty()
    try:
        settings = {"ARCEAUX_DATABASE_URL": url, "ARCEAUX_REGISTRY": str(registry_path)}
        for command in ("ingest", "audit"):
            ended = await run_command(command, settings=settings)
            assert ended.returncode == 1
            assert "arceaux migrate" in ended.stderr.splitlines()[-1]
    finally:
        server.drop(url)


async def test_a_newer_database_is_refused(server: TestServer, database_url: str) -> None:
    """A schema from the future is left alone."""
    assert server
    async with await connect(database_url, "test") as connection:
        await connection.execute("INSERT INTO migration (version, name) VALUES (9999, 'later')")
        with pytest.raises(ArceauxError, match="newer Arceaux"):
            await migrate(connection, LATENESS)


async def test_data_moves_into_hypertables_when_the_edition_changes(server_of: Callable[[str], TestServer]) -> None:
    """Tables that were plain become hypertables with their rows at the next migrate, in chunks by their length."""
    server = server_of("timescaledb")
    url = server.create_empty()
    try:
        ask = asking(url)
        await ask("CREATE SCHEMA arceaux")
        async with await connect(url, "test") as connection:
            for migration in migrations():
                await connection.execute(migration.statements)
            await connection.execute("CREATE TABLE migration (version int, name text, applied_at timestamptz)")
            await connection.execute("INSERT INTO migration SELECT %s, 'plain'", (len(migrations()),))
            await connection.execute(
                "INSERT INTO parking_event SELECT now() - n * interval '1 h', n, true, now() "
                "FROM generate_series(1, 99) n"
            )
            assert (await migrate(connection, LATENESS)).edition == "apache"
        names = await ask("SELECT hypertable_name::text FROM timescaledb_information.hypertables ORDER BY 1")
        assert [name for (name,) in names] == sorted(hypertable.table for hypertable in HYPERTABLES)
        assert await ask("SELECT count(*) FROM parking_event") == 99
        chunks = await ask(
            "SELECT hypertable_name::text, column_name::text, time_interval FROM timescaledb_information.dimensions"
        )
        assert set(chunks) == {(table.table, table.column, table.chunk) for table in HYPERTABLES}
    finally:
        server.drop(url)


async def test_the_community_edition_keeps_closed_chunks_by_column(tmp_path: Path) -> None:
    """On the Community edition hypertables get a columnstore, a day past the largest lateness; aggregates stay rows."""
    async with community_server(tmp_path) as connection:
        first = await migrate(connection, LATENESS)
        assert (first.edition, first.has_columnstore) == ("community", True)
        await migrate(connection, timedelta(days=20))
        rows = await (
            await connection.execute(
                "SELECT hypertable_name::text, (config ->> 'compress_after')::interval "
                "FROM timescaledb_information.jobs WHERE config ? 'compress_after' ORDER BY 1"
            )
        ).fetchall()
        kept_by_column = {table.table for table in HYPERTABLES} - {"dwelling_minute", "dwelling_hour", "dwelling_day"}
        assert rows == [(name, timedelta(days=21)) for name in sorted(kept_by_column)]
        await connection.execute(
            "INSERT INTO parking_event SELECT now() - n * interval '1 h', n % 7, true, now() "
            "FROM generate_series(1, 500) n"
        )
        await connection.execute("SELECT compress_chunk(c) FROM show_chunks('parking_event') c")
        merged = await connection.execute(
            "INSERT INTO parking_event SELECT now() - n * interval '1 h', n % 7, n > 3, now() "
            "FROM generate_series(1, 6) n ON CONFLICT DO NOTHING"
        )
        assert merged.rowcount == 6


async def test_readings_that_are_held_already_are_marked(server: TestServer) -> None:
    """What was stored before there were aggregates is named to the roller, each minute with its sensors."""
    url = server.create_empty()
    try:
        ask = asking(url)
        await ask("CREATE SCHEMA arceaux")
        async with await connect(url, "test") as connection:
            before = [migration for migration in migrations() if migration.version < MARKS_SINCE]
            for migration in before:
                await connection.execute(migration.statements)
            await connection.execute(
                "INSERT INTO dwelling_reading SELECT 'epoch'::timestamptz + n * interval '20 s', n % 2 + 7, n "
                "FROM generate_series(1, 7) n"
            )
            await connection.execute(migrations()[len(before)].statements)
        marks = await ask("SELECT extract(epoch FROM minute)::integer, sensors FROM touched_minute ORDER BY minute")
        assert [(minute, sorted(sensors)) for minute, sensors in marks] == [(0, [7, 8]), (60, [7, 8, 8]), (120, [7, 8])]
    finally:
        server.drop(url)
