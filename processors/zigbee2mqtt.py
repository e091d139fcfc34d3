"""What zigbee2mqtt publishes of a device: an object of attributes becomes SenML records, one an attribute, in order.

Only `last_seen` is none: it is the time of the others. What an attribute measures is told by processors/properties.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from processors.properties import Property, properties_of
from processors.senml import PackError, Record, load_json, to_json
from processors.senml_columns import RELATIVE_BELOW
from processors.times import MissingOffsetError, to_micros
from schemas.payloads import Time
from schemas.reasons import Reason

_LAST_SEEN: Final = "last_seen"
_TIME: Final = TypeAdapter[str | float | None](Time, config=ConfigDict(strict=True, allow_inf_nan=False))
_NOTHING: Final[Record] = {"vs": ""}
"""An attribute with nothing to store: a string is refused."""
_NO_STATE: Final = frozenset({"set", "get", "availability", "action"})
"""The last level of topics below a device that carry no state of it."""


def is_idle(payload: bytes, device: str) -> bool:
    """Tell a message that holds no state: of the bridge, to or about a device, or one that clears what is retained."""
    first, *others = device.split("/")
    is_command = len(others) > 1 and others[-2] in {"set", "get"}
    return not payload or first == "bridge" or bool(others and others[-1] in _NO_STATE) or is_command


def parse(payload: bytes, device: str) -> list[Record]:
    """Give the records of a device's state.

    An attribute that the table of properties does not know has no unit: it is a reading where the registry lists it.
    Raises PackError for what is no object of attributes, and for a `last_seen` that is no time.
    """
    attributes = _load(payload)
    told_at = _time(attributes.pop(_LAST_SEEN, None))
    properties = properties_of(attributes)
    return [
        {**_record(device, name, told, properties.get(name)), **told_at}
        if isinstance(told, bool | int | float) or name in properties
        else _NOTHING
        for name, told in attributes.items()
    ]


def excerpt(payload: bytes, number: int) -> bytes | None:
    """Give one attribute of a state as a state of its own, with the time that it was told at.

    None for one that cannot be written again.
    """
    attributes = _load(payload)
    times = [(_LAST_SEEN, attributes.pop(_LAST_SEEN))] if _LAST_SEEN in attributes else []
    told = [list(attributes.items())[number], *times]
    try:
        return f"{{{','.join(f'{to_json(name)}:{to_json(value)}' for name, value in told)}}}".encode()
    except ValueError:
        return None


def is_timed(records: Sequence[Record]) -> bool:
    """Tell whether a state has a time of its own."""
    return any("t" in record for record in records)


def _load(payload: bytes) -> dict[str, Any]:
    attributes = load_json(payload)
    if not isinstance(attributes, dict):
        detail = "expected an object of attributes; in zigbee2mqtt set advanced.output to json"
        raise PackError(Reason.SCHEMA_VIOLATION, detail)
    return attributes


def _record(device: str, name: str, told: Any, measured: Property | None) -> Record:  # noqa: ANN401 - as it was written
    if measured is None:
        return {"n": f"{device}/{name}", "vb" if isinstance(told, bool) else "v": told}
    value = measured.value(told)
    # What is no value of it stays as it was told, for the record to be found faulty.
    return {"n": f"{device}/{measured.name}", "u": measured.unit, "v": told if value is None else value}


def _time(told: object) -> Mapping[str, float]:
    """Give the label of a time in seconds, none for a time that was not told."""
    try:
        value = _TIME.validate_python(told)
        micros = None if value is None else to_micros(value, None)
    except ValidationError:
        detail = "last_seen: expected RFC 3339 such as 2026-11-21T22:00:00Z, or an epoch number"
        raise PackError(Reason.SCHEMA_VIOLATION, detail) from None
    except MissingOffsetError:
        raise PackError(Reason.TIME_MISSING_OFFSET, "last_seen: expected an offset such as Z or +01:00") from None
    except ValueError:
        raise PackError(Reason.SCHEMA_VIOLATION, "last_seen: no such date") from None
    if micros is None:
        return {}
    # SenML takes so small a number for one that counts from now.
    if micros < RELATIVE_BELOW * 1_000_000:
        raise PackError(Reason.TIME_TOO_LATE, "last_seen: before 1978, of a clock that was never set")
    return {"t": micros / 1e6}
