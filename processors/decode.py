"""From messages to columns and rejects. Never raises on input: whatever cannot be used becomes a reject."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from processors.columns import COUNT, SPOT_EVENT, Records, records, same_facts
from processors.decode_homes import HomeDecoder, HomeReadings
from processors.decode_parking import Row, read_parking
from processors.gate import Gap, Gate
from processors.layout import NO_ASSET, Layout, Target
from processors.rejects import DETAIL_LENGTH, WHOLE, Limits, Reject, RejectedError
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A batch as columns: SPOT_EVENT and COUNT records, what came of homes, rejects; counts by route.

    `heard_events` and `heard_counts` hold those rejected for their time, too, all in order of arrival: what a sensor
    says of itself is in them.
    """

    events: Records
    counts: Records
    heard_events: Records
    heard_counts: Records
    homes: HomeReadings
    rejects: tuple[Reject, ...]
    messages: Counter[Route]
    refused: Counter[Route]

    @property
    def readings(self) -> dict[Route, Records]:
        """The readings to store, by route."""
        return {Route.SPOT: self.events, Route.COUNT: self.counts, Route.SENML: self.homes.readings}

    def without(self, poison: Sequence["Poison"]) -> "Decoded":
        """Move the readings that the database refuses, and their copies in the batch, to the rejects."""
        columns = self.readings
        rejects = list(self.rejects)
        for route, bad, error in poison:
            is_bad = same_facts(columns[route], bad)
            for reading in columns[route][is_bad]:
                record = int(reading["record"]) if route is Route.SENML else WHOLE
                detail = error[:DETAIL_LENGTH]
                rejects.append(Reject(int(reading["delivery"]), route, Reason.DATABASE_REJECTED, detail, record))
            columns[route] = columns[route][~is_bad]
        return replace(
            self,
            events=columns[Route.SPOT],
            counts=columns[Route.COUNT],
            homes=replace(self.homes, readings=columns[Route.SENML]),
            rejects=tuple(rejects),
        )


Poison = tuple[Route, Records, str]
"""Readings of a route that the database refuses, and the error."""


def decode(deliveries: Sequence[Delivery], layout: Layout, limits: Limits, gate: Gate, gap: Gap) -> Decoded:
    """Decode a batch in arrival order, homes behind the gate as it was before the batch."""
    rows: dict[Route, list[Row]] = {Route.SPOT: [], Route.COUNT: []}
    rejects: list[Reject] = []
    messages: Counter[Route] = Counter()
    refused: Counter[Route] = Counter()
    homes = HomeDecoder(layout, limits, gate, gap)
    routes = layout.routes
    for index, delivery in enumerate(deliveries):
        target = routes.get(delivery.topic) or _unlisted(delivery.topic, layout)
        messages[target.route] += 1
        try:
            if target.is_home:
                homes.take(index, delivery, target)
            elif (row := read_parking(index, delivery, target, limits)) is None:
                refused[target.route] += 1
            else:
                rows[target.route].append(row)
        except RejectedError as fault:
            detail = fault.detail[:DETAIL_LENGTH]
            rejects.append(Reject(index, target.route, fault.reason, detail, is_kept=fault.is_kept))
    heard_events, heard_counts = records(rows[Route.SPOT], SPOT_EVENT), records(rows[Route.COUNT], COUNT)
    events, late_events = _within_window(heard_events, limits, Route.SPOT)
    counts, late_counts = _within_window(heard_counts, limits, Route.COUNT)
    at_home = homes.finish()
    return Decoded(
        events=events,
        counts=counts,
        heard_events=heard_events,
        heard_counts=heard_counts,
        homes=at_home,
        rejects=(*rejects, *late_events, *late_counts, *at_home.rejects),
        messages=messages,
        refused=refused + at_home.refused,
    )


def _unlisted(topic: str, layout: Layout) -> Target:
    """Give the target of a topic that the registry does not lead to: no asset, but perhaps a home."""
    parsed = layout.topics.parse(topic)
    if parsed.is_home:
        return Target(parsed.route, layout.homes.index.get(parsed.asset, NO_ASSET), is_home=True)
    return Target(parsed.route, NO_ASSET)


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
