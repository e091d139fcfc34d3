"""Values that are impossible after the one before: jumps, counters that fall, and what stands for no measurement.

What a device tells itself is judged by all of that; what a gateway tells for its sensors, in SenML, by the last alone:
there a quantity may have any meaning. A jump or a fall is suspect and rejected, unless the next value bears it out: so
a true step or a new meter costs one reading, and a glitch to 0 and back is not stored. Kept by sensor number, in place,
for up to a million sensors. It begins anew with every process: the first value of a sensor is believed.

What was rejected is rejected again when its message comes again, however late: so many facts are remembered.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
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
_MOST_REJECTED: Final = 10_000
"""Facts that are remembered as rejected; about 2 MB."""

Fact = tuple[int, int, float]
"""Sensor, time and value."""


class Point(NamedTuple):
    """A value at a time in microseconds, and whether a device told it itself."""

    time: int
    value: float
    is_of_device: bool = True


_NONE: Final = Point(NEVER, math.nan)


class Suspects(NamedTuple):
    """What was rejected of a sensor since its last value believed, and may be borne out.

    The last `jump`, or fall; and the first `blank`, a value that stands for none.
    """

    jump: Point | None = None
    blank: Point | None = None

    def add(self, point: Point, fault: str) -> "Suspects":
        """Give them with another one."""
        return self._replace(blank=self.blank or point) if fault == BLANK else self._replace(jump=point)

    def are_repeated_by(self, time: int, value: float) -> bool:
        """Tell whether one of them is told again after a minute."""
        return any(one and one.value == value and time - one.time >= _MINUTE for one in self)


_NO_SUSPECTS: Final = Suspects()


class Limits(NamedTuple):
    """What can follow a value, in the unit of the sensor; see `schemas.units.Kind`."""

    a_minute: float
    is_counter: bool
    blank: float
    near: float

    def fault(self, before: Point, point: Point) -> str | None:
        """Tell what is impossible about a value after another one."""
        if not point.is_of_device:
            return None
        move = point.value - before.value
        if self.is_counter and move < 0:
            return FALL
        return JUMP if abs(move) > self.a_minute * max((point.time - before.time) / _MINUTE, 1.0) else None

    def judge(self, before: Point, suspects: Suspects, point: Point) -> str | None:
        """Tell what is wrong with a value after another one, unless it bears a suspect out."""
        if self.is_blank(before, point):
            return None if suspects.are_repeated_by(point.time, point.value) else BLANK
        fault, suspect = self.fault(before, point), suspects.jump
        # A clock may stand still: what bears out is another fact, not a later one.
        if fault and suspect and point.time >= suspect.time and point[:2] != suspect[:2]:
            return self.fault(suspect, point) and fault
        return fault

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


class _Ordered(NamedTuple):
    """Readings in order of sensor and time."""

    sensor: NDArray[np.int32]
    time: Int64s
    value: NDArray[np.float64]
    is_of_device: NDArray[np.bool_]


class Judged(NamedTuple):
    """What came of a batch: what is wrong with suspect readings, by their places in it.

    `times` and `values` are the last ones of `sensors` to believe from now on; `suspects` those of sensors that were
    looked at more closely. `rejected` are the facts of the faults.
    """

    faults: Mapping[int, str]
    sensors: NDArray[np.int32]
    times: Int64s
    values: NDArray[np.float64]
    suspects: Mapping[int, Suspects]
    rejected: Mapping[Fact, str]


NOTHING_JUDGED: Final = Judged({}, np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), {}, {})


class Jumps:
    """The last value believed of every sensor whose kind has limits, the suspects, and what was rejected."""

    def __init__(self) -> None:
        self._limits = [_NO_LIMITS]
        self._a_minute, self._is_counter, self._blank = _columns(self._limits)
        # By sensor: the row of its limits, 0 for none; the last value believed, and its time; whether it has a suspect;
        # whether any fact of it was ever rejected.
        self._row = np.empty(0, dtype=np.uint8)
        self._time = np.empty(0, dtype=np.int64)
        self._value = np.empty(0, dtype=np.float64)
        self._is_suspect = np.empty(0, dtype=bool)
        self._suspects: dict[int, Suspects] = {}
        self._was_rejected = np.empty(0, dtype=bool)
        self._rejected: dict[Fact, str] = {}

    def expect(self, numbers: Sequence[int], limits: Sequence[Limits]) -> None:
        """Set by what sensors are judged."""
        self._grow(max(numbers, default=-1) + 1)
        self._limits += set(limits) - set(self._limits)
        self._a_minute, self._is_counter, self._blank = _columns(self._limits)
        rows = {one: row for row, one in enumerate(self._limits)}
        self._row[list(numbers)] = [rows[one] for one in limits]

    def forget(self, numbers: NDArray[np.integer]) -> None:
        """Believe nothing of sensors any more: their values are in another unit now, or their home was erased."""
        self._time[numbers], self._value[numbers] = _NONE.time, _NONE.value
        self._is_suspect[numbers] = False
        for number in numbers.tolist():
            self._suspects.pop(number, None)
        if gone := set(numbers.tolist()):
            self._rejected = {fact: fault for fact, fault in self._rejected.items() if fact[0] not in gone}

    def judge(self, readings: Records, is_of_device: NDArray[np.bool_]) -> Judged:
        """Judge distinct READING records in order of time.

        What is older than the last value believed passes, unless it was rejected before. `is_of_device`, of the shape
        of the readings, tells those that a device told itself.
        """
        order, late = self._find_judged(readings)
        faults = self._find_rejected(readings, late)
        if not len(order):
            return NOTHING_JUDGED._replace(faults=faults)
        sensor, time, value = (readings[name][order] for name in ("sensor", "time", "value"))
        of_device = is_of_device[order]
        begins = np.flatnonzero(np.append(True, sensor[1:] != sensor[:-1]))
        lasts = np.append(begins[1:], len(order)) - 1
        judged = Judged({}, sensor[begins], time[lasts], value[lasts], {}, {})
        suspects: dict[int, Suspects] = {}
        odd = self._find_odd(_Ordered(sensor, time, value, of_device), begins)
        for group in np.unique(np.searchsorted(begins, odd, side="right") - 1).tolist():
            part, number = slice(begins[group], lasts[group] + 1), judged.sensors[group].item()
            columns = (column[part].tolist() for column in (time, value, of_device))
            points = [Point(*row) for row in zip(*columns, strict=True)]
            found, (judged.times[group], judged.values[group], _), suspects[number] = self._follow(number, points)
            faults |= {place: fault for place, fault in zip(order[part].tolist(), found, strict=True) if fault}
        rejected = {_fact(readings[place]): fault for place, fault in faults.items()}
        return judged._replace(faults=faults, suspects=suspects, rejected=rejected)

    def find_borne_out(self, repeats: Records) -> NDArray[np.bool_]:
        """Tell which READING records, repeats without a time, bear a suspect of before the batch out; one a sensor."""
        self._grow(int(repeats["sensor"].max(initial=-1)) + 1)
        is_borne_out = np.zeros(len(repeats), dtype=bool)
        found = set()
        for place in np.flatnonzero(self._is_suspect[repeats["sensor"]]).tolist():
            number, time, value = _fact(repeats[place])
            if number not in found and self._suspects[number].are_repeated_by(time, value):
                found.add(number)
                is_borne_out[place] = True
        return is_borne_out

    def adopt(self, judged: Judged) -> None:
        """Believe what was judged, once it is stored."""
        self._time[judged.sensors], self._value[judged.sensors] = judged.times, judged.values
        for number, suspects in judged.suspects.items():
            self._is_suspect[number] = suspects != _NO_SUSPECTS
            if suspects == _NO_SUSPECTS:
                self._suspects.pop(number, None)
            else:
                self._suspects[number] = suspects
        self._rejected |= judged.rejected
        self._was_rejected[[sensor for sensor, _, _ in judged.rejected]] = True
        too_many = max(len(self._rejected) - _MOST_REJECTED, 0)
        for oldest in list(islice(self._rejected, too_many)):
            del self._rejected[oldest]

    def _find_judged(self, readings: Records) -> tuple[Int64s, Int64s]:
        """Give the places of readings that can be judged, in order of sensor and time, and of those that are late."""
        sensors = np.ascontiguousarray(readings["sensor"])
        self._grow(int(sensors.max(initial=-1)) + 1)
        places = np.flatnonzero(self._row[sensors])
        sensors = sensors[places]
        is_late = readings["time"][places] < self._time[sensors]
        # Both in one number: to sort that is several times faster than to sort places by sensors.
        judged = np.sort((sensors.astype(np.int64) << 32 | places)[~is_late]) & _PLACE
        return judged, places[is_late & self._was_rejected[sensors]]

    def _find_rejected(self, readings: Records, places: Int64s) -> dict[int, str]:
        """Give what is wrong with readings that were rejected before, by their places."""
        faults = {place: self._rejected.get(_fact(readings[place])) for place in places.tolist()}
        return {place: fault for place, fault in faults.items() if fault}

    def _find_odd(self, readings: _Ordered, begins: Int64s) -> NDArray[np.int64]:
        """Give the places of readings to look at more closely."""
        sensor, time, value, is_of_device = readings
        before = np.empty_like(value), np.empty_like(time)
        before[0][1:], before[1][1:] = value[:-1], time[:-1]
        before[0][begins], before[1][begins] = self._value[sensor[begins]], self._time[sensor[begins]]
        row, move = self._row[sensor], value - before[0]
        is_odd = np.abs(move) > self._a_minute[row] * np.maximum((time - before[1]) / _MINUTE, 1.0)
        is_odd |= (move < 0) & self._is_counter[row]
        is_odd &= is_of_device
        is_odd |= value == self._blank[row]
        # Of the time of the last value believed it is not late, and may have been rejected all the same.
        is_odd |= self._was_rejected[sensor] & (time == self._time[sensor])
        return np.flatnonzero(is_odd | self._is_suspect[sensor])

    def _follow(self, number: int, points: Sequence[Point]) -> tuple[list[str | None], Point, Suspects]:
        """Judge the readings of one sensor one after the other; give the last one believed, and the suspects."""
        limits = self._limits[self._row[number]]
        believed = Point(self._time[number].item(), self._value[number].item())
        suspects = self._suspects.get(number, _NO_SUSPECTS)
        faults: list[str | None] = []
        for point in points:
            fault = self._rejected.get((number, point.time, point.value))
            if not fault:
                fault = limits.judge(believed, suspects, point)
                believed, suspects = (believed, suspects.add(point, fault)) if fault else (point, _NO_SUSPECTS)
            faults.append(fault)
        return faults, believed, suspects

    def _grow(self, size: int) -> None:
        if size > len(self._row):
            # An eighth more, not double: the spare room of a million sensors is memory, too.
            more = size + size // 8 - len(self._row)
            self._row = np.append(self._row, np.zeros(more, dtype=np.uint8))
            self._time = np.append(self._time, np.full(more, _NONE.time))
            self._value = np.append(self._value, np.full(more, _NONE.value))
            self._is_suspect = np.append(self._is_suspect, np.zeros(more, dtype=bool))
            self._was_rejected = np.append(self._was_rejected, np.zeros(more, dtype=bool))


def _columns(limits: Sequence[Limits]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Give how far values move in a minute, which are counters, and what stands for no value, by row."""
    a_minute, is_counter, blank, _ = zip(*limits, strict=True)
    return np.array(a_minute), np.array(is_counter), np.array(blank)


def _fact(reading: np.void) -> Fact:
    return reading["sensor"].item(), reading["time"].item(), reading["value"].item()
