"""The sender against a real broker that stops, freezes, refuses, and takes little at once."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from harness.broker import Mosquitto
from harness.clients import client
from harness.proxy import Origin, Proxy, proxy_to
from harness.waiting import eventually
from structlog.testing import capture_logs

from schemas.settings import BrokerAddress
from simulators.sending import connection
from simulators.sending.connection import RefusedError
from simulators.sending.sender import Sender

SECONDS = 30


@dataclass(frozen=True, slots=True)
class Numbered:
    """A message that says its number."""

    number: int
    due: float = 0.0
    size: int = 6
    retain: bool = False
    expiry: int | None = None
    topic: str = "sent/here"

    @property
    def payload(self) -> bytes:
        """Its number, with zeros before it."""
        return b"%0*d" % (self.size, self.number)


def numbered(count: int) -> list[Numbered]:
    return [Numbered(number) for number in range(count)]


class Sending:
    """A sender at work, and the numbers that it was told are acknowledged."""

    def __init__(self, url: str, messages: Iterable[Numbered], in_flight: int = 100) -> None:
        self.acknowledged: list[int] = []
        self.sender = Sender(BrokerAddress(url), "test", in_flight=in_flight, on_acknowledged=self.acknowledged.append)
        self.task = asyncio.create_task(self.sender.run(messages))

    async def end(self) -> None:
        """Wait for its end."""
        async with asyncio.timeout(SECONDS):
            await self.task

    async def in_flight(self) -> int:
        """Tell how many wait for their acknowledgement."""
        return self.sender.traffic.in_flight

    async def acknowledged_count(self) -> int:
        """Tell how many are acknowledged."""
        return len(self.acknowledged)


def reasons(logs: list[MutableMapping[str, Any]]) -> Callable[[], Awaitable[list[str]]]:
    """Give a look at why connections were lost so far."""

    async def look() -> list[str]:
        return [entry["reason"] for entry in logs if entry["event"] == "broker_lost"]

    return look


@contextmanager
def frozen(broker: Mosquitto) -> Iterator[None]:
    """Stop the broker where it stands; connections stay open."""
    (process,) = (child for child in psutil.Process().children() if str(broker.directory) in " ".join(child.cmdline()))
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextmanager
def mosquitto(directory: Path, port: int | None = None, options: tuple[str, ...] = ()) -> Iterator[Mosquitto]:
    """Run a broker with these lines of configuration."""
    broker = Mosquitto(directory / f"mosquitto-{len(options)}", options=options)
    if port is not None:
        broker.port, broker.url = port, broker.url.replace(str(broker.port), str(port))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


async def cut_at_acknowledgement(proxy: Proxy, number: int) -> None:
    """Cut the connection where the broker acknowledges the packet of this number; that is never told."""
    stop = proxy.stop_at(None, Origin.SERVER, "PUBACK", number.to_bytes(2, "big"))
    await stop.reached()
    stop.cut()


async def test_what_is_not_acknowledged_is_sent_again_in_order(broker: Mosquitto) -> None:
    """Over three connections everything arrives, first arrivals in order, and each is acknowledged once."""
    count = 3000
    arrived: list[int] = []
    async with client(broker.url) as subscriber, proxy_to(broker.url) as proxy:
        await subscriber.subscribe("sent/#", qos=1)
        sending = Sending(proxy.through, numbered(count))
        for number in (500, 1700):
            await cut_at_acknowledgement(proxy, number)
        await sending.end()
        async with asyncio.timeout(SECONDS):
            async for message in subscriber.messages:
                arrived.append(int(bytes(message.payload)))
                if arrived[-1] == count - 1:
                    break
    assert list(dict.fromkeys(arrived)) == list(range(count))
    assert len(arrived) > count, "nothing was sent again, so that this shows nothing"
    assert sending.acknowledged == list(range(count))
    assert (sending.sender.traffic.sent, sending.sender.traffic.in_flight) == (count, 0)
    assert sum(sending.sender.traffic.latency.counts) == sum(sending.sender.traffic.late.counts) == count


async def test_no_more_is_in_flight_than_the_broker_takes(tmp_path: Path) -> None:
    """The window is the broker's, also where another connection announces a smaller one."""
    with mosquitto(tmp_path, options=("max_inflight_messages 50",)) as broker:
        async with proxy_to(broker.url) as proxy:
            stop = proxy.stop_at(None, Origin.SERVER, "PUBACK")
            sending = Sending(proxy.through, numbered(200))
            await stop.reached()
            await eventually(sending.in_flight, lambda count: count == 50)
            broker.stop()
            again = proxy.stop_at(None, Origin.SERVER, "PUBACK")
            with mosquitto(tmp_path, broker.port, ("max_inflight_messages 7", "log_type all")):
                stop.cut()
                await again.reached()
                await eventually(sending.in_flight, lambda count: count == 7)
                again.release()
                await sending.end()
    assert sending.acknowledged == list(range(200))


