"""Pooled figures: which step is due, and every reason for which nothing is said of one."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.pooled import (
    DELAY,
    LONGEST_BACK,
    STEP,
    Heard,
    Member,
    Pooled,
    judge,
    month_of,
    newest_due,
    next_due,
)
from schemas.registry import Dwelling, Registry
from schemas.units import KINDS, POOLED

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WATT_HOUR = 3_600
TELLS_OF_PRESENCE = {"motion", "contact", "leak", "bed", "floor_pressure", "illuminance", "power"}


def group(size: int = 11) -> list[Member]:
    """Give a group of which all take part."""
    return [Member(number, takes_part=True) for number in range(size)]


def states(values: Sequence[float], kind: str = "temperature", unit: str = "Cel") -> list[Heard]:
    """Let one sensor in each home, in order, measure a state."""
    return [Heard(home, kind, unit, value, 0.0) for home, value in enumerate(values)]


def uses(values: Sequence[float | None], kind: str = "energy", unit: str = "J") -> list[Heard]:
    """Let one meter in each home, in order, count a use; None where that is not known."""
    return [Heard(home, kind, unit, 1e9, value) for home, value in enumerate(values)]


WARM = [20.0, 20.5, 21.0, 19.0, 22.5, 20.0, 18.0, 21.5, 20.0, 23.0, 20.0]
"""Mean 20.5."""
USED = [100.0 * WATT_HOUR] * 11
LITRES = [0.001 * litres for litres in range(11)]


@pytest.mark.parametrize(
    ("now", "start"),
    [
        (NOON, NOON - DELAY - STEP),
        (NOON + timedelta(microseconds=1), NOON - DELAY - STEP),
        (NOON - timedelta(microseconds=1), NOON - DELAY - 2 * STEP),
        (NOON.replace(minute=29), NOON - DELAY - STEP),
        (datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 10, 31, 23, 30, tzinfo=UTC)),
    ],
)
def test_a_step_is_due_a_day_after_its_end(now: datetime, start: datetime) -> None:
    """Not a moment before; steps are the half hours of UTC."""
    assert newest_due(now) == start
    assert start + timedelta(minutes=30) + timedelta(hours=24) <= now


def test_steps_are_judged_in_order_and_none_twice() -> None:
    """Nothing comes after the newest, nor before the last; after a long while the oldest are left out."""
    newest = newest_due(NOON)
    assert next_due(None, NOON) == newest
    assert next_due(newest - 3 * STEP, NOON) == newest - 2 * STEP
    assert next_due(newest, NOON) is None
    assert next_due(newest + 5 * STEP, NOON) is None
    assert next_due(newest - timedelta(days=300), NOON) == newest - LONGEST_BACK


def test_a_month_is_that_of_utc() -> None:
    """Wherever somebody reads it."""
    assert month_of(datetime(2026, 11, 1, 0, 30, tzinfo=UTC).astimezone()) == date(2026, 11, 1)
    assert month_of(datetime(2026, 10, 31, 23, 59, tzinfo=UTC)) == date(2026, 10, 1)


def test_a_mean_and_sums_of_all_homes_are_told() -> None:
    """In the unit of the kind, rounded to its step."""
    heard = states(WARM) + uses(USED) + uses(LITRES, "water", "m3")
    assert judge(group(), heard, 11) == (
        Pooled("temperature", "Cel", "mean", 20.5),
        Pooled("energy", "J", "sum", 3_960_000),
    )
    (water,) = judge(group(), uses([5, *range(4, 14)], "water", "l"), 11)
    assert water == Pooled("water", "m3", "sum", 0.09)


SILENT = Heard(3, "temperature", "Cel", None, None)
SUPPRESSED = {
    "no group": ([], [], 11),
    "a group below the least": (group(10), states(WARM[:10]), 11),
    "the least was raised": (group(11), states(WARM), 12),
    "a home that takes no part": ([Member(11, takes_part=False), *group()], states([*WARM, 20.0]), 11),
    "a home without any sensor": (group(12), states(WARM), 11),
    "a home that was silent": (group(), [one for one in states(WARM) if one.dwelling != 3] + [SILENT], 11),
    "a home that told something else": (
        group(),
        [one for one in states(WARM) if one.dwelling != 3] + [Heard(3, "humidity", "%RH", 20.0, 0.0)],
        11,
    ),
    "a sensor whose unit nobody told": (group(), states([400.0 + 50 * n for n in range(11)], "co2", ""), 11),
    "homes that are all alike": (group(), states([100.0] * 11, "humidity", "%RH"), 11),
    "homes that are nearly alike": (group(), states([99.5, *[100.0] * 10], "humidity", "%RH"), 11),
    "a use that is not known": (group(), uses([None, *USED[1:]]), 11),
    "a home with one meter of two": (group(), [*uses(USED), Heard(5, "energy", "J", 1.0, None)], 11),
    "nothing used": (group(), uses([0.0] * 11), 11),
    "next to nothing used": (group(), uses([0.0001] * 11, "water", "m3"), 11),
    "one that holds more than 15 %": (group(), uses([18.0, *[10.0] * 10], "water", "m3"), 11),
    "a meter that runs backwards": (group(12), uses([-1.0, *[10.0] * 11], "water", "m3"), 11),
    "presence": (group(), states([0.0, *[1.0] * 10], "motion", "/"), 11),
    "power": (group(), states([100.0 * n for n in range(11)], "power", "W"), 11),
    "a kind of one's own": (group(), states(WARM, "odour", "Cel"), 11),
}


@pytest.mark.parametrize("case", SUPPRESSED)
def test_nothing_is_told(case: str) -> None:
    """Where one reason speaks against it."""
    members, heard, minimum = SUPPRESSED[case]
    assert judge(members, heard, minimum) == ()


def test_what_is_suppressed_is_told_without_its_reason() -> None:
    """The cases above are near misses: each is told once its one reason is gone."""
    assert judge(group(10), states(WARM[:10]), 10)
    assert judge([Member(11, takes_part=True), *group()], states([*WARM, 20.0]), 11)
    assert judge(group(), states([400.0 + 50 * n for n in range(11)], "co2", "ppm"), 11)
    assert judge(group(), states([99.0, *[100.0] * 10], "humidity", "%RH"), 11)
    assert judge(group(), uses([17.0, *[10.0] * 10], "water", "m3"), 11)
    assert judge(group(), uses([0.0, *[10.0] * 10], "water", "m3"), 11)


def test_one_kind_may_be_told_without_another() -> None:
    """A kind that a home does not measure does not keep the others from being told; the group is the same."""
    told = judge(group(), states(WARM) + uses(USED[1:]), 11)
    assert [figure.kind for figure in told] == ["temperature"]


def test_a_home_counts_once_however_many_sensors_it_has() -> None:
    """A state is the mean over a home's sensors, a use their sum; a silent thermometer does not count, in any unit."""
    rooms = [Heard(0, "temperature", "K", 273.15 + 18, 0.0), Heard(0, "temperature", "Cel", 22.0, 0.0)]
    silent = [Heard(0, "temperature", "Cel", None, None)]
    assert judge(group(), states(WARM) + silent, 11) == judge(group(), rooms + states(WARM)[1:], 11)
    meters = [Heard(0, "energy", "Wh", 1.0, 40.0), Heard(0, "energy", "kWh", 1.0, 0.06)]
    assert judge(group(), meters + uses(USED)[1:], 11) == judge(group(), uses(USED), 11)


