"""The gate: pauses begin and end when they should, and cover what lies in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import HOUR, MINUTE, NOW

from processors.columns import FOREVER, NEVER
from processors.gate import Gap, Gate, Pause, Press

HOME, NEIGHBOUR = "a1", "b2"
TIMES = [NOW - 1, NOW, NOW + 1, NOW + HOUR - 1, NOW + HOUR, NOW + HOUR + 1]


def covered(gate: Gate, times: list[int], home: str = HOME) -> list[bool]:
    """Tell which times lie in a pause."""
    return [bool(one) for one in gate.covers(home, np.array(times, dtype=np.int64))]


def test_a_pause_holds_its_beginning_and_not_its_end() -> None:
    """What lies at its first microsecond is in it, at the one of its end not."""
    gate = Gate.of([(HOME, Pause(NOW, NOW + HOUR))])
    assert covered(gate, TIMES) == [False, True, True, True, False, False]
    assert covered(gate, TIMES, NEIGHBOUR) == [False] * 6
    assert not gate.is_paused(HOME)


def test_a_pause_that_lasts_has_no_end() -> None:
    """Until somebody says off."""
    gate = Gate.of([(HOME, Pause(NOW))])
    assert covered(gate, [NOW - 1, NOW, FOREVER - 1]) == [False, True, True]
    assert gate.is_paused(HOME)
    assert not gate.is_paused(NEIGHBOUR)


def test_an_empty_pause_covers_nothing() -> None:
    """Pressed on and off in one microsecond."""
    assert covered(Gate.of([(HOME, Pause(NOW, NOW))]), TIMES) == [False] * 6


def test_any_of_several_pauses_covers() -> None:
    """Whatever the order in which the rows were read."""
    rows = [(HOME, Pause(NOW + HOUR)), (NEIGHBOUR, Pause(0)), (HOME, Pause(NOW - HOUR, NOW))]
    gate = Gate.of(rows)
    assert gate.pauses[HOME] == (Pause(NOW - HOUR, NOW), Pause(NOW + HOUR))
    assert covered(gate, TIMES) == [True, False, False, False, True, True]


def test_without_pauses_nothing_is_covered() -> None:
    """And nothing of nothing, too."""
    assert covered(Gate(), TIMES) == [False] * 6
    assert covered(Gate.of([(HOME, Pause(0))]), []) == []


def pressed(gate: Gate, press: Press) -> Gate:
    """Press a copy."""
    after = gate.copy()
    after.press(press)
    return after


def test_a_press_of_a_copy_leaves_the_gate() -> None:
    """A batch that is not committed must leave the gate as it was."""
    gate = Gate.of([(NEIGHBOUR, Pause(1, 2))])
    on = pressed(gate, Press(HOME, is_on=True, at=NOW))
    off = pressed(on, Press(HOME, is_on=False, at=NOW + HOUR))
    assert [one.is_paused(HOME) for one in (gate, on, off)] == [False, True, False]
    assert off.pauses == {HOME: (Pause(NOW, NOW + HOUR),), NEIGHBOUR: (Pause(1, 2),)}


@pytest.mark.parametrize("is_on", [True, False])
def test_pressing_again_changes_nothing(is_on: bool) -> None:
    """On while on does not begin anew, and off while off ends nothing."""
    gate = Gate.of([(HOME, Pause(NOW, FOREVER if is_on else NOW + 1))])
    assert gate.press(Press(HOME, is_on, NOW + HOUR)) is False
    assert gate == Gate.of([(HOME, Pause(NOW, FOREVER if is_on else NOW + 1))])


def test_a_pause_does_not_end_before_it_began() -> None:
    """A clock that was set back leaves an empty pause."""
    gate = pressed(pressed(Gate(), Press(HOME, is_on=True, at=NOW)), Press(HOME, is_on=False, at=NOW - HOUR))
    assert gate.pauses[HOME] == (Pause(NOW, NOW),)


@pytest.mark.parametrize(
    ("is_on", "retain", "is_open", "began", "at"),
    [
        (True, False, False, NOW - HOUR, NOW),
        (True, True, False, NOW - HOUR, NOW - HOUR),
        (True, False, True, NOW - HOUR, NOW - HOUR),
        (True, True, True, NOW - HOUR, NOW - HOUR),
        (True, True, True, NOW + HOUR, NOW),
        (True, True, True, NEVER, 0),
        (False, False, False, NOW - HOUR, NOW),
        (False, True, True, NOW - HOUR, NOW),
    ],
)
def test_an_on_that_may_be_older_is_dated_from_before_the_gap(
    is_on: bool, retain: bool, is_open: bool, began: int, at: int
) -> None:
    """Retained, or while what was queued for us arrives; an off ends when it arrives, and nothing begins later."""
    assert Gate().when_pressed(is_on=is_on, arrived=NOW, retain=retain, gap=Gap(began, is_open)) == at


PRESSES = st.lists(st.tuples(st.sampled_from([HOME, NEIGHBOUR]), st.booleans(), st.integers(0, 3)), max_size=12)


@given(PRESSES, st.integers(0, 40))
def test_a_moment_is_covered_if_the_button_was_on(presses: list[tuple[str, bool, int]], moment: int) -> None:
    """After any presses, in order of time, exactly the moments at which the last press before said on are covered."""
    gate, now, last, state = Gate(), 0, False, False
    for home, is_on, wait in presses:
        now += wait
        gate = pressed(gate, Press(home, is_on, now))
        if home == HOME:
            state = is_on
            last = is_on if now <= moment else last
    assert covered(gate, [moment]) == [last]
    assert gate.is_paused(HOME) == state


@given(
    st.lists(st.tuples(st.sampled_from([HOME, NEIGHBOUR]), st.integers(0, 30), st.integers(0, 9)), max_size=8),
    st.integers(0, 30),
)
def test_what_is_forgotten_covers_nothing_that_is_accepted(rows: list[tuple[str, int, int]], oldest: int) -> None:
    """From the oldest time still accepted on, the gate covers what it covered before."""
    gate = Gate.of((home, Pause(began, began + long)) for home, began, long in rows)
    kept = gate.since(oldest)
    times = list(range(oldest, 50))
    assert covered(kept, times) == covered(gate, times)
    assert all(pause.ended > oldest for pauses in kept.pauses.values() for pause in pauses)
    assert all(kept.pauses.values())


def test_a_pause_that_lasts_is_never_forgotten() -> None:
    """However long ago it began."""
    gate = Gate.of([(HOME, Pause(0)), (NEIGHBOUR, Pause(0, NOW - MINUTE))])
    assert gate.since(NOW).pauses == {HOME: (Pause(0),)}


@pytest.mark.parametrize(("began", "ended", "touches"), [(0, 5, False), (0, 6, True), (9, 20, True), (10, 20, False)])
def test_a_pause_touches_what_it_overlaps(began: int, ended: int, touches: bool) -> None:
    """Half open on both sides."""
    assert Gate.of([(HOME, Pause(5, 10))]).touches(HOME, began, ended) is touches
