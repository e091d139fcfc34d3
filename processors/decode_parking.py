"""Messages of parking sensors: from a payload to a row, or a RejectedError that names the reason."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from processors import uplinks
from processors.bays import read_state
from processors.columns import NO_FRAME, NO_SEQ
from processors.faults import explain
from processors.layout import NO_ASSET, Target
from processors.rejects import UNROUTABLE, Limits, RejectedError
from processors.times import to_micros
from schemas import payloads
from schemas.delivery import Delivery
from schemas.payloads import INT32_MAX
from schemas.reasons import Reason
from schemas.topics import Route

Row = tuple[Any, ...]

# Not by the adapters' own methods, which cost a third as much again.
_read_spot_payload: Final = payloads.SPOT.validator.validate_json
_read_count_payload: Final = payloads.COUNT.validator.validate_json


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
    except ValueError as error:
        raise explain(error, delivery.payload) from None


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
        NO_FRAME,
        True,
    )


def _read_uplink(index: int, delivery: Delivery, target: Target) -> Row | None:
    """Read what a network server tells. Where it is nothing of the bay, its frame's number has arrived all the same."""
    uplink = uplinks.parse(target.route, delivery.payload, target.zone)
    if uplink is None or (uplink.time is None and delivery.retain):
        return None
    state = read_state(uplink.fields)
    return (
        index,
        delivery.received_at if uplink.time is None else uplink.time,
        target.asset,
        state is not None and state.occupied,
        delivery.received_at,
        np.nan if state is None else state.battery,
        uplink.counter & INT32_MAX,
        NO_FRAME if state is None else uplink.frame(state.occupied),
        state is not None,
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
    Route.CHIRPSTACK: _read_uplink,
    Route.TTS: _read_uplink,
}