@pytest.mark.parametrize(
    ("mean", "told"),
    [(20.24, 20.0), (20.26, 20.5), (20.25, 20.0), (20.75, 21.0), (-0.2, 0.0), (-0.3, -0.5), (-12.6, -12.5)],
)
def test_rounding_is_to_the_nearest_step(mean: float, told: float) -> None:
    """Halves go to the even one; there is no minus zero."""
    (figure,) = judge(group(), states([mean - 2, mean + 2, *[mean] * 9]), 11)
    assert repr(figure.value) == repr(told)


@pytest.mark.parametrize("hundredths", [7, 29, 57, 58, 113, 115])
def test_a_rounded_figure_has_no_tail(hundredths: int) -> None:
    """0.57 is 0.57 and not 0.5700000000000001."""
    (figure,) = judge(group(), uses([hundredths / 1100] * 11, "water", "m3"), 11)
    assert repr(figure.value) == repr(hundredths / 100)


def test_only_a_closed_set_of_kinds_is_pooled() -> None:
    """None that is about presence; every one has a unit and a step."""
    assert POOLED.keys() <= KINDS.keys()
    assert not POOLED.keys() & TELLS_OF_PRESENCE
    assert all(pooling.step > 0 for pooling in POOLED.values())
    assert {kind for kind, pooling in POOLED.items() if pooling.how == "sum"} == {"energy", "water"}


def test_districts_are_those_of_all_homes() -> None:
    """Of homes without consent, too: that a district has a topic must not tell that somebody consents."""
    homes = [("a", "boutonnet", False), ("b", "antigone", True), ("c", "antigone", False)]
    registry = Registry(dwelling=tuple(Dwelling(id=one, district=where, consent=yes) for one, where, yes in homes))
    assert registry.districts == ("antigone", "boutonnet")


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[Member], list[Heard], int]:
    """Draw a step of water meters that count in whole cubic metres; most homes contribute."""
    size = draw(st.integers(0, 14))
    absent = draw(st.sets(st.integers(0, 13), max_size=1))
    members = [Member(home, home not in absent) for home in range(size)]
    silent = draw(st.sets(st.integers(0, 13), max_size=1))
    amount = draw(st.sampled_from([st.integers(0, 40), st.integers(8, 12)]))
    amounts = draw(st.lists(amount, min_size=size, max_size=size))
    heard = [
        Heard(home, "water", "m3", 5.0, None if home in silent else float(amount))
        for home, amount in enumerate(amounts)
    ]
    return members, heard, draw(st.integers(7, 12))


@given(steps())
def test_a_sum_is_told_when_and_only_when_the_rule_allows_it(step: tuple[list[Member], list[Heard], int]) -> None:
    """Enough homes, all of them there, none above 15 percent, and then it is the sum of all."""
    members, heard, minimum = step
    amounts = [Fraction(one.increase) for one in heard if one.increase is not None]
    allowed = (
        len(members) >= minimum
        and len(amounts) == len(members)
        and all(member.takes_part for member in members)
        and sum(amounts) > 0
        and max(amounts) / sum(amounts) <= Fraction(15, 100)
    )
    assert [figure.value for figure in judge(members, heard, minimum)] == ([sum(amounts)] if allowed else [])
