"""Pooled figures of districts: which step is due, and what may be said of it. The rule is told in docs/pooled.md.

Whatever may not be said is left out, without a reason: the reason would tell of single homes.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import fmean
from typing import Final, Literal, NamedTuple

from schemas.units import KINDS, POOLED, conversion

STEP: Final = timedelta(minutes=30)
DELAY: Final = timedelta(hours=24)
"""From the end of a step to its publication: nobody's day can be followed while it lasts."""
LONGEST_BACK: Final = timedelta(days=8)
"""How far back steps are judged after a time without judgements. A broker's session lasts 7 days."""
_LARGEST_SHARE: Final = 15
"""Percent of a sum that one home may hold."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Member(NamedTuple):
    """A home of a group, by its row.

    It `takes_part` while it consents, belongs to the district, and no pause touches the step or the one before.
    """

    dwelling: int
    takes_part: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """What a sensor of a home told in a step, in its own unit.

    `mean` is None where it was silent in the step. `increase` is None where that is not known, as it is not for a
    sensor that was silent in the step or in the one before.
    """

    dwelling: int
    kind: str
    unit: str
    mean: float | None
    increase: float | None


@dataclass(frozen=True, slots=True)
class Pooled:
    """What is said of one kind in a step: the mean or the sum over all homes of the group, rounded."""

    kind: str
    unit: str
    how: Literal["mean", "sum"]
    value: float


def month_of(moment: datetime) -> date:
    """Give the first day of a calendar month, UTC."""
    return moment.astimezone(UTC).date().replace(day=1)


def newest_due(now: datetime) -> datetime:
    """Give the beginning of the newest step whose figure is due."""
    return _EPOCH + (now - DELAY - _EPOCH) // STEP * STEP - STEP


def next_due(last: datetime | None, now: datetime) -> datetime | None:
    """Give the beginning of the step to judge after the last one judged; None where there is nothing to do.

    The first step that a district is judged by is the newest.
    """
    newest = newest_due(now)
    if last is None:
        return newest
    following = max(last + STEP, newest - LONGEST_BACK)
    return following if following <= newest else None


def judge(members: Sequence[Member], heard: Iterable[Heard], minimum: int) -> tuple[Pooled, ...]:
    """Give what may be said of a step; nothing where it is suppressed. `minimum` is the least group."""
    if len(members) < minimum or not all(member.takes_part for member in members):
        return ()
    group = {member.dwelling for member in members}
    by_kind: Mapping[str, list[Heard]] = defaultdict(list)
    for one in heard:
        by_kind[one.kind].append(one)
    figures = (_figure(kind, group, by_kind[kind]) for kind in POOLED)
    return tuple(figure for figure in figures if figure is not None)


def _figure(kind: str, group: set[int], heard: Sequence[Heard]) -> Pooled | None:
    """Pool one kind; None where a home is missing, or where the figure would tell of one."""
    pooling, unit = POOLED[kind], KINDS[kind].unit
    contributions = _means(heard, unit) if pooling.how == "mean" else _sums(heard, unit)
    if contributions.keys() != group:
        return None
    values = list(contributions.values())
    value = fmean(values) if pooling.how == "mean" else math.fsum(values)
    rounded = _round(value, pooling.step)
    is_safe = _is_varied(values, pooling.step) if pooling.how == "mean" else rounded > 0 and _is_balanced(values)
    return Pooled(kind, unit, pooling.how, rounded) if is_safe else None


def _is_varied(values: Sequence[float], step: Decimal) -> bool:
    """Tell whether homes differ: a mean of those that are alike, as at the end of a scale, tells of each."""
    return max(values) - min(values) >= step


def _is_balanced(values: Sequence[float]) -> bool:
    """Tell whether no home holds so much of the sum that the sum tells of it."""
    return min(values) >= 0 and 100 * max(values) <= _LARGEST_SHARE * math.fsum(values)


def _means(heard: Iterable[Heard], unit: str) -> dict[int, float]:
    """Give each home's mean over those of its sensors that were heard."""
    values: dict[int, list[float]] = defaultdict(list)
    for one in heard:
        scale = _scale(one.unit, unit)
        if one.mean is not None and scale is not None:
            factor, offset = scale
            values[one.dwelling].append(one.mean * factor + offset)
    return {dwelling: fmean(of_home) for dwelling, of_home in values.items()}


def _sums(heard: Iterable[Heard], unit: str) -> dict[int, float]:
    """Give each home's sum over its sensors, where all of them are complete: part of a sum is none."""
    values: dict[int, list[float | None]] = defaultdict(list)
    for one in heard:
        scale = _scale(one.unit, unit)
        values[one.dwelling].append(None if one.increase is None or scale is None else one.increase * scale[0])
    return {dwelling: math.fsum(known) for dwelling, of_home in values.items() if (known := _complete(of_home))}


def _complete(values: Sequence[float | None]) -> Sequence[float]:
    """Give values if all are known, else none."""
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else ()


def _scale(unit: str, into: str) -> tuple[float, float] | None:
    """Give factor and offset between two units; None for a sensor whose unit nobody told."""
    try:
        return conversion(unit, into)
    except ValueError:
        return None


def _round(value: float, step: Decimal) -> float:
    """Round to a multiple of a step, exactly; never to minus zero."""
    return float(round(Decimal(value) / step) * step) + 0.0
