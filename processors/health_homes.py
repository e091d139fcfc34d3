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
_HEARD: Final = np.dtype([("at", "i8"), ("value", "f8"), ("same_since", "i8"), ("same", "i4")])
"""The newest time of a sensor, the value it told last, since when and how often in a row; times are microseconds."""
_BLANK: Final = np.array((NEVER, np.nan, NEVER, 0), dtype=_HEARD)
_STATES: Final = tuple(SensorState)


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
        self._heard = np.empty(0, dtype=_HEARD)
        self._judged_at = NEVER

    def observe(self, readings: Records) -> None:
        """Take READING records in order of time."""
        if not len(readings):
            return
        sensors = readings["sensor"]
        self._grow(int(sensors.max()) + 1)
        heard = self._heard
        differs = readings["value"] != heard["value"][sensors]
        np.maximum.at(heard["at"], sensors, readings["time"])
        # Of a sensor's readings the last one wins. A run that begins within a batch may be counted short.
        heard["value"][sensors] = readings["value"]
        heard["same_since"][sensors[differs]] = readings["time"][differs]
        np.add.at(heard["same"], sensors, 1)
        heard["same"][sensors[differs]] = 1

    def judge(self, clock: int, now: int, look: Callable[[], Watched]) -> None:
        """Count anew, at most every ten seconds; silence is judged as of `clock`."""
        if now - self._judged_at < _JUDGED_EVERY:
            return
        self._judged_at = now
        watched = look()
        self._grow(len(watched.varies))
        heard = self._heard[: len(watched.varies)]
        # What was never heard begins to be waited for now; what pauses, or was not watched, when it may speak again.
        begins = (heard["at"] == NEVER) | watched.is_paused | ~watched.consents
        heard[begins] = _BLANK
        heard["at"][begins] = clock
        silent = (watched.patience > 0) & (clock - heard["at"] > watched.patience)
        is_same = (heard["at"] - heard["same_since"] >= _STUCK_AFTER) & (heard["same"] >= _STUCK_READINGS)
        stuck = watched.varies & is_same & (clock - heard["at"] <= _STUCK_AFTER) & ~silent
        counted = {SensorState.SILENT: int(silent.sum()), SensorState.STUCK: int(stuck.sum())}
        counted[SensorState.OK] = int(watched.consents.sum()) - sum(counted.values())
        self.counts = tuple(counted.get(state, 0) for state in _STATES)

    def _grow(self, size: int) -> None:
        if size > len(self._heard):
            # An eighth more, not double: the spare room of a million sensors is memory, too.
            grown = np.full(size + size // 8, _BLANK)
            grown[: len(self._heard)] = self._heard
            self._heard = grown
