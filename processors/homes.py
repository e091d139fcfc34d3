"""The homes of the registry, and the names of their sensors.

A sensor's name in a home is its resolved SenML name without a leading `{dwelling}/`, with `:{dwelling}:` read as `:`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final, NamedTuple, Self

import numpy as np

from processors.columns import Records
from processors.gate import Gate
from processors.health_homes import Watched
from processors.sensors import NOT_FOUND, Newcomers, Sensor, Sensors
from schemas.reasons import Reason
from schemas.registry import LONGEST_NAME, SENML_NAME, SENSOR_NAME, Dwelling
from schemas.units import conversion, is_unit, kind_of, scale

_PARTS: Final = re.compile(r"[^A-Za-z0-9_-]+")
"""What parts a name into what may be the id of a home."""
_MOST_REMEMBERED: Final = 300_000
"""Records of remembered packs, of a hundred characters each; about 30 MB."""
_RECORD_LENGTH: Final = 100

Key = tuple[str | None, ...]


class Home(NamedTuple):
    """A home as decoding needs it: `id` is its row in the database, 0 where it never consented."""

    dwelling: str
    pseudonym: str
    id: int
    consents: bool
    max_sensors: int


SHAPE: Final = np.dtype([("sensor", "i4"), ("factor", "f8"), ("offset", "f8"), ("minimum", "f8"), ("maximum", "f8")])
"""`sensor` is a number, or NOT_FOUND where none is wanted or there is a fault. The value as stored, told * factor +
offset, has to be between `minimum` and `maximum`."""
_BLANK: Final = np.array((NOT_FOUND, 1.0, 0.0, -np.inf, np.inf), dtype=SHAPE)


class Shape(NamedTuple):
    """What the names and units of a pack come to: SHAPE records of its length, and faults by position."""

    columns: Records
    faults: Mapping[int, tuple[Reason, str]]


class Names(NamedTuple):
    """Names and units of a pack as columns, base in force and own, empty where absent from all of its batch.

    `wanted` is a byte a record, and tells which need a sensor. `of_device` tells that it is no pack of SenML but what a
    device told in words of its own: its names follow another rule, and what has no unit has no meaning by itself.
    """

    base_names: Key
    names: Key
    base_units: Key
    units: Key
    wanted: bytes
    of_device: bool = False

    @property
    def texts(self) -> tuple[Key, ...]:
        """The columns."""
        return self[:4]


class Memory:
    """Shapes by home and names; begun anew when it is full."""

    def __init__(self) -> None:
        self.shapes: dict[tuple[int, Names], Shape] = {}
        self._records = 0

    def add(self, key: tuple[int, Names], shape: Shape) -> None:
        """Remember a shape."""
        if self._records > _MOST_REMEMBERED:
            self.shapes.clear()
            self._records = 0
        self.shapes[key] = shape
        texts = {text for column in key[1].texts for text in column if text}
        self._records += len(shape.columns) + sum(map(len, texts)) // _RECORD_LENGTH


@dataclass(frozen=True, slots=True, eq=False)
class Homes:
    """The homes, `index` by plain id, their sensors, and a memory of the packs they send, which mostly look alike."""

    homes: tuple[Home, ...]
    sensors: Sensors
    index: Mapping[str, int]
    memory: Memory = field(default_factory=Memory)

    @classmethod
    def of(
        cls, dwellings: Iterable[Dwelling], pseudonyms: Mapping[str, str], ids: Mapping[str, int], sensors: Sensors
    ) -> Self:
        """Lay out the registry's dwellings; pseudonyms, and `ids` of rows in the database, by plain id."""
        homes = tuple(
            Home(d.id, pseudonyms[d.id], ids.get(d.id, 0), d.consent and d.id in ids, d.max_sensors) for d in dwellings
        )
        return cls(homes, sensors, {home.dwelling: index for index, home in enumerate(homes)})

    def judge(self, gate: Gate, now: int, clock: int) -> None:
        """Count anew, now and then, how many of their sensors are in each state; age is judged as of `clock`."""

        def look() -> Watched:
            return self.sensors.watched(
                {home.id: gate.is_paused(home.pseudonym) for home in self.homes if home.consents}
            )

        self.sensors.health.judge(clock, now, look)

    def shape(self, home: Home, names: Names, new: Newcomers) -> Shape:
        """Find the sensors of a pack; those met for the first time are added to `new`."""
        key = (home.id, names)
        shape = self.memory.shapes.get(key)
        if shape is None:
            shape = self._resolve(home, names, new)
            # Nothing that rests on a sensor not registered yet: whether it will be is not known here.
            is_full = any(reason is Reason.SENSOR_LIMIT_REACHED for reason, _ in shape.faults.values())
            is_certain = shape.columns["sensor"].max(initial=NOT_FOUND) < len(self.sensors)
            if is_certain and not (is_full and new.sensors):
                self.memory.add(key, shape)
        return shape

    def _resolve(self, home: Home, names: Names, new: Newcomers) -> Shape:
        columns = np.repeat(_BLANK, len(names.wanted))
        faults: dict[int, tuple[Reason, str]] = {}
        texts = (column or repeat(None) for column in names.texts)
        for at, (wanted, base_name, name, base_unit, unit) in enumerate(zip(names.wanted, *texts, strict=False)):
            if not wanted:
                continue
            told = (unit if unit is not None else base_unit) or ""
            found = self._name(home, (base_name or "") + (name or ""), of_device=names.of_device)
            if names.of_device and unit is None and self._is_unlisted(home, found):
                continue
            if isinstance(found, tuple):
                faults[at] = found
            elif told and not is_unit(told):
                faults[at] = (Reason.SCHEMA_VIOLATION, "u: expected a unit of SenML")
            elif (number := self._number(home, found, told, new)) == NOT_FOUND:
                faults[at] = (Reason.SENSOR_LIMIT_REACHED, f"more than max_sensors of {home.max_sensors}")
            else:
                stored_unit, minimum, maximum = self._stored(number, new)
                columns[at] = (number, *conversion(told or stored_unit, stored_unit), minimum, maximum)
        return Shape(columns, faults)

    def _name(self, home: Home, resolved: str, *, of_device: bool) -> str | tuple[Reason, str]:
        """Give a sensor's name, or what is wrong with it."""
        name = resolved.removeprefix(f"{home.dwelling}/").replace(f":{home.dwelling}:", ":")
        rule = SENSOR_NAME if of_device else SENML_NAME
        if len(name) > LONGEST_NAME or not rule.fullmatch(resolved) or not rule.fullmatch(name):
            expected = "without control characters" if of_device else "by RFC 8428, section 4.5.1,"
            return (Reason.SCHEMA_VIOLATION, f"n: expected a name {expected} of at most {LONGEST_NAME} characters")
        if not self.index.keys().isdisjoint(_PARTS.split(name)):
            return (Reason.IDENTITY_MISMATCH, "the name of a sensor holds the id of a dwelling")
        return name

    def _is_unlisted(self, home: Home, name: str | tuple[Reason, str]) -> bool:
        """Tell whether a reading without a unit belongs to no sensor that is known."""
        return not isinstance(name, str) or self.sensors.find(home.id, name, "") == NOT_FOUND

    def _number(self, home: Home, name: str, unit: str, new: Newcomers) -> int:
        """Give the number of a sensor, one to come for a new one, NOT_FOUND where the home may have no more."""
        primary = scale(unit).primary if unit else ""
        number = self.sensors.find(home.id, name, primary)
        if number != NOT_FOUND:
            return number
        sensor = Sensor.seen(home.id, name, *kind_of(name, primary))
        if (number := new.find(sensor)) != NOT_FOUND:
            return number
        if self.sensors.count(home.id) + new.count(home.id) >= home.max_sensors:
            return NOT_FOUND
        return new.add(sensor)

    def _stored(self, number: int, new: Newcomers) -> tuple[str, float, float]:
        """Give the unit a sensor's values are stored in, and their bounds."""
        return self.sensors.stored(number) if number < len(self.sensors) else new.stored(number)


def join(shapes: Sequence[Shape]) -> Shape:
    """Put the shapes of several packs one after the other."""
    # Not numpy's concatenate, which looks at every record type anew.
    columns = np.empty(sum(len(shape.columns) for shape in shapes), dtype=SHAPE)
    faults: dict[int, tuple[Reason, str]] = {}
    begin = 0
    for shape in shapes:
        end = begin + len(shape.columns)
        columns[begin:end] = shape.columns
        if shape.faults:
            faults |= {begin + at: fault for at, fault in shape.faults.items()}
        begin = end
    return Shape(columns, faults)
