"""One batch reduced: what has to be written, and what is left alone."""

from collections import Counter
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import (
    ANTI,
    CITY,
    COME,
    FOCH,
    HOUR,
    LAYOUT,
    MINUTE,
    NOW,
    QUAY,
    QUAY_SPOT,
    SECOND,
    count,
    counts_of,
    decoded_of,
    event,
    events_of,
)

from processors.columns import NEVER, Records, distinct
from processors.reduce import Moment, Reduced, World, reduce
from schemas.topics import Route

Row = tuple[Any, ...]
PARKS = len(LAYOUT.car_park_id)
NOTHING = decoded_of()


def at(now: int) -> Moment:
    """Give a moment at which nothing is held."""
    return Moment(now=now, clock=now, catching_up=False)


def reduce_at(now: int, world: World, events: list[Row] | None = None, counts: list[Row] | None = None) -> Reduced:
    """Reduce a batch of good readings."""
    return reduce(world, LAYOUT, decoded_of(events or (), counts or ()), at(now))


def written(world: World | None = None) -> World:
    """Give a world of which everything has been written."""
    return reduce_at(NOW, world or World.unknown(LAYOUT)).world


def arrays(world: World) -> list[np.ndarray[Any, Any]]:
    """Give every array of a world."""
    states = (world.spots, world.counts, world.sequences, world.health)
    parts = [getattr(state, name) for state in states for name in state.__slots__]
    return [*(part for part in parts if isinstance(part, np.ndarray)), world.figures, world.written_at]


EVENTS = st.builds(
    event, st.integers(NOW - HOUR, NOW), st.integers(0, 22), st.booleans(), arrived=st.integers(NOW, NOW + 9)
)
COUNTS = st.builds(
    count,
    st.integers(NOW - HOUR, NOW),
    st.sampled_from([ANTI, COME, FOCH]),
    st.integers(-2, 50),
    total=st.sampled_from([0, 40]),
    status=st.sampled_from(["", "open", "closed"]),
    arrived=st.integers(NOW, NOW + 9),
)


def test_the_first_batch_writes_every_figure() -> None:
    """A figure that was never computed is written, even where nothing is known: unknown is an answer."""
    first = reduce_at(NOW, World.unknown(LAYOUT))
    assert first.changed_figures.tolist() == list(range(PARKS + 1))
    assert (first.world.written_at == NOW).all()
    assert not first.is_empty


def test_nothing_new_writes_nothing() -> None:
    """A tick that changes no figure has nothing to write."""
    tick = reduce_at(NOW + SECOND, written())
    assert tick.is_empty
    assert tick.changed_figures.tolist() == []
    assert (tick.world.written_at == NOW).all()


def test_a_change_is_written_with_the_city_and_nothing_else() -> None:
    """One spot taken moves its car park and the city at once, and no other figure."""
    reduced = reduce_at(NOW + 1, written(), [event(NOW, 0, occupied=True, arrived=NOW + 1)])
    assert reduced.changed_figures.tolist() == [ANTI, PARKS]
    assert reduced.changed_spots.tolist() == [0]
    assert reduced.arrived_at.tolist() == [NOW + 1, NEVER, NEVER, NEVER, NOW + 1]


def test_readings_without_effect_write_no_figure_but_are_kept() -> None:
    """A count that changes no figure is still a reading to store."""
    world = reduce_at(NOW, World.unknown(LAYOUT), counts=[count(NOW, COME, 5)]).world
    reduced = reduce_at(NOW + 1, world, counts=[count(NOW - HOUR, COME, 9)])
    assert reduced.changed_figures.tolist() == reduced.changed_counts.tolist() == []
    assert len(reduced.counts) == 1
    assert not reduced.is_empty


