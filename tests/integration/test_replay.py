"""`arceaux replay` on a real broker, listened to by a subscriber of its own."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import harness.broker
import pytest
import structlog.testing
from harness.broker import Mosquitto
from harness.clients import AT_LEAST_ONCE, client
from harness.proxy import Origin, proxy_to
from harness.service import environment, run_command
from harness.waiting import eventually

from schemas.registry import load_registry
from schemas.topics import Topics
from simulators.replaying.player import Pacing
from simulators.replaying.replay import Replay, ReplayOptions, run_replay
from simulators.sending.sender import IN_FLIGHT

NAMES = {"ANTI": "ANTI", "FOCH": "FR_FOCH", "COME": "Place"}
"""Car parks of the registry below, and what the archive calls them."""
REGISTRY = """
[[car_park]]
code = "ANTI"
name = "Antigone"
capacity = 40
basis = "count"

[[car_park]]
code = "FOCH"
name = "Foch"
aliases = ["FR_FOCH"]
capacity = 60
basis = "count"

[[car_park]]
code = "COME"
name = "Comédie"
aliases = ["PLACE"]
capacity = 70
basis = "count"

[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
"""
SUMMARY = {
    "acknowledged": 0,
    "messages": 0,
    "skipped": 0,
    "unknown_names": 1,
    "retained_left_out": 0,
    "untimed": 0,
    "stopped": False,
}
"""Of a replay of an archive with one name that nobody knows."""
START = datetime(2024, 2, 3, 10)  # noqa: DTZ001 - local, as the archives have it
IN_UTC = datetime(2024, 2, 3, 9, tzinfo=UTC)


class Heard:
    """What the subscriber has heard, topic by topic, in its order."""

    def __init__(self) -> None:
        self.payloads: dict[str, list[Any]] = defaultdict(list)
        self.count = 0

    async def listen(self, messages: AsyncIterator[Any]) -> None:
        """Hear messages for ever."""
        async for message in messages:
            assert message.qos == AT_LEAST_ONCE
            self.payloads[str(message.topic)].append(json.loads(message.payload))
            self.count += 1

    async def until(self, count: int) -> None:
        """Wait until so many messages were heard."""

        async def look() -> int:
            return self.count

        await eventually(look, lambda seen: seen >= count, 60)


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[Heard]:
    """Subscribe to everything."""
    async with client(url) as connected:
        await connected.subscribe("city/#", qos=AT_LEAST_ONCE)
        heard = Heard()
        listening = asyncio.create_task(heard.listen(connected.messages))
        try:
            yield heard
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def write_polls(directory: Path, polls: int, *names: str, every: float = 60) -> Path:
    """Make an archive of polls; each tells its own number as what is free."""
    home = directory / "polls"
    home.mkdir()
    for number in range(polls):
        time = START + timedelta(seconds=every * number)
        lines = "".join(f"{name};{number:04};0900\n" for name in names or NAMES.values())
        (home / f"data{time:%Y-%m-%d@%H-%M-%S}.dat").write_text(lines)
    return home


@pytest.fixture
def settings(broker: Mosquitto, tmp_path: Path) -> dict[str, str]:
    """Give the settings of the command."""
    path = tmp_path / "city.toml"
    path.write_text(REGISTRY, encoding="utf-8")
    return {"ARCEAUX_BROKER_URL": broker.url, "ARCEAUX_REGISTRY": str(path)}


@pytest.fixture
def play(settings: dict[str, str]) -> Callable[..., asyncio.Task[Replay]]:
    """Start a replay in this process."""

    def start(url: str, path: Path, **options: Any) -> asyncio.Task[Replay]:  # noqa: ANN401 - of Pacing
        registry = load_registry(Path(settings["ARCEAUX_REGISTRY"]))
        played = ReplayOptions(path, "polls", Pacing(**options))
        return asyncio.create_task(run_replay(url, registry, Topics("city"), played))

    return start


async def test_a_subscriber_hears_an_archive_in_its_order(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    """All of it, each car park in order and under its own code, with the archive's times; losses are told."""
    path = write_polls(tmp_path, 200, *NAMES.values(), "Nowhere")
    with (path / "data2024-02-03@10-00-00.dat").open("a") as poll:
        poll.write("ANTI;12\nANTI;00")
    async with hearing(broker.url) as heard:
        ended = await run_command("replay", str(path), "--speed", "max", settings=settings)
        await heard.until(600)

    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert {name: told[name] for name in SUMMARY} == SUMMARY | {"acknowledged": 600, "messages": 600, "skipped": 2}
    assert set(told) - set(SUMMARY) == {"seconds", "late", "publish_to_acknowledge"}
    assert list(told["late"]) == list(told["publish_to_acknowledge"]) == ["p50", "p90", "p99", "max"]
    assert ended.stderr.count("Nowhere") == 1
    assert ended.stderr.count("data2024-02-03@10-00-00.dat:") == 2
    assert "left" not in ended.stderr, "progress is for terminals"
    expected = [
        {"free": number, "total": 900, "time": f"{IN_UTC + timedelta(minutes=number):%Y-%m-%dT%H:%M:%S}Z"}
        for number in range(200)
    ]
    assert heard.payloads == {f"city/parking/{code}/count": expected for code in NAMES}


async def test_shifted_times_end_when_the_last_one_is_due(
    broker: Mosquitto, play: Callable[..., asyncio.Task[Replay]], tmp_path: Path
) -> None:
    """One constant is added to all of them; and no message comes before it is due."""
    path = write_polls(tmp_path, 4, every=60)
    async with hearing(broker.url) as heard:
        before = datetime.now(UTC)
        await play(broker.url, path, speed=120.0, shift_to_now=True)
        after = datetime.now(UTC)
        await heard.until(12)

    assert after - before >= timedelta(seconds=3 * 60 / 120)
    times = [datetime.fromisoformat(payload["time"]) for payload in heard.payloads["city/parking/ANTI/count"]]
    assert before <= times[-1] <= after
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=1)}


