"""A city's devices behind one MQTT connection: seeded facts, and which of them the broker has acknowledged."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple
from urllib.parse import urlsplit

import mqtt5

from harness.city import PARKING

Fact = tuple[str, int, tuple[float | str, ...]]
"""What was measured: the source, when (microseconds since 1970), and the values."""
REGISTRY = f"""{PARKING}
[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
"""
SPOTS = {"ANTI": [f"P-{n:03d}" for n in range(1, 40)], "FOCH": [f"A-{n:02d}" for n in range(1, 61)]}
_HOUR = 3600 * 10**6
_PACK = 4
_WINDOW = 1000
_PULSE = 0.01
_RECONNECT = 0.05
_PACKET_IDS = 60_000


class Message(NamedTuple):
    """What a device sends, and the facts in it."""

    topic: str
    payload: bytes
    facts: tuple[Fact, ...]


class Devices:
    """Publishes at QoS 1 until acknowledged, over one connection after the other, as devices do."""

    def __init__(self, url: str, seed: int) -> None:
        address = urlsplit(url)
        self._address = (address.hostname, address.port)
        self._messages = random_messages(random.Random(seed), now=int(datetime.now(UTC).timestamp() * 1e6))
        self._waiting: dict[int, Message] = {}
        self._next_id = 1
        self.messages = 0
        """How many messages the broker has acknowledged."""
        self.offered: dict[tuple[str, bytes], tuple[Fact, ...]] = {}
        self.acknowledged: set[Fact] = set()

    async def publish(self, count: int) -> list[Message]:
        """Publish so many messages as fast as they are acknowledged; give them."""
        messages = list(islice(self._messages, count))
        await self._publish(iter(messages), _WINDOW, asyncio.Event())
        return messages

    @asynccontextmanager
    async def streaming(self, rate: int) -> AsyncIterator[None]:
        """Publish so many messages a second while the context lasts; at its end all are acknowledged."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish(self._messages, round(rate * _PULSE), stop))
            try:
                yield
            finally:
                stop.set()

    async def _publish(self, messages: Iterator[Message], pulse: int, stop: asyncio.Event) -> None:
        while True:
            try:
                await self._converse(messages, pulse, stop)
            except OSError:
                await asyncio.sleep(_RECONNECT)  # the broker is away: devices try again
            else:
                return

    async def _converse(self, messages: Iterator[Message], pulse: int, stop: asyncio.Event) -> None:
        """Connect, and publish up to `pulse` messages a beat until told to stop or nothing is left."""
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(mqtt5.ConnectPacket(f"devices-{id(self)}", clean_start=True).write())
            listening = asyncio.create_task(self._listen(reader))
            # The broker has forgotten what it did not acknowledge, and the devices have not.
            writer.write(b"".join(_packet(number, message) for number, message in self._waiting.items()))
            while True:
                room = min(pulse, _WINDOW - len(self._waiting))
                chunk = [] if stop.is_set() else [self._take(message) for message in islice(messages, room)]
                if not self._waiting and (stop.is_set() or len(chunk) < room):
                    return
                writer.write(b"".join(chunk))
                await writer.drain()
                await asyncio.wait([listening], timeout=_PULSE)
                if listening.done():
                    listening.result()
        finally:
            listening.cancel()
            writer.transport.abort()

    def _take(self, message: Message) -> bytes:
        """Give a message's packet, under a number of its own."""
        while self._next_id in self._waiting:
            self._next_id = self._next_id % _PACKET_IDS + 1
        self._waiting[self._next_id] = message
        self.offered[message.topic, message.payload] = message.facts
        return _packet(self._next_id, message)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Note what is acknowledged, until the connection ends with an error."""
        buffer = b""
        while data := await reader.read(65536):
            buffer += data
            used = 0
            while used < len(buffer):
                try:
                    packet, size = mqtt5.read(memoryview(buffer)[used:])
                except IndexError:
                    break
                used += size
                if isinstance(packet, mqtt5.PubAckPacket):
                    self._acknowledge(packet)
            buffer = buffer[used:]
        raise ConnectionError("the broker closed the connection")

    def _acknowledge(self, packet: mqtt5.PubAckPacket) -> None:
        # "No matching subscribers" would be a message that no session waits for: nothing promises to keep that.
        assert packet.reason_code is mqtt5.PubAckReasonCode.SUCCESS, packet.reason_code
        message = self._waiting.pop(packet.packet_id)
        self.messages += 1
        self.acknowledged.update(message.facts)


def random_messages(rng: random.Random, now: int) -> Iterator[Message]:
    """Make messages of the last hour in random order, for ever: bays, a counter, a home; some come twice."""
    while True:
        at = now - rng.randrange(_HOUR)
        dice = rng.random()
        if dice < 0.8:
            message = _spot(rng, at)
        elif dice < 0.9:
            message = _count(rng, at)
        else:
            message = _pack(rng, at // 1000 * 1000)
        yield message
        if rng.random() < 0.05:
            yield message


def _spot(rng: random.Random, at: int) -> Message:
    park = rng.choice(list(SPOTS))
    spot, occupied = rng.choice(SPOTS[park]), rng.random() < 0.5
    payload = json.dumps({"occupied": occupied, "time": at}).encode()
    return Message(f"city/parking/{park}/spots/{spot}", payload, ((f"{park}/{spot}", at, (int(occupied),)),))


def _count(rng: random.Random, at: int) -> Message:
    free = rng.randrange(664)
    payload = json.dumps({"free": free, "total": 664, "time": at}).encode()
    return Message("city/parking/COME/count", payload, (("COME", at, (free, 664, "")),))


def _pack(rng: random.Random, at: int) -> Message:
    values = [rng.randrange(1500, 2500) / 100 for _ in range(_PACK)]
    records = [{"n": f"room/{n}", "u": "Cel", "v": value} for n, value in enumerate(values)]
    payload = json.dumps([{"bt": at / 10**6} | records[0], *records[1:]]).encode()
    facts = tuple((f"room/{n}", at, (value,)) for n, value in enumerate(values))
    return Message("city/dwellings/hut-01/senml", payload, facts)


def _packet(number: int, message: Message) -> bytes:
    return mqtt5.PublishPacket(message.topic, message.payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number).write()
