"""Live figures against the contract's rules, written plainly."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import (
    ANTI,
    CITY,
    COME,
    DAY,
    FOCH,
    HOUR,
    LAYOUT,
    MINUTE,
    NOW,
    QUAY,
    QUAY_SPOT,
    REGISTRY,
    SPOTS,
    count,
    counts_of,
    event,
    events_of,
    layout_of,
)

from processors.availability import FIGURE_STATUSES, QUALITIES, figures, quality_bits, quality_names
from processors.columns import NEVER
from processors.health import Troubles
from processors.parking_state import CountStates, SpotStates, apply_counts, apply_events
from schemas.live import CarParkFigure
from schemas.registry import Registry

PARKS = len(REGISTRY.car_park)
STATUSES = st.sampled_from(["", "open", "full", "closed"])


class Bay(NamedTuple):
    """What is known of a spot; `age` is None where nothing was heard."""

    age: int | None
    occupied: bool


class Counter(NamedTuple):
    """What is known of a counter; `age` is None where nothing was heard."""

    age: int | None
    free: int
    total: int
    status: str


NOTHING = Counter(None, 0, 0, "")
AGES = st.none() | st.sampled_from([-MINUTE, 0, MINUTE, MINUTE + 1, 15 * MINUTE, 15 * MINUTE + 1, HOUR, HOUR + 1, DAY])
BAYS = st.lists(st.builds(Bay, AGES, st.booleans()), min_size=SPOTS, max_size=SPOTS)
COUNTERS = st.lists(
    st.builds(Counter, AGES, st.integers(-3, 45), st.sampled_from([0, 1, 10, 20, 40, 41]), STATUSES),
    min_size=PARKS,
    max_size=PARKS,
)


SOUND = Troubles(np.zeros(PARKS, dtype=bool), np.zeros(PARKS, dtype=bool))
"""No sensor is stuck or flaps."""
NO_PARKS = Troubles(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool))


def figures_of(bays: list[Bay], counters: list[Counter], *, clock: int = NOW, catching_up: bool = False) -> Any:  # noqa: ANN401 - records
    """Compute figures of what is known, all ages being against `clock`."""
    spots = SpotStates.unknown(SPOTS)
    events = [event(clock - bay.age, index, bay.occupied) for index, bay in enumerate(bays) if bay.age is not None]
    spots, _ = apply_events(spots, events_of(events))
    told = [
        count(clock - known.age, index, known.free, total=known.total, status=known.status)
        for index, known in enumerate(counters)
        if known.age is not None
    ]
    counts, _ = apply_counts(CountStates.unknown(PARKS), counts_of(told))
    return figures(LAYOUT, spots, counts, SOUND, clock, catching_up)


def bays_with(index: int, *some: Bay) -> list[Bay]:
    """Give spots of which only these, from an index on, were heard of."""
    silent = [Bay(None, occupied=False)] * SPOTS
    return [*silent[:index], *some, *silent[index + len(some) :]]


def counter_of(car_park: int, known: Counter) -> list[Counter]:
    """Give counters of which only one was heard of."""
    return [known if index == car_park else NOTHING for index in range(PARKS)]


def status_of(figure: Any) -> str:  # noqa: ANN401 - a record
    """Spell out a figure's status."""
    return FIGURE_STATUSES[figure["status"]]


