"""How instrumented homes behave, and what of it is published: one flat, told in SenML, by zigbee2mqtt, or by both.

A home is one device of the fleet, so that all that tells of a flat tells of the same life. A sensor does not know of
consent, so every registered home is simulated. No I/O and no clock.
"""

from collections import deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from schemas.registry import Dwelling, Registry
from schemas.topics import Topics
from simulators.dwellings.flat import Flat
from simulators.dwellings.senml import CBOR, JSON, Gateway
from simulators.dwellings.sensors import sensors
from simulators.dwellings.telling import Reporter
from simulators.dwellings.zigbee import FORMS, PLANS, Bridge, BridgedDevice
from simulators.fleet import Device, SensorMessage, announcement, device_random

_HOUSEHOLDS = {1: 3, 2: 5, 3: 2}
"""Odds of so many residents; two live in the first home."""
_CBOR_EVERY, _CBOR_FIRST = 4, 3
_BRIDGE_EVERY, _BRIDGE_FIRST = 6, 1
"""Of so many homes one has a gateway that speaks CBOR, or a zigbee2mqtt."""


class Home:
    """A flat with all that tells of it. It speaks when it is time to, and when something has to be told at once."""

    def __init__(self, name: str, flat: Flat, reporters: Sequence[Reporter], began: float) -> None:
        self.name = name
        self._flat = flat
        self._reporters = reporters
        self._began = began
        self._at = min(reporter.due for reporter in reporters)
        self._sequence = 0
        flat.live(self._at)
        self._waiting: deque[tuple[Reporter, AbstractSet[str]]] = deque((one, frozenset()) for one in reporters)

    @property
    def due(self) -> float:
        """When it speaks next, in seconds since its begin."""
        return self._at - self._began

    def speak(self, now: datetime) -> SensorMessage:
        """Let one of those tell that have something to tell, and go on until the next one has."""
        reporter, changed = self._waiting.popleft()
        told = reporter.tell(self._at, changed, now)
        self._sequence += 1
        while not self._waiting:
            self._live_on()
        return SensorMessage(told.topic, told.payload, self.name, self._sequence - 1, told.facts)

    def _live_on(self) -> None:
        self._at = min(self._flat.next_change, *(reporter.due for reporter in self._reporters))
        changed = self._flat.live(self._at)
        for reporter in self._reporters:
            if reporter.due <= self._at or not reporter.names.isdisjoint(changed):
                self._waiting.append((reporter, changed))


def homes(registry: Registry, topics: Topics, seed: int, begin: datetime) -> list[Device]:
    """Make every home of a registry. Each reports every 5 minutes, and what cannot wait at once."""
    count = len(registry.dwelling)
    return [
        make_home(home, turn, topics, seed, begin, announcement(turn, count))
        for turn, home in enumerate(registry.dwelling)
    ]


def make_home(home: Dwelling, turn: int, topics: Topics, seed: int, begin: datetime, first: float) -> Home:
    """Make the home of this turn in the registry, which is heard `first` seconds after the begin."""
    name = f"dwellings/{home.id}"
    rng = device_random(seed, f"{name}/sensors")
    flat = make_flat(home, turn, seed, begin)
    by_name = sensors(flat, rng)
    at = begin.timestamp() + first
    reporters: list[Reporter] = []
    if turn % _BRIDGE_EVERY == _BRIDGE_FIRST:
        bridge = Bridge(home, topics, FORMS[turn // _BRIDGE_EVERY % len(FORMS)])
        reporters += [BridgedDevice(bridge, plan, by_name, rng, at) for plan in PLANS]
    bridged = frozenset[str]().union(*(reporter.names for reporter in reporters))
    told = [sensor for sensor in by_name.values() if sensor.name not in bridged]
    encoding = CBOR if turn % _CBOR_EVERY == _CBOR_FIRST else JSON
    reporters.insert(0, Gateway(home, topics.senml(home.id), told, at, encoding))
    return Home(name, flat, reporters, begin.timestamp())


def make_flat(home: Dwelling, turn: int, seed: int, begin: datetime) -> Flat:
    """Make the flat of a home and its life, which follow from the seed alone and not from who tells of them."""
    rng = device_random(seed, f"dwellings/{home.id}/life")
    (people,) = rng.choices(list(_HOUSEHOLDS), list(_HOUSEHOLDS.values()))
    return Flat(begin, rng, people if turn else 2)
