"""What devices told last that repeat all they know in every message: a repeat is no new measurement.

Of zigbee2mqtt, whose cache tells a temperature of an hour ago again beside a motion of now, and names no time. Kept by
sensor number, in place; written with every batch, so that a repeat is known over a restart.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.columns import Records

Bools = NDArray[np.bool_]
Float64s = NDArray[np.float64]


class Told(NamedTuple):
    """Which readings of a batch are repeats, shape (n,); and the sensors that told another value than before."""

    is_repeat: Bools
    sensors: NDArray[np.int32]
    values: Float64s


class LastTold:
    """The last value of every sensor of such a device, NaN where it never told one."""

    def __init__(self) -> None:
        self._value = np.empty(0, dtype=np.float64)

    def judge(self, readings: Records, is_untimed: Bools) -> Told:
        """Judge READING records in order of arrival: a repeat is the same value again, without a time of its own."""
        order = np.argsort(readings["sensor"], kind="stable")
        sensor, value = readings["sensor"][order], readings["value"][order]
        self._grow(int(sensor.max(initial=-1)) + 1)
        is_first, is_last = np.ones((2, len(order)), dtype=bool)
        is_first[1:] = is_last[:-1] = sensor[1:] != sensor[:-1]
        before = np.append(np.nan, value)[:-1]
        before[is_first] = self._value[sensor[is_first]]
        is_repeat = np.empty(len(order), dtype=bool)
        is_repeat[order] = value == before
        sensors, values = sensor[is_last], value[is_last]
        changed = values != self._value[sensors]
        return Told(is_repeat & is_untimed, sensors[changed], values[changed])

    def adopt(self, sensors: NDArray[np.integer], values: Float64s) -> None:
        """Know what was told, once it is stored, or as it is read back."""
        self._grow(int(sensors.max(initial=-1)) + 1)
        self._value[sensors] = values

    def forget(self, numbers: NDArray[np.integer]) -> None:
        """Know nothing of sensors any more, whose values are in another unit now."""
        self._value[numbers[numbers < len(self._value)]] = np.nan

    def _grow(self, size: int) -> None:
        if size > len(self._value):
            self._value = np.append(self._value, np.full(size + size // 8 - len(self._value), np.nan))