def expected(index: int, bays: list[Bay], known: Counter, *, catching_up: bool) -> dict[str, Any]:
    """Give a car park's figure by the contract's words."""
    park = REGISTRY.car_park[index]
    heartbeat = park.heartbeat.total_seconds() * 1e6 or float("inf")
    fresh = [bay.occupied for bay in bays if bay.age is not None and bay.age <= heartbeat]
    is_told = known.age is not None
    capacity, free, occupied, quality = park.capacity, fresh.count(False), fresh.count(True), []
    times = [NOW - bay.age for bay in bays if bay.age is not None]
    if park.basis == "count":
        capacity = known.total if is_told and known.total else park.capacity
        is_fresh = known.age is not None and known.age <= park.stale_after.total_seconds() * 1e6
        free = min(max(known.free, 0), capacity) if is_fresh else 0
        occupied = capacity - free if is_fresh else 0
        times = [NOW - known.age] if known.age is not None else []
        if is_fresh:
            quality += ["over_capacity"] * (known.free > capacity) + ["negative_free"] * (known.free < 0)
            quality += ["status_contradicts_count"] * (known.status == "full" and known.free > 0)
        quality += ["capacity_changed"] * (capacity != park.capacity)
    unknown = capacity - free - occupied
    free_max = free + unknown
    status = "open"
    if is_told and known.status == "closed":
        status = "closed"
    elif occupied + free == 0:
        status = "unknown"
    elif free_max == 0:
        status = "full"
    elif 20 * free_max <= capacity:
        status = "almost_full"
    return {
        "capacity": capacity,
        "free": free,
        "occupied": occupied,
        "unknown": unknown,
        "status": status,
        "stale": not free + occupied,
        "quality": sorted(quality + ["catching_up"] * catching_up),
        "observed_at": max(times, default=NEVER),
    }


@given(BAYS, COUNTERS, st.booleans())
def test_figures_are_those_of_the_contract(bays: list[Bay], counters: list[Counter], catching_up: bool) -> None:
    """Every number, status and flag of every car park is what the contract's rules give."""
    out = figures_of(bays, counters, catching_up=catching_up)
    of_park = {ANTI: bays[:QUAY_SPOT], QUAY: bays[QUAY_SPOT:], COME: [], FOCH: []}
    for index in range(PARKS):
        figure = dict(zip(out.dtype.names, out[index].item(), strict=True))
        figure |= {"status": status_of(out[index]), "quality": sorted(quality_names(figure["quality"]))}
        assert figure == expected(index, of_park[index], counters[index], catching_up=catching_up)


@given(BAYS, COUNTERS, st.integers(NOW - DAY, NOW + 100 * DAY))
def test_free_occupied_and_unknown_are_the_capacity_always(
    bays: list[Bay], counters: list[Counter], clock: int
) -> None:
    """At any clock the three parts are not negative and sum to the capacity; the city sums its car parks."""
    spots, _ = apply_events(
        SpotStates.unknown(SPOTS),
        events_of([event(NOW - bay.age, index, bay.occupied) for index, bay in enumerate(bays) if bay.age is not None]),
    )
    told = [
        count(NOW - known.age, index, known.free, total=known.total, status=known.status)
        for index, known in enumerate(counters)
        if known.age is not None
    ]
    counts, _ = apply_counts(CountStates.unknown(PARKS), counts_of(told))
    out = figures(LAYOUT, spots, counts, SOUND, clock, catching_up=False)
    assert (out["free"] + out["occupied"] + out["unknown"] == out["capacity"]).all()
    for name in ("free", "occupied", "unknown"):
        assert (out[name] >= 0).all()
        assert out[name][CITY] == out[name][:CITY].sum()
    assert (out["capacity"][:CITY] > 0).all()
    assert out["capacity"][CITY] == out["capacity"][:CITY].sum()
    assert out["observed_at"][CITY] == out["observed_at"][:CITY].max()
    assert (out["stale"][:CITY] == (out["unknown"] == out["capacity"])[:CITY]).all()


@pytest.mark.parametrize(("age", "free"), [(HOUR, 1), (HOUR + 1, 0), (-MINUTE, 1)])
def test_a_spot_older_than_its_heartbeat_is_unknown(age: int, free: int) -> None:
    """A silent sensor is unknown, never free, from the first microsecond past its heartbeat."""
    figure = figures_of(bays_with(0, Bay(age, occupied=False)), [NOTHING] * PARKS)[ANTI]
    assert (figure["free"], figure["occupied"], figure["unknown"]) == (free, 0, 22 - free)
    assert figure["observed_at"] == NOW - age


