"""From messages to columns and rejects. Never raises on input: whatever cannot be used becomes a reject."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from processors.columns import COUNT, NO_SEQ, SPOT_EVENT, Records, records, same_facts
from processors.layout import Layout, Target
from processors.times import MissingOffsetError, to_micros
from schemas import payloads
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route

_DETAIL_LENGTH: Final = 200
_RANGE_FAULTS: Final = frozenset({"finite_number", "less_than_equal", "greater_than_equal"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted: payload size in bytes, and microseconds of time before and after arrival."""

    max_payload_bytes: int
    max_lateness: int
    max_future: int


class Reject(NamedTuple):
    """A message that becomes a dead letter: its index in the batch, and why."""

    delivery: int
    route: Route
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A batch as columns: SPOT_EVENT and COUNT records, rejects, and per route the messages and the refused."""

    events: Records
    counts: Records
    rejects: tuple[Reject, ...]
    messages: Counter[Route]
    refused: Counter[Route]

    def without(self, poison: Mapping[int, str], deliveries: Sequence[Delivery], layout: Layout) -> "Decoded":
        """Move the readings that the database refuses, and their copies in the batch, from the columns to the rejects.

        `poison` gives the error by the reading's delivery.
        """
        detail = next(iter(poison.values()))
        indexes = {*same_facts(self.events, poison), *same_facts(self.counts, poison)}
        rejects = [
            Reject(
                index,
                layout.routes[deliveries[index].topic].route,
                Reason.DATABASE_REJECTED,
                poison.get(index, detail)[:_DETAIL_LENGTH],
            )
            for index in sorted(indexes)
        ]
        return Decoded(
            events=self.events[~np.isin(self.events["delivery"], list(indexes))],
            counts=self.counts[~np.isin(self.counts["delivery"], list(indexes))],
            rejects=(*self.rejects, *rejects),
            messages=self.messages,
            refused=self.refused,
        )


class _RejectedError(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail


def decode(deliveries: Sequence[Delivery], layout: Layout, limits: Limits) -> Decoded:
    """Decode a batch in arrival order."""
    rows: dict[Route, list[tuple[Any, ...]]] = {Route.SPOT: [], Route.COUNT: []}
    rejects: list[Reject] = []
    messages: Counter[Route] = Counter()
    refused: Counter[Route] = Counter()
    routes = layout.routes
    for index, delivery in enumerate(deliveries):
        target = routes.get(delivery.topic)
        route = target.route if target else layout.topics.parse(delivery.topic).route
        messages[route] += 1
        try:
            row = _decode_one(index, delivery, target, limits, route)
        except _RejectedError as fault:
            rejects.append(Reject(index, route, fault.reason, fault.detail[:_DETAIL_LENGTH]))
        else:
            if row is None:
                refused[route] += 1
            else:
                rows[route].append(row)
    events, late_events = _within_window(records(rows[Route.SPOT], SPOT_EVENT), limits, Route.SPOT)
    counts, late_counts = _within_window(records(rows[Route.COUNT], COUNT), limits, Route.COUNT)
    return Decoded(events, counts, (*rejects, *late_events, *late_counts), messages, refused)


def _decode_one(
    index: int, delivery: Delivery, target: Target | None, limits: Limits, route: Route
) -> tuple[Any, ...] | None:
    """Give the row of one message, None where it is refused."""
    if target is None:
        if route is Route.UNROUTABLE:
            raise _RejectedError(Reason.UNROUTABLE_TOPIC, "no message is expected on this topic; see docs/formats.md")
        raise _RejectedError(Reason.UNKNOWN_ASSET, "the registry does not list it")
    if len(delivery.payload) > limits.max_payload_bytes:
        raise _RejectedError(
            Reason.PAYLOAD_TOO_LARGE, f"{len(delivery.payload)} bytes, more than {limits.max_payload_bytes}"
        )
    try:
        return _READERS[route](index, delivery, target)
    except ValidationError as error:
        raise _explain(error, delivery.payload) from None
    except MissingOffsetError:
        detail = "time: expected an offset such as Z or +01:00, or a timezone in the registry"
        raise _RejectedError(Reason.TIME_MISSING_OFFSET, detail) from None
    except ValueError:
        raise _RejectedError(Reason.SCHEMA_VIOLATION, "time: no such date") from None


def _read_spot(index: int, delivery: Delivery, target: Target) -> tuple[Any, ...] | None:
    body = payloads.SPOT.validate_json(delivery.payload)
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


def _read_count(index: int, delivery: Delivery, target: Target) -> tuple[Any, ...] | None:
    body = payloads.COUNT.validate_json(delivery.payload)
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


_READERS: Final[dict[Route, Callable[[int, Delivery, Target], tuple[Any, ...] | None]]] = {
    Route.SPOT: _read_spot,
    Route.COUNT: _read_count,
}


def _within_window(readings: Records, limits: Limits, route: Route) -> tuple[Records, list[Reject]]:
    """Part readings by age: those accepted, and rejects for those too late or from the future."""
    ahead = readings["time"] - readings["arrived"]
    late, future = ahead < -limits.max_lateness, ahead > limits.max_future
    rejects = [
        *_rejects(readings[late], route, Reason.TIME_TOO_LATE, "before its arrival"),
        *_rejects(readings[future], route, Reason.TIME_IN_FUTURE, "after its arrival"),
    ]
    return (readings[~(late | future)], rejects) if rejects else (readings, rejects)


def _rejects(readings: Records, route: Route, reason: Reason, side: str) -> list[Reject]:
    distance: NDArray[np.int64] = abs(readings["time"] - readings["arrived"]) // 1_000_000
    return [
        Reject(index, route, reason, f"time: {seconds} s {side}")
        for index, seconds in zip(readings["delivery"].tolist(), distance.tolist(), strict=True)
    ]


def _explain(error: ValidationError, payload: bytes) -> _RejectedError:
    """Name the reason: not JSON at all, another shape than the schema's, or else a number out of range."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    if any(fault["type"] == "json_invalid" for fault in faults) or not _is_json(payload):
        return _RejectedError(Reason.MALFORMED_PAYLOAD, faults[0]["msg"])
    fields: dict[str, list[ErrorDetails]] = {}
    for fault in faults:
        fields.setdefault(str(fault["loc"][0]) if fault["loc"] else "", []).append(fault)
    # A field that takes several types has a fault for each; one of range among them says that the type was right.
    ranges = {name: [f for f in of_field if f["type"] in _RANGE_FAULTS] for name, of_field in fields.items()}
    for name, of_field in fields.items():
        if not ranges[name]:
            return _RejectedError(Reason.SCHEMA_VIOLATION, _tell(name, of_field[0]))
    name, out_of_range = next(iter(ranges.items()))
    return _RejectedError(Reason.VALUE_OUT_OF_RANGE, _tell(name, out_of_range[0]))


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
