"""One port for MQTT 3.1.1 and MQTT 5, before a broker that speaks MQTT 5: docs/decisions/0008-front-door.md."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from simulators.embedded import mqtt311
from simulators.embedded.ports import LOOPBACK

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Translate = Callable[[bytes], bytes]

_CONNECT: Final = 0x10
_LONGEST_LENGTH: Final = 4
_CHUNK: Final = 65536
_PATIENCE: Final = 10.0


@asynccontextmanager
async def open_front_door(port: int, inside: int) -> AsyncIterator[None]:
    """Listen on a port of the loopback; hand each connection on to the port `inside`, where MQTT 5 is spoken.

    What clients of 3.1.1 say is translated; the others' bytes pass as they are, for the broker to judge.
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
            there = await asyncio.open_connection(LOOPBACK, inside)
            await _join((reader, writer), there, read, is_older=level == mqtt311.LEVEL)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client left before it said anything, or the broker is gone: either way there is nobody to tell
        except asyncio.CancelledError:
            pass  # the door closes; before Python 3.12 asyncio's streams log a task that ends cancelled as an error
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


async def _join(here: Stream, there: Stream, read: bytes, *, is_older: bool) -> None:
    """Carry bytes both ways until one side ends; `read` are those that were read already."""
    onward, back = (mqtt311.to_mqtt5, mqtt311.to_mqtt311) if is_older else (None, None)
    ways = [
        asyncio.create_task(_carry(here[0], there[1], read, onward)),
        asyncio.create_task(_carry(there[0], here[1], b"", back)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        there[1].transport.abort()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, translate: Translate | None
) -> None:
    """Carry until the reader ends. Ends with an error, and with it the connection, on a malformed packet."""
    packets = mqtt311.Packets()
    while True:
        writer.write(b"".join(map(translate, packets.feed(data))) if translate else data)
        await writer.drain()
        data = await reader.read(_CHUNK)
        if not data:
            return
