"""Values that are impossible after the one before: jumps, counters that fall, and what stands for no measurement.

Such a value is suspect and rejected, unless the next one bears it out: so a true step or a new meter costs one
reading, and a glitch to 0 and back is not stored. Kept by sensor number, in place, for up to a million sensors. It
begins anew with every process: the first value of a sensor is believed.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER, Records
from schemas.units import KINDS, conversion

Int64s = NDArray[np.int64]

JUMP: Final = "v: further from the value before than its kind can move, until the next one bears it out"
FALL: Final = "v: a counter fell, which the next value has to bear out"
BLANK: Final = "v: what a sensor of this kind says when it has not measured"
_MINUTE: Final = 60_000_000
_PLACE: Final = 2**32 - 1


class Point(NamedTuple):
    """A value at a time in microseconds."""

    time: int
    value: float


_NONE: Final = Point(NEVER, math.nan)


class Limits(NamedTuple):
    """What can follow a value, in the unit of the sensor; see `schemas.units.Kind`."""

    a_minute: float
    is_counter: bool
    blank: float
    near: float

    def fault(self, before: Point, point: Point) -> str | None:
        """Tell what is impossible about a value after another one."""
        move = point.value - before.value
        if self.is_counter and move < 0:
            return FALL
        return JUMP if abs(move) > self.a_minute * max((point.time - before.time) / _MINUTE, 1.0) else None

    def is_blank(self, before: Point, point: Point) -> bool:
        """Tell whether a value stands for none. A sensor that was close to it before may have measured it."""
        return point.value == self.blank and not abs(point.value - before.value) <= self.near


_NO_LIMITS: Final = Limits(math.inf, is_counter=False, blank=math.inf, near=0.0)


@lru_cache(maxsize=256)
def limits_of(kind: str, unit: str) -> Limits:
    """Give the limits of a kind in a unit of the same dimension."""
    if kind not in KINDS or not KINDS[kind].has_limits:
        return _NO_LIMITS
    of_kind = KINDS[kind]
    factor, offset = conversion(of_kind.unit, unit or of_kind.unit)
    return Limits(of_kind.a_minute * factor, of_kind.is_counter, of_kind.blank * factor + offset, of_kind.near * factor)


class Judged(NamedTuple):
    """What came of a batch: what is wrong with suspect readings, by their places in it.

    `times` and `values` are the last ones of `sensors` to believe from now on; `suspects` those of sensors that were
    looked at more closely, None for none.
    """

    faults: Mapping[int, str]
    sensors: NDArray[np.int32]
    times: Int64s
    values: NDArray[np.float64]
    suspects: Mapping[int, Point | None]


NOTHING_JUDGED: Final = Judged({}, np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), {})


class Jumps:
    """The last value believed of every sensor whose kind has limits, and the suspects."""

    def __init__(self) -> None:
        self._limits = [_NO_LIMITS]
        self._a_minute, self._is_counter, self._blank = _columns(self._limits)
        # By sensor: the row of its limits, 0 for none; the last value believed, and its time; whether it has a suspect.
        self._row = np.empty(0, dtype=np.uint8)
        self._time = np.empty(0, dtype=np.int64)
        self._value = np.empty(0, dtype=np.float64)
        self._is_suspect = np.empty(0, dtype=bool)
        self._suspects: dict[int, Point] = {}

    def expect(self, numbers: Sequence[int], limits: Sequence[Limits]) -> None:
        """Set by what sensors are judged."""
        self._grow(max(numbers, default=-1) + 1)
        self._limits += set(limits) - set(self._limits)
        self._a_minute, self._is_counter, self._blank = _columns(self._limits)
        rows = {one: row for row, one in enumerate(self._limits)}
        self._row[list(numbers)] = [rows[one] for one in limits]

    def forget(self, numbers: NDArray[np.integer]) -> None:
        """Believe nothing of sensors any more: their values are in another unit now, or their home was erased."""
        self._time[numbers], self._value[numbers] = _NONE
        self._is_suspect[numbers] = False
        for number in numbers.tolist():
            self._suspects.pop(number, None)

    def judge(self, readings: Records) -> Judged:
        """Judge distinct READING records in order of time. What is older than the last value believed passes."""
        order = self._find_judged(readings)
        if not len(order):
            return NOTHING_JUDGED
        sensor, time, value = (readings[name][order] for name in ("sensor", "time", "value"))
        begins = np.flatnonzero(np.append(True, sensor[1:] != sensor[:-1]))
        lasts = np.append(begins[1:], len(order)) - 1
        judged = Judged({}, sensor[begins], time[lasts], value[lasts], {})
        faults: dict[int, str] = {}
        suspects: dict[int, Point | None] = {}
        odd = self._find_odd(sensor, time, value, begins)
        for group in np.unique(np.searchsorted(begins, odd, side="right") - 1).tolist():
            part, number = slice(begins[group], lasts[group] + 1), judged.sensors[group].item()
            points = [Point(*pair) for pair in zip(time[part].tolist(), value[part].tolist(), strict=True)]
            found, (judged.times[group], judged.values[group]), suspects[number] = self._follow(number, points)
            faults |= {place: fault for place, fault in zip(order[part].tolist(), found, strict=True) if fault}
        return judged._replace(faults=faults, suspects=suspects)

    def adopt(self, judged: Judged) -> None:
        """Believe what was judged, once it is stored."""
        self._time[judged.sensors], self._value[judged.sensors] = judged.times, judged.values
        for number, suspect in judged.suspects.items():
            self._is_suspect[number] = suspect is not None
            if suspect is None:
                self._suspects.pop(number, None)
            else:
                self._suspects[number] = suspect

    def _find_judged(self, readings: Records) -> Int64s:
        """Give the places of readings that can be judged at all, in order of sensor and time."""
        sensors = np.ascontiguousarray(readings["sensor"])
        self._grow(int(sensors.max(initial=-1)) + 1)
        places = np.flatnonzero(self._row[sensors])
        sensors = sensors[places]
        is_late = readings["time"][places] < self._time[sensors]
        # Both in one number: to sort that is several times faster than to sort places by sensors.
        return np.sort((sensors.astype(np.int64) << 32 | places)[~is_late]) & _PLACE

    def _find_odd(
        self, sensor: NDArray[np.int32], time: Int64s, value: NDArray[np.float64], begins: Int64s
    ) -> NDArray[np.int64]:
        """Give the places of readings to look at more closely, of columns in order of sensor and time."""
        before = np.empty_like(value), np.empty_like(time)
        before[0][1:], before[1][1:] = value[:-1], time[:-1]
        before[0][begins], before[1][begins] = self._value[sensor[begins]], self._time[sensor[begins]]
        row, move = self._row[sensor], value - before[0]
        is_odd = np.abs(move) > self._a_minute[row] * np.maximum((time - before[1]) / _MINUTE, 1.0)
        is_odd |= (move < 0) & self._is_counter[row]
        is_odd |= value == self._blank[row]
        return np.flatnonzero(is_odd | self._is_suspect[sensor])

    def _follow(self, number: int, points: Sequence[Point]) -> tuple[list[str | None], Point, Point | None]:
        """Judge the readings of one sensor one after the other; give the last one believed, and a last suspect."""
        limits = self._limits[self._row[number]]
        believed = Point(self._time[number].item(), self._value[number].item())
        suspect = self._suspects.get(number)
        faults: list[str | None] = []
        for point in points:
            fault = limits.fault(believed, point)
            if fault and suspect and point.time > suspect.time and not limits.fault(suspect, point):
                fault = None
            if limits.is_blank(believed, point):
                fault = BLANK
            elif fault:
                suspect = point
            else:
                believed, suspect = point, None
            faults.append(fault)
        return faults, believed, suspect

    def _grow(self, size: int) -> None:
        if size > len(self._row):
            # An eighth more, not double: the spare room of a million sensors is memory, too.
            more = size + size // 8 - len(self._row)
            self._row = np.append(self._row, np.zeros(more, dtype=np.uint8))
            self._time = np.append(self._time, np.full(more, _NONE.time))
            self._value = np.append(self._value, np.full(more, _NONE.value))
            self._is_suspect = np.append(self._is_suspect, np.zeros(more, dtype=bool))


def _columns(limits: Sequence[Limits]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Give how far values move in a minute, which are counters, and what stands for no value, by row."""
    a_minute, is_counter, blank, _ = zip(*limits, strict=True)
    return np.array(a_minute), np.array(is_counter), np.array(blank)
