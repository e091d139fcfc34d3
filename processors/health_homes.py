"""The health of the sensors in homes, for counting only: nothing here tells which sensor, and nothing is stored.

Kept by sensor number, in place, for up to a million sensors. It begins anew with every process: a sensor is ok until it
has shown otherwise.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER, Records
from schemas.live import SensorState

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

VARYING: Final = frozenset({"temperature", "humidity", "pressure", "co2", "noise"})
"""Kinds of which no two days pass without a change. Light is not one of them: a dark room stays at 0."""

_JUDGED_EVERY: Final = 10_000_000
_STUCK_AFTER: Final = 24 * 3_600_000_000
_STUCK_READINGS: Final = 20
_STATES: Final = tuple(SensorState)
_OK, _SILENT, _STUCK = map(_STATES.index, (SensorState.OK, SensorState.SILENT, SensorState.STUCK))


class Watched(NamedTuple):
    """What is known of every sensor, by number: whether its home consents, whether it pauses, and the terms.

    `patience` is how long one may be silent in microseconds, 0 for ever; `varies` tells whether its kind is VARYING.
    """

    consents: Bools
    is_paused: Bools
    patience: Int64s
    varies: Bools


class HomeHealth:
    """How many sensors of homes are in each state, as of the last look."""

    def __init__(self) -> None:
        self.counts = (0,) * len(_STATES)
        self._judged_at = NEVER
        # By sensor: its newest time, the value it told last, since when and how often in a row, its state.
        self._heard_at = np.empty(0, dtype=np.int64)
        self._value = np.empty(0, dtype=np.float64)
        self._same_since = np.empty(0, dtype=np.int64)
        self._same = np.empty(0, dtype=np.int32)
        self._state = np.empty(0, dtype=np.uint8)

    def observe(self, readings: Records) -> None:
        """Take READING records in order of time."""
        if not len(readings):
            return
        sensors, times, values = (np.ascontiguousarray(readings[name]) for name in ("sensor", "time", "value"))
        self._grow(int(sensors.max()) + 1)
        differs = values != self._value[sensors]
        np.maximum.at(self._heard_at, sensors, times)
        # Of a sensor's readings the last one wins. A run that begins within a batch may be counted short.
        self._value[sensors] = values
        self._same_since[sensors[differs]] = times[differs]
        np.add.at(self._same, sensors, np.int32(1))
        self._same[sensors[differs]] = 1

    def judge(self, clock: int, now: int, look: Callable[[], Watched]) -> None:
        """Count anew, at most every ten seconds; silence is judged as of `clock`."""
        if now - self._judged_at < _JUDGED_EVERY:
            return
        self._judged_at = now
        watched = look()
        size = len(watched.varies)
        self._grow(size)
        heard_at, same_since, same, state = (
            array[:size] for array in (self._heard_at, self._same_since, self._same, self._state)
        )
        # What was never heard is waited for from now on; what pauses, or has no consent, from when it may speak again.
        waits = (heard_at == NEVER) | ~watched.consents | (watched.is_paused & (state != _SILENT))
        begins = waits & (~watched.consents | (state != _STUCK))
        heard_at[waits] = clock
        same_since[begins], same[begins] = clock, 0
        age = clock - heard_at
        silent = (watched.patience > 0) & (age > watched.patience)
        is_same = (heard_at - same_since >= _STUCK_AFTER) & (same >= _STUCK_READINGS)
        stuck = watched.varies & is_same & (age <= _STUCK_AFTER)
        # A pause changes no count, or the counts would tell of it.
        judged = ~watched.is_paused
        state[judged] = np.select([silent, stuck], [_SILENT, _STUCK], _OK)[judged]
        self.counts = tuple(np.bincount(state[watched.consents], minlength=len(_STATES)).tolist())

    def forget(self, sensors: Bools) -> None:
        """Forget what these sensors told; `sensors` is by number."""
        self._grow(len(sensors))
        numbers = np.flatnonzero(sensors)
        self._heard_at[numbers], self._value[numbers], self._same_since[numbers] = NEVER, np.nan, NEVER
        self._same[numbers], self._state[numbers] = 0, _OK

    def _grow(self, size: int) -> None:
        if size > len(self._heard_at):
            # An eighth more, not double: the spare room of a million sensors is memory, too.
            more = size + size // 8 - len(self._heard_at)
            self._heard_at = np.append(self._heard_at, np.full(more, NEVER))
            self._value = np.append(self._value, np.full(more, np.nan))
            self._same_since = np.append(self._same_since, np.full(more, NEVER))
            self._same = np.append(self._same, np.zeros(more, dtype=np.int32))
            self._state = np.append(self._state, np.full(more, _OK, dtype=np.uint8))
