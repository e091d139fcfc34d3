"""A TimescaleDB of the Community edition, in WebAssembly: one connection at a time and no COPY, enough to migrate."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harness.missing import missing
from ingest.database import Connection, connect
from simulators.embedded.ports import LOOPBACK, free_port

_HOME = Path(__file__).parent.parent / "community"


@asynccontextmanager
async def community_server(directory: Path) -> AsyncIterator[Connection]:
    """Serve an empty database; gives the one connection to it."""
    node = shutil.which("node")
    if node is None or not (_HOME / "node_modules").exists():
        missing("TimescaleDB Community", f"install Node.js with npm, then run `npm ci` in {_HOME.name}/")
    port = free_port()
    with (directory / "community.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            node, "server.js", str(port), cwd=_HOME, stdout=asyncio.subprocess.PIPE, stderr=log
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        url = f"postgresql://postgres:any@{LOOPBACK}:{port}/postgres?sslmode=disable"
        async with await connect(url, "test") as connection:
            # This build has its library linked in, where others preload it, and takes no options of a connection.
            await connection.execute("CREATE EXTENSION timescaledb")
            await connection.execute("SET search_path TO arceaux, public")
            yield connection
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
