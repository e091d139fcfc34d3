"""What the documentation shows as SQL, run on a migrated database."""

import re
from pathlib import Path

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
        for _, query in QUERIES:
            # The server's own roles are there already, as migrate leaves them.
            if not query.startswith("CREATE ROLE arceaux_"):
                await connection.execute(query.encode())