def test_a_newer_time_alone_is_written_at_most_once_a_minute() -> None:
    """A heartbeat that says the same waits, is never forgotten, and goes out on a tick once a minute has passed."""
    world = reduce_at(NOW, World.unknown(LAYOUT), [event(NOW, 0, occupied=True)]).world
    soon = reduce_at(NOW + SECOND, world, [event(NOW + SECOND, 0, occupied=True)])
    assert soon.changed_figures.tolist() == []
    assert soon.changed_spots.tolist() == [0]
    assert soon.world.figures["observed_at"][ANTI] == NOW
    not_yet = reduce_at(NOW + MINUTE - 1, soon.world)
    assert not_yet.is_empty
    due = reduce_at(NOW + MINUTE, not_yet.world)
    assert due.changed_figures.tolist() == [ANTI, PARKS]
    assert due.world.figures["observed_at"][ANTI] == due.world.figures["observed_at"][CITY] == NOW + SECOND
    assert reduce_at(NOW + 10 * MINUTE, due.world).changed_figures.tolist() == []


def test_a_real_change_does_not_wait() -> None:
    """A change of the numbers is written at once, whenever the last was, and carries the newest time."""
    world = reduce_at(NOW, World.unknown(LAYOUT), [event(NOW, 0, occupied=True)]).world
    soon = reduce_at(NOW + 1, world, [event(NOW + 1, 0, occupied=False)])
    assert soon.changed_figures.tolist() == [ANTI, PARKS]
    assert soon.world.figures["observed_at"][ANTI] == NOW + 1


def test_silence_is_written_without_any_message() -> None:
    """A counter that falls silent becomes unknown on a tick."""
    world = reduce_at(NOW, World.unknown(LAYOUT), counts=[count(NOW, FOCH, 5)]).world
    assert reduce_at(NOW + MINUTE, world).is_empty
    expired = reduce_at(NOW + MINUTE + 1, world)
    assert expired.changed_figures.tolist() == [FOCH, PARKS]
    assert expired.world.figures["unknown"][FOCH] == 10
    assert expired.arrived_at.tolist() == [NEVER] * (PARKS + 1)


def test_a_held_clock_holds_silence() -> None:
    """While a backlog drains nothing expires; that it is held is itself a change to tell."""
    world = reduce_at(NOW, World.unknown(LAYOUT), counts=[count(NOW, FOCH, 5)]).world
    held = reduce(world, LAYOUT, NOTHING, Moment(now=NOW + HOUR, clock=NOW, catching_up=True))
    assert held.world.figures["free"][FOCH] == 5
    assert held.changed_figures.tolist() == list(range(PARKS))


@given(st.lists(EVENTS, max_size=15), st.lists(COUNTS, max_size=15))
def test_the_world_given_stays_as_it_is(events: list[Row], counts: list[Row]) -> None:
    """Until the batch has committed, the old world is the world; the new one shares no array that changed."""
    world = reduce_at(NOW - 1, World.unknown(LAYOUT), events[:3], counts[:3]).world
    before = deepcopy(arrays(world))
    reduce_at(NOW, world, events, counts)
    for old, now in zip(before, arrays(world), strict=True):
        np.testing.assert_array_equal(old, now)


@given(st.lists(st.tuples(st.lists(EVENTS, max_size=4), st.lists(COUNTS, max_size=4), st.integers(1, 50)), max_size=8))
def test_what_was_written_is_what_is_true_but_for_the_time_seen(
    batches: list[tuple[list[Row], list[Row], int]],
) -> None:
    """After any batches the figures kept are the real ones; only `observed_at` may lag, for less than a minute."""
    world, now, fresh = World.unknown(LAYOUT), NOW, World.unknown(LAYOUT)
    for events, counts, seconds in batches:
        now += seconds * SECOND
        old = world
        reduced = reduce_at(now, world, events, counts)
        world = reduced.world
        truth = reduce(replace(world, figures=fresh.figures, written_at=fresh.written_at), LAYOUT, NOTHING, at(now))
        for name in ("capacity", "free", "occupied", "unknown", "status", "stale", "quality"):
            np.testing.assert_array_equal(world.figures[name], truth.world.figures[name])
        lags = world.figures["observed_at"] != truth.world.figures["observed_at"]
        assert (now - world.written_at[lags] < MINUTE).all()
        changed = np.isin(np.arange(PARKS + 1), reduced.changed_figures)
        np.testing.assert_array_equal(changed, old.figures != world.figures)
        for name in ("capacity", "free", "occupied", "unknown"):
            assert world.figures[name][CITY] == world.figures[name][:CITY].sum()


