"""Occupancy curves: how they are measured, and that simulated days look like days."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from harness.archives import archive

from schemas.registry import Registry, load_registry
from simulators.parking import days
from simulators.parking.calendar import HALF_HOURS_A_DAY
from simulators.parking.curves import Curve, Sample, curve_of, known_like, likeness, occupancy, shape_of
from simulators.parking.resemblance import COMPARED, Comparison, KindOfDays, compare, curves, measured

FRIDAY, SATURDAY, SUNDAY = range(3)
FIRST = date(2023, 1, 13)
NAN = float("nan")


@cache
def shipped() -> Registry:
    """Load the registry that ships."""
    return load_registry(Path(__file__).parents[2] / "deploy/registry.toml")


@cache
def simulated(seed: int = 1) -> dict[str, KindOfDays]:
    """Simulate five cities for the three days."""
    return {one.kind: one for one in curves(shipped(), seed, FIRST)}


def between(curve: Curve, day: int, begin: float, end: float) -> float:
    """Give the mean of a curve between two hours of a day."""
    first = day * HALF_HOURS_A_DAY
    return float(curve[first + round(2 * begin) : first + round(2 * end)].mean())


def test_a_curve_is_the_mean_of_car_parks() -> None:
    """However often one speaks, each counts alike; where one is silent, nothing is known."""
    samples = [Sample(0, "A", 0.2), Sample(0, "A", 0.4), Sample(0, "B", 0.7), Sample(1, "A", 1.0), Sample(2, "C", 1.0)]
    assert curve_of(samples, ["A", "B"], 3).tolist() == pytest.approx([0.5, NAN, NAN], nan_ok=True)


def test_what_a_counter_tells_beyond_its_bounds_is_cut() -> None:
    """A drifting counter makes no share below 0 or above 1."""
    assert [occupancy(free, 100) for free in (-5, 0, 25, 100, 140)] == [1, 1, 0.75, 0, 0]


def test_a_shape_tells_the_hours_of_peak_and_trough() -> None:
    """Only of the half hours that are known."""
    curve = np.array([NAN, 0.2, 0.5, 0.9, 0.3])
    shape = shape_of(curve)
    assert (shape.peak_hour, shape.trough_hour) == (1.5, 0.5)
    assert (shape.mean, shape.swing) == pytest.approx((0.475, 0.7))
    assert known_like(np.arange(5.0), curve).tolist() == pytest.approx([NAN, 1, 2, 3, 4], nan_ok=True)


def test_likeness_is_correlation_and_distance() -> None:
    """A curve that lies above another is like it in form and unlike it in height."""
    rising = np.array([0.1, 0.2, 0.3, NAN])
    told = likeness(rising, rising + 0.2)
    assert (told.correlation, told.rmse) == pytest.approx((1, 0.2))
    assert likeness(rising, -rising).correlation == pytest.approx(-1)
    assert np.isnan(likeness(rising, np.array([0.5, 0.5, 0.5, 0.5])).correlation)


def test_half_hours_are_those_of_the_clock_on_the_wall() -> None:
    """Midnight of the first day is the first half hour, in winter as in summer."""
    assert [days.half_hour(days.midnight(date(2023, month, 13)), date(2023, month, 13)) for month in (1, 7)] == [0, 0]
    assert days.half_hour(days.midnight(date(2023, 1, 15)), FIRST) == 2 * HALF_HOURS_A_DAY


def test_park_and_ride_is_full_by_day_and_empty_at_night() -> None:
    """Commuters fill it on a weekday, and not on a Sunday."""
    curve = simulated()["park-and-ride"].simulated
    assert between(curve, FRIDAY, 10, 15) > between(curve, FRIDAY, 2, 5) + 0.25
    assert 9 <= shape_of(curve[:HALF_HOURS_A_DAY]).peak_hour <= 15
    assert between(curve, SUNDAY, 10, 15) < between(curve, FRIDAY, 10, 15) - 0.15


def test_the_centre_is_fuller_on_a_saturday_afternoon_than_at_night() -> None:
    """And in the evening of a Friday than in that of a Sunday."""
    curve = simulated()["centre"].simulated
    assert between(curve, SATURDAY, 14, 18) > between(curve, SATURDAY, 3, 6) + 0.1
    assert between(curve, FRIDAY, 18, 21) > between(curve, SUNDAY, 18, 21) + 0.05


def test_two_seeds_are_two_cities() -> None:
    """They differ, and both are days of the same kind."""
    one, other = simulated()["centre"].cities[:2]
    assert 0.001 < likeness(one, other).rmse < 0.15
    assert likeness(one, other).correlation > 0.8


def test_faulty_counters_are_left_out() -> None:
    """What is compared are the counters of the three days that worked, of the kinds with enough of them."""
    kinds = measured(shipped())
    assert set(kinds) == set(COMPARED)
    codes = {park.code for parks in kinds.values() for park in parks}
    assert codes.isdisjoint(days.FAULTY)
    assert len(codes) == 15


@pytest.fixture(scope="module")
def compared() -> Sequence[Comparison]:
    """Compare with the three real days."""
    parks = [park for of_kind in measured(shipped()).values() for park in of_kind]
    real = list(days.real(archive("montpellier/polls_2023-01"), tuple(parks), FIRST))
    return compare(
        [replace(one, real=curve_of(real, one.car_parks, len(one.simulated))) for one in simulated().values()], FIRST
    )


def test_simulated_days_are_like_the_real_ones(compared: Sequence[Comparison]) -> None:
    """Within some points of the real curves, and where these move much, along with them."""
    assert len(compared) == 6
    for one in compared:
        assert one.real is not None
        assert one.likeness is not None
        assert one.likeness.rmse < 0.08, one
        assert abs(one.simulated.mean - one.real.mean) < 0.07, one
        if one.real.swing > 0.12:
            assert one.likeness.correlation > 0.9, one
            assert abs(one.simulated.peak_hour - one.real.peak_hour) <= 2, one
            assert abs(one.simulated.swing - one.real.swing) < 0.1, one


def test_what_is_known_of_the_real_days_is_what_is_measured(compared: Sequence[Comparison]) -> None:
    """The archive has gaps: its days are measured in 9.5, 3.5 and 7 hours."""
    assert [one.half_hours for one in compared] == [19, 7, 14] * 2
