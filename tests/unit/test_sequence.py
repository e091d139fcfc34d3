"""Sequence numbers against a plain reference that takes one message after the other and keeps every number it saw."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import SECOND, event, events_of

from processors.sequence import Sequences, observe

Row = tuple[Any, ...]
SPOTS = 3
MOST = 2**31 - 1


@dataclass
class Bay:
    """What the reference knows of a spot: the numbers of this count that arrived, and those it waits for."""

    last: int | None = None
    waited_for: set[int] = field(default_factory=set)
    lost: int = 0
    newest: int | None = None
    left: int | None = None
    returns: list[int] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """How many numbers never arrived."""
        return self.lost + len(self.waited_for)

    def take(self, number: int, at: int) -> None:
        """Take one message, by the words of docs/health.md."""
        is_newer = self.newest is None or at > self.newest
        self.newest = at if is_newer else self.newest
        if self.last is None:
            self.last = number
            return
        step = number - self.last
        is_return = self.left is not None and 0 < number - self.left < 64
        if abs(step) < 64:
            self.waited_for.discard(number)
            if step > 0:
                self.count_on(number)
        elif is_newer and 0 < step <= 10_000 and not is_return:
            self.count_on(number)
        elif is_newer:
            self.returns += [at] if is_return else []
            self.lost += len(self.waited_for)
            self.last, self.left, self.waited_for = number, self.last, set()

    def count_on(self, number: int) -> None:
        """Wait for the numbers in between, as long as they are near."""
        assert self.last is not None
        self.waited_for |= set(range(self.last + 1, number))
        self.last = number
        near = {waited for waited in self.waited_for if number - waited < 64}
        self.lost += len(self.waited_for) - len(near)
        self.waited_for = near


def reference(rows: Sequence[Row]) -> list[Bay]:
    """Give the reference's spots after these messages in this order."""
    bays = [Bay() for _ in range(SPOTS)]
    for _, time, spot, _, arrived, _, seq, *_ in rows:
        if seq >= 0:
            bays[spot].take(seq, min(time, arrived))
    return bays


def fold(batches: Sequence[Sequence[Row]]) -> tuple[Sequences, list[tuple[int, int]]]:
    """Give state and returns after these batches."""
    state, returns = Sequences.unknown(SPOTS), []
    for batch in batches:
        counted = observe(state, events_of(batch))
        state = counted.state
        returns += counted.returns.tolist()
    return state, returns


NUMBERS = st.one_of(
    st.integers(0, 12),
    st.integers(55, 75),
    st.integers(250, 330),
    st.sampled_from([9_999, 10_000, 10_001, 20_003, 65_535, MOST - 1, MOST]),
)
STEPS = st.one_of(st.just(1), st.integers(-3, 3), st.integers(-70, 70), st.sampled_from([-300, -65, 65, 200, 10_001]))


@st.composite
def messages(draw: st.DrawFn) -> list[Row]:
    """Draw messages: counts that go on, jump, repeat and begin anew; times mostly later than the last, or none told."""
    rows: list[Row] = []
    number, time = draw(NUMBERS), 0
    for arrived in range(draw(st.integers(0, 40))):
        number = draw(NUMBERS) if draw(st.integers(0, 9)) == 0 else max(0, min(MOST, number + draw(STEPS)))
        time = max(0, time + draw(st.sampled_from([1, 1, 1, 0, -5])))
        own = draw(st.sampled_from([time, time, arrived, time + 10**9]))
        seq = None if draw(st.integers(0, 9)) == 0 else number
        spot = draw(st.sampled_from([0, 0, 0, 1, 2]))
        rows.append(event(own * SECOND, spot, draw(st.booleans()), arrived=arrived * SECOND, seq=seq))
    return rows


@st.composite
def split(draw: st.DrawFn, rows: Sequence[Row]) -> list[list[Row]]:
    """Draw a way to part rows into batches, empty ones too."""
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    return [list(rows[first:last]) for first, last in pairwise([0, *cuts, len(rows)])]


@given(st.data(), messages())
def test_what_is_missing_is_what_one_message_after_the_other_gives(data: st.DataObject, rows: list[Row]) -> None:
    """Last number, missing ones, returns and the numbers still waited for are the reference's, in any batches."""
    state, returns = fold(data.draw(split(rows)))
    for spot, bay in enumerate(reference(rows)):
        assert state.last[spot] == (-1 if bay.last is None else bay.last)
        assert state.missing[spot] == bay.missing
        waited = {int(state.last[spot]) - bit for bit in range(64) if not int(state.seen[spot]) >> bit & 1}
        assert waited == bay.waited_for
        assert sorted(at for of, at in returns if of == spot) == sorted(bay.returns)


