"""The zigbee2mqtt of a home: some of its sensors speak that way instead of to the gateway. No I/O and no clock.

As by its default zigbee2mqtt tells all that it knows of a device whenever one thing changes (`cache_state`), and where
`last_seen` is not set it tells no time.
"""

import json
import random
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from schemas.registry import Dwelling
from schemas.topics import Topics
from simulators.dwellings.household import ZONE
from simulators.dwellings.sensors import Sensor
from simulators.dwellings.telling import Storage, Told
from simulators.fleet import ARRIVAL, Fact, micros


class LastSeen(StrEnum):
    """The forms of `advanced.last_seen`."""

    ISO = "ISO_8601"
    LOCAL = "ISO_8601_local"
    EPOCH = "epoch"
    DISABLED = "disable"


FORMS: Final = (LastSeen.ISO, LastSeen.DISABLED, LastSeen.LOCAL, LastSeen.DISABLED, LastSeen.EPOCH, LastSeen.DISABLED)
"""Of the bridges in turn: half of them tell no time."""
_UNITS: Final = MappingProxyType(
    {
        "temperature": "Cel",
        "humidity": "%RH",
        "pressure": "hPa",
        "occupancy": "/",
        "illuminance_lux": "lx",
        "contact": "/",
        "power": "W",
        "current": "A",
        "voltage": "V",
        "energy": "kWh",
        "battery": "%EL",
    }
)
"""Of the attributes that are stored. `illuminance` beside `illuminance_lux` is not, nor words, nor `linkquality`."""
_VOLTS, _VOLTS_SPREAD = 231.0, 0.8


class Kind(NamedTuple):
    """What a device measures: a sensor by attribute, where `{}` stands for its place, and how often it speaks.

    One with a battery wakes up after so many minutes; of a climate sensor one value changes then.
    """

    sensors: Mapping[str, str]
    minutes: tuple[float, float]
    has_battery: bool = True
    changes_one: bool = False


class Plan(NamedTuple):
    """A device: its name, as people give it, and what it measures where."""

    name: str
    kind: Kind
    place: str


_CLIMATE = Kind(
    {"temperature": "{}/temperature", "humidity": "{}/humidity", "pressure": "outdoor/pressure"},
    minutes=(6, 14),
    changes_one=True,
)
_MOTION = Kind({"occupancy": "{}/motion", "illuminance_lux": "{}/illuminance"}, minutes=(30, 50))
_CONTACT = Kind({"contact": "{}/contact"}, minutes=(50, 60))
_PLUG = Kind({"power": "{}/power", "energy": "{}/energy"}, minutes=(8, 12), has_battery=False)
PLANS: Final = (
    Plan("bedroom 1/climate", _CLIMATE, "bedroom1"),
    Plan("bedroom 2/climate", _CLIMATE, "bedroom2"),
    Plan("couloir [entrée]", _MOTION, "hall"),
    Plan("kitchen/motion", _MOTION, "kitchen"),
    Plan("front door", _CONTACT, "hall/door"),
    Plan("bedroom window", _CONTACT, "bedroom1/window"),
    Plan("washing machine", _PLUG, "bathroom/washer"),
    Plan("télévision", _PLUG, "living/television"),
    Plan("kettle", _PLUG, "kitchen/kettle"),
)


class Bridge(NamedTuple):
    """A home's zigbee2mqtt, and how it tells times."""

    home: Dwelling
    topics: Topics
    form: LastSeen


class BridgedDevice:
    """A device behind a home's bridge, with the cache of what it has told."""

    def __init__(
        self, bridge: Bridge, plan: Plan, sensors: Mapping[str, Sensor], rng: random.Random, first: float
    ) -> None:
        self.due = first
        self._topic = bridge.topics.zigbee2mqtt(bridge.home.id, plan.name)
        self._form = bridge.form
        self._kind = plan.kind
        self._rng = rng
        self._battery = rng.randint(64, 100)
        self._sensors = {what: sensors[name.format(plan.place)] for what, name in plan.kind.sensors.items()}
        self.names = frozenset(name.format(plan.place) for name in plan.kind.sensors.values() if "{}" in name)
        self._storages = {what: Storage.of(bridge.home, f"{plan.name}/{what}", unit) for what, unit in _UNITS.items()}
        self._cache: dict[str, float | bool | str] = {}
        self._time = ARRIVAL
        self._told: set[Fact] = set()

    def tell(self, at: float, _: AbstractSet[str], now: datetime) -> Told:
        """Tell what has changed, and all else that is known."""
        if at >= self.due:
            self.due = round(at + 60 * self._rng.uniform(*self._kind.minutes), 1)
        self._cache |= self._measure()
        last_seen, time = _last_seen(now, self._form)
        state = {**self._cache, "linkquality": self._rng.randrange(40, 200), **last_seen}
        payload = json.dumps(state, ensure_ascii=False).encode()
        return Told(self._topic, payload, self._new_facts(time))

    def _measure(self) -> dict[str, float | bool | str]:
        """Read the sensors; a climate sensor tells one of them, the others stay in the cache."""
        asked = list(self._sensors)
        if self._kind.changes_one and self._cache:
            asked = [self._rng.choice(asked)]
        told: dict[str, float | bool | str] = {what: self._sensors[what].read() for what in asked}
        if "illuminance_lux" in told:
            told["illuminance"] = told["illuminance_lux"]
        if self._kind.has_battery:
            return {**told, "battery": self._battery, "voltage": 2600 + 4 * self._battery}
        volts = self._rng.gauss(_VOLTS, _VOLTS_SPREAD)
        power, energy = float(told["power"]), float(told["energy"])
        told |= {"energy": round(energy / 1000, 3), "voltage": round(volts, 1), "current": round(power / volts, 2)}
        return {"state": "ON", **told}

    def _new_facts(self, time: int) -> tuple[Fact, ...]:
        """Give what is stored of the cache.

        What was told before is told again as a fact where it has another time, but not where there is none.
        """
        facts = list(self._facts(time))
        new = tuple(fact for fact in facts if fact not in self._told)
        self._told = self._told.union(facts) if time == self._time != ARRIVAL else set(facts)
        self._time = time
        return new

    def _facts(self, time: int) -> Iterator[Fact]:
        for what, value in self._cache.items():
            if what in _UNITS:
                in_volts = what == "voltage" and self._kind.has_battery
                yield self._storages[what].fact(time, float(value) / 1000 if in_volts else float(value))


def _last_seen(now: datetime, form: LastSeen) -> tuple[dict[str, str | int], int]:
    """Give the attribute that tells a time, and the time in microseconds that it tells."""
    millis = micros(now) // 1000
    match form:
        case LastSeen.ISO:
            return {"last_seen": now.isoformat(timespec="milliseconds")}, 1000 * millis
        case LastSeen.LOCAL:
            local = now.astimezone(ZONE)
            return {"last_seen": local.isoformat(timespec="seconds")}, 1_000_000 * (millis // 1000)
        case LastSeen.EPOCH:
            return {"last_seen": millis}, 1000 * millis
        case LastSeen.DISABLED:
            return {}, ARRIVAL