def test_a_spot_with_heartbeat_0_is_never_silent() -> None:
    """A sensor that speaks only on change is believed for ever, but not before it has spoken."""
    bays = bays_with(QUAY_SPOT, Bay(100 * 365 * DAY, occupied=False), Bay(DAY, occupied=True))
    figure = figures_of(bays, [NOTHING] * PARKS)[QUAY]
    assert (figure["free"], figure["occupied"], figure["unknown"], figure["stale"]) == (1, 1, 1, False)


@pytest.mark.parametrize(("age", "stale"), [(15 * MINUTE, False), (15 * MINUTE + 1, True)])
def test_a_counter_older_than_stale_after_is_unknown(age: int, stale: bool) -> None:
    """A counter fallen silent tells neither free nor occupied, but when it was last heard."""
    figure = figures_of(bays_with(0), counter_of(COME, Counter(age, 7, 0, "open")))[COME]
    assert figure["stale"] == stale
    assert (figure["free"], figure["occupied"], figure["unknown"]) == ((0, 0, 40) if stale else (7, 33, 0))
    assert status_of(figure) == ("unknown" if stale else "open")
    assert figure["observed_at"] == NOW - age


@pytest.mark.parametrize("clock", [NEVER, NOW])
def test_a_clock_held_keeps_what_was_fresh(clock: int) -> None:
    """While a backlog drains, freshness is judged as of when that began, even where nothing was ever committed."""
    spots, _ = apply_events(SpotStates.unknown(SPOTS), events_of([event(NOW - HOUR, 0, occupied=False)]))
    counts, _ = apply_counts(CountStates.unknown(PARKS), counts_of([count(NOW, COME, 7)]))
    out = figures(LAYOUT, spots, counts, SOUND, clock, catching_up=True)
    assert (out["free"][ANTI], out["free"][COME]) == (1, 7)
    assert [quality_names(bits) for bits in out["quality"][:CITY].tolist()] == [["catching_up"]] * PARKS
    later = figures(LAYOUT, spots, counts, SOUND, NOW + DAY, catching_up=False)
    assert (later["free"][ANTI], later["free"][COME]) == (0, 0)


@pytest.mark.parametrize(
    ("free", "status"), [(-5, "full"), (0, "full"), (1, "almost_full"), (2, "almost_full"), (3, "open"), (99, "open")]
)
def test_the_status_of_a_counter_follows_its_free_places(free: int, status: str) -> None:
    """Full at none, almost full up to a twentieth of the capacity, else open."""
    figure = figures_of(bays_with(0), counter_of(COME, Counter(0, free, 0, "open")))[COME]
    assert status_of(figure) == status
    assert figure["free"] == min(max(free, 0), 40)


def test_a_car_park_with_an_unknown_spot_is_not_full() -> None:
    """Full is said only where no spot can be free: an unknown one may be."""
    taken = [Bay(0, occupied=True)] * 3
    assert status_of(figures_of(bays_with(QUAY_SPOT, *taken), [NOTHING] * PARKS)[QUAY]) == "full"
    assert status_of(figures_of(bays_with(QUAY_SPOT, *taken[:2]), [NOTHING] * PARKS)[QUAY]) == "open"


@pytest.mark.parametrize("car_park", [ANTI, COME])
@pytest.mark.parametrize("age", [0, DAY])
def test_closed_is_closed_on_either_basis_until_told_otherwise(car_park: int, age: int) -> None:
    """A told closed comes before every other status, however long ago, and says nothing of the numbers."""
    bays = bays_with(0, Bay(0, occupied=False))
    closed = figures_of(bays, counter_of(car_park, Counter(age, 3, 0, "closed")))[car_park]
    reopened = figures_of(bays, counter_of(car_park, Counter(age, 3, 0, "open")))[car_park]
    assert status_of(closed) == "closed"
    assert status_of(reopened) != "closed"
    for name in ("free", "occupied", "unknown", "stale", "quality"):
        assert closed[name] == reopened[name]


