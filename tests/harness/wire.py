"""What goes over the wire, frame by frame: MQTT packets and PostgreSQL messages. No I/O."""

from collections.abc import Callable
from typing import NamedTuple

_PACKETS = (
    *("RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK"),
    *("UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"),
)
_STARTUP = "startup"
Measure = Callable[[bytes, int, bool], tuple[str, int] | None]
"""Gives kind and end of the frame that begins at an offset, None where even its length is incomplete.

The last argument tells whether it is the first frame of its direction.
"""


class Frame(NamedTuple):
    """One packet or message: its kind (`PUBLISH`; `d` for CopyData), and all its bytes."""

    kind: str
    data: bytes


class Cutter:
    """Cuts one direction of a connection into whole frames; keeps what is incomplete."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._rest = b""
        self._is_first = True

    def take(self, data: bytes) -> list[Frame]:
        """Give the frames that these bytes complete."""
        whole, at = self._rest + data, 0
        frames: list[Frame] = []
        while (measured := self._measure(whole, at, self._is_first)) is not None and measured[1] <= len(whole):
            kind, end = measured
            frames.append(Frame(kind, whole[at:end]))
            self._is_first, at = False, end
        self._rest = whole[at:]
        return frames


def measure_mqtt(data: bytes, at: int, is_first: bool) -> tuple[str, int] | None:  # noqa: ARG001 - as its sibling
    """Measure an MQTT packet, either way."""
    length = shift = 0
    for index in range(at + 1, min(at + 5, len(data))):
        length |= (data[index] & 0x7F) << shift
        if data[index] < 0x80:
            return _PACKETS[data[at] >> 4], index + 1 + length
        shift += 7
    return None


def measure_request(data: bytes, at: int, is_first: bool) -> tuple[str, int] | None:
    """Measure what a database's client says; its first message has no type."""
    head = 0 if is_first else 1
    if len(data) < at + head + 4:
        return None
    kind = _STARTUP if is_first else chr(data[at])
    return kind, at + head + int.from_bytes(data[at + head : at + head + 4], "big")


def measure_answer(data: bytes, at: int, is_first: bool) -> tuple[str, int] | None:  # noqa: ARG001 - as its sibling
    """Measure what a database says to a client that did not ask for encryption."""
    return measure_request(data, at, is_first=False)


def peer_of(frame: Frame) -> str:
    """Tell who opened a connection by its first frame: an MQTT client id, or an application's name."""
    if frame.kind == _STARTUP:
        words = frame.data[8:].split(b"\0")
        return dict(zip(words[::2], words[1::2], strict=False)).get(b"application_name", b"").decode()
    body = frame.data[2 if frame.data[1] < 0x80 else 3 :]
    assert body[2:7] == b"MQTT\x05", "not a client of MQTT 5"
    properties = body[10]
    assert properties < 0x80, "more properties than expected"
    at = 11 + properties
    return body[at + 2 : at + 2 + int.from_bytes(body[at : at + 2], "big")].decode()
