"""The health of parking sensors: how each state is entered and left, which comes first, and what a restart keeps."""

import pytest
from unit.health_city import COUNTER, City, late, said
from unit.worlds import (
    ANTI,
    COME,
    DAY,
    FOCH,
    HOUR,
    MINUTE,
    NOW,
    QUAY,
    QUAY_SPOT,
    SECOND,
    SPOTS,
    TOPICS,
    count,
    layout_of,
)

from processors.columns import NEVER
from processors.health import STATES, Health, troubles
from schemas.live import Domain, SensorState
from schemas.registry import Registry


def test_a_sensor_never_heard_is_silent_since_nobody_knows_when() -> None:
    """A bay and a counter of which nothing came; one that speaks only on change is ok."""
    city = City().take(NOW)
    assert city.state() == (SensorState.SILENT, NEVER)
    assert city.state(COUNTER) == (SensorState.SILENT, NEVER)
    assert city.state(QUAY_SPOT) == (SensorState.OK, NEVER)


def test_counters_of_figures_by_spots_are_no_sensors() -> None:
    """Nothing rests on them, so they are in no state and in no count."""
    city = City().take(NOW)
    assert city.state(SPOTS + ANTI) == (SensorState.OK, NEVER)
    assert city.world.health.counts is not None
    assert sum(city.world.health.counts[Domain.PARKING]) == SPOTS + 2


def test_a_bay_is_silent_past_its_heartbeat_since_it_was_last_heard() -> None:
    """Not before, and not while a backlog holds the clock; ok again with the next message."""
    city = City().take(NOW, said(NOW - SECOND))
    assert city.take(NOW + HOUR - SECOND).state() == (SensorState.OK, NEVER)
    assert city.take(NOW + 2 * HOUR, clock=NOW, catching_up=True).state() == (SensorState.OK, NEVER)
    assert city.take(NOW + 2 * HOUR + SECOND).state() == (SensorState.SILENT, NOW - SECOND)
    assert city.is_new
    later = NOW + 3 * HOUR
    assert city.take(later, said(later - SECOND)).state() == (SensorState.OK, NEVER)


def test_a_counter_is_silent_past_stale_after() -> None:
    """Age is that of the newest number."""
    city = City().take(NOW, counts=(count(NOW, FOCH, 3),))
    assert city.take(NOW + MINUTE).state(SPOTS + FOCH) == (SensorState.OK, NEVER)
    assert city.take(NOW + MINUTE + SECOND).state(SPOTS + FOCH) == (SensorState.SILENT, NOW)


def counted(city: City, begin: int, end: int, *, free: int = 7, status: str = "") -> City:
    """Let a counter tell a number every ten minutes."""
    for at in range(begin, end + 1, 10 * MINUTE):
        city.take(at, counts=(count(at, COME, free, status=status, arrived=at),))
    return city


def test_a_counter_that_tells_the_same_for_a_day_is_stuck() -> None:
    """It is named since its number last changed, its figure says so, and a change of the number ends it."""
    city = counted(City(), NOW, NOW + DAY - 10 * MINUTE)
    assert city.state(COUNTER) == (SensorState.OK, NEVER)
    counted(city, NOW + DAY, NOW + DAY)
    assert city.state(COUNTER) == (SensorState.STUCK, NOW)
    assert city.quality(COME) == ["stuck"]
    counted(city, NOW + DAY + 10 * MINUTE, NOW + DAY + 10 * MINUTE, free=6)
    assert city.state(COUNTER) == (SensorState.OK, NEVER)
    assert city.quality(COME) == []


def test_a_closed_car_park_is_not_stuck() -> None:
    """Nobody drives in or out; nor is it once it opens, until it has said the same for as long again."""
    city = counted(City(), NOW, NOW + 2 * DAY, status="closed")
    assert city.state(COUNTER) == (SensorState.OK, NEVER)
    counted(city, NOW + 2 * DAY + 10 * MINUTE, NOW + 3 * DAY - 10 * MINUTE, status="open")
    assert city.state(COUNTER) == (SensorState.OK, NEVER)
    counted(city, NOW + 3 * DAY, NOW + 3 * DAY, status="open")
    assert city.state(COUNTER) == (SensorState.STUCK, NOW + 2 * DAY)


def test_a_counter_that_fell_silent_is_silent_not_stuck() -> None:
    """What tells nothing does not tell the same."""
    city = counted(City(), NOW, NOW + DAY)
    assert city.take(NOW + 2 * DAY).state(COUNTER) == (SensorState.SILENT, NOW + DAY)
    assert city.quality(COME) == []


def test_a_bay_that_says_the_same_for_thirty_days_is_stuck() -> None:
    """Its figure says so; one that speaks only on change never is."""
    city = City()
    for day in range(31):
        at = NOW + day * DAY
        city.take(at, said(at), said(at, spot=QUAY_SPOT))
    assert city.state() == (SensorState.STUCK, NOW)
    assert city.state(QUAY_SPOT) == (SensorState.OK, NEVER)
    assert (city.quality(ANTI), city.quality(QUAY)) == (["stuck"], [])
    at = NOW + 31 * DAY
    assert city.take(at, said(at, occupied=False)).state() == (SensorState.OK, NEVER)


