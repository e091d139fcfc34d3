"""How durations spread."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.sending.spread import Spread

DURATIONS = st.lists(st.floats(1e-6, 800), min_size=1, max_size=200)


def spread_of(durations: list[float]) -> Spread:
    made = Spread()
    for duration in durations:
        made.add(duration)
    return made


@given(DURATIONS, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_right_to_a_tenth(durations: list[float], share: float) -> None:
    """It is never less than the true one, and never more than a tenth above it."""
    true = sorted(durations)[math.ceil(share * len(durations)) - 1]
    told = spread_of(durations).quantile(share)
    assert told is not None
    assert true * (1 - 1e-9) <= told <= true * 1.1 * (1 + 1e-9)


@given(DURATIONS, DURATIONS)
def test_spreads_add_up(one: list[float], other: list[float]) -> None:
    """Those of several processes together are that of all messages; counts can be handed on."""
    together = Spread(spread_of(one).counts)
    together.update(spread_of(other))
    assert together.counts == spread_of(one + other).counts


@pytest.mark.parametrize(("duration", "told"), [(-5.0, 1e-6), (0.0, 1e-6), (1e9, pytest.approx(870, rel=0.01))])
def test_what_is_out_of_bounds_counts_as_the_bound(duration: float, told: float) -> None:
    assert spread_of([duration]).quantile(0.5) == told


def test_nothing_has_no_quantile() -> None:
    assert Spread().quantile(0.5) is None
