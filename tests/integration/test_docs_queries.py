"""What the documentation shows as SQL, run on a migrated database."""

import re
from pathlib import Path

import psycopg
import pytest

from ingest.database import connect

DOCS = Path(__file__).parents[2] / "docs"
QUERIES = [
    (name, query)
    for name in ("database.md", "operations.md", "privacy.md")
    for query in re.findall(r"^```sql\n(.*?)^```", (DOCS / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
]


async def test_every_query_that_is_shown_runs(database_url: str) -> None:
    """Each one is understood by the server, tables and columns are there."""
    assert {name for name, _ in QUERIES} == {"database.md", "operations.md", "privacy.md"}
    async with await connect(database_url, "test") as connection, connection.transaction(force_rollback=True):
        await connection.execute("CREATE ROLE parking_reader")
        for _, query in QUERIES:
            await connection.execute(query.encode())


async def test_who_may_read_parking_reads_no_homes(database_url: str) -> None:
    """With the grants that are shown the figures can be read, and readings of homes cannot."""
    (grants,) = [query for name, query in QUERIES if name == "privacy.md"]
    async with await connect(database_url, "test") as connection, connection.transaction(force_rollback=True):
        await connection.execute("CREATE ROLE parking_reader")
        await connection.execute(grants.encode())
        await connection.execute("SET LOCAL ROLE parking_reader")
        await connection.execute("SELECT * FROM arceaux.availability JOIN arceaux.car_park ON id = car_park_id")
        for table in ("dwelling", "sensor", "dwelling_reading", "pause", "dead_letter"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with connection.transaction():
                    await connection.execute(f"SELECT * FROM arceaux.{table}".encode())
