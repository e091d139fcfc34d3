"""Messages of parking sensors: from a payload to a row, or a RejectedError that names the reason."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import numpy as np
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from processors.columns import NO_SEQ
from processors.layout import NO_ASSET, Target
from processors.rejects import UNROUTABLE, Limits, RejectedError
from processors.times import MissingOffsetError, to_micros
from schemas import payloads
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route

Row = tuple[Any, ...]

# Not by the adapters' own methods, which cost a third as much again.
_read_spot_payload: Final = payloads.SPOT.validator.validate_json
_read_count_payload: Final = payloads.COUNT.validator.validate_json
_RANGE_FAULTS: Final = frozenset({"finite_number", "less_than_equal", "greater_than_equal"})


def read_parking(index: int, delivery: Delivery, target: Target, limits: Limits) -> Row | None:
    """Give the row of one message, of SPOT_EVENT or COUNT; None where it is refused.

    Raises RejectedError where it cannot be used.
    """
    if target.asset == NO_ASSET:
        if target.route is Route.UNROUTABLE:
            raise RejectedError(Reason.UNROUTABLE_TOPIC, UNROUTABLE)
        raise RejectedError(Reason.UNKNOWN_ASSET, "the registry does not list it")
    limits.check_size(delivery.payload)
    try:
        return _READERS[target.route](index, delivery, target)
    except ValidationError as error:
        raise _explain(error, delivery.payload) from None
    except MissingOffsetError:
        detail = "time: expected an offset such as Z or +01:00, or a timezone in the registry"
        raise RejectedError(Reason.TIME_MISSING_OFFSET, detail) from None
    except ValueError:
        raise RejectedError(Reason.SCHEMA_VIOLATION, "time: no such date") from None


def _read_spot(index: int, delivery: Delivery, target: Target) -> Row | None:
    body = _read_spot_payload(delivery.payload)
    time = body.get("time")
    if time is None and delivery.retain:
        return None
    battery, seq = body.get("battery"), body.get("seq")
    return (
        index,
        delivery.received_at if time is None else to_micros(time, target.zone),
        target.asset,
        body["occupied"],
        delivery.received_at,
        np.nan if battery is None else battery,
        NO_SEQ if seq is None else seq,
    )


def _read_count(index: int, delivery: Delivery, target: Target) -> Row | None:
    body = _read_count_payload(delivery.payload)
    time = body.get("time")
    if time is None and delivery.retain:
        return None
    return (
        index,
        delivery.received_at if time is None else to_micros(time, target.zone),
        target.asset,
        body["free"],
        body.get("total") or 0,
        body.get("status") or "",
        delivery.received_at,
    )


_READERS: Final[Mapping[Route, Callable[[int, Delivery, Target], Row | None]]] = {
    Route.SPOT: _read_spot,
    Route.COUNT: _read_count,
}


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
    if name == "time" and fault["type"] not in _RANGE_FAULTS:
        return "time: expected RFC 3339 such as 2026-11-21T22:00:00Z, or an epoch number"
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
