"""From messages to columns and rejects. Never raises on input: whatever cannot be used becomes a reject."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.columns import COUNT, SPOT_EVENT, Records, records, same_facts
from processors.decode_homes import HomeDecoder, HomeReadings
from processors.decode_parking import Row, read_parking
from processors.gate import Gap, Gate
from processors.layout import Layout
from processors.rejects import DETAIL_LENGTH, WHOLE, Limits, Reject, RejectedError
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import ROUTES, Route, Table


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A batch as columns: SPOT_EVENT and COUNT records, what came of homes, rejects; counts by route.

    `routes` has shape (messages,): of each message the place of its route in ROUTES. `heard_events` and `heard_counts`
    hold those rejected for their time, too, and events that tell no state, all in order of arrival: what a sensor says
    of itself is in them.
    """

    routes: NDArray[np.uint8]
    events: Records
    counts: Records
    heard_events: Records
    heard_counts: Records
    homes: HomeReadings
    rejects: tuple[Reject, ...]
    messages: Counter[Route]
    refused: Counter[Route]

    @property
    def readings(self) -> dict[Table, Records]:
        """The readings to store, by table."""
        return {
            Table.PARKING_EVENT: self.events,
            Table.PARKING_COUNT: self.counts,
            Table.DWELLING_READING: self.homes.readings,
        }

    def routes_of(self, readings: Records) -> NDArray[np.uint8]:
        """Give the route of each of these readings, as its place in ROUTES."""
        routes: NDArray[np.uint8] = self.routes[readings["delivery"]]
        return routes

    def count_readings(self) -> Counter[Route]:
        """Count the readings to store, by route."""
        return sum((by_route(self.routes_of(readings)) for readings in self.readings.values()), Counter())

    def without(self, unfit: Sequence["Unfit"]) -> "Decoded":
        """Move readings, and their copies in the batch, to the rejects."""
        columns = self.readings
        rejects = list(self.rejects)
        for table, bad, detail, reason, is_kept in unfit:
            is_bad = same_facts(columns[table], bad)
            for reading in columns[table][is_bad]:
                delivery = int(reading["delivery"])
                route = ROUTES[self.routes[delivery]]
                record = int(reading["record"]) if table is Table.DWELLING_READING else WHOLE
                rejects.append(Reject(delivery, route, reason, detail[:DETAIL_LENGTH], record, is_kept=is_kept))
            columns[table] = columns[table][~is_bad]
        return replace(
            self,
            events=columns[Table.PARKING_EVENT],
            counts=columns[Table.PARKING_COUNT],
            homes=replace(self.homes, readings=columns[Table.DWELLING_READING]),
            rejects=tuple(rejects),
        )


class Unfit(NamedTuple):
    """Readings of a table that turned out not to be fit to be stored; by default, because the database refuses them."""

    table: Table
    readings: Records
    detail: str
    reason: Reason = Reason.DATABASE_REJECTED
    is_kept: bool = True


_NUMBER_OF: Final = {route: number for number, route in enumerate(ROUTES)}


def by_route(routes: NDArray[np.uint8]) -> Counter[Route]:
    """Count readings by route, given the place in ROUTES of each."""
    return Counter({ROUTES[number]: count for number, count in enumerate(np.bincount(routes).tolist()) if count})


def decode(deliveries: Sequence[Delivery], layout: Layout, limits: Limits, gate: Gate, gap: Gap) -> Decoded:
    """Decode a batch in arrival order, homes behind the gate as it was before the batch."""
    event_rows: list[Row] = []
    count_rows: list[Row] = []
    rejects: list[Reject] = []
    taken: list[Route] = []
    refused: Counter[Route] = Counter()
    homes = HomeDecoder(layout, limits, gate, gap)
    routes = layout.routes
    for index, delivery in enumerate(deliveries):
        target = routes.get(delivery.topic) or layout.find(delivery.topic)
        taken.append(target.route)
        try:
            if target.is_home:
                homes.take(index, delivery, target)
            elif (row := read_parking(index, delivery, target, limits)) is None:
                refused[target.route] += 1
            else:
                (count_rows if target.route is Route.COUNT else event_rows).append(row)
        except RejectedError as fault:
            detail = fault.detail[:DETAIL_LENGTH]
            rejects.append(Reject(index, target.route, fault.reason, detail, is_kept=fault.is_kept))
    heard_events, heard_counts = records(event_rows, SPOT_EVENT), records(count_rows, COUNT)
    told, told_nothing = _by_told(heard_events)
    refused.update(taken[index] for index in told_nothing["delivery"].tolist())
    events, late_events = _within_window(told, limits, taken)
    counts, late_counts = _within_window(heard_counts, limits, taken)
    at_home = homes.finish()
    return Decoded(
        routes=np.array([_NUMBER_OF[route] for route in taken], dtype=np.uint8),
        events=events,
        counts=counts,
        heard_events=heard_events,
        heard_counts=heard_counts,
        homes=at_home,
        rejects=(*rejects, *late_events, *late_counts, *at_home.rejects),
        messages=Counter(taken),
        refused=refused + at_home.refused,
    )


def _by_told(events: Records) -> tuple[Records, Records]:
    """Part events by whether they tell a state; mostly all do, and nothing is copied."""
    is_told = events["is_told"]
    return (events, events[:0]) if is_told.all() else (events[is_told], events[~is_told])


def _within_window(readings: Records, limits: Limits, routes: Sequence[Route]) -> tuple[Records, list[Reject]]:
    """Part readings by age: those accepted, and rejects for those too late or from the future."""
    ahead = readings["time"] - readings["arrived"]
    late, future = ahead < -limits.max_lateness, ahead > limits.max_future
    rejects = [
        *_rejects(readings[late], routes, Reason.TIME_TOO_LATE, "before its arrival"),
        *_rejects(readings[future], routes, Reason.TIME_IN_FUTURE, "after its arrival"),
    ]
    return (readings[~(late | future)], rejects) if rejects else (readings, rejects)


def _rejects(readings: Records, routes: Sequence[Route], reason: Reason, side: str) -> list[Reject]:
    distance: NDArray[np.int64] = abs(readings["time"] - readings["arrived"]) // 1_000_000
    return [
        Reject(index, routes[index], reason, f"time: {seconds} s {side}")
        for index, seconds in zip(readings["delivery"].tolist(), distance.tolist(), strict=True)
    ]
