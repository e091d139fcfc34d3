"""`arceaux replay` of a capture on a real broker: the bytes, the order, the pace and the times that arrive."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import AT_LEAST_ONCE, all_retained, client
from harness.service import run_command
from harness.waiting import eventually

from simulators.captures.capture_file import create
from simulators.captures.lines import Captured, Recording

BEGIN = 1_706_961_600_000_000
"""2024-02-03T12:00:00Z."""
COUNT = "city/parking/ANTI/count"


@pytest.fixture
def settings(broker: Mosquitto, registry_path: Path) -> dict[str, str]:
    """Give the settings of the command."""
    return {"ARCEAUX_BROKER_URL": broker.url, "ARCEAUX_REGISTRY": str(registry_path)}


def capture(directory: Path, messages: list[Captured]) -> str:
    """Write a capture."""
    path = directory / "city.jsonl.gz"
    file = create(path, Recording(client_id="x", topics=("#",), with_dwellings=True))
    file.append(messages)
    file.close()
    return str(path)


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[list[tuple[str, bytes]]]:
    """Hear everything: topics and payloads, in their order."""
    heard: list[tuple[str, bytes]] = []

    async def listen(messages: AsyncIterator[Any]) -> None:
        async for message in messages:
            heard.append((str(message.topic), message.payload))  # noqa: PERF401 - heard one by one, for ever

    async with client(url) as connected:
        await connected.subscribe("#", qos=AT_LEAST_ONCE)
        listening = asyncio.create_task(listen(connected.messages))
        try:
            yield heard
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def replay(settings: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Replay to the end; give the summary."""
    ended = await run_command("replay", *arguments, settings=settings)
    assert ended.returncode == 0, ended.stderr
    summary: dict[str, Any] = json.loads(ended.stdout)
    return summary


async def until(heard: list[tuple[str, bytes]], count: int) -> None:
    """Wait until so many messages were heard."""

    async def look() -> int:
        return len(heard)

    await eventually(look, lambda seen: seen >= count)


async def test_bytes_arrive_as_they_were_captured(broker: Mosquitto, settings: dict[str, str], tmp_path: Path) -> None:
    """In the capture's order, whatever they are; those that were retained before are left out and counted."""
    messages = [Captured(BEGIN + n * 10, f"city/{n % 7}", bytes([n % 256, 0, 255])) for n in range(3_000)]
    old = Captured(BEGIN, "city/old", b"old", retain=True)
    async with hearing(broker.url) as heard:
        summary = await replay(settings, capture(tmp_path, [old, *messages]))
        await until(heard, len(messages))
    assert heard == [(message.topic, message.payload) for message in messages]
    assert (summary["acknowledged"], summary["retained_left_out"], summary["untimed"]) == (3_000, 1, 0)
    assert await all_retained(broker.url) == {}


async def test_retained_messages_are_sent_where_they_are_asked_for(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    old = [Captured(BEGIN, "city/old", b"old", retain=True), Captured(BEGIN, "city/new", b"new")]
    summary = await replay(settings, capture(tmp_path, old), "--retained", "--rewrite", "city/+=x/+")
    assert (summary["acknowledged"], summary["retained_left_out"]) == (2, 0)
    assert await all_retained(broker.url) == {"x/old": b"old"}


async def test_shifted_times_end_when_the_last_one_is_due(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    """All by the same whole seconds, in their own forms; what tells none stays. None is sent before it is due."""
    seconds = BEGIN // 10**6
    messages = [
        Captured(BEGIN, COUNT, b'{"free": 1.0, "time": "2024-02-03T13:00:00+01:00"}'),
        Captured(BEGIN + 10**6, COUNT, b'{"free":2,"time":%d}' % seconds),
        Captured(BEGIN + 2 * 10**6, "city/dwellings/h/senml", b'[{"bt":%d.5,"n":"a","v":1}]' % seconds),
        Captured(BEGIN + 3 * 10**6, COUNT, b'{"free":4}'),
    ]
    before = datetime.now(UTC)
    async with hearing(broker.url) as heard:
        summary = await replay(settings, capture(tmp_path, messages), "--speed", "2", "--shift-to-now")
        after = datetime.now(UTC)
        await until(heard, 4)
    assert summary["untimed"] == 1
    assert after - before >= timedelta(seconds=1.5)
    told = datetime.fromisoformat(json.loads(heard[0][1])["time"])
    shift = told - datetime.fromtimestamp(seconds, UTC)
    last = datetime.fromtimestamp(seconds + 3, UTC) + shift
    assert before - timedelta(seconds=1) <= last <= after
    added = int(shift.total_seconds())
    assert [payload for _, payload in heard] == [
        b'{"free": 1.0, "time": "%s"}' % told.isoformat().encode(),
        b'{"free":2,"time":%d}' % (seconds + added),
        b'[{"bt":%d.5,"n":"a","v":1}]' % (seconds + added),
        b'{"free":4}',
    ]


async def test_a_part_is_played_again_and_again(broker: Mosquitto, settings: dict[str, str], tmp_path: Path) -> None:
    """The first round as it was, to the byte; the others later by whole seconds."""
    messages = [
        Captured(BEGIN + n * 100_000, COUNT, b'{"free": %d, "time":%d}' % (n, BEGIN + n * 100_000)) for n in range(20)
    ]
    part = ("--start", "2024-02-03T12:00:00.5Z", "--end", "2024-02-03T12:00:00.8Z", "--loop", "2", "--speed", "max")
    async with hearing(broker.url) as heard:
        summary = await replay(settings, capture(tmp_path, messages), *part)
        await until(heard, 6)
    assert summary["messages"] == 6
    told = [json.loads(payload)["time"] for _, payload in heard]
    assert [payload for _, payload in heard[:3]] == [message.payload for message in messages[5:8]]
    assert [later - first for first, later in zip(told[:3], told[3:], strict=True)] == [10**6] * 3


async def test_a_torn_capture_is_played_to_where_it_is_whole(
    broker: Mosquitto, settings: dict[str, str], tmp_path: Path
) -> None:
    """That is told; a damaged one sends nothing at all."""
    path = capture(tmp_path, [Captured(BEGIN, COUNT, b"1")])
    spoil(path, cut=True)
    ended = await run_command("replay", path, settings=settings)
    assert json.loads(ended.stdout)["acknowledged"] == 1
    assert "capture_torn" in ended.stderr
    spoil(path, cut=False)
    async with hearing(broker.url) as heard:
        ended = await run_command("replay", path, settings=settings)
    assert (ended.returncode, ended.stdout, heard) == (1, "", [])
    assert "damaged at byte" in ended.stderr


def spoil(name: str, *, cut: bool) -> None:
    """Write a member of a file once more, and cut that; or spoil one that others follow."""
    path = Path(name)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-9] if cut else whole[:-9] + bytes(9) + whole)
