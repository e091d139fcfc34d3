"""`arceaux record` on a real broker: all that it acknowledged is in the file, whatever happens to either."""

import asyncio
import json
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from harness.broker import Mosquitto
from harness.clients import publish, publish_retained
from harness.proxy import Origin, proxy_to
from harness.recording import Recording, recording
from harness.service import run_command
from harness.waiting import eventually

from schemas.registry import Registry
from schemas.settings import BrokerAddress
from schemas.topics import Topics
from simulators.captures.capture_file import create
from simulators.captures.homes import Owners
from simulators.captures.lines import Captured
from simulators.captures.lines import Recording as Description
from simulators.captures.reading import CaptureReader
from simulators.captures.recorder import Recorder
from simulators.sending.connection import connect

REGISTRY = """
[[car_park]]
code = "ANTI"
name = "Antigone"
capacity = 40
basis = "count"

[[car_park.spot]]
label = "P-001"
dev_eui = "00000000000000AA"

[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true

[[dwelling.device]]
label = "fridge"
dev_eui = "00000000000000BB"
"""
BAY, ROOM, NOBODY = (f"application/1/device/00000000000000{name}/event/up" for name in ("aa", "bb", "cc"))
PACK = "city/dwellings/hut-01/senml"


@pytest.fixture
def settings(broker: Mosquitto, tmp_path: Path) -> dict[str, str]:
    """Give the settings of the command."""
    path = tmp_path / "city.toml"
    path.write_text(REGISTRY, encoding="utf-8")
    return {"ARCEAUX_BROKER_URL": broker.url, "ARCEAUX_REGISTRY": str(path)}


def numbered(count: int, begin: int = 0) -> list[tuple[str, bytes]]:
    """Make messages that can be told apart."""
    return [(f"city/parking/ANTI/spots/P-{n % 9:03}", b"%d" % n) for n in range(begin, begin + count)]


def said(messages: list[Captured]) -> list[tuple[str, bytes]]:
    """Give topics and payloads."""
    return [(message.topic, message.payload) for message in messages]


async def has_session(url: str, client_id: str) -> bool:
    """Ask the broker whether it has a session; another connection of that client ends by it."""
    connection = await connect(BrokerAddress(url), "test", lambda _: None, client_id=client_id, session_seconds=60)
    present = connection.session_present
    await connection.close()
    return present


