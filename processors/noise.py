"""Which sources send so much that the stream is above capacity. Nothing is dropped: they are named, for people to act.

Counted only while the window has been more than half used for a while, so that within capacity it costs nothing.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

_SECOND: Final = 1_000_000
SPAN: Final = 10 * _SECOND
"""Microseconds over which messages are counted before they are judged."""
_LEAST_RATE: Final = 10.0
_LEAST_SHARE: Final = 0.1
_TIMES_THE_OTHERS: Final = 10.0


class Noisy(NamedTuple):
    """A noisy source: since when, in microseconds, and how many messages a second."""

    since: int
    rate: float


@dataclass(frozen=True, slots=True)
class Noise:
    """Messages by topic since `began`, all of them as `total`; and the sources judged noisy, by topic."""

    began: int | None = None
    total: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    noisy: Mapping[str, Noisy] = field(default_factory=dict)

    def heard(self, topics: Sequence[str], registered: Collection[str], now: int, *, is_busy: bool) -> Self:
        """Count a batch, and judge when the span is over. Topics of nothing registered count in the total only."""
        if not is_busy and self.began is None:
            return self
        began = now if self.began is None else self.began
        counts = self.counts.copy()
        counts.update(topic for topic in topics if is_busy and topic in registered)
        total = self.total + len(topics) * is_busy
        if now - began < SPAN:
            return type(self)(began, total, counts, self.noisy)
        seconds = (now - began) / _SECOND
        noisy = {
            topic: Noisy(self.noisy[topic].since if topic in self.noisy else began, count / seconds)
            for topic, count in counts.items()
            if _is_noisy(count, counts.total(), total, len(registered), seconds)
        }
        return type(self)(now, noisy=noisy) if is_busy or noisy else type(self)()


def _is_noisy(count: int, of_registered: int, total: int, sources: int, seconds: float) -> bool:
    """Judge a source by its rate, by its share, and beside the mean of all other registered sources."""
    others = (of_registered - count) / max(sources - 1, 1)
    return count >= max(_LEAST_RATE * seconds, _LEAST_SHARE * total, _TIMES_THE_OTHERS * others)
