"""How durations spread: a histogram whose buckets grow by a tenth, from a microsecond to a quarter of an hour."""

from bisect import bisect_left
from collections.abc import Iterable
from types import MappingProxyType

_GROWTH = 1.1
_LEAST = 1e-6
_BOUNDS = [_LEAST * _GROWTH**bucket for bucket in range(217)]
"""The most seconds that each bucket holds; one more bucket holds what is longer."""

_SUMMARY = MappingProxyType({"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0})


class Spread:
    """Counts durations in seconds; a quantile is right to a tenth of itself."""

    __slots__ = ("counts",)

    def __init__(self, counts: Iterable[int] | None = None) -> None:
        """Begin with nothing, or with the `counts` of another one, by bucket."""
        self.counts = [0] * (len(_BOUNDS) + 1) if counts is None else list(counts)

    def add(self, seconds: float) -> None:
        """Count a duration; what is below a microsecond, or negative, counts as one."""
        self.counts[bisect_left(_BOUNDS, seconds)] += 1

    def update(self, other: "Spread") -> None:
        """Count in what another one has counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]

    def quantile(self, share: float) -> float | None:
        """Give the duration that this share of all do not exceed, in seconds; None where nothing was counted."""
        wanted = share * sum(self.counts)
        reached = 0
        for bucket, count in enumerate(self.counts):
            reached += count
            if count and reached >= wanted:
                return _BOUNDS[min(bucket, len(_BOUNDS) - 1)]
        return None

    def summary(self) -> dict[str, float | None]:
        """Give some quantiles in milliseconds, by the names that summaries have for them."""
        found = {name: self.quantile(share) for name, share in _SUMMARY.items()}
        return {name: None if seconds is None else round(seconds * 1000, 3) for name, seconds in found.items()}
