"""The parking state against a plain reference that takes one reading after the other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import MINUTE, count, counts_of, event, events_of

from processors.columns import NEVER
from processors.parking_state import CountStates, SpotStates, apply_counts, apply_events
from schemas.payloads import INT32_MAX, INT32_MIN

SPOTS, PARKS = 4, 3
ValueT = TypeVar("ValueT", int, bytes)
Row = tuple[Any, ...]
TIMES = st.integers(-2, 6).map(lambda minutes: minutes * MINUTE)


@dataclass
class Bay:
    """What the reference knows of a spot."""

    observed_at: int = NEVER
    occupied: bool = False
    since: int = NEVER
    battery: float | None = None
    flips: float = 0

    def take(self, row: Row) -> bool:
        """Take one reading; tell whether it was the newest."""
        _, time, _, occupied, _, battery, *_ = row
        if (time, occupied) <= (self.observed_at, self.occupied):
            return False
        if self.observed_at != NEVER:
            self.flips = self.flips * math.exp((self.observed_at - time) / (10 * MINUTE)) + (occupied != self.occupied)
        if self.observed_at == NEVER or occupied != self.occupied:
            self.since = time
        self.observed_at, self.occupied = time, occupied
        self.battery = self.battery if math.isnan(battery) else battery
        return True


@dataclass(frozen=True)
class Counter:
    """What the reference knows of a counter: values with their times, found by looking through all that was told."""

    free: tuple[int, int]
    total: tuple[int, int]
    other_total_at: int
    status: tuple[bytes, int]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self:
        """Look through the readings of one counter."""
        total = newest([(row[4], row[1]) for row in rows if row[4]], 0)
        return cls(
            free=newest([(row[3], row[1]) for row in rows], 0),
            total=total,
            other_total_at=max((row[1] for row in rows if row[4] not in {0, total[0]}), default=NEVER),
            status=newest([(row[5], row[1]) for row in rows if row[5]], b""),
        )


def newest(told: Sequence[tuple[ValueT, int]], nothing: ValueT) -> tuple[ValueT, int]:
    """Give the newest value with its time, the lowest of those at one time."""
    time = max((time for _, time in told), default=NEVER)
    return min((value for value, at in told if at == time), default=nothing), time


EVENTS = st.builds(
    event,
    TIMES,
    st.integers(0, SPOTS - 1),
    st.booleans(),
    battery=st.none() | st.sampled_from([0.0, 2.9, 3.6]),
)
COUNTS = st.builds(
    count,
    TIMES,
    st.integers(0, PARKS - 1),
    st.sampled_from([-2, -1, 0, 1, INT32_MIN, INT32_MAX]),
    total=st.sampled_from([0, 5, 9, INT32_MAX]),
    status=st.sampled_from(["", "open", "full", "closed"]),
)


@st.composite
def arrivals(draw: st.DrawFn, rows: Sequence[Row]) -> list[list[Row]]:
    """Draw a way in which rows may arrive: some of them again, in any order, in any batches."""
    again = draw(st.lists(st.sampled_from(rows), max_size=10)) if rows else []
    return draw(split(draw(st.permutations([*rows, *again]))))


@st.composite
def split(draw: st.DrawFn, rows: Sequence[Row]) -> list[list[Row]]:
    """Draw a way to part rows into batches, empty ones too."""
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    return [list(rows[first:last]) for first, last in pairwise([0, *cuts, len(rows)])]


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Give distinct facts of spots in event order, free before occupied at one instant."""
    return list({(row[1], row[3], row[2]): row for row in sorted(rows, key=lambda row: (row[1], row[3]))}.values())


def fold_events(batches: Sequence[Sequence[Row]], state: SpotStates | None = None) -> SpotStates:
    """Apply batches of events one after the other."""
    state = state or SpotStates.unknown(SPOTS)
    for batch in batches:
        state, _ = apply_events(state, events_of(batch))
    return state


def fold_counts(batches: Sequence[Sequence[Row]]) -> CountStates:
    """Apply batches of counts one after the other."""
    state = CountStates.unknown(PARKS)
    for batch in batches:
        state, _ = apply_counts(state, counts_of(batch))
    return state


def bays_after(rows: Sequence[Row]) -> list[Bay]:
    """Give the reference's spots after these readings in this order."""
    bays = [Bay() for _ in range(SPOTS)]
    for row in rows:
        bays[row[2]].take(row)
    return bays