@given(st.lists(EVENTS, max_size=10), st.lists(COUNTS, max_size=10))
def test_every_fact_is_written_once(events: list[Row], counts: list[Row]) -> None:
    """Of a repeated fact the first arrival is kept; different values at one instant are all kept."""
    reduced = reduce_at(NOW, World.unknown(LAYOUT), [*events, *events[:4]], [*counts, *counts[:4]])
    spots = [tuple(row) for row in reduced.events[["time", "spot", "occupied"]].tolist()]
    counters = [tuple(row) for row in reduced.counts[["time", "car_park", "free", "total", "status"]].tolist()]
    assert sorted(set(spots)) == spots
    assert set(spots) == {(row[1], row[2], row[3]) for row in events}
    assert len(set(counters)) == len(counters)
    assert [row[0] for row in counters] == sorted(row[0] for row in counters)
    assert set(counters) == {row[1:6] for row in counts}


@given(st.data(), st.integers(1, 3), st.sampled_from([3, 2**61]))
def test_facts_are_in_the_order_of_their_key(data: st.DataObject, spots: int, apart: int) -> None:
    """However many share a time and a spot, and however far apart they are."""
    times = st.integers(0, 3).map(lambda steps: NOW + steps * (apart - NOW) // 3)
    rows = data.draw(st.lists(st.builds(event, times, st.integers(0, spots), st.booleans()), max_size=8))
    rows = [(number, *row[1:]) for number, row in enumerate(rows)]
    first = {row[1:4]: row[0] for row in reversed(rows)}
    assert distinct(events_of(rows))["delivery"].tolist() == [first[fact] for fact in sorted(first)]


@pytest.mark.parametrize("readings", [events_of([]), counts_of([])], ids=["events", "counts"])
def test_no_readings_are_distinct(readings: Records) -> None:
    """An empty batch has no facts."""
    assert len(distinct(readings)) == 0


def test_of_a_repeated_fact_the_first_arrival_is_kept() -> None:
    """What a redelivery tells of battery or arrival comes second."""
    rows = [
        event(NOW, 1, occupied=True, arrived=NOW + 5, delivery=0),
        event(NOW, 1, occupied=True, arrived=NOW + 3, delivery=1),
        event(NOW - 1, 1, occupied=True, arrived=NOW + 9, delivery=2),
    ]
    assert distinct(events_of(rows))["delivery"].tolist() == [2, 0]


@given(st.lists(EVENTS, max_size=10), st.lists(COUNTS, max_size=10))
def test_the_newest_arrival_is_told_per_car_park(events: list[Row], counts: list[Row]) -> None:
    """A figure's age is measured from the newest reading of its car park in the batch."""
    arrived_at = reduce_at(NOW, World.unknown(LAYOUT), events, counts).arrived_at
    facts = {(row[1], row[2], row[3]): row for row in reversed(events)}
    told: dict[int, list[int]] = {index: [] for index in range(PARKS)}
    for row in facts.values():
        told[ANTI if row[2] < QUAY_SPOT else QUAY].append(row[4])
    for row in {row[1:6]: row for row in reversed(counts)}.values():
        told[row[2]].append(row[6])
    newest = [max(times, default=NEVER) for times in told.values()]
    assert arrived_at.tolist() == [*newest, max(newest)]


def test_a_batch_of_rejects_alone_has_to_be_written() -> None:
    """Dead letters and refusals change no figure but stand in the ledger."""
    refused = replace(decoded_of(), messages=Counter([Route.SPOT]), refused=Counter([Route.SPOT]))
    assert not reduce(written(), LAYOUT, refused, at(NOW)).is_empty
