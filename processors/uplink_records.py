"""Uplinks of a home's device as SenML records: every decoded field a reading, called `{device}/{what it measures}`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from processors import senml, uplinks
from processors.properties import Property, properties_of
from processors.senml_columns import RELATIVE_BELOW
from processors.times import to_micros
from processors.uplinks import Uplink, to_number
from schemas.topics import Route

_HISTORY: Final = "history"
"""Where Milesight tells what it could not send before, each entry with a time of its own."""
_TIMESTAMP: Final = "timestamp"
_MOTION: Final = "motion"
_LONG_AGO: Final = -(2.0**40)
"""Seconds: further back than any lateness."""
_INFINITE: Final = (float("inf"), -float("inf"))
Fields = Mapping[str, Any]


def read(route: Route, payload: bytes, device: str) -> tuple[list[senml.Record], Uplink | None]:
    """Give the readings of an uplink, and itself; one that is refused stands for an uplink with nothing to store.

    Raises RejectedError for what is no uplink, and for one with a payload that nobody has decoded.
    """
    uplink = uplinks.parse(route, payload)
    if uplink is None or uplink.fields is None:
        return [_refused(device)], uplink
    now = {} if uplink.time is None else {"t": _seconds(uplink.time)}
    return list(_records(uplink.fields, now, device)) or [_refused(device)], uplink


def _records(fields: Fields, time: senml.Record, device: str) -> Iterator[senml.Record]:
    entries = fields.get(_HISTORY)
    if isinstance(entries, list) and entries and all(isinstance(entry, dict) for entry in entries):
        fields = {name: value for name, value in fields.items() if name != _HISTORY}
        for entry in entries:
            told = {name: value for name, value in entry.items() if name != _TIMESTAMP}
            yield from _values(told, {"t": _time_of(entry.get(_TIMESTAMP))}, device)
    yield from _values(fields, time, device)


def _values(fields: Fields, time: senml.Record, device: str) -> Iterator[senml.Record]:
    measured = properties_of(fields)
    for name, told in fields.items():
        number = to_number(told)
        if name in measured:
            found = measured[name]
            value = _at_most_once(found, found.value(number))
            # What can be no value stays what it is, so that it is rejected as such.
            yield {"n": f"{device}/{found.name}", "u": found.unit, "v": told if value is None else value, **time}
        elif isinstance(number, bool | int | float):
            # Without a unit it is a reading where the registry lists it.
            yield {"n": f"{device}/{name}", "vb" if isinstance(number, bool) else "v": number, **time}
        else:
            yield _refused(device)


def _at_most_once(found: Property, value: float | None) -> float | None:
    """Give 1 for a number of movements, which some makers tell as `motion`: there was one."""
    is_count = found.name == _MOTION and value is not None and 1 < value < _INFINITE[0]
    return 1.0 if is_count else value


def _refused(device: str) -> senml.Record:
    """Give a record that has nothing to store."""
    return {"n": device, "vs": ""}


def _time_of(timestamp: object) -> object:
    """Give the seconds of an entry's time; what is none stays what it is, so that it is rejected as such."""
    number = to_number(timestamp)
    if isinstance(number, bool) or not isinstance(number, int | float) or number in _INFINITE:
        return number
    return _seconds(to_micros(number, None))


def _seconds(micros: int) -> float:
    """Give a time as SenML seconds. Of old it would count from now: a clock that was never set is long ago."""
    seconds = micros / 1e6
    return seconds if seconds >= RELATIVE_BELOW else _LONG_AGO
