"""A publisher that sends what a well-behaved client library refuses to send."""

import asyncio
import secrets
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import urlsplit

import mqtt5

_FAILURE = 0x80
"""Reason codes from here on are refusals."""
_SECONDS = 10

PacketT = TypeVar("PacketT", mqtt5.ConnAckPacket, mqtt5.PubAckPacket)


async def publish_apart(url: str, messages: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Publish each at QoS 1 on a connection of its own; give those that the broker has acknowledged.

    What it refuses it answers by ending the connection, or by a reason code.
    """
    acknowledged = []
    for topic, payload in messages:
        async with asyncio.timeout(_SECONDS):
            if await _is_acknowledged(url, _publication(topic, payload)):
                acknowledged.append((topic, payload))
    return acknowledged


def _publication(topic: str, payload: bytes) -> bytes:
    """Encode a publication at QoS 1, by hand: the codec refuses wildcards."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + (1).to_bytes(2, "big") + b"\0" + payload
    length, rest = bytearray(), len(body)
    while rest:
        rest, digit = divmod(rest, 128)
        length.append(digit | 128 if rest else digit)
    return b"\x32" + bytes(length) + body


async def _is_acknowledged(url: str, publication: bytes) -> bool:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(mqtt5.ConnectPacket(f"raw-{secrets.token_hex(4)}", clean_start=True, keep_alive=30).write())
        await _read(reader, mqtt5.ConnAckPacket)
        writer.write(publication)
        answer = await _read(reader, mqtt5.PubAckPacket)
    except (ConnectionError, asyncio.IncompleteReadError):
        return False
    else:
        return answer.reason_code.value < _FAILURE
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, wanted: type[PacketT]) -> PacketT:
    """Read one packet; raises ConnectionError where it is another one, such as DISCONNECT."""
    # The answers wanted are shorter than 128 bytes: one byte tells how many follow.
    head = await reader.readexactly(2)
    packet, _ = mqtt5.read(memoryview(head + await reader.readexactly(head[1])))
    if not isinstance(packet, wanted):
        raise ConnectionError(type(packet).__name__)
    return packet
