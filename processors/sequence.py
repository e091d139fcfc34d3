"""What is missing upstream: sequence numbers of bay sensors that never arrived.

A sensor counts its messages up. A number that is skipped was lost before it reached us, unless it comes late. A count
that begins anew, after a change of batteries or at the end of its 8 or 16 bits, is no loss. What is found is what one
message after the other would give, in order of arrival, whatever the batches.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER, NO_SEQ, Records

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NEAR: Final = 64
"""As many numbers are remembered: one so far behind or further is no late one."""
_FURTHEST: Final = 10_000
"""Numbers that may be missed in a row: a greater step ahead is another count."""
_ALL_SEEN: Final = 2**64 - 1
_MANY: Final = 50
"""So many spots are worth a round of array operations."""
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
    told = np.flatnonzero(events["seq"] != NO_SEQ)
    if not len(told):
        return Counted(state, np.empty(0, dtype=np.int64), np.empty(0, dtype=RETURN))
    told = told[np.argsort(events["spot"][told], kind="stable")]
    spot, number = events["spot"][told].astype(np.int64), events["seq"][told].astype(np.int64)
    at = np.minimum(events["time"], events["arrived"])[told]
    first = np.flatnonzero(np.append(True, spot[1:] != spot[:-1]))
    size = np.diff(np.append(first, len(spot)))
    place = np.arange(len(spot)) - np.repeat(first, size)
    after = state.copy()
    returns = []
    # The first message of every spot together, then the second ones, as long as there are many.
    rounds = int((np.bincount(place) >= _MANY).sum())
    order = np.argsort(place, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(place)[:rounds]))[:rounds]:
        is_return = _step(after, spot[rows], number[rows], at[rows])
        returns += list(zip(spot[rows[is_return]].tolist(), at[rows[is_return]].tolist(), strict=True))
    rest = np.flatnonzero(place >= rounds)
    returns += _count_all(after, spot[rest], number[rest], at[rest])
    return Counted(after, spot[first], np.array(returns, dtype=RETURN))


def _step(state: Sequences, spots: Int64s, number: Int64s, at: Int64s) -> Bools:
    """Take one message of each spot, in place, as `_count` does; tell where the count returned to the one before."""
    last, seen, left = state.last[spots], state.seen[spots], state.left[spots]
    step, is_newer = number - last, at > state.newest_at[spots]
    is_return = (left != NO_SEQ) & (number > left) & (number - left < _NEAR)
    is_first = last == NO_SEQ
    is_late = ~is_first & (step > -_NEAR) & (step <= 0)
    is_far = (step >= _NEAR) & (step <= _FURTHEST) & is_newer & ~is_return
    goes_on = ~is_first & (((step > 0) & (step < _NEAR)) | is_far)
    begins = ~(is_first | is_late | goes_on) & is_newer
    one, none = np.uint64(1), np.uint64(0)
    bit = np.where(is_late, one << np.where(is_late, -step, 0).astype(np.uint64), none)
    was_missing = is_late & (seen & bit == 0)
    shifted = seen << np.where(goes_on & (step < _NEAR), step, 0).astype(np.uint64)
    new = [np.where(is_far, one, shifted | one), np.full(len(seen), _ALL_SEEN, dtype=np.uint64)]
    state.seen[spots] = np.select([goes_on, is_first | begins], new, seen | bit)
    state.missing[spots] += np.where(goes_on, step - 1, 0) - was_missing
    state.left[spots] = np.where(begins, last, left)
    state.last[spots] = np.where(is_first | goes_on | begins, number, last)
    state.newest_at[spots] = np.maximum(state.newest_at[spots], at)
    returned: Bools = begins & is_return
    return returned


def _count_all(state: Sequences, spot: Int64s, number: Int64s, at: Int64s) -> list[tuple[int, int]]:
    """Take messages ordered by spot one after the other, in place; give where and when a count returned."""
    spots, sizes = np.unique(spot, return_counts=True)
    arrivals = zip(number.tolist(), at.tolist(), strict=True)
    columns = [getattr(state, name)[spots].tolist() for name in Sequences.__slots__]
    returns = []
    for index, (spot_index, size) in enumerate(zip(spots.tolist(), sizes.tolist(), strict=True)):
        count, returned = _count(_Count(*(column[index] for column in columns)), islice(arrivals, size))
        for column, value in zip(columns, count, strict=True):
            column[index] = value
        returns += [(spot_index, at) for at in returned]
    for name, column in zip(Sequences.__slots__, columns, strict=True):
        getattr(state, name)[spots] = column
    return returns


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
