"""Minutes, hours and days of homes by their definition, computed plainly and exactly from all readings of a sensor."""

import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

MINUTE = 60_000_000
LENGTHS = {"minute": MINUTE, "hour": 60 * MINUTE, "day": 24 * 60 * MINUTE}


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


def _row(samples: list[tuple[int, Fraction]], start: int, end: int) -> Row:
    inside = [(time, value) for time, value in samples if start <= time < end]
    values = [value for _, value in inside]
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    return Row(
        n=len(values),
        mean=float(mean),
        stddev=math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None,
        minimum=float(min(values)),
        maximum=float(max(values)),
        first=float(values[0]),
        last=float(values[-1]),
        time_weighted_mean=float(_mean_over_time(samples, start, end)),
        increase=float(_increase(samples, start, end)),
        first_at=inside[0][0],
        last_at=inside[-1][0],
    )


def _increase(samples: list[tuple[int, Fraction]], start: int, end: int) -> Fraction:
    total = Fraction(0)
    for (_, a), (time, b) in pairwise(samples):
        if start <= time < end:
            total += b if b < a else b - a
    return total


def _mean_over_time(samples: list[tuple[int, Fraction]], start: int, end: int) -> Fraction:
    """Go through the bucket from one change to the next; from its first sample on where none is before it."""
    integral = time_known = Fraction(0)
    changes = [time for time, _ in samples if start < time < end]
    for since, until in zip([start, *changes], [*changes, end], strict=True):
        told = [value for time, value in samples if time <= since]
        if told:
            integral += told[-1] * (until - since)
            time_known += until - since
    return integral / time_known
