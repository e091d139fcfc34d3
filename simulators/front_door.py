"""One port for MQTT 3.1.1 and MQTT 5, before a broker that wants a port for each.

rumqttd does, and a client that is given one address should not have to know. Besides, its side for MQTT 3.1.1 ends for
good on the first publication that carries a property of MQTT 5, such as a Message Expiry: the door takes those off.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import mqtt5

from simulators.ports import LOOPBACK

MQTT_311: Final = 4
MQTT_5: Final = 5
"""The protocol levels that CONNECT carries."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CONNECT: Final = 0x10
_LONGEST_LENGTH: Final = 4
_CHUNK: Final = 65536
_PATIENCE: Final = 10.0


@asynccontextmanager
async def open_front_door(port: int, doors: Mapping[int, int]) -> AsyncIterator[None]:
    """Listen on a port of the loopback; hand each connection on to the port that `doors` gives for its level.

    A level that has no door gets the one of MQTT 3.1.1, whose broker refuses it in words a client understands.
    """
    guests: set[asyncio.Task[None]] = set()

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            guests.add(task)
            task.add_done_callback(guests.discard)
        try:
            async with asyncio.timeout(_PATIENCE):
                level, read = await _read_level(reader)
            there = await asyncio.open_connection(LOOPBACK, doors.get(level, doors[MQTT_311]))
            await _join((reader, writer), there, bytearray(read), bare=level == MQTT_5)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client left before it said anything, or the broker is gone: either way there is nobody to tell
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(welcome, LOOPBACK, port)
    try:
        yield
    finally:
        server.close()
        for guest in guests:
            guest.cancel()
        await asyncio.gather(*guests, return_exceptions=True)


async def _read_level(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read as much of CONNECT as tells its protocol level; gives 0 for anything else."""
    read = await reader.readexactly(1)
    if read[0] != _CONNECT:
        return 0, read
    for _ in range(_LONGEST_LENGTH):
        read += await reader.readexactly(1)
        if read[-1] < 0x80:  # noqa: PLR2004 - the bit that says that the length goes on
            break
    size = await reader.readexactly(2)
    name_and_level = await reader.readexactly(int.from_bytes(size) + 1)
    return name_and_level[-1], read + size + name_and_level


async def _join(here: Stream, there: Stream, read: bytearray, *, bare: bool) -> None:
    """Carry bytes both ways until one side ends; `read` are those that were read already."""
    onward = _carry_bare(here[0], there[1], read) if bare else _carry(here[0], there[1], read)
    ways = [asyncio.create_task(onward), asyncio.create_task(_carry(there[0], here[1], b""))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        there[1].transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes | bytearray) -> None:
    writer.write(data)
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def _carry_bare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, buffer: bytearray) -> None:
    """Carry packets of MQTT 5, publications without their properties. Ends with a ValueError on what is none."""
    while data := await reader.read(_CHUNK):
        buffer += data
        writer.write(_take_bare(buffer))
        await writer.drain()


def _take_bare(buffer: bytearray) -> bytes:
    """Take the whole packets off the buffer."""
    taken = []
    used = 0
    with memoryview(buffer) as view:
        while used < len(view):
            try:
                packet, size = mqtt5.read(view[used:])
            except IndexError:  # the rest of a packet is still to come
                break
            # A topic alias is a property that cannot be done without.
            if isinstance(packet, mqtt5.PublishPacket) and packet.topic_alias is None:
                taken.append(_undress(packet))
            else:
                taken.append(bytes(view[used : used + size]))
            used += size
    del buffer[:used]
    return b"".join(taken)


def _undress(packet: mqtt5.PublishPacket) -> bytes:
    return mqtt5.PublishPacket(
        packet.topic,
        packet.payload,
        qos=packet.qos,
        retain=packet.retain,
        packet_id=packet.packet_id,
        duplicate=packet.duplicate,
    ).write()
