"""What is wrong with a payload, as a reason and a detail that repeats nothing of it."""

import json
from typing import Final, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from processors.rejects import RejectedError
from processors.times import MissingOffsetError
from schemas.reasons import Reason

_RANGE_FAULTS: Final = frozenset({"finite_number", "less_than_equal", "greater_than_equal"})
_TIMES: Final = frozenset({"time", "received_at"})


def explain(error: ValueError, payload: bytes) -> RejectedError:
    """Name the reason of what validation, or reading a time, has raised."""
    match error:
        case ValidationError():
            return _explain(error, payload)
        case MissingOffsetError():
            detail = "time: expected an offset such as Z or +01:00, or a timezone in the registry"
            return RejectedError(Reason.TIME_MISSING_OFFSET, detail)
    return RejectedError(Reason.SCHEMA_VIOLATION, "time: no such date")


def _explain(error: ValidationError, payload: bytes) -> RejectedError:
    """Name the reason: not JSON at all, another shape than the schema's, or else a number out of range."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    if any(fault["type"] == "json_invalid" for fault in faults) or not _is_json(payload):
        return RejectedError(Reason.MALFORMED_PAYLOAD, faults[0]["msg"])
    fields: dict[str, list[ErrorDetails]] = {}
    for fault in faults:
        fields.setdefault(str(fault["loc"][0]) if fault["loc"] else "", []).append(fault)
    # A field that takes several types has a fault for each; one of range among them says that the type was right.
    ranges = {name: [f for f in of_field if f["type"] in _RANGE_FAULTS] for name, of_field in fields.items()}
    for name, of_field in fields.items():
        if not ranges[name]:
            return RejectedError(Reason.SCHEMA_VIOLATION, _tell(name, of_field[0]))
    name, out_of_range = next(iter(ranges.items()))
    return RejectedError(Reason.VALUE_OUT_OF_RANGE, _tell(name, out_of_range[0]))


def _tell(name: str, fault: ErrorDetails) -> str:
    if name in _TIMES and fault["type"] not in _RANGE_FAULTS:
        return f"{name}: expected RFC 3339 such as 2026-11-21T22:00:00Z, or an epoch number"
    return f"{name}: {fault['msg']}" if name else fault["msg"]


def _is_json(payload: bytes) -> bool:
    """Tell JSON from what pydantic reads beyond it: the literals NaN and Infinity."""
    try:
        json.loads(payload, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(literal: str) -> NoReturn:
    raise ValueError(literal)
