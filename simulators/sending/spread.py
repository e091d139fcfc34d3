"""How durations spread: a histogram whose buckets grow by a tenth, from a microsecond to some minutes."""

import math
from collections import Counter

_GROWTH = math.log(1.1)
_LEAST = 1e-6


class Spread:
    """Counts durations in seconds; a quantile is right to a tenth of itself."""

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        """Begin with nothing, or with the `counts` of another one."""
        self.counts: Counter[int] = Counter(counts or {})

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a duration; what is below a microsecond, or negative, counts as one."""
        self.counts[math.ceil(math.log(max(seconds, _LEAST) / _LEAST) / _GROWTH)] += times

    def update(self, other: "Spread") -> None:
        """Count in what another one has counted."""
        self.counts.update(other.counts)

    def quantile(self, share: float) -> float | None:
        """Give the duration that this share of all do not exceed, in seconds; None where nothing was counted."""
        wanted = share * self.counts.total()
        reached = 0
        for bucket in sorted(self.counts):
            reached += self.counts[bucket]
            if reached >= wanted:
                return _LEAST * math.exp(bucket * _GROWTH)
        return None
