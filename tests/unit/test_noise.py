"""Noisy sources are named above capacity, and only there."""

from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import NOW, SECOND

from processors.noise import SPAN, Noise

REGISTERED = [f"bay-{number}" for number in range(100)]
LOUD = REGISTERED[7]


def listen(noise: Noise, batches: list[list[str]], *, is_busy: bool = True, begin: int = NOW) -> Noise:
    """Hear a batch a second."""
    for index, topics in enumerate(batches):
        noise = noise.heard(topics, REGISTERED, begin + index * SECOND, is_busy=is_busy)
    return noise


def test_within_capacity_nobody_is_noisy() -> None:
    """However loud: nothing is even counted."""
    assert listen(Noise(), [[LOUD] * 10_000] * 30, is_busy=False) == Noise()


def test_a_source_that_sends_a_thousand_times_as_much_is_named() -> None:
    """With its rate, and since when."""
    noise = listen(Noise(), [[LOUD] * 1000 + REGISTERED] * 12)
    assert set(noise.noisy) == {LOUD}
    assert noise.noisy[LOUD].since == NOW
    assert 1000 < noise.noisy[LOUD].rate < 1200


def test_a_busy_city_without_a_loud_source_names_nobody() -> None:
    """All send alike, few or many."""
    assert not listen(Noise(), [REGISTERED * 100] * 12).noisy
    few = ["a", "b", "c"]
    noise = Noise()
    for index in range(12):
        noise = noise.heard(few * 1000, few, NOW + index * SECOND, is_busy=True)
    assert not noise.noisy


def test_strangers_are_not_named_and_not_remembered() -> None:
    """What is not registered counts in the total alone."""
    noise = listen(Noise(), [[f"stranger-{number}" for number in range(1000)]] * 8)
    assert not noise.counts
    assert noise.total == 8000


def test_since_stands_as_long_as_it_is_noisy_and_ends_with_it() -> None:
    """A second span keeps the first moment; a whole calm span ends it."""
    noise = listen(Noise(), [[LOUD] * 1000] * 25)
    assert noise.noisy[LOUD].since == NOW
    assert listen(noise, [[]] * 25, is_busy=False, begin=NOW + 25 * SECOND) == Noise()


@given(st.lists(st.tuples(st.sampled_from(REGISTERED[:5]), st.integers(0, 3000)), max_size=30), st.booleans())
def test_memory_is_bounded_by_the_registry(batches: list[tuple[str, int]], is_busy: bool) -> None:
    """Whatever arrives."""
    noise = listen(Noise(), [[topic] * size + [f"x{size}"] for topic, size in batches], is_busy=is_busy)
    assert set(noise.counts) | set(noise.noisy) <= set(REGISTERED)
    assert noise.began is None or noise.began >= NOW - SPAN