async def test_at_most_speed_shifted_times_end_now(broker: Mosquitto, settings: dict[str, str], tmp_path: Path) -> None:
    before = datetime.now(UTC)
    async with hearing(broker.url) as heard:
        arguments = (str(write_polls(tmp_path, 3)), "--speed", "max", "--shift-to-now")
        assert (await run_command("replay", *arguments, settings=settings)).returncode == 0
        await heard.until(9)
    last = datetime.fromisoformat(heard.payloads["city/parking/COME/count"][-1]["time"])
    assert before < last < datetime.now(UTC)


async def test_a_broken_connection_loses_nothing_and_keeps_the_order(
    broker: Mosquitto, play: Callable[..., asyncio.Task[Replay]], tmp_path: Path
) -> None:
    """What the broker took without that its answer arrived is sent again; what it acknowledged before is not."""
    polls = 1_200
    async with proxy_to(broker.url) as proxy, hearing(broker.url) as heard:
        playing = play(proxy.through, write_polls(tmp_path, polls), speed=None)
        for cut_at in (300, 600, 900):
            sent = proxy.stop_at(None, Origin.CLIENT, "PUBLISH", f'"free":{cut_at},'.encode())
            await sent.reached()
            answered = proxy.stop_at(None, Origin.SERVER, "PUBACK")
            sent.release()
            await answered.reached()
            answered.cut()
        replay = await playing
        await heard.until(3 * polls)

        async def all_heard() -> dict[str, list[int]]:
            return {topic: first_sights(payloads) for topic, payloads in heard.payloads.items()}

        expected = {f"city/parking/{code}/count": list(range(polls)) for code in NAMES}
        await eventually(all_heard, lambda seen: seen == expected)

    assert replay.summary()["acknowledged"] == 3 * polls
    assert 3 <= heard.count - 3 * polls <= 3 * IN_FLIGHT, (
        "once more what was cut off, and no more than can have been on its way"
    )


def first_sights(payloads: list[Any]) -> list[int]:
    """Give the numbers of polls in the order in which each was first heard."""
    return list(dict.fromkeys(payload["free"] for payload in payloads))


async def test_a_broker_that_is_away_is_waited_for(
    broker: Mosquitto, play: Callable[..., asyncio.Task[Replay]], tmp_path: Path
) -> None:
    """At the start, and when it goes between two polls: that is noticed at once, and not by the next one."""
    broker.stop()
    with structlog.testing.capture_logs() as logs:

        async def lost() -> int:
            return sum(log["event"] == "broker_lost" for log in logs)

        playing = play(broker.url, write_polls(tmp_path, 2, every=600), speed=100.0)
        await eventually(lost)
        broker.start()
        await eventually(lambda: connected(logs))
        before = await lost()
        broker.stop()
        await eventually(lost, lambda count: count > before, 4)
        assert not playing.done()
        broker.start()
        replay = await playing
    summary = replay.summary()
    assert (summary["acknowledged"], summary["messages"], summary["stopped"]) == (6, 6, False)


