"""The benchmark: single-spot messages at QoS 1 through mosquitto into TimescaleDB, every one acknowledged after COMMIT.

Beside it, in the same minute on the same machine: `mosquitto_sub` throwing the same messages away, which is what the
broker can deliver, and aiomqtt with an INSERT a message, which is what most bridges do.
"""

import asyncio
import contextlib
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil

from simulators.database import EmbeddedDatabase, embedded_postgres, find_timescaledb
from simulators.ports import LOOPBACK, free_port

_CAR_PARKS, _SPOTS = 10, 100
_DEADLINE = 300
_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 0
max_queued_messages 5000000
set_tcp_nodelay true
"""
_SUBSCRIBER = (
    # Its debug output tells when it is subscribed; of messages it says nothing, by an empty format.
    *("stdbuf", "-oL", "mosquitto_sub", "-d", "-F", "", "-h", LOOPBACK, "-q", "1", "-t", "city/parking/#"),
    *("-V", "5", "-D", "connect", "receive-maximum", "20000"),
)
_STORED = 'arceaux_readings_total{outcome="stored",route="spot"}'
_LAST_COMMIT = "arceaux_last_commit_timestamp_seconds"
_LOOK_EVERY = 0.25
"""A scrape costs the service some milliseconds: looking more often would be measured with it."""
_REGISTRY = (
    '[[car_park]]\ncode = "B{n}"\nname = "Bench {n}"\ncapacity = 100\nbasis = "spots"\nspots = ["P-001..P-100"]\n'
)

Say = Callable[[str], None]


class BenchError(Exception):
    """Something that the benchmark needs is missing, or it did not end; the message is for people."""


@dataclass(frozen=True, slots=True)
class End:
    """When a contender had its last message, and what it had used by then: processor time, resident memory."""

    at: float
    cpu_seconds: float
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contender did with so many messages. `memory` is resident bytes, 0 where it was not measured."""

    name: str
    messages: int
    seconds: float
    cpu_seconds: float
    memory: int = 0

    def __str__(self) -> str:
        memory = f"{self.memory / 1e6:8.0f} MB" if self.memory else ""
        rate, cost = self.messages / self.seconds, self.cpu_seconds / self.messages * 1e6
        return f"{self.name:28}{rate:10,.0f} messages/s{cost:9.1f} us CPU each{memory}"


