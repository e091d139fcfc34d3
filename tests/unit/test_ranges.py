"""What is acknowledged of what was sent, as ranges."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from simulators.runs.ranges import Ranges

NUMBERS = st.lists(st.integers(0, 60))


def ranges_of(numbers: list[int]) -> Ranges:
    made = Ranges()
    for number in numbers:
        made.add(number)
    return made


@given(NUMBERS)
def test_ranges_hold_what_was_put_in(numbers: list[int]) -> None:
    """In whatever order and however often: as a set."""
    made = ranges_of(numbers)
    assert len(made) == len(set(numbers))
    assert [number for number in range(-1, 62) if number in made] == sorted(set(numbers))


@given(NUMBERS)
def test_pairs_are_in_order_and_do_not_touch(numbers: list[int]) -> None:
    """They tell exactly what is in it, in as few ranges as there can be."""
    pairs = list(ranges_of(numbers).pairs())
    assert [number for first, last in pairs for number in range(first, last + 1)] == sorted(set(numbers))
    assert all(before[1] + 1 < after[0] for before, after in pairwise(pairs))


@given(NUMBERS, NUMBERS)
def test_ranges_go_on_from_their_pairs(numbers: list[int], further: list[int]) -> None:
    """What is read back from a file is the same set, and grows as the first would have."""
    again = Ranges(ranges_of(numbers).pairs())
    for number in further:
        again.add(number)
    assert list(again.pairs()) == list(ranges_of(numbers + further).pairs())


def test_long_ranges_are_read_at_once() -> None:
    """A file of a long run has a line a second, each with all that was acknowledged so far."""
    made = Ranges([(0, 10**15), (10**15 + 5, 10**15 + 6)])
    assert len(made) == 10**15 + 3
    assert 10**15 + 5 in made
    assert 10**15 + 4 not in made
