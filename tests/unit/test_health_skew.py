"""Sensors whose clock is wrong: how that is found, and what does not look like it."""

import pytest
from unit.health_city import COUNTER, City, late, said
from unit.worlds import (
    COME,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    count,
)

from processors.columns import NEVER
from schemas.live import SensorState


def test_a_fast_clock_is_named_after_three_messages() -> None:
    """Also by messages that are refused, of a sensor of which no good one came; a right one ends it."""
    city = City()
    for minute in range(3):
        assert city.state()[0] is not SensorState.CLOCK_SKEW
        arrived = NOW + minute * MINUTE
        ahead = said(arrived + HOUR, arrived=arrived)
        city.take(arrived, rejected=(ahead,))
    assert city.state() == (SensorState.CLOCK_SKEW, NOW + 2 * MINUTE)
    assert city.world.spots.observed_at[0] == NEVER
    assert city.take(NOW + 2 * HOUR).state() == (SensorState.SILENT, NEVER)
    at = NOW + 3 * HOUR
    assert city.take(at, said(at)).state() == (SensorState.OK, NEVER)


def test_a_slow_clock_is_always_late_by_the_same() -> None:
    """Eight messages in a row, more than five minutes late, within a minute; a right one ends it."""
    city = City()
    late(city, *[6 * MINUTE + n * SECOND for n in range(7)])
    assert city.state() == (SensorState.OK, NEVER)
    last = late(city, 6 * MINUTE, begin=NOW + 7 * MINUTE)
    assert city.state() == (SensorState.CLOCK_SKEW, last)
    assert late(city, 7 * MINUTE, begin=last + MINUTE)
    assert city.state() == (SensorState.OK, NEVER)


@pytest.mark.parametrize(
    "delays",
    [
        [6 * MINUTE + n * 10 * SECOND for n in range(16)],
        [4 * MINUTE] * 16,
        [*[6 * MINUTE] * 7, SECOND, *[6 * MINUTE] * 7],
    ],
    ids=["drifting", "a little late", "interrupted"],
)
def test_a_slow_network_is_not_a_slow_clock(delays: list[int]) -> None:
    """Delays that differ, are small, or come to an end now and then."""
    city = City()
    late(city, *delays)
    assert city.state() == (SensorState.OK, NEVER)


def test_while_a_backlog_is_read_clocks_are_not_judged() -> None:
    """Everything is late then."""
    city = City()
    late(city, *[6 * MINUTE] * 20, catching_up=True)
    assert city.state() == (SensorState.OK, NEVER)


def test_a_dead_letter_that_is_replayed_says_nothing_of_the_clock() -> None:
    """It was ahead of its arrival, but that is long ago."""
    city = City().take(NOW, said(NOW))
    letters = tuple(said(NOW - DAY + HOUR + n, arrived=NOW - DAY + n) for n in range(3))
    assert city.take(NOW + SECOND, rejected=letters).state() == (SensorState.OK, NEVER)


def test_messages_without_a_time_say_nothing_of_the_clock() -> None:
    """Their time is their arrival: neither does one make a wrong clock right."""
    city = City()
    last = late(city, *[6 * MINUTE] * 8)
    at = last + MINUTE
    assert city.take(at, said(at, arrived=at)).state() == (SensorState.CLOCK_SKEW, last)


def test_counters_have_clocks_too() -> None:
    """A counter an hour behind, as one is that tells local time for UTC; unknown in its figure, and named."""
    city = City()
    for minute in range(8):
        arrived = NOW + minute * MINUTE
        city.take(arrived, counts=(count(arrived - HOUR, COME, minute, arrived=arrived),))
    assert city.state(COUNTER) == (SensorState.CLOCK_SKEW, NOW + 7 * MINUTE)
    assert city.world.figures["unknown"][COME] == 40
