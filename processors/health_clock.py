"""Clocks of parking sensors that are wrong, found by the event times of messages against their arrival.

A fast clock tells times that have not come yet. A slow one is always late by the same, which a slow network is not.
A message without a time of its own, whose time is its arrival, says nothing of a clock.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

_AHEAD: Final = 60_000_000
_BEHIND: Final = 300_000_000
_STEADY: Final = 60_000_000
"""Delays of a slow clock differ by less than this."""
_FAST_AFTER: Final = 3
_SLOW_AFTER: Final = 8
"""So many messages running tell that a clock is fast or slow."""


@dataclass(frozen=True, slots=True, eq=False)
class Clocks:
    """What sensors told of their clocks, arrays of shape (s,); times are microseconds.

    `delays`, of shape (s, 8), holds those of the last messages, the newest last, back to the last one that was right; 0
    where there are fewer. `odd_at` is the arrival of the last one that was not right. A clock that is `suspected` was
    wrong before a restart.
    """

    delays: Int64s
    odd_at: Int64s
    suspected: Bools

    @classmethod
    def unknown(cls, size: int) -> Self:
        """Nothing heard of any sensor."""
        delays = np.zeros((size, _SLOW_AFTER), dtype=np.int64)
        return cls(delays, np.full(size, NEVER), np.zeros(size, dtype=bool))

    @property
    def is_skewed(self) -> Bools:
        """Tell which clocks are wrong."""
        fast = (self.delays[:, -_FAST_AFTER:] < -_AHEAD).all(axis=1)
        least, most = self.delays.min(axis=1), self.delays.max(axis=1)
        slow = (least >= _BEHIND) & (most - least < _STEADY)
        skewed: Bools = fast | slow | (self.suspected & (self.delays[:, 0] == 0))
        return skewed


def observe(clocks: Clocks, sensors: Int64s, times: Int64s, arrived: Int64s) -> Clocks:
    """Take messages in order of arrival; the clocks given stay as they are."""
    delays = arrived - times
    is_odd = (delays < -_AHEAD) | (delays >= _BEHIND)
    concerned = (clocks.delays[:, -1] != 0) | clocks.suspected
    concerned[sensors[is_odd]] = True
    # Few clocks are wrong: all others have nothing to take note of.
    rows = np.flatnonzero(concerned[sensors] & (delays != 0))
    if not len(rows):
        return clocks
    rows = rows[np.argsort(sensors[rows], kind="stable")]
    after = Clocks(clocks.delays.copy(), clocks.odd_at.copy(), clocks.suspected.copy())
    odd = rows[is_odd[rows]]
    np.maximum.at(after.odd_at, sensors[odd], arrived[odd])
    _append(after, sensors[rows], delays[rows], is_odd[rows])
    return after


def _append(clocks: Clocks, sensors: Int64s, delays: Int64s, is_odd: Bools) -> None:
    """Append delays, ordered by sensor and arrival, in place; one that is right clears those before it."""
    first = np.flatnonzero(np.append(True, sensors[1:] != sensors[:-1]))
    size = np.diff(np.append(first, len(sensors)))
    place = np.arange(len(sensors)) - np.repeat(first, size)
    last_right = np.maximum.reduceat(np.where(is_odd, -1, place), first)
    who, is_right = sensors[first], last_right >= 0
    clocks.delays[who[is_right]] = 0
    clocks.suspected[who[is_right]] = False
    come_from = np.arange(_SLOW_AFTER) + np.minimum(size - 1 - last_right, _SLOW_AFTER)[:, np.newaxis]
    held = np.pad(clocks.delays[who], ((0, 0), (0, _SLOW_AFTER)))
    clocks.delays[who] = np.take_along_axis(held, come_from, axis=1)
    back = np.repeat(size, size) - place
    is_kept = (place > np.repeat(last_right, size)) & (back <= _SLOW_AFTER)
    clocks.delays[sensors[is_kept], _SLOW_AFTER - back[is_kept]] = delays[is_kept]
