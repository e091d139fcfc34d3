"""The parking state: the newest reading of every spot and counter, by event time.

`apply_*` are pure. The state of a spot, its newest observation and every counter are independent of the order and the
split of what arrives: the newest event time wins; at equal times *occupied* wins, and for counters the lower free,
the lower total, the first status by alphabet. What holds since when, `battery` and `flips` are as they arrived: a late
reading does not go back and mend them.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER, Records

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

NO_STATUS: Final = b""
CLOSED: Final = b"closed"
_NOTHING: Final = -1
"""What a spot said before it was ever heard."""
_FLIPS_LAST: Final = 600_000_000
"""Microseconds in which a change comes to count for 1/e."""


@dataclass(frozen=True, slots=True, eq=False)
class SpotStates:
    """Arrays of shape (n,) over the layout's spots.

    `key` is twice the newest event time, plus one where it says occupied, so that the greater key wins. `since` is the
    event time of the last change as it arrived: a late reading between two known ones does not move it. `flips` counts
    the changes of state, as of the newest event: one of ten minutes before counts for 1/e.
    """

    key: Int64s
    since: Int64s
    battery: NDArray[np.float64]
    flips: NDArray[np.float64]

    @classmethod
    def unknown(cls, size: int) -> Self:
        """Nothing heard of any spot."""
        return cls(
            key=np.full(size, 2 * NEVER),
            since=np.full(size, NEVER),
            battery=np.full(size, np.nan),
            flips=np.zeros(size),
        )

    @property
    def observed_at(self) -> Int64s:
        """Newest event times, NEVER where nothing was heard."""
        return self.key >> 1

    @property
    def occupied(self) -> NDArray[np.bool_]:
        """What the newest event says; meaningless where nothing was heard."""
        return (self.key & 1).astype(bool)

    def flips_at(self, clock: int) -> NDArray[np.float64]:
        """Give `flips` as of a moment."""
        return self.flips * _fading(np.maximum(clock - self.observed_at, 0))


@dataclass(frozen=True, slots=True, eq=False)
class CountStates:
    """Arrays of shape (m,) over the layout's car parks; a time is NEVER where its value was never told.

    `free` has been the same since `free_since`, as it arrived. `other_total_at` is the newest time at which a total
    other than the newest one was told.
    """

    free: Int64s
    free_at: Int64s
    free_since: Int64s
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

        status = np.full(size, NO_STATUS, dtype="S6")
        return cls(zeros(), never(), never(), zeros(), never(), never(), status, never())


def apply_events(state: SpotStates, events: Records) -> tuple[SpotStates, Int64s]:
    """Fold SPOT_EVENT records into the state; give the new state and the indexes of spots whose row changed."""
    keys = 2 * events["time"] + events["occupied"]
    is_newer = keys > state.key[events["spot"]]
    events, keys = events[is_newer], keys[is_newer]
    if not len(events):
        return state, np.empty(0, dtype=np.int64)
    order = np.lexsort((keys, events["spot"]))
    events, keys = events[order], keys[order]
    spots = events["spot"].astype(np.int64)
    is_last = _is_last(spots)
    changed = spots[is_last]
    before = _before(spots, keys & 1, np.where(state.observed_at != NEVER, state.key & 1, _NOTHING))
    starts = keys & 1 != before
    flipped = starts & (before != _NOTHING)
    key, since = state.key.copy(), state.since.copy()
    key[changed] = keys[is_last]
    since[changed] = _since(spots, events["time"], starts, state.since)[is_last]
    after = SpotStates(
        key=key,
        since=since,
        battery=_last_told(state.battery, events["battery"], spots, ~np.isnan(events["battery"])),
        flips=_flips(state, key >> 1, spots[flipped], events["time"][flipped]),
    )
    return after, changed


def _is_first(groups: Int64s) -> Bools:
    return np.append(True, groups[1:] != groups[:-1])


def _is_last(groups: Int64s) -> Bools:
    return np.append(groups[1:] != groups[:-1], True)


def _last_told(before: NDArray[Any], told: NDArray[Any], spots: Int64s, is_told: Bools) -> NDArray[Any]:
    """Replace a value where an event carries one; many carry none."""
    after = before.copy()
    spots, told = spots[is_told], told[is_told]
    if len(spots):
        last = _is_last(spots)
        after[spots[last]] = told[last]
    return after


def _before(groups: Int64s, values: Int64s, held: Int64s) -> Int64s:
    """Give the value before each one, for values ordered by group and time; `held` is that of each group before all."""
    return np.where(_is_first(groups), held[groups], np.append(0, values[:-1]))


def _since(groups: Int64s, times: Int64s, starts: Bools, held: Int64s) -> Int64s:
    """Give since when each value has held, by where new values start; `held` is since when it did before all."""
    place = np.arange(len(groups))
    start = np.maximum.accumulate(np.where(starts, place, -1))
    first = np.maximum.accumulate(np.where(_is_first(groups), place, 0))
    return np.where(start >= first, times[start], held[groups])


def _flips(state: SpotStates, observed_at: Int64s, spots: Int64s, times: Int64s) -> NDArray[np.float64]:
    """Carry the count of changes on to the newest events, and add those at `times`."""
    if not len(spots) and not state.flips.any():
        return state.flips
    new = np.bincount(spots, weights=_fading(observed_at[spots] - times), minlength=len(observed_at))
    carried: NDArray[np.float64] = state.flips * _fading(observed_at - state.observed_at) + new
    return carried


def _fading(age: Int64s) -> NDArray[np.float64]:
    """Give what counts of a change after so many microseconds."""
    return np.exp(age / -_FLIPS_LAST)


def apply_counts(state: CountStates, counts: Records) -> tuple[CountStates, Int64s]:
    """Fold COUNT records into the state; give the new state and the indexes of car parks whose row changed."""
    if not len(counts):
        return state, np.empty(0, dtype=np.int64)
    free, free_at = _newest(state.free, state.free_at, counts, "free", np.ones(len(counts), dtype=bool))
    free_since = _free_since(state, counts)
    total, total_at = _newest(state.total, state.total_at, counts, "total", counts["total"] != 0)
    status, status_at = _newest(state.status, state.status_at, counts, "status", counts["status"] != NO_STATUS)
    other_total_at = _other_total_at(state, total, counts)
    after = CountStates(free, free_at, free_since, total, total_at, other_total_at, status, status_at)
    changed = (
        _differs(state.free, free, state.free_at, free_at)
        | (state.free_since != free_since)
        | _differs(state.total, total, state.total_at, total_at)
        | (state.other_total_at != other_total_at)
        | _differs(state.status, status, state.status_at, status_at)
    )
    return after, np.flatnonzero(changed)


def _free_since(state: CountStates, counts: Records) -> Int64s:
    """Give since when the newest number has been the same."""
    parks, times, free = (counts[name].astype(np.int64) for name in ("car_park", "time", "free"))
    is_newer = (times > state.free_at[parks]) | ((times == state.free_at[parks]) & (free < state.free[parks]))
    after = state.free_since.copy()
    if is_newer.any():
        order = np.flatnonzero(is_newer)[np.lexsort((-free[is_newer], times[is_newer], parks[is_newer]))]
        parks, times, free = parks[order], times[order], free[order]
        is_unheard = _is_first(parks) & (state.free_at[parks] == NEVER)
        starts = is_unheard | (free != _before(parks, free, state.free))
        last = _is_last(parks)
        after[parks[last]] = _since(parks, times, starts, state.free_since)[last]
    return after


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