@given(st.data(), st.lists(EVENTS, max_size=25))
def test_the_newest_event_of_a_spot_wins_in_any_order(data: st.DataObject, rows: list[Row]) -> None:
    """Order, batches and repetition of readings make no difference to what a spot is and when it was seen."""
    state = fold_events(data.draw(arrivals(rows)))
    newest = [max(((row[1], row[3]) for row in rows if row[2] == spot), default=None) for spot in range(SPOTS)]
    for spot, expected in enumerate(newest):
        if expected is None:
            assert state.observed_at[spot] == NEVER
        else:
            assert (state.observed_at[spot], state.occupied[spot]) == expected
            assert state.key[spot] == 2 * expected[0] + expected[1]


@given(st.data(), st.lists(EVENTS, max_size=25))
def test_events_in_order_give_what_one_at_a_time_gives_in_any_batches(data: st.DataObject, rows: list[Row]) -> None:
    """Since when, battery and the count of changes do not depend on where batches end."""
    ordered = in_order(rows)
    state = fold_events(data.draw(split(ordered)))
    for spot, bay in enumerate(bays_after(ordered)):
        assert (state.observed_at[spot], state.since[spot]) == (bay.observed_at, bay.since)
        assert state.flips[spot] == pytest.approx(bay.flips)
        np.testing.assert_equal(state.battery[spot], np.nan if bay.battery is None else bay.battery)