@given(messages(), st.integers(60, 120))
def test_many_spots_at_once_are_counted_as_one_by_one(rows: list[Row], copies: int) -> None:
    """Enough spots for array operations, each hearing the same, come to what one of them comes to."""
    one = [event(row[1], 0, row[3], arrived=row[4], seq=row[6]) for row in rows]
    many = [event(row[1], spot, row[3], arrived=row[4], seq=row[6]) for row in rows for spot in range(copies)]
    (bay, *_) = reference(one)
    counted = observe(Sequences.unknown(copies), events_of(many))
    assert counted.state.missing.tolist() == [bay.missing] * copies
    assert counted.state.last.tolist() == [-1 if bay.last is None else bay.last] * copies
    assert sorted(counted.returns.tolist()) == sorted((spot, at) for spot in range(copies) for at in bay.returns)
    alone = observe(Sequences.unknown(1), events_of(one)).state
    for name in Sequences.__slots__:
        assert (getattr(counted.state, name) == getattr(alone, name)[0]).all()


@given(messages(), messages())
def test_the_state_given_stays_as_it_is(before: list[Row], rows: list[Row]) -> None:
    """Until the batch has committed, the old state is the state."""
    state, _ = fold([before])
    copy = state.copy()
    observe(state, events_of(rows))
    for name in Sequences.__slots__:
        np.testing.assert_array_equal(getattr(state, name), getattr(copy, name))


@given(st.permutations(range(1, 40)), st.integers(0, 10**6))
def test_what_comes_late_is_not_missing(numbers: list[int], first: int) -> None:
    """Whatever the order, when all numbers after the first have come none is missing, and none twice."""
    rows = [event(n * SECOND, 0, occupied=True, arrived=n * SECOND, seq=first + n) for n in [0, *numbers, *numbers[:5]]]
    state, _ = fold([rows])
    assert (state.missing[0], state.last[0]) == (0, first + 39)


def missing_after(*told: tuple[int, int]) -> int:
    """Give what is missing of one spot after numbers with their times in seconds."""
    state, _ = fold([[event(at * SECOND, 0, occupied=True, arrived=10**6 * SECOND, seq=number)] for number, at in told])
    return int(state.missing[0])


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        ([(5, 1), (8, 2)], 2),
        ([(5, 1), (8, 2), (6, 3)], 1),
        ([(5, 1), (8, 2), (6, 3), (6, 3)], 1),
        ([(5, 1), (4, 2)], 0),
        ([(0, 1), (10_000, 2)], 9_999),
        ([(0, 1), (10_001, 2)], 0),
        ([(255, 1), (0, 2), (1, 3)], 0),
        ([(65_535, 1), (0, 2), (2, 3)], 1),
        ([(255, 1), (0, 2), (254, 1)], 0),
        ([(500, 9), (300, 3), (501, 10)], 0),
    ],
    ids=["gap", "late", "late again", "before the first", "far", "too far", "8 bits", "16 bits", "late wrap", "repeat"],
)
def test_gaps_are_told_from_counts_that_begin_anew(told: list[tuple[int, int]], missing: int) -> None:
    """A gap is missing; a late one, a wrap, a new battery or an old message redelivered is not."""
    assert missing_after(*told) == missing


def test_two_devices_under_one_name_go_back_and_forth() -> None:
    """Each change of the device is a return to its count, and nothing is missing by it."""
    told = [number for n in range(4) for number in (5_000 + n, 100 + n)]
    rows = [event(at * SECOND, 0, occupied=True, arrived=at * SECOND, seq=seq) for at, seq in enumerate(told)]
    state, returns = fold([rows])
    assert state.missing[0] == 0
    assert returns == [(0, at * SECOND) for at in range(2, 8)]


def test_a_device_that_starts_over_and_over_returns_to_nothing() -> None:
    """One that loses its power again and again is one device."""
    told = [number for _ in range(5) for number in range(300)]
    rows = [event(at * SECOND, 0, occupied=True, arrived=at * SECOND, seq=seq) for at, seq in enumerate(told)]
    state, returns = fold([rows])
    assert (state.missing[0], returns) == (0, [])
