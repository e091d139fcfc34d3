"""Adding a constant to the times that a captured payload tells, in the form that each has. No I/O and no clock.

The constant is whole seconds, so that every form takes it up exactly: a time told in seconds, too.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal
from io import BytesIO
from types import MappingProxyType
from typing import Any

import cbor2
from pydantic_core import from_json

from schemas.topics import Route
from simulators.captures.json_places import EACH, Place, Wanted, elements, places

_GATEWAY: Wanted = {"gwTime": None, "nsTime": None}
_HISTORY: Wanted = {"history": {EACH: {"timestamp": None}}}
_TIMES: Mapping[Route, Wanted] = MappingProxyType(
    {
        Route.SPOT: {"time": None},
        Route.COUNT: {"time": None},
        Route.ZIGBEE2MQTT: {"last_seen": None},
        Route.CHIRPSTACK: {"time": None, "object": _HISTORY, "rxInfo": {EACH: _GATEWAY}},
        Route.TTS: {
            "received_at": None,
            "uplink_message": {
                "received_at": None,
                "decoded_payload": _HISTORY,
                "rx_metadata": {EACH: {"time": None, "received_at": None}},
                "settings": {"time": None},
            },
        },
    }
)
"""Where the formats that we know tell times; SenML has rules of its own."""
_RFC3339 = re.compile(r'"(\d{4}-\d\d-\d\d)([Tt ])(\d\d:\d\d:\d\d)((?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)?)"', re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d\d?)?", re.ASCII)
_UNITS = ((Decimal("1e11"), 1), (Decimal("1e14"), 10**3), (Decimal("1e17"), 10**6), (Decimal("1e20"), 10**9))
"""Numbers below are seconds, milliseconds, microseconds, nanoseconds: so many of them are a second."""
_EXACT = Context(prec=60)
_ABSOLUTE = 2**28
"""RFC 8428, section 4.5.3: what is below is relative to now."""
_BASE_TIME, _TIME = ("bt", -3), ("t", 6)
_CBOR_BEGINS = 0x80


def shift_payload(route: Route, payload: bytes, shift: timedelta) -> bytes | None:
    """Add whole seconds to every time of a payload, all other bytes unchanged; None where it tells no time we know.

    A CBOR pack is encoded anew, with the same content.
    """
    seconds = shift // timedelta(seconds=1)
    try:
        if route is Route.SENML and payload[:1] >= bytes([_CBOR_BEGINS]):
            return _shift_cbor(payload, seconds)
        text = payload.decode()
        from_json(text, allow_inf_nan=False)
        found = _senml_times(text) if route is Route.SENML else places(text, _TIMES.get(route, {}))
        shifted = _shift_text(text, found, seconds)
    except (ValueError, RecursionError, OverflowError, cbor2.CBORError):
        return None
    return None if shifted is None else shifted.encode()


def shift_time(text: str, seconds: int) -> str | None:
    """Add seconds to a time as JSON tells it, RFC 3339 or a number since 1970; None for what is neither."""
    if match := _RFC3339.fullmatch(text):
        date, separator, clock, rest = match.groups()
        moved = datetime.fromisoformat(f"{date}T{clock}") + timedelta(seconds=seconds)
        return f'"{moved.date()}{separator}{moved.time()}{rest}"'
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        for limit, unit in _UNITS:
            if abs(number) < limit:
                return f"{_EXACT.add(number, Decimal(seconds * unit)):f}"
    return None


def _shift_text(text: str, found: Iterator[Place], seconds: int) -> str | None:
    parts, at = [], 0
    for place in found:
        shifted = shift_time(text[place.begin : place.end], seconds)
        if shifted is not None:
            parts += [text[at : place.begin], shifted]
            at = place.end
    return "".join([*parts, text[at:]]) if parts else None


def _senml_times(text: str) -> Iterator[Place]:
    """Give the absolute times of a pack: base times, and times of records that have none to add to."""
    has_base = False
    for record in elements(text):
        if not isinstance(record.value, dict):
            continue
        base = record.value.get("bt")
        has_base = has_base if base is None else _is_absolute(base)
        if base is not None and has_base:
            yield from places(text, {"bt": None}, record.begin)
        elif not has_base and _is_absolute(record.value.get("t")):
            yield from places(text, {"t": None}, record.begin)


def _shift_cbor(payload: bytes, seconds: int) -> bytes | None:
    stream = BytesIO(payload)
    records = cbor2.load(stream)
    if stream.tell() < len(payload) or not isinstance(records, list):
        return None
    has_base = has_time = False
    for record in records:
        if not isinstance(record, dict):
            continue
        base = _label(record, *_BASE_TIME)
        if base is not None:
            has_base = _is_absolute(record[base])
        time = base if base is not None and has_base else None if has_base else _label(record, *_TIME)
        if time is not None and _is_absolute(record[time]):
            record[time] += seconds
            has_time = True
    return cbor2.dumps(records) if has_time else None


def _label(record: dict[Any, Any], *labels: str | int) -> str | int | None:
    return next((label for label in labels if label in record), None)


def _is_absolute(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and value >= _ABSOLUTE
