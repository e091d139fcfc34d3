"""What is missing upstream: sequence numbers of bay sensors that never arrived.

A sensor counts its messages up. A number that is skipped was lost before it reached us, unless it comes late. A count
that begins anew, after a change of batteries or at the end of its 8 or 16 bits, is no loss. What is found is what one
message after the other would give, in order of arrival, whatever the batches.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER, NO_SEQ, Records

Int64s = NDArray[np.int64]

_NEAR: Final = 64
"""As many numbers are remembered: one so far behind or further is no late one."""
_FURTHEST: Final = 10_000
"""Numbers that may be missed in a row: a greater step ahead is another count."""
_ALL_SEEN: Final = 2**64 - 1
RETURN: Final = np.dtype([("spot", "i4"), ("at", "i8")])
"""A count that went back to where it was before it last began anew, and when that arrived."""


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Arrays of shape (n,) over the layout's spots.

    `last` is the highest number since the count last began anew, NO_SEQ where none was told. Bit k of `seen` tells
    that the number `last - k` has arrived, or was never to come. `newest_at` is the newest time of a message, its
    arrival where it claims to be from later. `left` is the last number of the count before this one.
    """

    last: Int64s
    seen: NDArray[np.uint64]
    missing: Int64s
    newest_at: Int64s
    left: Int64s

    @classmethod
    def unknown(cls, size: int) -> Self:
        """Nothing heard of any spot."""
        return cls(
            last=np.full(size, NO_SEQ, dtype=np.int64),
            seen=np.full(size, _ALL_SEEN, dtype=np.uint64),
            missing=np.zeros(size, dtype=np.int64),
            newest_at=np.full(size, NEVER),
            left=np.full(size, NO_SEQ, dtype=np.int64),
        )

    def copy(self) -> Self:
        """Give arrays of its own."""
        return type(self)(*(getattr(self, name).copy() for name in self.__slots__))


class Counted(NamedTuple):
    """What came of a batch: the state after it, the indexes of spots that told a number, and RETURN records."""

    state: Sequences
    spots: Int64s
    returns: Records


def observe(state: Sequences, events: Records) -> Counted:
    """Fold SPOT_EVENT records, in order of arrival and with repeats, into the state. The state given stays as it is."""
    events = events[events["seq"] != NO_SEQ]
    if not len(events):
        return Counted(state, np.empty(0, dtype=np.int64), np.empty(0, dtype=RETURN))
    events = events[np.argsort(events["spot"], kind="stable")]
    after = state.copy()
    at = np.minimum(events["time"], events["arrived"])
    first = np.flatnonzero(np.append(True, events["spot"][1:] != events["spot"][:-1]))
    size = np.diff(np.append(first, len(events)))
    spots = events["spot"][first].astype(np.int64)
    place = np.arange(len(events)) - np.repeat(first, size)
    in_step = np.logical_and.reduceat(events["seq"] == np.repeat(state.last[spots], size) + 1 + place, first)
    _advance(after, spots[in_step], size[in_step])
    after.newest_at[spots] = np.maximum(state.newest_at[spots], np.maximum.reduceat(at, first))
    returns: list[tuple[int, int]] = []
    for run in np.flatnonzero(~in_step).tolist():
        spot, part = int(spots[run]), slice(first[run], first[run] + size[run])
        count = _Count(*(getattr(state, name)[spot].item() for name in state.__slots__))
        arrivals = zip(events["seq"][part].tolist(), at[part].tolist(), strict=True)
        count, returned = _count(count, arrivals)
        for name, value in count._asdict().items():
            getattr(after, name)[spot] = value
        returns += [(spot, moment) for moment in returned]
    return Counted(after, spots, np.array(returns, dtype=RETURN))


def _advance(state: Sequences, spots: Int64s, steps: Int64s) -> None:
    """Count on, in place, where each number followed on the one before: by far the most."""
    state.last[spots] += steps
    new = np.minimum(steps, _NEAR - 1).astype(np.uint64)
    one = np.uint64(1)
    shifted = (state.seen[spots] << new) | ((one << new) - one)
    state.seen[spots] = np.where(steps < _NEAR, shifted, np.uint64(_ALL_SEEN))


class _Count(NamedTuple):
    """The state of one spot."""

    last: int
    seen: int
    missing: int
    newest_at: int
    left: int


def _count(count: _Count, arrivals: Iterable[tuple[int, int]]) -> tuple[_Count, list[int]]:
    """Take numbers with their times one after the other; give when the count returned to the one before."""
    last, seen, missing, newest_at, left = count
    returns = []
    for number, at in arrivals:
        step = number - last
        if last == NO_SEQ:
            last = number
        elif -_NEAR < step <= 0:
            bit = 1 << -step
            if not seen & bit:
                seen, missing = seen | bit, missing - 1
        elif 0 < step < _NEAR or (_NEAR <= step <= _FURTHEST and at > newest_at and not _is_return(number, left)):
            last, missing = number, missing + step - 1
            seen = ((seen << step) | 1) & _ALL_SEEN
        elif at > newest_at:
            if _is_return(number, left):
                returns.append(at)
            last, left, seen = number, last, _ALL_SEEN
        newest_at = max(newest_at, at)
    return _Count(last, seen, missing, newest_at, left), returns


def _is_return(number: int, left: int) -> bool:
    """Tell whether a number goes on where the count before this one was left."""
    return left != NO_SEQ and 0 < number - left < _NEAR
