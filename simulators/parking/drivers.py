"""Who parks: groups of drivers, when they come, by hour and day of the week, and how long they stay."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

from simulators.parking.calendar import HALF_HOURS_A_DAY, HOUR

SHORTEST_STAY = 120.0
"""Seconds. Who stops for less is no parked car to a sensor that settles first."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Arrivals around an hour of the day, normally distributed; `spread` is the standard deviation in hours."""

    hour: float
    spread: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a car stays: lognormal, with its median in hours and the deviation of its logarithm."""

    median: float
    spread: float

    def draw(self, rng: random.Random) -> float:
        """Draw one, in seconds."""
        return max(SHORTEST_STAY, self.median * HOUR * math.exp(rng.gauss(0.0, self.spread)))

    def longest(self, deviations: float) -> float:
        """Give how long one stays who is so many deviations from the median, in seconds."""
        return self.median * HOUR * math.exp(deviations * self.spread)


@dataclass(frozen=True, slots=True)
class Group:
    """Drivers who behave alike.

    `arrivals` are how many come a day for each place, on a day from Monday to Thursday, a Friday, a Saturday and a
    Sunday; holidays are Sundays.
    """

    name: str
    arrivals: tuple[float, float, float, float]
    waves: tuple[Wave, ...]
    stay: Stay


def arrivals_of_day(group: Group, weekday: int) -> list[float]:
    """Give the arrivals an hour for each place, in each half hour of a day that begins with midnight."""
    kind = 0 if weekday < 4 else weekday - 3  # noqa: PLR2004 - Thursday is 3
    total = sum(wave.weight for wave in group.waves)
    shares = [sum(w.weight * share for w, share in zip(group.waves, row, strict=True)) / total for row in _rows(group)]
    return [2 * group.arrivals[kind] * share for share in shares]


def _rows(group: Group) -> Sequence[tuple[float, ...]]:
    """Give the share of each wave in each half hour; what would be before or after the day wraps around."""
    return list(zip(*(_shares(wave) for wave in group.waves), strict=True))


def _shares(wave: Wave) -> list[float]:
    normal = NormalDist(wave.hour, wave.spread)
    edges = [normal.cdf(half / 2) for half in range(-HALF_HOURS_A_DAY, 2 * HALF_HOURS_A_DAY + 1)]
    parts = [after - before for before, after in pairwise(edges)]
    return [sum(parts[half::HALF_HOURS_A_DAY]) for half in range(HALF_HOURS_A_DAY)]
