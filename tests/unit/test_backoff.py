"""Waiting times between tries."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.backoff import Backoff


@given(st.floats(0.01, 1), st.floats(1, 60))
def test_waits_double_up_to_the_cap_and_are_jittered(first: float, cap: float) -> None:
    """Every wait lies between half and all of a time that doubles and never exceeds the cap."""
    backoff = Backoff(first, cap)
    most = first
    for _ in range(30):
        assert most / 2 <= backoff.wait() <= most
        most = min(cap, 2 * most)
    assert most == cap


def test_the_default_never_waits_longer_than_five_seconds() -> None:
    """An absent broker or database is looked for at least every five seconds."""
    backoff = Backoff()
    assert max(backoff.wait() for _ in range(1000)) <= 5


def test_waits_differ() -> None:
    """Many clients that lost the same server do not come back all at once."""
    assert len({Backoff().wait() for _ in range(100)}) > 50


def test_a_success_begins_anew() -> None:
    """After a reset the waits are short again."""
    backoff = Backoff(0.1, 5)
    for _ in range(20):
        backoff.wait()
    assert backoff.wait() >= 2.5
    backoff.reset()
    assert backoff.wait() <= 0.1