async def connected(logs: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a connection was logged."""
    return any(log["event"] == "broker_connected" for log in logs)


async def test_a_refusal_is_no_acknowledgement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str]
) -> None:
    """An account that may not write ends with status 1 and is told so, where the broker answers each message, too."""
    rights = tmp_path / "rights"
    rights.write_text("topic read city/#\n")
    rights.chmod(0o644)
    monkeypatch.setattr(harness.broker, "_CONFIGURATION", f"{harness.broker._CONFIGURATION}acl_file {rights}\n")  # noqa: SLF001
    strict = Mosquitto(tmp_path / "strict")
    strict.start()
    try:
        arguments = ("replay", str(write_polls(tmp_path, 3)), "--speed", "max")
        ended = await run_command(*arguments, settings=settings | {"ARCEAUX_BROKER_URL": strict.url})
    finally:
        strict.stop()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.search(r"arceaux: the broker refuses .* to city/parking/\w+/count \(NOT_AUTHORIZED\)", ended.stderr)
    assert "Traceback" not in ended.stderr


def start(settings: Mapping[str, str], *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start the command, not waiting for its end."""
    command = [sys.executable, "-m", "ingest", "replay", *arguments]
    return subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, stderr=stderr, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_and_tells_what_arrived(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path, number: int
) -> None:
    """Exit status 0, and no traceback."""
    async with hearing(broker.url) as heard:
        process = start(settings, str(write_polls(tmp_path, 3, every=3600)))
        await heard.until(3)
        process.send_signal(number)
        output, log = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 0, log
    told = json.loads(output)
    assert told["acknowledged"] <= 3
    assert (told["messages"], told["stopped"]) == (9, True)
    assert "Traceback" not in log


async def test_a_terminal_shows_how_far_it_is(settings: dict[str, str], tmp_path: Path) -> None:
    """With messages, pace, time left and the archive's time; the result alone is on standard output."""
    path = write_polls(tmp_path, 3, every=100)
    ours, theirs = pty.openpty()
    shell = {"TERM": "xterm", "COLUMNS": "120"}
    process = start(settings | shell, str(path), "--speed", "200", stderr=theirs)
    os.close(theirs)
    shown = await asyncio.to_thread(read_to_the_end, ours)
    output, _ = await asyncio.to_thread(process.communicate, timeout=30)
    line = r"[36]/9 messages  \d+/s  \d in flight  0:00:0\d left  2024-02-03 09:0\d:\d\dZ"
    assert re.search(line, shown), shown
    assert json.loads(output)["acknowledged"] == 9


def read_to_the_end(descriptor: int) -> str:
    """Read what a terminal gets until the other side is closed, which Linux tells by an error."""
    read = b""
    with os.fdopen(descriptor, "rb", buffering=0) as terminal, suppress(OSError):
        while part := terminal.read(65_536):
            read += part
    return read.decode()


async def test_rows_of_a_home_become_senml_packs(broker: Mosquitto, settings: dict[str, str], tmp_path: Path) -> None:
    """One pack a row, for the home that is named."""
    path = tmp_path / "home.csv"
    path.write_text("date,T1,RH_1\n2016/2/3 4:05,19.89,47.59666667\n2016/2/3 4:15,2E+01,nothing\n2016/2/3 4:25,20,47\n")
    async with hearing(broker.url) as heard:
        arguments = ("replay", str(path), "--dwelling", "hut-01", "--speed", "max")
        ended = await run_command(*arguments, settings=settings)
        await heard.until(2)
    told = json.loads(ended.stdout)
    assert (told["acknowledged"], told["skipped"], told["unknown_names"]) == (2, 1, 0)
    assert heard.payloads == {
        "city/dwellings/hut-01/senml": [
            [
                {"bt": 1454468700, "n": "kitchen/temperature", "u": "Cel", "v": 19.89},
                {"n": "kitchen/humidity", "u": "%RH", "v": 47.59666667},
            ],
            [
                {"bt": 1454469900, "n": "kitchen/temperature", "u": "Cel", "v": 20},
                {"n": "kitchen/humidity", "u": "%RH", "v": 47},
            ],
        ]
    }


async def test_a_table_is_played_by_the_names_of_its_columns(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    """Its car parks are found by their aliases; what is wrong in it is told by line and column."""
    path = tmp_path / "table.csv"
    path.write_text(
        "Parking;Date;Libres\nANTI;03/02/2024 10:00;12\nfr_foch;03/02/2024 10:01;x\nplace;03/02/2024 10:02;7\n"
    )
    columns = [f"--column={column}" for column in ("time=Date", "name=Parking", "free=Libres")]
    form = (
        "--delimiter",
        ";",
        "--zone",
        "Europe/Paris",
        "--time-format",
        "%d/%m/%Y %H:%M",
        "--rewrite",
        "city/#=city/x/#",
    )
    async with hearing(broker.url) as heard:
        ended = await run_command("replay", str(path), *columns, *form, "--speed", "max", settings=settings)
        await heard.until(2)
    assert json.loads(ended.stdout)["skipped"] == 1
    assert "where=table.csv:3" in ended.stderr
    assert "column 'Libres': 'x' is no whole number" in ended.stderr
    assert heard.payloads == {
        "city/x/parking/ANTI/count": [{"free": 12, "time": "2024-02-03T09:00:00Z"}],
        "city/x/parking/COME/count": [{"free": 7, "time": "2024-02-03T09:02:00Z"}],
    }


async def test_rounds_tell_new_times(broker: Mosquitto, settings: dict[str, str], tmp_path: Path) -> None:
    """Each a second more than the archive's length later; and only what is asked for is played."""
    path = write_polls(tmp_path, 5, "ANTI", every=60)
    part = ("--start", "2024-02-03T10:01:00+01:00", "--end", "2024-02-03T09:03:00Z")
    async with hearing(broker.url) as heard:
        arguments = ("replay", str(path), "--speed", "max", "--loop", "3", *part)
        ended = await run_command(*arguments, settings=settings)
        await heard.until(6)
    assert json.loads(ended.stdout)["messages"] == 6, ended.stderr
    expected = [
        {
            "free": poll,
            "total": 900,
            "time": f"{IN_UTC + timedelta(minutes=poll, seconds=61 * again):%Y-%m-%dT%H:%M:%S}Z",
        }
        for again in range(3)
        for poll in (1, 2)
    ]
    assert heard.payloads["city/parking/ANTI/count"] == expected


async def test_a_loop_goes_on_until_it_is_stopped(broker: Mosquitto, settings: dict[str, str], tmp_path: Path) -> None:
    async with hearing(broker.url) as heard:
        process = start(settings, str(write_polls(tmp_path, 2, "ANTI")), "--speed", "600", "--loop", "forever")
        await heard.until(7)
        process.send_signal(signal.SIGTERM)
        output, log = await asyncio.to_thread(process.communicate, timeout=30)
    told = json.loads(output)
    assert (process.returncode, told["messages"], told["stopped"]) == (0, None, True), log
    times = [datetime.fromisoformat(payload["time"]) for payload in heard.payloads["city/parking/ANTI/count"]]
    assert times == [IN_UTC + timedelta(seconds=number // 2 * 61 + number % 2 * 60) for number in range(len(times))]


async def test_what_cannot_be_replayed_is_one_line(settings: dict[str, str], tmp_path: Path) -> None:
    """Status 2 for what was asked for, without a connection; status 1 for what the archive turns out to be."""
    nobody = settings | {"ARCEAUX_BROKER_URL": "mqtt://127.0.0.1:1"}
    unknown = tmp_path / "unknown.dat"
    unknown.write_text("ANTI;1;2\n")
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    for arguments, status, told in (
        ([str(table)], 2, "--dwelling"),
        ([str(unknown)], 1, "nothing in it can be replayed (1 skipped)"),
    ):
        ended = await run_command("replay", *arguments, settings=nobody)
        assert (ended.returncode, ended.stdout) == (status, "")
        assert [line for line in ended.stderr.splitlines() if line.startswith("arceaux: ") and told in line]
        assert "Traceback" not in ended.stderr
