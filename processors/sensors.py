"""The sensors of all homes: which are known, and what is known of each, in bounded memory.

A sensor is found by a keyed 64-bit hash of home, name and primary unit, so that no name is held. A million sensors
take about 90 MB, their health included. The key is drawn for every process: nobody can make two names meet.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.health_homes import VARYING, HomeHealth, Watched
from processors.home_frames import HomeFrames
from processors.jumps import Jumps, limits_of
from processors.last_told import LastTold
from schemas.registry import DwellingSensor
from schemas.units import KINDS, conversion, scale

NOT_FOUND: Final = -1
_MOST_RECENT: Final = 65_536
"""Sensors in the dictionary before they are merged into the sorted arrays."""
_SENSOR: Final = np.dtype(
    [
        ("id", "i4"),
        ("unit", "i4"),
        ("minimum", "f8"),
        ("maximum", "f8"),
        ("patience", "i8"),
        ("home", "i4"),
        ("varies", "?"),
    ]
)


class Sensor(NamedTuple):
    """A sensor to be registered: the database id of its home, its name there, and the bounds of its values.

    `patience` is how many microseconds it may be silent, 0 for ever; `pooled`, whether it counts for its district.
    """

    home: int
    name: str
    kind: str
    unit: str
    minimum: float = -np.inf
    maximum: float = np.inf
    is_listed: bool = False
    patience: int = 0
    pooled: bool = True

    @property
    def found_under(self) -> tuple[str, ...]:
        """The primary units that lead to it; a reading without a unit means the listed sensor of its name."""
        primary = scale(self.unit).primary if self.unit else ""
        return (primary, "") if self.is_listed and primary else (primary,)

    @classmethod
    def listed(cls, home: int, entry: DwellingSensor) -> "Sensor":
        """Give a sensor of the registry; bounds that it does not tell are those of its kind."""
        unit = entry.stored_unit
        low, high = kind_bounds(entry.kind, unit)
        minimum = low if entry.minimum is None else entry.minimum
        maximum = high if entry.maximum is None else entry.maximum
        patience = entry.heartbeat // timedelta(microseconds=1)
        bounds = (minimum, maximum)
        return cls(home, entry.name, entry.kind, unit, *bounds, is_listed=True, patience=patience, pooled=entry.pooled)

    @classmethod
    def seen(cls, home: int, name: str, kind: str, unit: str) -> "Sensor":
        """Give a sensor that nobody listed, with the bounds of its kind."""
        low, high = kind_bounds(kind, unit)
        return cls(home, name, kind, unit, low, high)


@lru_cache(maxsize=256)
def kind_bounds(kind: str, unit: str) -> tuple[float, float]:
    """Give the least and the greatest value that a kind can have, in a unit of the same dimension."""
    if kind not in KINDS:
        return -np.inf, np.inf
    of_kind = KINDS[kind]
    if not unit:
        return of_kind.minimum, of_kind.maximum
    factor, offset = conversion(of_kind.unit, unit)
    return of_kind.minimum * factor + offset, of_kind.maximum * factor + offset


class Newcomers:
    """Sensors met for the first time in a batch, numbered as if they had been added."""

    def __init__(self, first_number: int) -> None:
        self._first = first_number
        self._numbers: dict[Sensor, int] = {}
        self._sensors: list[Sensor] = []
        self._by_home: Counter[int] = Counter()

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """The sensors, in the order of their numbers."""
        return tuple(self._sensors)

    def count(self, home: int) -> int:
        """Give how many of them a home has."""
        return self._by_home[home]

    def find(self, sensor: Sensor) -> int:
        """Give the number of a sensor that is among them, else NOT_FOUND."""
        return self._numbers.get(sensor, NOT_FOUND)

    def add(self, sensor: Sensor) -> int:
        """Take a sensor in; give its number."""
        self._by_home[sensor.home] += 1
        self._numbers[sensor] = self._first + len(self._sensors)
        self._sensors.append(sensor)
        return self._numbers[sensor]

    def stored(self, number: int) -> tuple[str, float, float]:
        """Give the unit that values will be stored in, and their bounds."""
        sensor = self._sensors[number - self._first]
        return sensor.unit, sensor.minimum, sensor.maximum


class Sensors:
    """Sensors by number, in the order they became known. Shared by all that decode; only ever grows."""

    def __init__(self, hash_key: bytes) -> None:
        self.health = HomeHealth()
        self.jumps = Jumps()
        self.told = LastTold()
        self.frames = HomeFrames()
        self._hash_key = hash_key
        self._sensors = np.empty(1024, dtype=_SENSOR)
        self._size = 0
        self._hashes: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._numbers: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self._recent: dict[int, int] = {}
        self._by_home: Counter[int] = Counter()
        self._units: dict[str, int] = {}
        self._unit_names: list[str] = []

    def __len__(self) -> int:
        return self._size

    @property
    def ids(self) -> NDArray[np.int32]:
        """Database ids by number."""
        return self._sensors["id"][: self._size]

    @property
    def homes(self) -> NDArray[np.int32]:
        """Database ids of their homes, by number."""
        return self._sensors["home"][: self._size]

    def watched(self, paused: Mapping[int, bool]) -> Watched:
        """Give by what their health is judged; `paused` tells of the homes that consent whether they pause, by id."""
        sensors = self._sensors[: self._size]
        homes = np.zeros((2, max(sensors["home"].max(initial=0), *paused, 0) + 1), dtype=bool)
        homes[:, list(paused)] = [[True] * len(paused), list(paused.values())]
        consents, is_paused = homes[:, sensors["home"]]
        return Watched(consents, is_paused, sensors["patience"], sensors["varies"])

    def forget_all_but(self, homes: Iterable[int]) -> None:
        """Forget what the sensors of all homes but these told. Their numbers stay, and are never found again.

        A home that was erased gets another id when it is readmitted.
        """
        gone = ~np.isin(self._sensors["home"][: self._size], list(homes))
        numbers = np.flatnonzero(gone)
        self.health.forget(gone)
        self.jumps.forget(numbers)
        self.told.forget(numbers)

    def stored(self, number: int) -> tuple[str, float, float]:
        """Give the unit that a sensor's values are stored in, and their bounds."""
        _, unit, minimum, maximum, *_ = self._sensors[number].item()
        return self._unit_names[unit], minimum, maximum

    def count(self, home: int) -> int:
        """Give how many sensors a home has."""
        return self._by_home[home]

    def find(self, home: int, name: str, primary_unit: str) -> int:
        """Give the number of a sensor, or NOT_FOUND."""
        hashed = self._hash(home, name, primary_unit)
        if (number := self._recent.get(hashed)) is not None:
            return number
        place = int(np.searchsorted(self._hashes, np.uint64(hashed)))
        if place < len(self._hashes) and int(self._hashes[place]) == hashed:
            return int(self._numbers[place])
        return NOT_FOUND

    def add(self, sensors: Sequence[Sensor], ids: Sequence[int]) -> None:
        """Make sensors known by their database ids: numbers follow on those there are.

        One that is known already gets these bounds and keeps its number.
        """
        hashes = [[self._hash(sensor.home, sensor.name, unit) for unit in sensor.found_under] for sensor in sensors]
        before = self._size
        known = iter(self._find_all(list(chain.from_iterable(hashes))))
        numbers = []
        for sensor, under in zip(sensors, hashes, strict=True):
            found = [max(next(known), self._recent.get(hashed, NOT_FOUND)) for hashed in under]
            number = max(found)
            if number == NOT_FOUND:
                number = self._size
                self._size += 1
                self._by_home[sensor.home] += 1
            self._recent.update((hashed, number) for hashed, at in zip(under, found, strict=True) if at != number)
            numbers.append(number)
        self._forget_values(numbers, sensors, before)
        self._write(numbers, sensors, ids)
        if len(self._recent) > _MOST_RECENT:
            self._merge()

    def _forget_values(self, numbers: Sequence[int], sensors: Sequence[Sensor], known: int) -> None:
        """Forget what those of the first `known` sensors told last whose values are stored in another unit now."""
        changed = [
            number
            for number, sensor in zip(numbers, sensors, strict=True)
            if number < known and self.stored(number)[0] != sensor.unit
        ]
        self.jumps.forget(np.array(changed, dtype=np.int64))
        self.told.forget(np.array(changed, dtype=np.int64))

    def _write(self, numbers: Sequence[int], sensors: Sequence[Sensor], ids: Sequence[int]) -> None:
        if self._size > len(self._sensors):
            # An eighth more, not double: the spare room of a million sensors is memory, too.
            grown = np.empty(self._size + self._size // 8, dtype=_SENSOR)
            grown[: len(self._sensors)] = self._sensors
            self._sensors = grown
        self._sensors["id"][numbers] = ids
        self._sensors["unit"][numbers] = [self._unit_number(sensor.unit) for sensor in sensors]
        self._sensors["minimum"][numbers] = [sensor.minimum for sensor in sensors]
        self._sensors["maximum"][numbers] = [sensor.maximum for sensor in sensors]
        self._sensors["patience"][numbers] = [sensor.patience for sensor in sensors]
        self._sensors["home"][numbers] = [sensor.home for sensor in sensors]
        self._sensors["varies"][numbers] = [sensor.kind in VARYING for sensor in sensors]
        self.jumps.expect(numbers, [limits_of(sensor.kind, sensor.unit) for sensor in sensors])

    def _find_all(self, hashes: Sequence[int]) -> list[int]:
        """Give the numbers that stand in the sorted arrays."""
        wanted = np.array(hashes, dtype=np.uint64)
        if not len(self._hashes):
            return [NOT_FOUND] * len(wanted)
        place = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        found: list[int] = np.where(self._hashes[place] == wanted, self._numbers[place], NOT_FOUND).tolist()
        return found

    def _unit_number(self, unit: str) -> int:
        if unit not in self._units:
            self._units[unit] = len(self._units)
            self._unit_names.append(unit)
        return self._units[unit]

    def _hash(self, home: int, name: str, primary_unit: str) -> int:
        text = f"{home}\0{primary_unit}\0{name}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=self._hash_key).digest())

    def _merge(self) -> None:
        count = len(self._recent)
        hashes = np.append(self._hashes, np.fromiter(self._recent.keys(), dtype=np.uint64, count=count))
        numbers = np.append(self._numbers, np.fromiter(self._recent.values(), dtype=np.int32, count=count))
        # Stable, and the newest first: where a hash stands twice, its newest number is the one found.
        hashes, numbers = hashes[::-1], numbers[::-1]
        order = np.argsort(hashes, kind="stable")
        hashes, numbers = hashes[order], numbers[order]
        first = np.append(True, hashes[1:] != hashes[:-1])
        self._hashes, self._numbers = hashes[first], numbers[first]
        self._recent.clear()