def flap(city: City, begin: int, changes: int, every: int = 10 * SECOND) -> int:
    """Let a bay change so often; give the time of the last change."""
    for number in range(changes):
        at = begin + number * every
        city.take(at + SECOND, said(at, occupied=number % 2 == 0))
    return begin + (changes - 1) * every


def test_a_bay_that_flips_is_flapping_until_it_calms() -> None:
    """From ten changes of late on, until less than five count; the figure says so."""
    city = City()
    # Of the first message nobody knows whether it is a change.
    last = flap(city, NOW, 11)
    assert city.state() == (SensorState.OK, NEVER)
    city.take(last + 12 * SECOND, said(last + 10 * SECOND, occupied=False))
    assert city.state() == (SensorState.FLAPPING, last + 12 * SECOND)
    assert city.quality(ANTI) == ["flapping"]
    began = city.state()
    assert city.take(last + 7 * MINUTE).state() == began
    assert city.take(last + 9 * MINUTE).state() == (SensorState.OK, NEVER)
    assert city.quality(ANTI) == []


def test_a_late_batch_of_changes_is_not_flapping() -> None:
    """Changes count as of their own time: twelve within a backlog of hours are few."""
    rows = [said(NOW - (12 - n) * 5 * MINUTE, occupied=n % 2 == 0, arrived=NOW) for n in range(12)]
    assert City().take(NOW, *rows).state() == (SensorState.OK, NEVER)


def test_a_low_battery_is_named_until_it_is_well_again() -> None:
    """Below 3.0 V, until 3.1 V is told; a message without a voltage says nothing."""
    city = City()
    for minute, volts, state in [
        (0, 3.0, SensorState.OK),
        (1, 2.99, SensorState.LOW_BATTERY),
        (2, 3.05, SensorState.LOW_BATTERY),
        (3, None, SensorState.LOW_BATTERY),
        (4, 3.1, SensorState.OK),
        (5, 3.05, SensorState.OK),
    ]:
        at = NOW + minute * MINUTE
        city.take(at, said(at, battery=volts))
        assert city.state()[0] is state, minute
    assert city.take(NOW + 6 * MINUTE, said(NOW + 6 * MINUTE, battery=2.0)).state()[1] == NOW + 6 * MINUTE


