"""Readings as one SenML pack (RFC 8428), in JSON or in CBOR. No I/O and no clock."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import cbor2

from simulators.fleet import Fact

_CBOR_LABELS = {"bt": -3, "n": 0, "u": 1, "v": 2, "vb": 4, "t": 6}
"""RFC 8428, section 6, table 4."""
# What sensors resolve, in digits after the point. Lux and ppm come as whole numbers.
_DIGITS = {"Cel": 2, "%RH": 1, "dB": 1, "W": 1, "Wh": 1, "l": 1}


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one sensor; a truth value has no unit. `lag` is how many seconds before the pack it was taken."""

    name: str
    unit: str
    value: float | bool
    lag: float = 0.0


def json_pack(readings: Iterable[Reading], now: datetime) -> bytes:
    """Write a pack as application/senml+json; its base time is `now`, in milliseconds."""
    return json.dumps(_records(readings, now), separators=(",", ":")).encode()


def cbor_pack(readings: Iterable[Reading], now: datetime) -> bytes:
    """Write the same pack as application/senml+cbor, a definite array of maps with numbered labels."""
    return cbor2.dumps(
        [{_CBOR_LABELS[label]: value for label, value in record.items()} for record in _records(readings, now)]
    )


def facts_of(readings: Iterable[Reading], home: str, now: datetime) -> tuple[Fact, ...]:
    """Give the facts of a pack whose base time is `now`."""
    base = _base_time(now)
    return tuple(
        Fact(f"dwellings/{home}/{reading.name}", round((base - reading.lag) * 1e6), (float(_value(reading)),))
        for reading in readings
    )


def _records(readings: Iterable[Reading], now: datetime) -> list[Mapping[str, object]]:
    records = [_record(reading) for reading in readings]
    return [{"bt": _base_time(now)} | records[0], *records[1:]] if records else []


def _record(reading: Reading) -> dict[str, object]:
    record: dict[str, object] = {"n": reading.name}
    if isinstance(reading.value, bool):
        record["vb"] = reading.value
    else:
        record |= {"u": reading.unit, "v": _value(reading)}
    if reading.lag:
        record["t"] = -reading.lag
    return record


def _value(reading: Reading) -> float | bool:
    if isinstance(reading.value, bool):
        return reading.value
    return round(reading.value, _DIGITS.get(reading.unit))


def _base_time(now: datetime) -> float:
    return round(now.timestamp(), 3)
