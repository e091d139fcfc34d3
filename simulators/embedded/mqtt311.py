"""MQTT 3.1.1 spoken to a broker of MQTT 5: packets translated both ways, as bytes. No I/O.

The two versions differ in what this demo needs by little: MQTT 5 has a list of properties in most packets, and reason
codes where 3.1.1 has fewer or none. https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html, chapter 3.
"""

from enum import IntEnum
from typing import Final

LEVEL: Final = 4
"""The protocol level that CONNECT of MQTT 3.1.1 carries."""


class _Kind(IntEnum):
    """Packet types; those from PUBACK, which follows PUBLISH, to PUBCOMP carry a packet identifier and little else."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    DISCONNECT = 14


_MQTT_5: Final = 5
_NO_PROPERTIES: Final = b"\0"
_KEEP_SESSION: Final = b"\5\x11\xff\xff\xff\xff"
"""Session Expiry Interval without end, which is what 3.1.1 means by a session that is not clean."""
_CLEAN_SESSION, _WILL = 0b10, 0b100
_REFUSED: Final = 5
_FAILURE: Final = 0x80
_CONNECT_HEAD: Final = 10
"""Bytes of CONNECT before the client identifier: protocol name, level, flags, keep-alive."""


class Packets:
    """Cuts a stream of bytes into MQTT packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, give the packets that are whole. Raises ValueError for a length that is none."""
        self._buffer += data
        packets = []
        while (size := _packet_size(self._buffer)) is not None and size <= len(self._buffer):
            packets.append(bytes(self._buffer[:size]))
            del self._buffer[:size]
        return packets


def to_mqtt5(packet: bytes) -> bytes:
    """Translate a client's packet of 3.1.1. Raises IndexError or ValueError for what is malformed."""
    kind, body = packet[0] >> 4, _body(packet)
    match kind:
        case _Kind.CONNECT:
            body = _connect(body)
        case _Kind.PUBLISH:
            at = _after_string(body, 0) + (2 if packet[0] & 0b110 else 0)
            body = body[:at] + _NO_PROPERTIES + body[at:]
        case _Kind.SUBSCRIBE | _Kind.UNSUBSCRIBE:
            body = body[:2] + _NO_PROPERTIES + body[2:]
    return _packet(packet[0], body)


def to_mqtt311(packet: bytes) -> bytes:
    """Translate a broker's packet of MQTT 5; gives nothing for one that 3.1.1 does not have."""
    kind, body = packet[0] >> 4, _body(packet)
    match kind:
        case _Kind.CONNACK:
            body = bytes((body[0], _REFUSED if body[1] else 0))
        case _Kind.PUBLISH:
            at = _after_string(body, 0) + (2 if packet[0] & 0b110 else 0)
            body = body[:at] + body[_after_properties(body, at) :]
        case _ if _Kind.PUBACK <= kind <= _Kind.PUBCOMP or kind == _Kind.UNSUBACK:
            body = body[:2]
        case _Kind.SUBACK:
            body = body[:2] + bytes(min(code, _FAILURE) for code in body[_after_properties(body, 2) :])
        case _Kind.DISCONNECT:
            return b""
    return _packet(packet[0], body)


def _connect(body: bytes) -> bytes:
    flags = body[7]
    properties = _NO_PROPERTIES if flags & _CLEAN_SESSION else _KEEP_SESSION
    at = _after_string(body, _CONNECT_HEAD)
    will_properties = _NO_PROPERTIES if flags & _WILL else b""
    head = body[:6] + bytes((_MQTT_5,)) + body[7:_CONNECT_HEAD]
    return head + properties + body[_CONNECT_HEAD:at] + will_properties + body[at:]


def _packet_size(data: bytes | bytearray) -> int | None:
    """Give the size of the packet that begins here, None where its length is not all there yet."""
    length = 0
    for place, byte in enumerate(data[1:5]):
        length += (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that the length goes on
            return 2 + place + length
    if len(data) > 4:  # noqa: PLR2004 - the longest length has four bytes
        raise ValueError("a remaining length of more than four bytes")
    return None


def _body(packet: bytes) -> bytes:
    start = 1
    while packet[start] & 0x80:
        start += 1
    return packet[start + 1 :]


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _variable_integer(len(body)) + body


def _variable_integer(value: int) -> bytes:
    digits = []
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))


def _after_string(body: bytes, at: int) -> int:
    return at + 2 + int.from_bytes(body[at : at + 2])


def _after_properties(body: bytes, at: int) -> int:
    length = place = 0
    while True:
        byte = body[at + place]
        length += (byte & 0x7F) << 7 * place
        place += 1
        if byte < 0x80:  # noqa: PLR2004 - as above
            return at + place + length
