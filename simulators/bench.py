"""The benchmark: messages at QoS 1 through mosquitto into TimescaleDB, every one acknowledged after COMMIT.

First single-spot messages, then packs of 60 readings.
Beside it, in the same minute on the same machine: `mosquitto_sub` throwing the same messages away, which is what the
broker can deliver, and aiomqtt with an INSERT a message, which is what most bridges do.
"""

import asyncio
import contextlib
import os
import re
import resource
import secrets
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
from typing import Self, cast

import psutil

from simulators.embedded.database import EmbeddedDatabase, embedded_postgres, find_timescaledb
from simulators.embedded.ports import LOOPBACK, free_port

_CAR_PARKS, _SPOTS = 10, 100
_HOMES, _PACK = 100, 60
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
_LAST_COMMIT = "arceaux_last_commit_timestamp_seconds"
_LOOK_EVERY = 0.25
"""A scrape costs the service some milliseconds: looking more often would be measured with it."""
_REGISTRY = (
    '[[car_park]]\ncode = "B{n}"\nname = "Bench {n}"\ncapacity = 100\nbasis = "spots"\nspots = ["P-001..P-100"]\n'
)

_HOME = '[[dwelling]]\nid = "home-{n}"\ndistrict = "bench"\nconsent = true\n'

Say = Callable[[str], None]


class BenchError(Exception):
    """Something that the benchmark needs is missing, or it did not end; the message is for people."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: `messages` by `simulators.load` with these arguments, `readings` in each."""

    name: str
    messages: int
    arguments: tuple[str, ...]
    readings: int
    route: str

    @classmethod
    def spots(cls, name: str, messages: int) -> Self:
        """Single-spot messages of about 100 bytes."""
        return cls(name, messages, ("spots", str(_CAR_PARKS), str(_SPOTS)), 1, "spot")

    @classmethod
    def packs(cls, name: str, messages: int) -> Self:
        """SenML packs of about 2.8 kB."""
        return cls(name, messages, ("packs", str(_HOMES), str(_PACK)), _PACK, "senml")


@dataclass(frozen=True, slots=True)
class End:
    """When a contender had its last message, and what it had used by then: processor time, resident memory."""

    at: float
    cpu_seconds: float
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contender did with a load. `memory` is resident bytes, 0 where it was not measured."""

    load: Load
    seconds: float
    cpu_seconds: float
    memory: int = 0

    def __str__(self) -> str:
        memory = f"{self.memory / 1e6:8.0f} MB" if self.memory else ""
        what = "readings" if self.load.readings > 1 else "messages"
        count = self.load.messages * self.load.readings
        rate, cost = count / self.seconds, self.cpu_seconds / count * 1e6
        return f"{self.load.name:28}{rate:10,.0f} {what}/s{cost:9.2f} us CPU each{memory}"


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
        for load in (Load.spots("arceaux", messages), Load.packs("arceaux, packs of 60", messages // 10)):
            say(str(await _arceaux(_broker(programs, directory, parts), database.url, directory, load)))
        broker = _broker(programs, directory, parts)
        command = [*_SUBSCRIBER, "-p", broker.rsplit(":", 1)[1], "-C", str(messages)]
        say(str(await _other(Load.spots("mosquitto_sub, to nowhere", messages), command, b"SUBACK", broker)))
        broker, few = _broker(programs, directory, parts), str(messages // 50)
        command = [sys.executable, "-m", "simulators.naive", broker, database.url, few]
        say(str(await _other(Load.spots("aiomqtt, an INSERT each", int(few)), command, b"ready", broker)))


async def _arceaux(broker: str, database: str, directory: Path, load: Load) -> Figure:
    registry, key = directory / "registry.toml", directory / "pseudonym.key"
    entries = [_REGISTRY.format(n=n) for n in range(_CAR_PARKS)] + [_HOME.format(n=n) for n in range(_HOMES)]
    registry.write_text("\n".join(entries))
    key.write_text(secrets.token_hex(32))
    port = free_port()
    environment = os.environ | {
        "ARCEAUX_BROKER_URL": broker,
        "ARCEAUX_DATABASE_URL": database,
        "ARCEAUX_REGISTRY": str(registry),
        "ARCEAUX_PSEUDONYM_KEY_FILE": str(key),
        "ARCEAUX_OPS_PORT": str(port),
    }
    command = [sys.executable, "-m", "ingest"]
    subprocess.run([*command, "migrate"], env=environment, check=True, capture_output=True)  # noqa: ASYNC221 - nothing else runs
    log, wanted = directory / "service.log", load.messages * load.readings
    async with _process([*command, "ingest"], environment, log) as process:
        await _until(lambda: _answers(port), process, log)

        async def finish() -> End:
            deadline = time.monotonic() + _DEADLINE
            while _metric(port, f'arceaux_readings_total{{outcome="stored",route="{load.route}"}}') < wanted:
                if time.monotonic() > deadline:
                    raise BenchError(f"arceaux: not done after {_DEADLINE} s:\n{log.read_text()}")
                await asyncio.sleep(_LOOK_EVERY)
            return End(_metric(port, _LAST_COMMIT), _cpu(process), process.memory_info().rss)

        return await _measure(load, process, broker, finish)


async def _other(load: Load, command: Sequence[str], mark: bytes, broker: str) -> Figure:
    """Measure a program that says `mark` when it is subscribed, and ends by itself after so many messages."""
    with tempfile.NamedTemporaryFile() as log:
        path = Path(log.name)
        async with _process(command, os.environ, path) as process:
            await _until(lambda: mark in path.read_bytes(), process, path)

            async def finish() -> End:
                before = _reaped()
                await asyncio.to_thread(process.wait, _DEADLINE)
                return End(time.time(), _reaped() - before)

            return await _measure(load, process, broker, finish)


async def _measure(load: Load, process: psutil.Popen, broker: str, finish: Callable[[], Awaitable[End]]) -> Figure:
    """Send the load; time runs from the first one sent to the contender's end."""
    arguments = [broker, *load.arguments, str(load.messages)]
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators.load", *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    go, ready = cast("asyncio.StreamWriter", sender.stdin), cast("asyncio.StreamReader", sender.stdout)
    await ready.readline()
    before, began = _cpu(process), time.time()
    go.write(b"go\n")
    end = await finish()
    await sender.wait()
    return Figure(load, end.at - began, end.cpu_seconds - before, end.memory)


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
