"""The parking state: the newest reading of every spot and counter, by event time.

`apply_*` are pure. The state of a spot, its newest observation and every counter are independent of the order and the
split of what arrives: the newest event time wins; at equal times *occupied* wins, and for counters the lower free,
the lower total, the first status by alphabet. `since`, `battery` and `last_seq` are as they arrived: a late reading
does not go back and mend them.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER, NO_SEQ, Records

Int64s = NDArray[np.int64]
NO_STATUS: Final = b""


@dataclass(frozen=True, slots=True, eq=False)
class SpotStates:
    """Arrays of shape (n,) over the layout's spots.

    `key` is twice the newest event time, plus one where it says occupied, so that the greater key wins. `since` is the
    event time of the last change as it arrived: a late reading between two known ones does not move it.
    """

    key: Int64s
    since: Int64s
    battery: NDArray[np.float64]
    last_seq: Int64s

    @classmethod
    def unknown(cls, size: int) -> Self:
        """Nothing heard of any spot."""
        return cls(
            key=np.full(size, 2 * NEVER),
            since=np.full(size, NEVER),
            battery=np.full(size, np.nan),
            last_seq=np.full(size, NO_SEQ, dtype=np.int64),
        )

    @property
    def observed_at(self) -> Int64s:
        """Newest event times, NEVER where nothing was heard."""
        return self.key >> 1

    @property
    def occupied(self) -> NDArray[np.bool_]:
        """What the newest event says; meaningless where nothing was heard."""
        return (self.key & 1).astype(bool)


@dataclass(frozen=True, slots=True, eq=False)
class CountStates:
    """Arrays of shape (m,) over the layout's car parks; a time is NEVER where its value was never told.

    `other_total_at` is the newest time at which a total other than the newest one was told.
    """

    free: Int64s
    free_at: Int64s
    total: Int64s
    total_at: Int64s
    other_total_at: Int64s
    status: NDArray[np.bytes_]
    status_at: Int64s

    @classmethod
    def unknown(cls, size: int) -> Self:
        """Nothing heard of any counter."""

        def zeros() -> Int64s:
            return np.zeros(size, dtype=np.int64)

        def never() -> Int64s:
            return np.full(size, NEVER)

        return cls(zeros(), never(), zeros(), never(), never(), np.full(size, NO_STATUS, dtype="S6"), never())


def apply_events(state: SpotStates, events: Records) -> tuple[SpotStates, Int64s]:
    """Fold SPOT_EVENT records into the state; give the new state and the indexes of spots whose row changed."""
    if not len(events):
        return state, np.empty(0, dtype=np.int64)
    events = events[np.lexsort((events["occupied"], events["time"], events["spot"]))]
    spots = events["spot"].astype(np.int64)
    keys = 2 * events["time"] + events["occupied"]
    is_newer = keys > state.key[spots]
    newest = is_newer & _is_last(spots)
    changed = spots[newest]
    key, since = state.key.copy(), state.since.copy()
    key[changed] = keys[newest]
    since[changed] = _since(state, spots, keys, is_newer)[newest]
    after = SpotStates(
        key=key,
        since=since,
        battery=_last_told(state.battery, events["battery"], spots, is_newer & ~np.isnan(events["battery"])),
        last_seq=_last_told(state.last_seq, events["seq"], spots, is_newer & (events["seq"] != NO_SEQ)),
    )
    return after, changed


def _is_last(spots: Int64s) -> NDArray[np.bool_]:
    return np.append(spots[1:] != spots[:-1], True)


def _last_told(before: NDArray[Any], told: NDArray[Any], spots: Int64s, is_told: NDArray[np.bool_]) -> NDArray[Any]:
    """Replace a value where a newer event carries one; many carry none."""
    after = before.copy()
    spots, told = spots[is_told], told[is_told]
    if len(spots):
        last = _is_last(spots)
        after[spots[last]] = told[last]
    return after


def _since(state: SpotStates, spots: Int64s, keys: Int64s, is_newer: NDArray[np.bool_]) -> Int64s:
    """For events ordered by spot and key: since when the value of each has held, meaningful where it is newer."""
    occupied = keys & 1
    is_first = is_newer & np.append(True, (spots[1:] != spots[:-1]) | ~is_newer[:-1])
    heard = state.key[spots] > 2 * NEVER
    before = np.where(is_first, np.where(heard, state.key[spots] & 1, -1), np.append(0, occupied[:-1]))
    starts = np.where(is_newer & (occupied != before), keys >> 1, NEVER)
    starts = np.where(is_first & (occupied == before), state.since[spots], starts)
    run = np.maximum.accumulate(np.where(starts != NEVER, np.arange(len(keys)), 0))
    return starts[run]


def apply_counts(state: CountStates, counts: Records) -> tuple[CountStates, Int64s]:
    """Fold COUNT records into the state; give the new state and the indexes of car parks whose row changed."""
    if not len(counts):
        return state, np.empty(0, dtype=np.int64)
    free, free_at = _newest(state.free, state.free_at, counts, "free", np.ones(len(counts), dtype=bool))
    total, total_at = _newest(state.total, state.total_at, counts, "total", counts["total"] != 0)
    status, status_at = _newest(state.status, state.status_at, counts, "status", counts["status"] != NO_STATUS)
    other_total_at = _other_total_at(state, total, counts)
    after = CountStates(free, free_at, total, total_at, other_total_at, status, status_at)
    changed = (
        _differs(state.free, free, state.free_at, free_at)
        | _differs(state.total, total, state.total_at, total_at)
        | (state.other_total_at != other_total_at)
        | _differs(state.status, status, state.status_at, status_at)
    )
    return after, np.flatnonzero(changed)


def _other_total_at(state: CountStates, total: Int64s, counts: Records) -> Int64s:
    """Give the newest times of totals other than the newest ones, which are `total`.

    Where the newest total is another one than before, the one before is newer than any other told before it.
    """
    after = np.where(state.total == total, state.other_total_at, state.total_at)
    is_other = (counts["total"] != 0) & (counts["total"] != total[counts["car_park"]])
    np.maximum.at(after, counts["car_park"][is_other], counts["time"][is_other])
    return after


def _differs(value: NDArray[Any], new: NDArray[Any], at: Int64s, new_at: Int64s) -> NDArray[np.bool_]:
    changed: NDArray[np.bool_] = np.logical_or(at != new_at, value != new)
    return changed


def _newest(
    value: NDArray[Any], at: Int64s, counts: Records, name: str, is_told: NDArray[np.bool_]
) -> tuple[NDArray[Any], Int64s]:
    """Give per car park the value with the newest time, the lowest of those at equal times."""
    told = counts[is_told]
    parks = np.append(np.arange(len(value)), told["car_park"])
    times = np.append(at, told["time"])
    values = np.append(value, told[name])
    order = np.lexsort((values, -times, parks))
    parks = parks[order]
    first = order[np.append(True, parks[1:] != parks[:-1])]
    return values[first].astype(value.dtype), times[first]
