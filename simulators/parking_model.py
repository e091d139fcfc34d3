"""How a city's parking behaves: bays that are taken and left, counters that drift. No I/O and no clock."""

import heapq
import json
import math
import random
from collections import deque
from datetime import UTC, datetime
from typing import Protocol

from schemas.registry import CarPark, Registry, Spot, SpotKind
from schemas.topics import Topics
from simulators.fleet import SensorMessage
from simulators.weather import outside_temperature

# Minutes that a car stays, in the middle of its distribution. The blue-zone half hour is often overstayed.
_STAY: dict[SpotKind, float] = {"standard": 55, "pmr": 90, "delivery": 12, "short_stay": 21, "charging": 110}
_STAY_SPREAD = 0.6
# Minutes of a mean stay behind barriers, and between two reports of a counter.
_BARRIER_STAY = 150.0
_REPORT_EVERY = (1.5, 2.5)
_FILLINGS = (0.45, 0.97)
_VOLTS = (3.3, 3.65)
_VOLTS_PER_MESSAGE = 0.00002
_LEAST_VOLTS = 2.9


class _Sensor(Protocol):
    def change(self, rng: random.Random) -> None:
        """Take the next state."""

    def pause(self, rng: random.Random) -> float:
        """Give the minutes until the next change."""

    def report(self, now: datetime, rng: random.Random) -> SensorMessage:
        """Tell the present state as of `now`."""


class _Bay:
    """A sensor in the ground: occupied or not."""

    def __init__(self, topic: str, spot: Spot, filling: float, rng: random.Random) -> None:
        self._topic = topic
        self._stay = _STAY[spot.kind]
        self._gap = self._stay * (1 - filling) / filling
        self._occupied = rng.random() < filling
        self._battery = rng.uniform(*_VOLTS)
        self._warmth = rng.gauss(0, 0.7)
        self._sequence = 0

    def change(self, rng: random.Random) -> None:  # noqa: ARG002 - a bay has two states
        self._occupied = not self._occupied

    def pause(self, rng: random.Random) -> float:
        if self._occupied:
            return rng.lognormvariate(math.log(self._stay), _STAY_SPREAD)
        return rng.expovariate(1 / self._gap)

    def report(self, now: datetime, rng: random.Random) -> SensorMessage:
        self._sequence += 1
        self._battery = max(_LEAST_VOLTS, self._battery - _VOLTS_PER_MESSAGE)
        temperature = outside_temperature(now) + self._warmth + rng.gauss(0, 0.2)
        return _message(
            self._topic,
            occupied=self._occupied,
            time=_rfc3339(now),
            battery=round(self._battery, 2),
            temperature=round(temperature, 1),
            seq=self._sequence,
        )


class _Counter:
    """A barrier's count of free places; reports now and then, changed or not."""

    def __init__(self, topic: str, capacity: int, filling: float) -> None:
        self._topic = topic
        self._capacity = capacity
        self._arrivals = capacity * filling / _BARRIER_STAY
        self._occupied = round(capacity * filling)
        self._minutes = sum(_REPORT_EVERY) / 2

    def change(self, rng: random.Random) -> None:
        departures = _poisson(self._occupied / _BARRIER_STAY * self._minutes, rng)
        arrivals = _poisson(self._arrivals * self._minutes, rng)
        self._occupied = min(self._capacity, max(0, self._occupied - departures) + arrivals)

    def pause(self, rng: random.Random) -> float:
        self._minutes = rng.uniform(*_REPORT_EVERY)
        return self._minutes

    def report(self, now: datetime, rng: random.Random) -> SensorMessage:  # noqa: ARG002 - a counter has no noise
        free = self._capacity - self._occupied
        status = "open" if free else "full"
        return _message(self._topic, free=free, total=self._capacity, status=status, time=_rfc3339(now))


class ParkingFleet:
    """Every sensor of a registry's car parks; equal registries, seeds and times give equal messages.

    Time in the model only orders the changes: a delivery bay changes more often than a standard one. The
    caller decides how fast the city lives by how often it asks.
    """

    def __init__(self, registry: Registry, topics: Topics, rng: random.Random) -> None:
        self._rng = rng
        self._sensors = [sensor for park in registry.car_park for sensor in _sensors_of(park, topics, rng)]
        self._silent = deque(self._sensors)
        self._due = [(rng.uniform(0, sensor.pause(rng)), n) for n, sensor in enumerate(self._sensors)]
        heapq.heapify(self._due)

    def __len__(self) -> int:
        """How many sensors there are."""
        return len(self._sensors)

    @property
    def announcing(self) -> bool:
        """Whether some sensors have not told their first state yet; they do so before anything changes."""
        return bool(self._silent)

    @property
    def due(self) -> float:
        """The minutes, in the fleet's own time, at which the next change comes."""
        return self._due[0][0] if self._due else math.inf

    def next_message(self, now: datetime) -> SensorMessage:
        """Give a first state, or make the next change; its time is `now`.

        Raises IndexError where the registry has no sensors.
        """
        if self._silent:
            return self._silent.popleft().report(now, self._rng)
        due, index = self._due[0]
        sensor = self._sensors[index]
        sensor.change(self._rng)
        heapq.heapreplace(self._due, (due + sensor.pause(self._rng), index))
        return sensor.report(now, self._rng)


def _sensors_of(park: CarPark, topics: Topics, rng: random.Random) -> list[_Sensor]:
    filling = rng.uniform(*_FILLINGS)
    sensors: list[_Sensor] = [_Bay(topics.spot(park.code, spot.label), spot, filling, rng) for spot in park.all_spots()]
    if park.basis == "count":
        sensors.append(_Counter(topics.count(park.code), park.capacity, filling))
    return sensors


def _message(topic: str, **fields: object) -> SensorMessage:
    return SensorMessage(topic, json.dumps(fields, separators=(",", ":")).encode())


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _poisson(mean: float, rng: random.Random) -> int:
    """Draw a count of independent events (Knuth's way; the means here are below a few dozen)."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
