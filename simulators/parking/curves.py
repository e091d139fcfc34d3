"""Occupancy curves by the half hour, and how one resembles another: the same measure for real and simulated days.

A curve is an array of float64, an element each half hour of local time from a midnight on, in shares of the places
from 0 to 1; nan where it is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.parking.calendar import HALF_HOURS_A_DAY

Curve = NDArray[np.float64]


class Sample(NamedTuple):
    """What a counter told: in which half hour since the curve's begin, of which car park, which share is taken."""

    half_hour: int
    car_park: str
    occupancy: float


@dataclass(frozen=True, slots=True)
class Shape:
    """A day's curve in four figures: hours of the day at which its highest and lowest half hours begin, and shares."""

    peak_hour: float
    trough_hour: float
    mean: float
    swing: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like two curves are: Pearson's correlation, and the root of the mean square of their difference."""

    correlation: float
    rmse: float


def occupancy(free: int, total: int) -> float:
    """Give the share that is taken; what a counter tells beyond 0 or the total counts as that."""
    return 1 - min(max(free, 0), total) / total


def curve_of(samples: Sequence[Sample], car_parks: Sequence[str], half_hours: int) -> Curve:
    """Average samples: first those of one car park within a half hour, then the car parks, each alike.

    A half hour in which a car park told nothing is not known.
    """
    rows = {code: row for row, code in enumerate(car_parks)}
    sums = np.zeros((len(car_parks), half_hours))
    counts = np.zeros_like(sums)
    kept = [one for one in samples if one.car_park in rows and 0 <= one.half_hour < half_hours]
    at = ([rows[one.car_park] for one in kept], [one.half_hour for one in kept])
    np.add.at(sums, at, [one.occupancy for one in kept])
    np.add.at(counts, at, 1.0)
    means = np.full_like(sums, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return np.asarray(means.mean(axis=0))


def day_of(curve: Curve, day: int) -> Curve:
    """Give one day of a curve."""
    return curve[day * HALF_HOURS_A_DAY : (day + 1) * HALF_HOURS_A_DAY]


def known_like(curve: Curve, other: Curve) -> Curve:
    """Give a curve as far as another one is known, so that both are measured in the same half hours."""
    return np.where(np.isnan(other), np.nan, curve)


def shape_of(curve: Curve) -> Shape:
    """Measure a day's curve where it is known. Raises ValueError where it is nowhere."""
    return Shape(
        peak_hour=int(np.nanargmax(curve)) / 2,
        trough_hour=int(np.nanargmin(curve)) / 2,
        mean=float(np.nanmean(curve)),
        swing=float(np.nanmax(curve) - np.nanmin(curve)),
    )


def likeness(curve: Curve, other: Curve) -> Likeness:
    """Compare two curves where both are known; the correlation with a curve that does not move is nan."""
    known = ~(np.isnan(curve) | np.isnan(other))
    one, two = curve[known], other[known]
    moves = len(one) > 1 and one.std() > 0 and two.std() > 0
    correlation = float(np.corrcoef(one, two)[0, 1]) if moves else float("nan")
    return Likeness(correlation, float(np.sqrt(np.mean((one - two) ** 2))))