def test_two_devices_under_one_name_are_named() -> None:
    """From the third return of the count on, until an hour has gone by without one."""
    city = City()
    for number, seq in enumerate([5000, 100, 5001, 101]):
        city.take(NOW + number * SECOND, said(NOW + number * SECOND, seq=seq))
    assert city.state() == (SensorState.OK, NEVER)
    at = NOW + 10 * SECOND
    city.take(at, said(at, seq=5002), said(at + 1, seq=102))
    assert city.state() == (SensorState.DUPLICATE_IDENTITY, at)
    assert city.take(at + HOUR // 2, said(at + HOUR // 2)).state() == (SensorState.DUPLICATE_IDENTITY, at)
    assert city.take(at + HOUR, said(at + HOUR)).state() == (SensorState.OK, NEVER)


def test_the_first_state_that_holds_is_told() -> None:
    """A bay that flaps with a low battery is flapping; then its battery is low; then it is silent."""
    city = City()
    last = flap(city, NOW, 12)
    city.take(last + 12 * SECOND, said(last + 10 * SECOND, occupied=True, battery=2.5))
    assert city.state()[0] is SensorState.FLAPPING
    calm = last + 10 * MINUTE
    assert city.take(calm).state() == (SensorState.LOW_BATTERY, calm)
    assert city.take(calm + HOUR).state() == (SensorState.SILENT, last + 10 * SECOND)


def test_whoever_is_noisy_comes_first() -> None:
    """Also a counter that no figure rests on, which is no sensor otherwise; a state of its own, and counted."""
    city = City().take(NOW, said(NOW))
    topics = (TOPICS.spot("ANTI", "P-01"), TOPICS.count("ANTI"), TOPICS.count("COME"))
    city.take(NOW + 2 * HOUR, noisy=topics)
    assert city.state() == city.state(SPOTS + ANTI) == city.state(COUNTER) == (SensorState.NOISY, NOW)
    counts = city.world.health.counts
    assert counts is not None
    assert counts[Domain.PARKING][STATES.index(SensorState.NOISY)] == len(topics)
    city.take(NOW + 3 * HOUR)
    assert city.state() == (SensorState.SILENT, NOW)
    assert city.state(SPOTS + ANTI) == (SensorState.OK, NEVER)


def test_a_noisy_home_is_one_whichever_of_its_topics_is_loud() -> None:
    """Packs and presses of one home are one home."""
    city = City().take(NOW, noisy=(TOPICS.senml("hut-01"), TOPICS.pause("hut-01"), TOPICS.senml("hut-0")))
    counts = city.world.health.counts
    assert counts is not None
    assert counts[Domain.DWELLINGS][STATES.index(SensorState.NOISY)] == 2
    assert counts[Domain.PARKING][STATES.index(SensorState.NOISY)] == 0


def test_sensors_are_judged_once_a_second() -> None:
    """A batch within the second takes note, and the next second tells."""
    city = City().take(NOW, said(NOW))
    city.take(NOW + SECOND // 2, said(NOW + 1, battery=2.0, arrived=NOW + 2))
    assert (city.state(), city.is_new) == ((SensorState.OK, NEVER), False)
    assert city.take(NOW + SECOND).state() == (SensorState.LOW_BATTERY, NOW + SECOND)
    assert (city.is_new, city.is_empty) == (True, False)
    assert not city.take(NOW + 2 * SECOND).is_new
    assert city.is_empty


def test_another_beginning_is_news() -> None:
    """An old reading of a silent bay changes no count and no figure, but since when it is silent."""
    city = City().take(NOW, said(NOW - 3 * HOUR, arrived=NOW - 3 * HOUR))
    assert city.is_new
    assert city.take(NOW + SECOND, said(NOW - 2 * HOUR)).state() == (SensorState.SILENT, NOW - 2 * HOUR)
    assert city.is_new


def test_bays_in_trouble_do_not_spoil_a_counters_figure() -> None:
    """By count, it rests on the counter alone."""
    park = {"code": "COME", "name": "Comédie", "capacity": 4, "basis": "count", "spots": ["C-1"]}
    layout = layout_of(Registry.model_validate({"car_park": [park]}))
    health = Health.unknown(layout)
    health.resume(0, SensorState.FLAPPING, NOW, NOW)
    assert troubles(health, layout).flapping.tolist() == [False]
    health.resume(1, SensorState.STUCK, NOW, NOW)
    assert troubles(health, layout).stuck.tolist() == [True]


def test_the_states_count_every_sensor_once() -> None:
    """The numbers sum up to the sensors, and follow their states."""
    city = City().take(NOW, said(NOW), said(NOW, spot=1, battery=2.0))
    assert city.world.health.counts is not None
    parking = dict(zip(STATES, city.world.health.counts[Domain.PARKING], strict=True))
    assert {state: n for state, n in parking.items() if n} == {
        SensorState.OK: 4,
        SensorState.LOW_BATTERY: 1,
        SensorState.SILENT: 20,
    }


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        (SensorState.FLAPPING, "calm"),
        (SensorState.LOW_BATTERY, "battery"),
        (SensorState.CLOCK_SKEW, "right"),
        (SensorState.DUPLICATE_IDENTITY, "calm"),
    ],
)
def test_a_restart_keeps_states_and_how_they_end(state: SensorState, ends: str) -> None:
    """State and `since` go on; what ended a state before ends it after."""
    city = City()
    match state:
        case SensorState.FLAPPING:
            at = flap(city, NOW, 13) + SECOND
        case SensorState.LOW_BATTERY:
            at = NOW
            city.take(at, said(at, battery=2.9))
        case SensorState.CLOCK_SKEW:
            at = late(city, *[6 * MINUTE] * 8)
        case _:
            at = NOW
            rows = [said(NOW - 9 * SECOND + n, seq=seq) for n, seq in enumerate([900, 100, 901, 101, 902, 102, 903])]
            city.take(NOW, *rows)
    began = city.state()
    assert began[0] is state
    city.restart(at)
    assert city.take(at + SECOND).state() == began
    if ends == "calm":
        city.take(at + 59 * MINUTE, said(at + 59 * MINUTE, occupied=bool(city.world.spots.occupied[0])))
    elif ends == "battery":
        assert city.take(at + MINUTE, said(at + MINUTE, battery=3.05)).state() == began
        city.take(at + 2 * MINUTE, said(at + 2 * MINUTE, battery=3.2))
    else:
        assert city.take(at + MINUTE, said(at - 5 * MINUTE, arrived=at + MINUTE)).state() == began
        city.take(at + 2 * MINUTE, said(at + 2 * MINUTE))
    assert city.state() == (SensorState.OK, NEVER)


def test_what_is_missing_upstream_is_summed_by_car_park() -> None:
    """Over its bays; a late one is taken off again."""
    city = City().take(
        NOW,
        said(NOW - 3 * SECOND, seq=1),
        said(NOW - 2 * SECOND, seq=4),
        said(NOW, spot=1, seq=7),
        said(NOW + 1, spot=1, seq=9),
        said(NOW, spot=QUAY_SPOT, seq=5),
    )
    assert city.world.health.missing.tolist() == [3, 0, 0, 0]
    city.take(NOW + SECOND, said(NOW - 5 * SECOND // 2, arrived=NOW + SECOND, seq=3))
    assert city.world.health.missing.tolist() == [2, 0, 0, 0]
    assert city.spots_to_write == [0]
    assert city.world.sequences.missing[0] == 1


def test_a_message_refused_for_its_time_has_arrived() -> None:
    """It is not missing upstream: it reached us."""
    too_late = said(NOW - 30 * DAY, arrived=NOW, seq=2)
    city = City().take(NOW, said(NOW - 2 * SECOND, seq=1), rejected=(too_late,)).take(NOW, said(NOW, seq=3))
    assert city.world.sequences.missing[0] == 0
