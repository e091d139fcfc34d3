"""Databases for tests: one server of each kind for the whole run, a migrated copy of a template for each test."""

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from harness.missing import missing
from ingest.database import connect
from ingest.migrate import migrate
from simulators.embedded.cluster import locate_cluster
from simulators.embedded.database import EmbeddedDatabase, PostgresInstall, embedded_postgres, find_timescaledb
from simulators.embedded.ports import free_port

KINDS = ("timescaledb", "postgresql")
_FAST = {"fsync": "off", "max_connections": "100", "timescaledb.max_background_workers": "0"}


def find_install(kind: str) -> PostgresInstall:
    """Find a server's programs; ends the test where there are none."""
    if kind == "postgresql":
        return embedded_postgres()
    found = find_timescaledb()
    return found or missing(
        "TimescaleDB", "apt-get install postgresql-17-timescaledb, or name a Debian tree in ARCEAUX_TIMESCALEDB_ROOT"
    )


def any_kind() -> str:
    """Give the kind of server for tests to which it makes no difference."""
    return "timescaledb" if find_timescaledb() else "postgresql"


class TestServer:
    """A running server with a migrated template."""

    __test__ = False

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self._install = install = find_install(kind)
        settings = {name: value for name, value in _FAST.items() if install.timescaledb or "." not in name}
        self._server = EmbeddedDatabase(install, directory, free_port(), settings)
        self._cluster = locate_cluster(install, directory)
        self._numbers = itertools.count(1)

    def start(self) -> None:
        """Start the server and migrate its template."""
        self._server.start()
        asyncio.run(self._migrate())

    def stop(self) -> None:
        """Shut the server down."""
        self._server.stop()

    def start_again(self) -> None:
        """Start the server that was stopped."""
        self._server.start()

    def remove(self) -> None:
        """Stop the server and delete what it stored."""
        self._server.remove()

    def crash(self) -> None:
        """End the server at once, as a crash does, and start it again; it recovers from its log."""
        self._processes()[0].send_signal(signal.SIGQUIT)
        self._server.stop()
        self._server.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all of the server's processes where they stand, while the context lasts."""
        processes = self._processes()
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in reversed(processes):
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    async def administer(self, statement: str) -> None:
        """Run a statement as the server's administrator, even while it is read-only."""
        await asyncio.to_thread(self._administer, sql.SQL(statement), "-c default_transaction_read_only=off")

    def make_directory(self, name: str) -> Path:
        """Make a directory that the server can reach."""
        place = self._cluster.parent / name
        place.mkdir()
        return place

    def give(self, path: Path) -> None:
        """Let the server own a file or directory."""
        if (account := self._install.account) is not None:
            os.chown(path, account.uid, account.gid)

    def _processes(self) -> list[psutil.Process]:
        """Give the server's processes, the one that starts the others first."""
        lock = (self._cluster / "postmaster.pid").read_text(encoding="utf-8")
        postmaster = psutil.Process(int(lock.split("\n", 1)[0]))
        return [postmaster, *postmaster.children(recursive=True)]

    def create(self) -> str:
        """Make a database from the template; gives its URL."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._administer(sql.SQL("CREATE DATABASE {} TEMPLATE arceaux").format(sql.Identifier(name)))
        return self._server.url.rsplit("/", 1)[0] + f"/{name}"

    def create_empty(self) -> str:
        """Make a database without a schema; gives its URL."""
        name = f"empty_{os.getpid()}_{next(self._numbers)}"
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._server.url.rsplit("/", 1)[0] + f"/{name}"

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected."""
        self._administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(url.rsplit("/", 1)[1])))

    async def _migrate(self) -> None:
        async with await connect(self._server.url, "test") as connection:
            await migrate(connection, timedelta(days=8))

    def _administer(self, statement: sql.SQL | sql.Composed, options: str = "") -> None:
        url = self._server.url.rsplit("/", 1)[0] + "/postgres"
        with psycopg.connect(url, autocommit=True, options=options) as connection:
            connection.execute(statement)


def asking(url: str) -> Callable[..., Any]:
    """Give a function that runs a query and returns its rows, or the one value of a single row and column."""

    async def ask(query: str, *parameters: object) -> Any:  # noqa: ANN401 - rows, or a value
        async with await connect(url, "test") as connection:
            cursor = await connection.execute(query.encode(), parameters or None)
            if cursor.description is None:
                return None
            rows = await cursor.fetchall()
        return rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else rows

    return ask
