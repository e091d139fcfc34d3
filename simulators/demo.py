"""The whole city on one machine: broker, database, service and sensors, started and stopped in order."""

import asyncio
import http.client
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from schemas.faults import ConfigurationError
from schemas.registry import load_registry
from schemas.settings import TIMESCALEDB_ROOT
from simulators.embedded.broker import BrokerError, EmbeddedBroker
from simulators.embedded.children import Child, ChildError
from simulators.embedded.database import DatabaseError, EmbeddedDatabase, embedded_postgres, find_timescaledb
from simulators.embedded.front_door import open_front_door
from simulators.embedded.ports import LOOPBACK, free_port
from simulators.embedded.state import InUseError, StateLock, tail, write_private
from simulators.stopping import stop_on_signals, until_stopped

_READY_SECONDS = 90
_POLL_SECONDS = 0.2
# Longer than the service's own drain timeout, so that it is the service that gives up first.
_STOP_SECONDS = 30
_ARCEAUX = (sys.executable, "-m", "ingest")
_PARKING_QUERY = (
    "SELECT c.code, a.status, a.free, a.occupied, a.unknown "
    "FROM arceaux.availability a JOIN arceaux.car_park c ON c.id = a.car_park_id ORDER BY c.code"
)
_HOMES_QUERY = (
    "SELECT d.district, count(DISTINCT d.id) AS homes, count(DISTINCT s.id) AS sensors, count(r.value) AS readings "
    "FROM arceaux.dwelling d LEFT JOIN arceaux.sensor s ON s.dwelling_id = d.id LEFT JOIN arceaux.dwelling_reading r "
    "ON r.sensor_id = s.id AND r.time > now() - make_interval(mins => 10) GROUP BY d.district ORDER BY d.district"
)
"""Per district: its homes, their sensors, and the readings of the last ten minutes, in which each has told some."""
_KEY = "ARCEAUX_PSEUDONYM_KEY_FILE"

Say = Callable[[str], None]
T = TypeVar("T")


class DemoError(Exception):
    """The demo cannot start, or a part of it ended; the message is for people."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The commands that the demo runs; tests put others in their place."""

    migrate: tuple[str, ...] = (*_ARCEAUX, "migrate")
    ingest: tuple[str, ...] = (*_ARCEAUX, "ingest")
    # About three times as busy as it would be, and as busy by night: in real time a minute may pass without a change.
    # Not faster: the model's minutes would pass in seconds, bays flap and rooms heat up at once.
    simulate: tuple[str, ...] = (*_ARCEAUX, "simulate", "city", "--rate", "2")