def test_counts_of_a_car_park_by_spots_are_not_used() -> None:
    """Where spots speak, a counter changes neither numbers nor flags."""
    bays = bays_with(0, Bay(0, occupied=False), Bay(0, occupied=True))
    with_count = figures_of(bays, counter_of(ANTI, Counter(0, -9, 500, "full")))
    assert with_count[ANTI] == figures_of(bays, [NOTHING] * PARKS)[ANTI]


@pytest.mark.parametrize(
    ("known", "quality"),
    [
        (Counter(0, 41, 0, ""), ["over_capacity"]),
        (Counter(0, -1, 0, ""), ["negative_free"]),
        (Counter(0, 1, 0, "full"), ["status_contradicts_count"]),
        (Counter(0, 0, 0, "full"), []),
        (Counter(0, 0, 0, "open"), []),
        (Counter(0, 1, 41, ""), ["capacity_changed"]),
        (Counter(0, 41, 41, "FULL".lower()), ["status_contradicts_count", "capacity_changed"]),
        (Counter(0, 40, 40, "open"), []),
    ],
)
def test_quality_tells_what_is_strange_about_a_counter(known: Counter, quality: list[str]) -> None:
    """A figure that does not fit is corrected, and says that it was."""
    figure = figures_of(bays_with(0), counter_of(COME, known))[COME]
    assert quality_names(figure["quality"]) == quality


def test_the_newest_total_told_is_the_capacity() -> None:
    """A counter that tells another total is believed, and free is clipped to that."""
    figure = figures_of(bays_with(0), counter_of(COME, Counter(0, 50, 45, "open")))[COME]
    assert (figure["capacity"], figure["free"], figure["occupied"]) == (45, 45, 0)


@given(st.lists(st.sampled_from(QUALITIES), unique=True))
def test_quality_flags_are_packed_and_read_back(names: list[str]) -> None:
    """What is written to the table comes back after a restart; what another version wrote is left out."""
    assert sorted(quality_names(quality_bits([*names, "of_another_version"]))) == sorted(names)


def test_an_empty_registry_gives_an_empty_city() -> None:
    """Without car parks the city is nothing, not an error."""
    out = figures(
        layout_of(Registry()), SpotStates.unknown(0), CountStates.unknown(0), NO_PARKS, NOW, catching_up=False
    )
    assert out[["capacity", "free", "occupied", "unknown", "observed_at"]].tolist() == [(0, 0, 0, 0, NEVER)]


@given(st.integers(1, 5000), st.data())
def test_bounds_and_ratios_follow_from_the_counts(capacity: int, data: st.DataObject) -> None:
    """A published figure carries its bounds, and ratios to four digits; nothing known has no occupancy."""
    free = data.draw(st.integers(0, capacity))
    occupied = data.draw(st.integers(0, capacity - free))
    unknown = capacity - free - occupied
    figure = CarParkFigure.of(
        car_park="A",
        name="A",
        zone="",
        status="open",
        basis="spots",
        capacity=capacity,
        free=free,
        occupied=occupied,
        unknown=unknown,
        stale=False,
        quality=[],
        observed_at=datetime(2026, 11, 21, 22, tzinfo=UTC),
        revision=1,
    )
    assert (figure.free_min, figure.free_max) == (free, free + unknown)
    assert figure.confidence == round(1 - unknown / capacity, 4)
    if free + occupied:
        assert figure.occupancy == pytest.approx(occupied / (occupied + free), abs=0.00005001)
    else:
        assert figure.occupancy is None
    assert CarParkFigure.model_validate_json(figure.payload()) == figure
    assert b'"observed_at":"2026-11-21T22:00:00Z"' in figure.payload()


def test_figures_leave_the_states_as_they_are() -> None:
    """Computing figures changes nothing that they rest on."""
    spots = SpotStates.unknown(SPOTS)
    counts = CountStates.unknown(PARKS)
    key, free = spots.key.copy(), counts.free.copy()
    figures(LAYOUT, spots, counts, SOUND, NOW, catching_up=False)
    np.testing.assert_array_equal(spots.key, key)
    np.testing.assert_array_equal(counts.free, free)
