"""When expiry is held, and as of when freshness is judged meanwhile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import HOUR, MINUTE, NOW, SECOND

from ingest.backlog import Backlog
from processors.columns import NEVER
from processors.gate import Gap
from processors.reduce import Moment


def free(now: int) -> Moment:
    """Give a moment at which nothing is held."""
    return Moment(now=now, clock=now, catching_up=False)


def held(now: int, clock: int) -> Moment:
    """Give a moment at which freshness is judged as of a clock."""
    return Moment(now=now, clock=clock, catching_up=True)


def test_without_a_backlog_the_clock_is_now() -> None:
    """A connection whose session is new has no backlog: nothing is held."""
    backlog = Backlog(NOW - HOUR)
    backlog.connected(NOW, session_present=False)
    for seconds in range(1_000):
        assert backlog.judge(NOW + seconds * SECOND, 0.3) == free(NOW + seconds * SECOND)


def test_a_while_without_judgement_holds_expiry_too() -> None:
    """While the database is away nothing is judged; afterwards the clock stands where it was until calm returns."""
    backlog = Backlog(NOW - HOUR)
    assert backlog.judge(NOW, 0.0) == free(NOW)
    back = NOW + 20 * MINUTE
    assert backlog.judge(back, 0.0) == held(back, NOW)
    assert backlog.judge(back + SECOND // 2, 0.0) == held(back + SECOND // 2, NOW)
    assert backlog.judge(back + SECOND, 0.0) == free(back + SECOND)


@pytest.mark.parametrize("committed_at", [NOW - HOUR, NEVER])
def test_after_a_start_with_a_session_the_clock_stands_at_the_last_commit(committed_at: int) -> None:
    """What was fresh when the last process ended stays so until the backlog has drained."""
    backlog = Backlog(committed_at)
    backlog.connected(NOW, session_present=True)
    for seconds in (0, 1, 60, 600):
        assert backlog.judge(NOW + seconds * SECOND, 0.4) == held(NOW + seconds * SECOND, committed_at)


def test_a_backlog_has_drained_when_the_window_stays_below_a_tenth() -> None:
    """A connection begins with an empty window; a second of calm tells it from a drained backlog."""
    backlog = Backlog(NOW - HOUR)
    backlog.connected(NOW, session_present=True)
    ratios = [(0.0, True), (0.0, True), (0.2, True), (0.05, True), (0.1, True), (0.09, True), (0.0, True), (0.0, False)]
    for step, (ratio, is_held) in enumerate(ratios):
        moment = backlog.judge(NOW + step * SECOND // 2, ratio)
        assert moment.catching_up == is_held
        assert moment.clock == (NOW - HOUR if is_held else moment.now)


def test_calm_from_before_a_connection_does_not_count() -> None:
    """A window empty because nothing was connected says nothing about the backlog that is to come."""
    backlog = Backlog(NOW)
    for seconds in range(10):
        assert backlog.judge(NOW + seconds * SECOND, 0.0) == free(NOW + seconds * SECOND)
    backlog.connected(NOW + 10 * SECOND, session_present=True)
    assert backlog.judge(NOW + 10 * SECOND, 0.0) == held(NOW + 10 * SECOND, NOW + 9 * SECOND)
    assert not backlog.judge(NOW + 11 * SECOND, 0.0).catching_up


def test_a_window_more_than_half_used_for_five_seconds_is_a_backlog() -> None:
    """Falling behind holds expiry as of the last moment before."""
    backlog = Backlog(NOW)
    for seconds in range(5):
        assert backlog.judge(NOW + seconds * SECOND, 0.51) == free(NOW + seconds * SECOND)
    for seconds in (5, 6, 100):
        assert backlog.judge(NOW + seconds * SECOND, 0.51) == held(NOW + seconds * SECOND, NOW + 4 * SECOND)
    assert backlog.judge(NOW + 200 * SECOND, 0.3).catching_up


def test_a_short_burst_is_no_backlog() -> None:
    """A window half used, or more than that only now and then, holds nothing."""
    backlog = Backlog(NOW)
    for step in range(40):
        ratio = 0.5 if step % 5 == 4 else 1.0
        assert backlog.judge(NOW + step * SECOND, ratio) == free(NOW + step * SECOND)


def test_expiry_is_held_ten_minutes_at_the_most() -> None:
    """A backlog that never drains cannot keep old figures for ever, nor begin anew while it lasts."""
    backlog = Backlog(NOW - 1)
    backlog.connected(NOW, session_present=True)
    assert backlog.judge(NOW + 10 * MINUTE, 1.0) == held(NOW + 10 * MINUTE, NOW - 1)
    for seconds in (0, 1, 10, 1000):
        now = NOW + 10 * MINUTE + 1 + seconds * SECOND
        assert backlog.judge(now, 1.0) == free(now)


def test_after_calm_a_new_backlog_is_held_again() -> None:
    """Ten minutes are granted to each backlog."""
    backlog = Backlog(NOW - 1)
    backlog.connected(NOW, session_present=True)
    later = NOW + HOUR
    assert not backlog.judge(later, 1.0).catching_up
    for seconds in (1, 2):
        assert not backlog.judge(later + seconds * SECOND, 0.0).catching_up
    moments = [backlog.judge(later + seconds * SECOND, 1.0) for seconds in range(3, 10)]
    assert [moment.catching_up for moment in moments] == [False] * 5 + [True] * 2


def test_connecting_again_does_not_prolong_what_is_held() -> None:
    """A connection that breaks and comes back has ten minutes in all."""
    backlog = Backlog(NOW - 1)
    for minutes in range(0, 11, 2):
        backlog.connected(NOW + minutes * MINUTE, session_present=True)
        assert backlog.judge(NOW + minutes * MINUTE, 0.4) == held(NOW + minutes * MINUTE, NOW - 1)
    assert not backlog.judge(NOW + 10 * MINUTE + 1, 0.4).catching_up


STEPS = st.lists(
    st.tuples(st.integers(0, 200 * SECOND), st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.6, 1.0]), st.booleans()),
    max_size=30,
)


@given(STEPS)
def test_the_clock_never_turns_back_nor_runs_ahead(steps: list[tuple[int, float, bool]]) -> None:
    """Held, the clock stands still, for ten minutes at the most; not held, it is now."""
    backlog, now, clock, held_since = Backlog(NOW - HOUR), NOW, NOW - HOUR, None
    for wait, ratio, connects in steps:
        now += wait
        if connects:
            backlog.connected(now, session_present=True)
        moment = backlog.judge(now, ratio)
        assert moment.now == now
        if moment.catching_up:
            held_since = now if held_since is None else held_since
            assert moment.clock == clock
            assert now - held_since <= 10 * MINUTE
        else:
            held_since = None
            assert moment.clock == now
        clock = moment.clock


def test_the_gap_is_open_until_what_was_queued_has_arrived() -> None:
    """Ticks without a connection do not close it, nor does it begin anew with every attempt."""
    backlog = Backlog(NOW - HOUR)
    assert backlog.gap == Gap(NOW - HOUR, is_open=True)
    backlog.connected(NOW, session_present=True)
    for second in range(3):
        backlog.judge(NOW + second * SECOND, 0.0)
        backlog.settled(NOW + second * SECOND)
    assert not backlog.gap.is_open

    lost = NOW + 3 * SECOND
    for second in range(60):
        backlog.lost(lost + second * SECOND)
        backlog.judge(lost + second * SECOND, 0.0)
    assert backlog.gap == Gap(NOW + 2 * SECOND, is_open=True)
    backlog.connected(lost + MINUTE, session_present=True)
    for second in range(700):
        backlog.judge(lost + MINUTE + second * SECOND, 0.6)
    assert backlog.gap == Gap(NOW + 2 * SECOND, is_open=True)
    for second in range(700, 703):
        backlog.judge(lost + MINUTE + second * SECOND, 0.0)
    assert not backlog.gap.is_open


def test_a_busy_window_opens_no_gap() -> None:
    """What arrives under load is not older than its arrival."""
    backlog = Backlog(NOW - HOUR)
    backlog.connected(NOW, session_present=False)
    for second in range(20):
        backlog.judge(NOW + second * SECOND, 0.0 if second < 3 else 1.0)
    assert not backlog.gap.is_open