@dataclass(frozen=True, slots=True)
class DemoPorts:
    """The ports that are taken where they are free; another free one stands in for a busy one."""

    broker: int = 1883
    database: int = 5432
    ops: int = 9108


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demo runs, and on what. Without a key for pseudonyms it makes one where there are dwellings."""

    registry: Path = Path("deploy/registry.toml")
    topic_root: str = "city"
    pseudonym_key_file: Path | None = None
    ports: DemoPorts = DemoPorts()
    programs: Programs = Programs()


class _Part(Protocol):
    def check(self) -> None:
        """Raise where the part has ended by itself."""


async def run_demo(state_dir: Path, options: DemoOptions, say: Say) -> None:
    """Run the demo until SIGINT or SIGTERM, then stop its parts in order and return.

    Everything that lasts is in `state_dir`, and a later run goes on from it. `say` gets every line meant for
    people. Raises DemoError where something is missing, another demo runs on `state_dir`, or a part ends by
    itself; the other parts are stopped then, too.
    """
    try:
        with stop_on_signals() as stop, StateLock(state_dir / "lock"):
            # The parts are stopped in this task, which a second Ctrl-C does not cancel.
            async with AsyncExitStack() as parts:
                await until_stopped(stop, _Demo(state_dir, options, say, parts).run())
    except (ConfigurationError, InUseError, DatabaseError, BrokerError, ChildError, OSError) as error:
        raise DemoError(str(error)) from error
    say("stopped in order: simulator, service, database, broker")


class _Demo:
    def __init__(self, state_dir: Path, options: DemoOptions, say: Say, parts: AsyncExitStack) -> None:
        self._state_dir = state_dir
        self._options = options
        self._say = say
        self._parts = parts
        self._started: list[_Part] = []

    async def run(self) -> None:
        """Start everything, tell the addresses, run until a part ends by itself."""
        key = self._pseudonym_key()
        broker = await self._start_broker()
        database = await self._start_database()
        ops = self._port("service", self._options.ports.ops)
        environment = self._environment(broker, database, ops) | key
        programs = self._options.programs
        await self._run_once(Child("migrate", programs.migrate, self._state_dir, environment))
        service = await self._start_child(Child("service", programs.ingest, self._state_dir, environment))
        await self._ready(service, ops)
        # Only now: a service that has not subscribed yet would miss the sensors' first states.
        await self._start_child(Child("simulator", programs.simulate, self._state_dir, environment))
        self._tell(broker, database, ops)
        while True:
            self._check()
            await asyncio.sleep(_POLL_SECONDS)

    def _pseudonym_key(self) -> dict[str, str]:
        """Give the setting of the pseudonyms' key, made at the first start; none where there is nobody to name."""
        path = self._options.pseudonym_key_file
        if path is None:
            if not load_registry(self._options.registry).dwelling:
                return {}
            path = self._state_dir / "pseudonym.key"
            if not path.exists():
                write_private(path, secrets.token_hex(32))
        return {_KEY: str(path.resolve())}

    async def _start_broker(self) -> str:
        broker = EmbeddedBroker(self._state_dir, free_port())
        self._parts.push_async_callback(asyncio.to_thread, broker.stop)
        await _in_thread(broker.start)
        self._started.append(broker)
        port = self._port("broker", self._options.ports.broker)
        await self._parts.enter_async_context(open_front_door(port, broker.port))
        return f"mqtt://{LOOPBACK}:{port}"

    async def _start_database(self) -> EmbeddedDatabase:
        install = await _in_thread(lambda: find_timescaledb() or embedded_postgres())
        self._say(f"database: {install.describe()}")
        port = self._port("database", self._options.ports.database)
        database = EmbeddedDatabase(install, self._state_dir / "database", port)
        self._parts.push_async_callback(asyncio.to_thread, database.stop)
        await _in_thread(database.start)
        self._started.append(database)
        return database

    async def _start_child(self, child: Child) -> Child:
        self._parts.push_async_callback(child.stop, _STOP_SECONDS)
        await child.start()
        self._started.append(child)
        self._say(f"{child.name}: log in {child.log_path}")
        return child

    async def _run_once(self, child: Child) -> None:
        self._parts.push_async_callback(child.stop, _STOP_SECONDS)
        await child.start()
        if status := await child.wait():
            raise child.failure(status)

    async def _ready(self, service: Child, ops: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _READY_SECONDS
        while not await asyncio.to_thread(_answers_ready, ops):
            self._check()
            if loop.time() > deadline:
                lines = tail(service.log_path)
                raise DemoError(f"the service is not ready after {_READY_SECONDS} s; its last lines:\n{lines}")
            await asyncio.sleep(_POLL_SECONDS)

    def _environment(self, broker: str, database: EmbeddedDatabase, ops: int) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != TIMESCALEDB_ROOT}
        return inherited | {
            "ARCEAUX_BROKER_URL": broker,
            "ARCEAUX_DATABASE_URL": database.url,
            "ARCEAUX_REGISTRY": str(self._options.registry.resolve()),
            "ARCEAUX_TOPIC_ROOT": self._options.topic_root,
            "ARCEAUX_OPS_HOST": LOOPBACK,
            "ARCEAUX_OPS_PORT": str(ops),
            # This broker keeps 100 messages in flight, however many are asked for. A service that counts on
            # more would wait for the half of its window that never fills.
            "ARCEAUX_RECEIVE_MAXIMUM": "100",
        }

    def _port(self, what: str, preferred: int) -> int:
        port = free_port(preferred)
        if preferred not in {port, 0}:
            self._say(f"port {preferred} is busy: {what} on {port}")
        return port

    def _check(self) -> None:
        for part in self._started:
            part.check()

    def _tell(self, broker: str, database: EmbeddedDatabase, ops: int) -> None:
        live = f"{self._options.topic_root}/live/#"
        for line in (
            "ready:",
            broker,
            database.url,
            f"http://{LOOPBACK}:{ops}/metrics",
            "to look inside:",
            f"mosquitto_sub -h {LOOPBACK} -p {broker.rpartition(':')[2]} -v -t '{live}'",
            f"psql '{database.url}' -c '{_PARKING_QUERY}'",
            f"psql '{database.url}' -c '{_HOMES_QUERY}'",
            "Ctrl-C stops it; what is stored stays.",
        ):
            self._say(line)


async def _in_thread(start: Callable[[], T]) -> T:
    """Run what blocks in a thread; when cancelled, let it finish first, so that it can be undone."""
    running = asyncio.create_task(asyncio.to_thread(start))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.gather(running, return_exceptions=True)
        raise


def _answers_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
