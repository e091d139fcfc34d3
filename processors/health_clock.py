"""Clocks of parking sensors that are wrong, found by the event times of messages against their arrival.

A fast clock tells times that have not come yet. A slow one is always late by the same, which a slow network is not.
A message without a time of its own, whose time is its arrival, says nothing of a clock.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.columns import FOREVER, NEVER, Records

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

CLOCK: Final = np.dtype([("fast", "u1"), ("slow", "u1"), ("least", "i8"), ("most", "i8"), ("upheld_at", "i8")])
"""How many messages in a row, up to the number that is enough, said that the clock is fast or slow; the least and the
greatest delay of those that say slow; the last arrival that said either. Times are microseconds."""

_AHEAD: Final = 60_000_000
_BEHIND: Final = 300_000_000
_STEADY: Final = 60_000_000
"""Delays of a slow clock differ by less than this."""
_FAST_AFTER: Final = 3
_SLOW_AFTER: Final = 8


class _Clock(NamedTuple):
    fast: int
    slow: int
    least: int
    most: int
    upheld_at: int


_BLANK: Final = _Clock(0, 0, FOREVER, -FOREVER, NEVER)
_SUSPECT: Final = _Clock(_FAST_AFTER, _SLOW_AFTER, FOREVER, -FOREVER, NEVER)


def blank_clocks(size: int) -> Records:
    """Give clocks of which nothing is known."""
    return np.full(size, np.array(_BLANK, dtype=CLOCK))


def suspect(clocks: Records, sensor: int) -> None:
    """Take a clock for wrong, in place, until a message says which way or otherwise."""
    clocks[sensor] = _SUSPECT


def is_skewed(clocks: Records) -> Bools:
    """Tell which clocks are wrong."""
    skewed: Bools = (clocks["fast"] >= _FAST_AFTER) | (clocks["slow"] >= _SLOW_AFTER)
    return skewed


def observe(clocks: Records, sensors: Int64s, times: Int64s, arrived: Int64s) -> Records:
    """Take messages in order of arrival; the clocks given stay as they are."""
    delays = arrived - times
    is_odd = (delays < -_AHEAD) | (delays >= _BEHIND)
    concerned = (clocks["fast"] | clocks["slow"]) > 0
    concerned[sensors[is_odd]] = True
    # Few clocks are wrong: all others have nothing to take note of.
    rows = np.flatnonzero(concerned[sensors] & (delays != 0))
    if not len(rows):
        return clocks
    after = clocks.copy()
    for sensor, delay, at in zip(sensors[rows].tolist(), delays[rows].tolist(), arrived[rows].tolist(), strict=True):
        after[sensor] = _take(_Clock(*after[sensor].item()), delay, at)
    return after


def _take(clock: _Clock, delay: int, at: int) -> _Clock:
    """Take the delay of one message."""
    if delay < -_AHEAD:
        return _Clock(min(clock.fast + 1, _FAST_AFTER), 0, FOREVER, -FOREVER, at)
    if delay < _BEHIND:
        return _BLANK
    least, most = min(clock.least, delay), max(clock.most, delay)
    if most - least < _STEADY:
        return _Clock(0, min(clock.slow + 1, _SLOW_AFTER), least, most, at)
    return _Clock(0, 1, delay, delay, at)