@given(st.data(), st.lists(EVENTS, max_size=25))
def test_changes_of_spots_are_the_rows_that_differ(data: st.DataObject, rows: list[Row]) -> None:
    """Every spot whose row is another one is told once, and no other."""
    before = fold_events([rows[: len(rows) // 2]])
    after, changed = apply_events(before, events_of(data.draw(st.permutations(rows))))
    differs = before.key != after.key
    assert changed.tolist() == np.flatnonzero(differs).tolist()
    same = ~differs
    assert (before.since == after.since)[same].all()
    assert (before.flips == after.flips)[same].all()
    np.testing.assert_array_equal(before.battery[same], after.battery[same])


@given(st.lists(EVENTS, max_size=25))
def test_applying_the_same_events_again_changes_nothing(rows: list[Row]) -> None:
    """A redelivered batch finds its own work done."""
    after, _ = apply_events(SpotStates.unknown(SPOTS), events_of(rows))
    again, changed = apply_events(after, events_of(rows))
    assert changed.tolist() == []
    for name in ("key", "since", "battery", "flips"):
        np.testing.assert_array_equal(getattr(again, name), getattr(after, name))


@given(st.lists(EVENTS, max_size=10), st.lists(EVENTS, max_size=10))
def test_the_state_given_stays_as_it_is(before: list[Row], rows: list[Row]) -> None:
    """Until the batch has committed, the old state is the state."""
    state = fold_events([before])
    copies = [state.key.copy(), state.since.copy(), state.battery.copy(), state.flips.copy()]
    apply_events(state, events_of(rows))
    for kept, now in zip(copies, (state.key, state.since, state.battery, state.flips), strict=True):
        np.testing.assert_array_equal(kept, now)


@pytest.mark.parametrize("batches", [[[0, 1]], [[1, 0]], [[0], [1]], [[1], [0]]])
def test_occupied_wins_at_equal_times(batches: list[list[int]]) -> None:
    """Of two contradictory events of one instant the careful one counts, in any order."""
    rows = [event(7, 0, occupied=True), event(7, 0, occupied=False)]
    state = fold_events([[rows[index] for index in batch] for batch in batches])
    assert (state.observed_at[0], state.occupied[0]) == (7, True)


def test_a_late_reading_does_not_move_since() -> None:
    """A reading between two known ones comes too late to change since when the state has held."""
    state = fold_events([[event(1, 0, occupied=True)], [event(9, 0, occupied=True)], [event(5, 0, occupied=False)]])
    assert (state.observed_at[0], state.since[0]) == (9, 1)


def test_a_repeated_state_keeps_since() -> None:
    """A heartbeat that says the same refreshes the time seen, not the time of change."""
    state = fold_events([[event(1, 0, occupied=True), event(2, 0, occupied=True)], [event(3, 0, occupied=True)]])
    assert (state.observed_at[0], state.since[0]) == (3, 1)


@pytest.mark.parametrize("apart", [True, False])
def test_the_battery_outlasts_an_event_that_tells_none(apart: bool) -> None:
    """What a newer event leaves out keeps its last value."""
    first, second = event(1, 0, occupied=True, battery=3.6), event(2, 0, occupied=False)
    state = fold_events([[first], [second]] if apart else [[first, second]])
    assert state.battery[0] == 3.6
    state = fold_events([[event(3, 0, occupied=True, battery=2.9), event(4, 0, occupied=True)]], state)
    assert state.battery[0] == 2.9


def test_nothing_is_known_of_a_spot_that_never_spoke() -> None:
    """Silence is not free."""
    state = SpotStates.unknown(2)
    assert state.observed_at.tolist() == [NEVER, NEVER]
    after, changed = apply_events(state, events_of([]))
    assert after is state
    assert changed.tolist() == []


@given(st.data(), st.lists(COUNTS, max_size=25))
def test_the_newest_count_of_each_kind_wins_in_any_order(data: st.DataObject, rows: list[Row]) -> None:
    """Free, total and status each follow their own newest time; at equal times the lowest wins."""
    state = fold_counts(data.draw(arrivals(rows)))
    for park in range(PARKS):
        counter = Counter.of([row for row in rows if row[2] == park])
        assert (state.free[park], state.free_at[park]) == counter.free
        assert (state.total[park], state.total_at[park]) == counter.total
        assert state.other_total_at[park] == counter.other_total_at
        assert (state.status[park], state.status_at[park]) == counter.status


@given(st.data(), st.lists(COUNTS, max_size=25))
def test_since_when_a_number_is_the_same_does_not_depend_on_batches(data: st.DataObject, rows: list[Row]) -> None:
    """For counts in order of time, the lowest last at one instant, it is the time of the last other one's successor."""
    ordered = sorted(rows, key=lambda row: (row[1], -row[3]))
    state = fold_counts(data.draw(split(ordered)))
    for park in range(PARKS):
        told = [(row[1], row[3]) for row in ordered if row[2] == park]
        starts = [time for (_, before), (time, free) in pairwise([(NEVER, None), *told]) if free != before]
        assert state.free_since[park] == (starts[-1] if starts else NEVER)


def test_a_late_count_does_not_move_since_when_the_number_is_the_same() -> None:
    """Neither does one between two known ones, nor one that says the same."""
    state = fold_counts([[count(1, 0, 5)], [count(9, 0, 5)], [count(4, 0, 7)], [count(9, 0, 5)]])
    assert (state.free_since[0], state.free_at[0]) == (1, 9)
    assert fold_counts([[count(1, 0, 5), count(2, 0, 6), count(3, 0, 6)]]).free_since[0] == 2


@given(st.lists(COUNTS, max_size=12), st.lists(COUNTS, max_size=12))
def test_changes_of_counters_are_the_rows_that_differ(before: list[Row], rows: list[Row]) -> None:
    """Every counter of which any value or time is another is told once, and no other; the old state stays."""
    state = fold_counts([before])
    names = ("free", "free_at", "free_since", "total", "total_at", "other_total_at", "status", "status_at")
    copies = {name: getattr(state, name).copy() for name in names}
    after, changed = apply_counts(state, counts_of(rows))
    differs = np.logical_or.reduce([copies[name] != getattr(after, name) for name in names])
    assert changed.tolist() == np.flatnonzero(differs).tolist()
    for name in names:
        np.testing.assert_array_equal(copies[name], getattr(state, name))
        assert getattr(after, name).dtype == copies[name].dtype
    assert apply_counts(after, counts_of(rows))[1].tolist() == []


@pytest.mark.parametrize("turned", [False, True])
def test_ties_of_counters_go_to_the_careful_one(turned: bool) -> None:
    """At equal times the lower free, the lower total and the first status by alphabet win."""
    rows = [count(7, 0, 5, total=9, status="open"), count(7, 0, 3, total=12, status="closed")]
    state = fold_counts([rows[::-1] if turned else rows])
    assert (state.free[0], state.total[0], state.status[0]) == (3, 9, b"closed")
    state = fold_counts([[row] for row in (rows[::-1] if turned else rows)])
    assert (state.free[0], state.total[0], state.status[0]) == (3, 9, b"closed")


def test_a_value_not_told_keeps_the_last_one_with_its_own_time() -> None:
    """Total and status outlast counts that leave them out."""
    state = fold_counts([[count(1, 0, 5, total=9, status="closed")], [count(2, 0, 4)]])
    assert (state.free[0], state.free_at[0]) == (4, 2)
    assert (state.total[0], state.total_at[0]) == (9, 1)
    assert (state.status[0], state.status_at[0]) == (b"closed", 1)
