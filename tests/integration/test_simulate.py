"""`arceaux simulate` as a user runs it: its bytes on the wire, its processes, its file, its end."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from harness.broker import Mosquitto
from harness.city import PARKING
from harness.clients import client
from harness.service import environment, run_command
from harness.waiting import eventually

from simulators.runs.run_file import Run, read_run

SECONDS = 30
END = "end/of/recording"
HOMES = "".join(f'[[dwelling]]\nid = "home-{n}"\ndistrict = "centre"\nconsent = true\n' for n in range(2))


@pytest.fixture
def registry_path(tmp_path: Path) -> Path:
    """Write a registry with some of everything, whose devices are quickly made."""
    path = tmp_path / "registry.toml"
    path.write_text(PARKING + HOMES)
    return path


def settings(url: str, registry: Path) -> dict[str, str]:
    return {"ARCEAUX_BROKER_URL": url, "ARCEAUX_REGISTRY": str(registry), "ARCEAUX_LOG_FORMAT": "json"}


class Simulation:
    """`arceaux simulate city` in a process of its own."""

    def __init__(self, url: str, registry: Path, *arguments: str) -> None:
        self.file = registry.with_name("a.run")
        self._log = registry.with_name("log")
        with self._log.open("wb") as log:
            self.process = psutil.Popen(
                [sys.executable, "-m", "ingest", "simulate", "city", "--run", str(self.file), *arguments],
                env=environment(settings(url, registry)),
                stdout=subprocess.PIPE,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """What it said on standard error."""
        return self._log.read_text()

    def events(self) -> list[str]:
        """Give what it logged so far."""
        lines = [line for line in self.log.splitlines(keepends=True) if line.startswith("{") and line.endswith("\n")]
        return [json.loads(line)["event"] for line in lines]

    async def until(self, is_so: Callable[[Run], bool]) -> Run:
        """Wait until its file tells something."""

        async def look() -> Run | None:
            assert self.process.poll() is None, self.log
            return read_run(self.file) if self.file.exists() and self.file.stat().st_size else None

        run = await eventually(look, lambda run: run is not None and is_so(run))
        assert run is not None
        return run

    async def end(self, number: int | None = None) -> int:
        """End it by a signal, or let it end; gives its exit status."""
        if number is not None:
            self.process.send_signal(number)
        return int(await asyncio.to_thread(self.process.wait, SECONDS))

    def summary(self) -> dict[str, Any]:
        """Give what it said on standard output, when it has ended."""
        told: dict[str, Any] = json.loads(self.process.stdout.read())
        return told


@pytest.fixture
def simulate(broker: Mosquitto, registry_path: Path) -> Iterator[Callable[..., Simulation]]:
    """Start simulations that leave nothing behind."""
    started: list[Simulation] = []

    def start(*arguments: str) -> Simulation:
        started.append(Simulation(broker.url, registry_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        one.process.stdout.close()


def has_begun(run: Run) -> bool:
    return all(len(acknowledged) > 10 for acknowledged in run.acknowledged.values())


@asynccontextmanager
async def recorded(url: str) -> AsyncIterator[Callable[[], Awaitable[dict[str, list[bytes]]]]]:
    """Record everything while the context lasts; gives payloads by topic, in their order."""
    async with client(url) as connected:
        await connected.subscribe("#", qos=1)

        async def heard() -> dict[str, list[bytes]]:
            by_topic: dict[str, list[bytes]] = defaultdict(list)
            await connected.publish(END, b"", qos=1)
            async with asyncio.timeout(SECONDS):
                async for message in connected.messages:
                    if str(message.topic) == END:
                        break
                    by_topic[str(message.topic)].append(bytes(message.payload))
            return by_topic

        yield heard


async def test_two_runs_of_a_seed_are_the_same_on_the_wire(broker: Mosquitto, registry_path: Path) -> None:
    """Whatever the pace and the processes, each device says the same bytes in the same order."""
    heard = []
    for arguments in (("--rate", "max"), ("--speed", "1800", "--processes", "2", "--prepare")):
        async with recorded(broker.url) as listen:
            ended = await run_command(
                *("simulate", "city", "--start", "2026-11-21T12:00:00Z", "--duration", "30m", *arguments),
                settings=settings(broker.url, registry_path),
            )
            assert ended.returncode == 0, ended.stderr
            heard.append(await listen())
            assert json.loads(ended.stdout)["acknowledged"] == sum(map(len, heard[-1].values()))
    assert len(heard[0]) > 100
    assert any(len(payloads) > 1 for payloads in heard[0].values())
    assert heard[1] == heard[0]


async def test_what_makes_no_sense_is_told_before_anything_happens(tmp_path: Path) -> None:
    """A contradiction, a registry without what was asked for, a file that is there: status 2, a line, no connection."""
    registry, file, there = (tmp_path / name for name in ("registry.toml", "a.run", "there.run"))
    registry.write_text('[[car_park]]\ncode = "A"\nname = "A"\ncapacity = 5\nbasis = "count"\n')
    there.touch()
    for arguments, told in (
        (("parking", "--rate", "5", "--speed", "2", "--run", str(file)), "--rate: not together with --speed"),
        (("dwellings", "--processes", "2", "--run", str(file)), "the registry has no dwellings: add a [[dwelling]]"),
        (("parking", "--run", str(there)), f"--run: {there} is there already"),
        (("parking", "--prepare", "--run", str(file)), "--prepare: say how much with --duration"),
    ):
        ended = await run_command("simulate", *arguments, settings=settings("mqtt://127.0.0.1:1", registry))
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
        assert ended.stderr.startswith(f"arceaux: {told}")
        assert not file.exists()


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_signal_ends_a_run_in_order(simulate: Callable[..., Simulation], processes: str) -> None:
    """What was handed over is acknowledged, the file tells the end, the summary comes, no process is left."""
    simulation = simulate("--rate", "2000", "--processes", processes)
    await simulation.until(has_begun)
    children = simulation.process.children()
    assert len(children) == (2 if processes == "2" else 0)
    assert await simulation.end(signal.SIGINT if processes == "1" else signal.SIGTERM) == 0, simulation.log
    summary, run = simulation.summary(), read_run(simulation.file)
    assert summary["stopped"]
    assert summary["sent"] == summary["acknowledged"] == sum(run.sent.values())
    assert sum(map(len, run.acknowledged.values())) == summary["acknowledged"]
    assert run.has_ended
    assert not any(child.is_running() for child in children)


async def test_a_killed_run_leaves_its_file_and_no_process(simulate: Callable[..., Simulation]) -> None:
    """What the file tells was acknowledged; the processes notice that nobody follows them any more."""
    simulation = simulate("--rate", "2000", "--processes", "2")
    await simulation.until(has_begun)
    children = simulation.process.children()
    assert await simulation.end(signal.SIGKILL) == -signal.SIGKILL
    run = read_run(simulation.file)
    assert has_begun(run)
    assert not run.has_ended
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, SECONDS)
    assert alive == []


async def test_a_process_that_dies_is_told_and_ends_the_others(simulate: Callable[..., Simulation]) -> None:
    """Status 1 and which it was, with the end of its log; the file tells that the other one ended."""
    simulation = simulate("--rate", "2000", "--processes", "2")
    await simulation.until(has_begun)
    children = simulation.process.children()
    children[0].kill()
    assert await simulation.end() == 1
    assert "arceaux: process" in simulation.log
    assert "of the run ended by signal SIGKILL; its last lines:" in simulation.log
    assert simulation.log.count('arceaux: {"host": "127.0.0.1"') == 1, simulation.log
    assert not any(child.is_running() for child in children)
    assert not read_run(simulation.file).has_ended


async def test_a_refusal_ends_all_processes(tmp_path: Path, registry_path: Path) -> None:
    """Status 1, and what to do; with one process the same is shown of the sender."""
    acl = tmp_path / "acl"
    acl.write_text("topic read #\n")
    acl.chmod(0o644)
    broker = Mosquitto(tmp_path / "mosquitto", options=(f"acl_file {acl}",))
    broker.start()
    try:
        ended = await run_command(
            *("simulate", "city", "--rate", "max", "--duration", "1h", "--processes", "2"),
            settings=settings(broker.url, registry_path),
        )
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "arceaux: the broker refuses what is published to " in ended.stderr
    finally:
        broker.stop()


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_run_without_a_broker_can_be_ended(
    broker: Mosquitto, simulate: Callable[..., Simulation], processes: str
) -> None:
    """It waits for the broker, and a signal ends it meanwhile, in order."""
    broker.stop()
    simulation = simulate("--processes", processes)

    async def events() -> list[str]:
        return simulation.events()

    await eventually(events, lambda logged: logged.count("broker_lost") >= int(processes))
    assert await simulation.end(signal.SIGTERM) == 0, simulation.log
    assert (simulation.summary()["acknowledged"], read_run(simulation.file).has_ended) == (0, True)
