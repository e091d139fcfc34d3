"""Uplinks of LoRaWAN devices, as ChirpStack v4 and The Things Stack v3 tell them: one shape for both.

A field that is missing is 0 or empty: both leave such fields out. The time is the network server's. Clocks of gateways
are not looked at.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from pydantic_core import from_json

from processors.columns import NO_FRAME
from processors.faults import explain
from processors.rejects import RejectedError
from processors.times import to_micros
from schemas import payloads
from schemas.reasons import Reason
from schemas.topics import Route

_NOT_DECODED: Final = "no decoded payload: configure a payload codec (formatter) for the device at the network server"
_NUMBER: Final = re.compile(r" *[-+]?[0-9]{1,20}(\.[0-9]{0,20})?([eE][-+]?[0-9]{1,3})? *")
Time = str | float | None


class Uplink(NamedTuple):
    """What is used of an uplink: `time` in microseconds, None where none was told.

    `counter` is the frame counter in the `session`, which is empty where it was not told. `fields` are what the codec
    made of the payload, None where the frame carried none or the codec found nothing in it.
    """

    time: int | None
    session: str
    counter: int
    fields: Mapping[str, Any] | None

    @property
    def number(self) -> int:
        """A number that is the same when this frame comes again; NO_FRAME where that cannot be told.

        That is so of counter 0, too: there are devices that never count.
        """
        return _hash(f"{self.session} {self.counter}") if self.session and self.counter else NO_FRAME

    def frame(self, occupied: bool) -> int:
        """Give a number that is the same when this frame comes again with this state; NO_FRAME without a session."""
        return _hash(f"{self.session} {self.counter} {occupied:d}") if self.session else NO_FRAME


class _Told(NamedTuple):
    """What a network server tells of an uplink."""

    time: Time
    session: str
    counter: int
    data: str
    fields: Mapping[str, Any] | None
    is_simulated: bool = False


def parse(route: Route, payload: bytes, zone: ZoneInfo | None = None) -> Uplink | None:
    """Read an uplink; None for one that was only simulated. `zone` serves a time without an offset.

    Raises RejectedError for what is no uplink, and for one with a payload that nobody has decoded.
    """
    try:
        document = from_json(payload, allow_inf_nan=False)
    except ValueError:
        raise RejectedError(Reason.MALFORMED_PAYLOAD, "not JSON") from None
    try:
        told = _READERS[route](document)
        time = None if told.time is None else to_micros(told.time, zone)
    except ValueError as error:
        raise explain(error, payload) from None
    if told.is_simulated:
        return None
    if told.data and told.fields is None:
        raise RejectedError(Reason.SCHEMA_VIOLATION, _NOT_DECODED)
    return Uplink(time, told.session, told.counter, told.fields or None)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)


def to_number(told: object) -> object:
    """Give the number that a text is, as some codecs write them; anything else stays what it is."""
    return float(told) if isinstance(told, str) and _NUMBER.fullmatch(told) else told


def _read_chirpstack(document: object) -> _Told:
    uplink = payloads.CHIRPSTACK.validate_python(document)
    return _Told(
        uplink.get("time"),
        uplink.get("devAddr") or "",
        uplink.get("fCnt") or 0,
        uplink.get("data") or "",
        uplink.get("object"),
    )


def _read_tts(document: object) -> _Told:
    outer = payloads.TTS.validate_python(document)
    uplink = payloads.TTS_MESSAGE.validate_python(outer["uplink_message"])
    return _Told(
        uplink.get("received_at") or outer.get("received_at"),
        uplink.get("session_key_id") or "",
        uplink.get("f_cnt") or 0,
        uplink.get("frm_payload") or "",
        uplink.get("decoded_payload"),
        bool(outer.get("simulated")),
    )


_READERS: Final[Mapping[Route, Callable[[object], _Told]]] = {
    Route.CHIRPSTACK: _read_chirpstack,
    Route.TTS: _read_tts,
}
