"""Minutes, hours and days of homes by their definition, computed plainly and exactly from all readings of a sensor."""

import math
from bisect import bisect_left
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

MINUTE = 60_000_000
LENGTHS = {"minute": MINUTE, "hour": 60 * MINUTE, "day": 24 * 60 * MINUTE}

Sample = tuple[int, Fraction]
"""Time and value."""


class Row(NamedTuple):
    """An aggregate, without its key."""

    n: int
    mean: float
    stddev: float | None
    minimum: float
    maximum: float
    first: float
    last: float
    time_weighted_mean: float
    increase: float
    first_at: int
    last_at: int

    def is_like(self, other: "Row", scale: float) -> bool:
        """Tell whether another row is the same but for what computing in doubles of this size may round."""
        mine, others = self._asdict(), other._asdict()
        rounded = ("mean", "stddev", "time_weighted_mean", "increase")
        same = all(mine[name] == others[name] for name in mine if name not in rounded)
        return same and all(_is_near(mine[name], others[name], scale) for name in rounded)


def _is_near(value: float | None, other: float | None, scale: float) -> bool:
    if value is None or other is None:
        return value is other
    return math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-9 * scale)


def aggregate(readings: Iterable[tuple[int, float]], length: int) -> dict[int, Row]:
    """Aggregate the readings of one sensor, (time, value) in any order, repeats too, by the start of the bucket."""
    samples = [(time, Fraction(value)) for time, value in sorted(set(readings))]
    starts = {time - time % length for time, _ in samples}
    return {start: _row(samples, start, start + length) for start in starts}


def _row(samples: list[Sample], start: int, end: int) -> Row:
    first, behind = bisect_left(samples, (start,)), bisect_left(samples, (end,))
    inside, before = samples[first:behind], samples[:first][-1:]
    values = [value for _, value in inside]
    mean = sum(values, Fraction(0)) / len(values)
    squares = sum(((value - mean) ** 2 for value in values), Fraction(0))
    return Row(
        n=len(values),
        mean=float(mean),
        stddev=math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None,
        minimum=float(min(values)),
        maximum=float(max(values)),
        first=float(values[0]),
        last=float(values[-1]),
        time_weighted_mean=float(_mean_over_time([(start, value) for _, value in before] + inside, end)),
        increase=float(_increase(before + inside)),
        first_at=inside[0][0],
        last_at=inside[-1][0],
    )


def _increase(samples: list[Sample]) -> Fraction:
    """Sum what was added from each to the next; one that is lower has begun anew."""
    return sum((b if b < a else b - a for (_, a), (_, b) in pairwise(samples)), Fraction(0))


def _mean_over_time(samples: list[Sample], end: int) -> Fraction:
    """Hold each value until the next one, and the last one to the end."""
    until = [*(time for time, _ in samples[1:]), end]
    integral = sum((value * (then - time) for (time, value), then in zip(samples, until, strict=True)), Fraction(0))
    return integral / (end - samples[0][0])
