"""A PostgreSQL server of our own on the loopback, with TimescaleDB where the machine has it."""

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from simulators.embedded.cluster import end_leftovers, locate_cluster, open_cluster
from simulators.embedded.ports import LOOPBACK
from simulators.embedded.postgres import DatabaseError, PostgresInstall, embedded_postgres, find_timescaledb
from simulators.embedded.state import StateLock, tail

__all__ = ["DatabaseError", "EmbeddedDatabase", "PostgresInstall", "embedded_postgres", "find_timescaledb"]

_DATABASE = "arceaux"
_START_SECONDS = 60
_STOP_SECONDS = 20
_POLL_SECONDS = 0.05


class EmbeddedDatabase:
    """A server whose data outlive it, from `start` (or entering) to `stop`, as often as wanted.

    `state_dir` takes its password file, log and lock, and the data too where the server's account can reach
    it. `settings` are PostgreSQL's, stronger than ours: `{"fsync": "off"}` for tests. Every failure is a
    DatabaseError, and another process on the same directory an InUseError.
    """

    def __init__(
        self,
        install: PostgresInstall,
        state_dir: Path,
        port: int,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.install = install
        self.port = port
        self.log_path = state_dir / "server.log"
        self._state_dir = state_dir.resolve()
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._held = ExitStack()
        self._password = ""

    @property
    def url(self) -> str:
        """The address of the database, with its password; known from `start` on."""
        return self._url(_DATABASE)

    @property
    def running(self) -> bool:
        """Whether the server process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Make the data directory if there is none, start the server, wait until it accepts connections."""
        self._held.enter_context(StateLock(self._state_dir / "lock"))
        try:
            cluster = locate_cluster(self.install, self._state_dir)
            sync = self._settings.get("fsync") != "off"
            access = open_cluster(self.install, cluster, self._state_dir / "access.json", sync=sync)
            self._password = access.password
            end_leftovers(cluster)
            self._launch(cluster)
            self._create_database()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raise DatabaseError where the server has ended by itself."""
        if not self.running:
            raise self._failure("ended by itself")

    def stop(self) -> None:
        """Shut the server down cleanly, breaking connections; kill it when it does not end in time."""
        process, self._process = self._process, None
        if process is not None:
            # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for clients to leave.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._held.close()

    def remove(self) -> None:
        """Stop the server and delete all that it stored, wherever that lies."""
        self.stop()
        if self._state_dir.exists():
            cluster = locate_cluster(self.install, self._state_dir)
            shutil.rmtree(cluster, ignore_errors=True)
            if cluster.parent != self._state_dir:
                shutil.rmtree(cluster.parent)
            shutil.rmtree(self._state_dir)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _url(self, database: str) -> str:
        return f"postgresql://postgres:{self._password}@{LOOPBACK}:{self.port}/{database}"

    def _launch(self, cluster: Path) -> None:
        arguments = [f"--{name}={value}" for name, value in (self._defaults() | self._settings).items()]
        with self.log_path.open("wb") as log:
            self._process = self.install.spawn(
                "postgres", "-D", str(self.install.inside(cluster)), *arguments, log=log.fileno()
            )

    def _defaults(self) -> dict[str, str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if self.install.timescaledb:
            # Its default of 16 background workers does not fit into PostgreSQL's default of 8 processes.
            settings |= {
                "shared_preload_libraries": "timescaledb",
                "timescaledb.telemetry_level": "off",
                "timescaledb.max_background_workers": "4",
            }
        if self.install.root != Path("/"):
            # POSIX shared memory wants a mounted /dev/shm, which a bare tree need not have.
            settings["dynamic_shared_memory_type"] = "mmap"
        return settings

    def _create_database(self) -> None:
        with self._connect() as connection:
            known = connection.execute("SELECT FROM pg_database WHERE datname = %s", (_DATABASE,)).rowcount
            if not known:
                connection.execute(f"CREATE DATABASE {_DATABASE}")

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Connect to the maintenance database as soon as the server lets us."""
        deadline = time.monotonic() + _START_SECONDS
        while self.running:
            try:
                return psycopg.connect(self._url("postgres"), autocommit=True, connect_timeout=5)
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise self._failure(f"lets nobody in after {_START_SECONDS} s ({error})") from None
            time.sleep(_POLL_SECONDS)
        raise self._failure("ended while starting")

    def _failure(self, what: str) -> DatabaseError:
        return DatabaseError(f"the database {what}; the end of {self.log_path}:\n{tail(self.log_path)}")