async def test_what_is_sent_is_in_the_file_as_it_was(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    """In order, any bytes, with times that do not run back; the summary counts it, and the session is ended."""
    sent = [
        *numbered(3_000),
        ("city/parking/é", bytes(range(256))),
        ("city/parking/x", b""),
        (BAY, '{"é": 1}'.encode()),
    ]
    async with recording(tmp_path, settings) as record:
        await publish(broker.url, sent)
        await publish(broker.url, [("elsewhere/x", b"not asked for")])
        await record.holds(len(sent))
        summary = await record.stop()
    reader = CaptureReader(record.path)
    found = list(reader)
    assert said(found) == sent
    times = [message.at for message in found]
    assert times == sorted(times)
    assert not any(message.retain for message in found)
    assert summary.pop("seconds") > 0
    assert summary.pop("compressed_bytes") == record.path.stat().st_size
    assert summary == {
        "messages": len(sent),
        "bytes": sum(len(payload) for _, payload in sent),
        "topics": 12,
        "retained": 0,
        "dwellings_left_out": 0,
        "unknown_devices_left_out": 0,
        "session_ended": True,
    }
    assert reader.recording is not None
    assert not await has_session(broker.url, reader.recording.client_id)


async def test_what_was_retained_is_flagged(broker: Mosquitto, settings: dict[str, str], tmp_path: Path) -> None:
    """Once, since nobody knows how old it is; what is published to be retained meanwhile is news like any other."""
    await publish_retained(broker.url, "city/parking/old", b"old")
    async with recording(tmp_path, settings) as record:
        await publish_retained(broker.url, "city/parking/new", b"new")
        await record.holds(2)
        # What comes now is written after those two were acknowledged; it may itself come twice.
        await publish(broker.url, [("city/parking/x", b"next")])
        await record.holds(3)
        await record.stop(signal.SIGKILL)
        again = Recording(record.path, settings, "--append")
        await again.listening(2)
        await publish(broker.url, [("city/parking/y", b"end")])

        async def last() -> str:
            return list(CaptureReader(record.path))[-1].topic

        await eventually(last, lambda topic: topic == "city/parking/y")
        assert (await again.stop())["retained"] == 0
    found = Counter((message.topic, message.retain) for message in CaptureReader(record.path))
    assert found.pop(("city/parking/x", False)) in {1, 2}
    assert found == {("city/parking/old", True): 1, ("city/parking/new", False): 1, ("city/parking/y", False): 1}


async def test_homes_are_left_out_and_counted(broker: Mosquitto, settings: dict[str, str], tmp_path: Path) -> None:
    """By their topics and their devices, whatever is subscribed to; and devices that nobody knows."""
    sent = [(PACK, b"[]"), (ROOM, b"{}"), (NOBODY, b"{}"), (BAY, b"{}"), ("city/parking/ANTI/count", b"{}")]
    async with recording(tmp_path, settings, "--topic", "city/#", "--topic", "application/#") as record:
        await publish(broker.url, sent)
        await record.holds(2)
        summary = await record.stop(signal.SIGTERM)
    assert (summary["dwellings_left_out"], summary["unknown_devices_left_out"]) == (2, 1)
    assert said(list(CaptureReader(record.path))) == sent[3:]
    assert b"hut-01" not in record.path.read_bytes()


async def test_homes_are_recorded_where_they_are_asked_for(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    sent = [(PACK, b"[]"), (ROOM, b"{}"), (NOBODY, b"{}"), (BAY, b"{}")]
    async with recording(tmp_path, settings, "--with-dwellings") as record:
        await publish(broker.url, sent)
        await record.holds(4)
        summary = await record.stop()
    assert summary["dwellings_left_out"] == 0
    assert said(list(CaptureReader(record.path))) == sent


async def test_a_recorder_that_is_killed_loses_nothing(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    """What was sent while it was away, and what it had not acknowledged, comes when it goes on."""
    total = 12_000
    async with recording(tmp_path, settings) as record:
        sending = asyncio.create_task(publish(broker.url, numbered(total)))
        await record.holds(3_000)
        await record.stop(signal.SIGKILL)
        with record.path.open("ab") as torn:
            torn.write(b"\x1f\x8b\x08 torn")
        record.process = Recording(record.path, settings, "--append").process
        await record.listening(2)
        await sending
        found = await eventually_all(record, total)
        await record.stop()
    payloads = Counter(message.payload for message in found)
    assert set(payloads) == {payload for _, payload in numbered(total)}
    # At most what was in flight when it was killed.
    assert payloads.total() - total <= 8_000
    assert "capture_torn" in record.log.read_text()


async def eventually_all(record: Recording, total: int) -> list[Captured]:
    """Wait until so many different messages are in the file."""

    async def look() -> list[Captured]:
        return list(CaptureReader(record.path))

    return await eventually(look, lambda found: len({message.payload for message in found}) >= total, 60)


async def test_nothing_is_acknowledged_before_it_is_on_the_disk(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    """When a PUBACK is on its way, the file has the message; one that is lost makes it come again."""
    async with proxy_to(broker.url) as proxy:
        through = settings | {"ARCEAUX_BROKER_URL": proxy.through}
        async with recording(tmp_path, through) as record:
            for number in range(3):
                answered = proxy.stop_at(None, Origin.CLIENT, "PUBACK")
                await publish(broker.url, numbered(1, number))
                await answered.reached()
                assert numbered(1, number)[0] in said(list(CaptureReader(record.path)))
                answered.cut()
                await record.listening(number + 2)
            await record.holds(6)
            await record.stop()
    found = Counter(message.payload for message in CaptureReader(record.path))
    assert found.keys() == {b"0", b"1", b"2"}
    assert min(found.values()) >= 2


async def test_a_broker_that_restarts_is_waited_for(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    """Also one that is away at the start; its session is kept over a restart."""
    broker.stop()
    record = Recording(tmp_path / "a.jsonl.gz", settings)
    try:

        async def waits() -> bool:
            return "broker_lost" in record.log.read_text()

        await eventually(waits)
        broker.start()
        await record.listening()
        await publish(broker.url, numbered(50))
        await record.holds(50)
        broker.stop()
        broker.start()
        await publish(broker.url, numbered(50, 50))
        await record.listening(2)
        await record.holds(100)
        await record.stop()
    finally:
        record.process.kill()
        record.process.communicate()
    assert said(list(CaptureReader(record.path))) == numbered(100)


async def test_a_stop_while_the_broker_is_away_says_that_the_session_is_left(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    async with recording(tmp_path, settings) as record:
        await publish(broker.url, numbered(5))
        await record.holds(5)
        broker.stop()

        async def lost() -> bool:
            return "broker_lost" in record.log.read_text()

        await eventually(lost)
        assert (await record.stop())["session_ended"] is False
    assert "session_left" in record.log.read_text()
    broker.start()
    reader = CaptureReader(record.path)
    assert len(list(reader)) == 5
    assert reader.recording is not None
    assert await has_session(broker.url, reader.recording.client_id)


async def test_a_slow_disk_fills_no_memory(broker: Mosquitto, tmp_path: Path) -> None:
    """What waits to be written is bounded: the broker keeps the rest, and all of it is written in the end."""
    size, count = 1024 * 1024, 120
    described = Description(client_id="slow", topics=("city/#",), with_dwellings=False)
    file = create(tmp_path / "a", described)
    recorder = Recorder(BrokerAddress(broker.url), described, file, Owners(Registry(), Topics("city")))
    stop, is_fast = asyncio.Event(), threading.Event()
    write = file.append

    def append(messages: Sequence[Captured]) -> None:
        is_fast.wait()
        write(messages)

    file.append = append  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(recorder.run(stop))

    async def subscribed() -> bool:
        return recorder.started is not None

    async def held() -> int:
        return recorder.held

    async def written() -> int:
        return recorder.tally.messages

    try:
        await eventually(subscribed)
        await publish(broker.url, [("city/x", b"x" * size)] * count)
        most = await eventually(held, lambda seen: seen > 30 * size)
        assert await held() == most < 40 * size
        is_fast.set()
        await eventually(written, lambda seen: seen >= count)
    finally:
        is_fast.set()
        stop.set()
        await running
        file.close()
    assert recorder.tally.bytes == count * size


async def test_it_ends_after_its_duration(broker: Mosquitto, settings: dict[str, str], tmp_path: Path) -> None:
    ended = await run_command("record", str(tmp_path / "a"), "--duration", "1s", settings=settings)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["seconds"] >= 1
    assert broker.url


async def test_what_cannot_be_recorded_is_one_line(settings: dict[str, str], tmp_path: Path) -> None:
    """Status 1 where the broker grants less than QoS 1; wrong usage is 2, before anything is connected to."""
    nobody = settings | {"ARCEAUX_BROKER_URL": "mqtt://127.0.0.1:1"}
    there = tmp_path / "there"
    there.touch()
    strict = Mosquitto(tmp_path / "strict", options=["max_qos 0"])
    strict.start()
    try:
        for url, arguments, status, told in (
            (nobody, [str(there), "--append"], 2, "no capture"),
            (settings | {"ARCEAUX_BROKER_URL": strict.url}, [str(tmp_path / "y")], 1, "does not let us subscribe"),
        ):
            ended = await run_command("record", *arguments, settings=url)
            assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
            assert told in ended.stderr
            assert "Traceback" not in ended.stderr
    finally:
        strict.stop()
