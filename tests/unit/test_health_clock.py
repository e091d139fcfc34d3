"""Wrong clocks, message by message in any batches."""

from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import DAY, MINUTE, NOW, SECOND

from processors.health_clock import Clocks, observe

SENSORS = 2
DELAYS = st.one_of(
    st.integers(-3, 9).map(lambda minutes: minutes * MINUTE),
    st.integers(299, 361).map(lambda seconds: seconds * SECOND),
    st.sampled_from([0, -MINUTE - 1, 365 * DAY, 2**61]),
)
MESSAGES = st.lists(st.tuples(st.integers(0, SENSORS - 1), DELAYS), max_size=60)


def expected(delays: list[int]) -> bool:
    """Tell by the words of docs/health.md whether a clock that told times so late is wrong."""
    told = [delay for delay in delays if delay]
    if len(told) >= 3 and all(delay < -MINUTE for delay in told[-3:]):
        return True
    last = told[-8:]
    return len(last) == 8 and min(last) >= 5 * MINUTE and max(last) - min(last) < MINUTE


@given(st.data(), MESSAGES)
def test_clocks_are_judged_by_the_rule_in_any_batches(data: st.DataObject, messages: list[tuple[int, int]]) -> None:
    """Where batches end makes no difference, and the clocks given stay as they are."""
    clocks = Clocks.unknown(SENSORS)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(messages)), max_size=5)))
    for first, last in pairwise([0, *cuts, len(messages)]):
        sensors, delays = np.array(messages[first:last], dtype=np.int64).reshape(-1, 2).T
        arrived = NOW + np.arange(first, last)
        before = deepcopy(clocks)
        after = observe(clocks, sensors, arrived - delays, arrived)
        for name in Clocks.__slots__:
            np.testing.assert_array_equal(getattr(before, name), getattr(clocks, name))
        clocks = after
    of_sensor = [[delay for sensor, delay in messages if sensor == number] for number in range(SENSORS)]
    assert clocks.is_skewed.tolist() == [expected(delays) for delays in of_sensor]


@pytest.mark.parametrize(("delay", "is_wrong"), [(-2 * MINUTE, True), (10 * MINUTE, True), (MINUTE, False)])
def test_a_suspect_clock_is_wrong_until_a_message_contradicts(delay: int, is_wrong: bool) -> None:
    """After a restart nobody knows which way it was wrong."""
    clocks = Clocks.unknown(1)
    clocks.suspected[0] = True
    assert clocks.is_skewed.tolist() == [True]
    after = observe(clocks, np.zeros(1, dtype=np.int64), np.array([NOW - delay]), np.array([NOW]))
    assert after.is_skewed.tolist() == [is_wrong]


def test_of_many_messages_at_once_the_last_eight_count() -> None:
    """As after a burst."""
    arrived = NOW + np.arange(30) * MINUTE
    delays = np.where(np.arange(30) < 22, 60 * MINUTE, 10 * MINUTE)
    clocks = observe(Clocks.unknown(1), np.zeros(30, dtype=np.int64), arrived - delays, arrived)
    assert clocks.delays.tolist() == [[10 * MINUTE] * 8]


def test_a_suspect_clock_is_believed_by_its_last_eight_messages() -> None:
    """It is late, but never by the same: that is its network."""
    clocks = Clocks.unknown(1)
    clocks.suspected[0] = True
    for number in range(8):
        assert clocks.is_skewed.tolist() == [True]
        arrived = np.array([NOW + number * MINUTE])
        clocks = observe(clocks, np.zeros(1, dtype=np.int64), arrived - (10 + 2 * number) * MINUTE, arrived)
    assert clocks.is_skewed.tolist() == [False]