async def test_a_broker_that_is_away_is_waited_for(broker: Mosquitto) -> None:
    """At the start as later on; the clock starts when it is there first."""
    broker.stop()
    with capture_logs() as logs:
        sending = Sending(broker.url, numbered(10))
        await eventually(reasons(logs))
        assert sending.sender.traffic.started == 0
        broker.start()
        await sending.end()
    assert sending.acknowledged == list(range(10))


async def test_a_frozen_broker_is_noticed(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing comes back, the connection is given up, and what was in flight is sent again."""
    monkeypatch.setattr(connection, "KEEP_ALIVE", 1)
    monkeypatch.setattr(connection, "_ANSWER_SECONDS", 0.5)
    with capture_logs() as logs:
        sending = Sending(broker.url, [Numbered(0), *(Numbered(number, 1.0) for number in range(1, 50))])
        await eventually(sending.acknowledged_count, bool)
        with frozen(broker):
            await eventually(reasons(logs), lambda told: "the broker said nothing for 1 s" in told)
            assert sending.sender.traffic.sent == 50
        await sending.end()
    assert sending.acknowledged == list(range(50))


async def test_whoever_holds_reading_is_not_cut_off(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder whose disk is slow hears nothing for as long, and that is no dead broker."""
    held = await connection.connect(BrokerAddress(broker.url), "test", lambda _: None)
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.1)
    alive = asyncio.create_task(held.keep_alive())
    held.hold()
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def elapsed() -> float:
        return loop.time() - began

    await eventually(elapsed, lambda seconds: seconds > 0.5)
    assert not held.lost.done()
    held.release()
    await held.close()
    with pytest.raises(connection.BrokenError):
        await alive


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("acl_file {directory}/acl",), r"refuses what is published to sent/here \(NOT_AUTHORIZED\)"),
        (("max_packet_size 200",), r"a message to sent/here of 3\d\d bytes is larger than the broker takes \(200\)"),
        (("message_size_limit 200",), "a message is larger than the broker takes: see its message_size_limit"),
        (("allow_anonymous false",), r"does not let us in \(NOT_AUTHORIZED\)"),
    ],
    ids=["topic", "packet", "payload", "login"],
)
async def test_a_refusal_is_an_error(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    """What waiting does not mend is not tried again."""
    (tmp_path / "acl").write_text("topic read #\n")
    (tmp_path / "acl").chmod(0o644)
    with mosquitto(tmp_path, options=tuple(option.format(directory=tmp_path) for option in options)) as broker:
        sending = Sending(broker.url, [Numbered(0, size=300)])
        with pytest.raises(RefusedError, match=told):
            await sending.end()
    assert sending.acknowledged == []


async def test_a_stop_waits_for_what_is_in_flight(broker: Mosquitto) -> None:
    """Told to stop, the sender hands over no further message, and ends when the broker has acknowledged all before."""
    async with proxy_to(broker.url) as proxy:
        stop = proxy.stop_at(None, Origin.SERVER, "PUBACK", (40).to_bytes(2, "big"))
        sending = Sending(proxy.through, numbered(100_000))
        await stop.reached()
        sending.sender.stop()
        stop.release()
        await sending.end()
    sent = sending.sender.traffic.sent
    assert 40 <= sent < 100_000
    assert sending.acknowledged == list(range(sent))


@pytest.mark.parametrize("in_flight", [False, True])
async def test_a_stop_does_not_wait_for_a_broker_that_is_away(broker: Mosquitto, *, in_flight: bool) -> None:
    """Neither before the first connection nor after one that broke."""
    async with proxy_to(broker.url) as proxy:
        if not in_flight:
            broker.stop()
        stop = proxy.stop_at(None, Origin.SERVER, "PUBACK")
        sending = Sending(proxy.through, numbered(1000))
        if in_flight:
            await stop.reached()
            broker.stop()
            stop.cut()
        sending.sender.stop()
        await sending.end()
    assert sending.acknowledged == []