async def run_bench(messages: int, say: Say) -> None:
    """Measure and say the figures. Raises BenchError naming what to install where a program is missing."""
    programs = {name: _find(name) for name in ("mosquitto", "mosquitto_sub")}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as parts:
        directory = Path(name)
        directory.chmod(0o755)  # noqa: ASYNC240 - nothing else runs
        install = find_timescaledb() or embedded_postgres()
        database = EmbeddedDatabase(install, directory / "database", free_port(), {"max_wal_size": "4GB"})
        parts.callback(database.remove)
        await asyncio.to_thread(database.start)
        say(f"database: {install.describe()}; {os.cpu_count()} cores, shared by all; {messages:,} messages")
        say(str(await _arceaux(_broker(programs, directory, parts), database.url, directory, messages)))
        broker = _broker(programs, directory, parts)
        command = [*_SUBSCRIBER, "-p", broker.rsplit(":", 1)[1], "-C", str(messages)]
        say(str(await _other("mosquitto_sub, to nowhere", command, b"SUBACK", broker, messages)))
        broker, few = _broker(programs, directory, parts), str(messages // 50)
        command = [sys.executable, "-m", "simulators.naive", broker, database.url, few]
        say(str(await _other("aiomqtt, an INSERT each", command, b"ready", broker, int(few))))


async def _arceaux(broker: str, database: str, directory: Path, messages: int) -> Figure:
    registry = directory / "registry.toml"
    registry.write_text("\n".join(_REGISTRY.format(n=number) for number in range(_CAR_PARKS)))
    port = free_port()
    environment = os.environ | {
        "ARCEAUX_BROKER_URL": broker,
        "ARCEAUX_DATABASE_URL": database,
        "ARCEAUX_REGISTRY": str(registry),
        "ARCEAUX_OPS_PORT": str(port),
    }
    command = [sys.executable, "-m", "ingest"]
    subprocess.run([*command, "migrate"], env=environment, check=True, capture_output=True)  # noqa: ASYNC221 - nothing else runs
    log = directory / "service.log"
    async with _process([*command, "ingest"], environment, log) as process:
        await _until(lambda: _answers(port), process, log)

        async def finish() -> End:
            deadline = time.monotonic() + _DEADLINE
            while _metric(port, _STORED) < messages:
                if time.monotonic() > deadline:
                    raise BenchError(f"arceaux: not done after {_DEADLINE} s:\n{log.read_text()}")
                await asyncio.sleep(_LOOK_EVERY)
            return End(_metric(port, _LAST_COMMIT), _cpu(process), process.memory_info().rss)

        return await _measure("arceaux", process, broker, messages, finish)


async def _other(name: str, command: Sequence[str], mark: bytes, broker: str, messages: int) -> Figure:
    """Measure a program that says `mark` when it is subscribed, and ends by itself after so many messages."""
    with tempfile.NamedTemporaryFile() as log:
        path = Path(log.name)
        async with _process(command, os.environ, path) as process:
            await _until(lambda: mark in path.read_bytes(), process, path)

            async def finish() -> End:
                before = _reaped()
                await asyncio.to_thread(process.wait, _DEADLINE)
                return End(time.time(), _reaped() - before)

            return await _measure(name, process, broker, messages, finish)


async def _measure(
    name: str, process: psutil.Popen, broker: str, messages: int, finish: Callable[[], Awaitable[End]]
) -> Figure:
    """Send the messages; time runs from the first one sent to the contender's end."""
    arguments = [broker, str(_CAR_PARKS), str(_SPOTS), str(messages)]
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators.load", *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    go, ready = cast("asyncio.StreamWriter", sender.stdin), cast("asyncio.StreamReader", sender.stdout)
    await ready.readline()
    before, began = _cpu(process), time.time()
    go.write(b"go\n")
    end = await finish()
    await sender.wait()
    return Figure(name, messages, end.at - began, end.cpu_seconds - before, end.memory)


def _reaped() -> float:
    """Give the processor time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cpu(process: psutil.Popen) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.asynccontextmanager
async def _process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[psutil.Popen]:
    with log.open("wb") as output:
        process = psutil.Popen(command, env=dict(environment), stdout=output, stderr=output)
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
        await asyncio.to_thread(process.wait)


async def _until(is_so: Callable[[], bool], process: psutil.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"{process.args[0]} did not start:\n{log.read_text()}")  # noqa: ASYNC240 - nothing else runs
        await asyncio.sleep(0.05)


def _broker(programs: Mapping[str, str], directory: Path, parts: contextlib.ExitStack) -> str:
    """Start a mosquitto of its own, so that no contender finds another's session."""
    port = free_port()
    configuration = directory / f"mosquitto-{port}.conf"
    configuration.write_text(_MOSQUITTO.format(port=port) + ("user root\n" if os.geteuid() == 0 else ""))
    process = subprocess.Popen([programs["mosquitto"], "-c", configuration], stderr=subprocess.DEVNULL)
    parts.callback(process.wait)
    parts.callback(process.terminate)
    deadline = time.monotonic() + 10
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"mosquitto did not start on port {port}")
        time.sleep(0.02)
    return f"mqtt://{LOOPBACK}:{port}"


def _find(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise BenchError(f"{name} is missing: apt-get install mosquitto mosquitto-clients")
    return found


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        _get(port, "/readyz")
        return True
    return False


def _metric(port: int, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", _get(port, "/metrics"), re.MULTILINE)
    return float(found[1]) if found else 0


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())
