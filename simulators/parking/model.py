"""How a city's parking behaves: bays that are taken and left, counters that drift. No I/O and no clock."""

import json
import math
import random
from datetime import UTC, datetime

from schemas.registry import CarPark, Registry, Spot, SpotKind
from schemas.topics import Topics
from simulators.fleet import Device, Fact, SensorMessage, device_random, micros, to_the_millisecond
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


class Bay:
    """A sensor in the ground: tells when it is taken and when it is left."""

    def __init__(self, park: CarPark, spot: Spot, topics: Topics, rng: random.Random) -> None:
        self.name = f"parking/{park.code}/{spot.label}"
        self.due = 0.0
        self._topic = topics.spot(park.code, spot.label)
        self._rng = rng
        filling = rng.uniform(*_FILLINGS)
        self._stay = _STAY[spot.kind]
        self._gap = self._stay * (1 - filling) / filling
        self._occupied = rng.random() < filling
        self._battery = rng.uniform(*_VOLTS)
        self._warmth = rng.gauss(0, 0.7)
        self._sequence = 0

    def speak(self, now: datetime) -> SensorMessage:
        """Tell the present state, and settle when it changes."""
        time = to_the_millisecond(now)
        self._sequence += 1
        self._battery = max(_LEAST_VOLTS, self._battery - _VOLTS_PER_MESSAGE)
        temperature = outside_temperature(now) + self._warmth + self._rng.gauss(0, 0.2)
        payload = _json(
            occupied=self._occupied,
            time=_rfc3339(time),
            battery=round(self._battery, 2),
            temperature=round(temperature, 1),
            seq=self._sequence,
        )
        fact = Fact(self.name, micros(time), (int(self._occupied),))
        self._occupied = not self._occupied
        self.due += self._pause() * 60
        return SensorMessage(self._topic, payload, self.name, self._sequence - 1, (fact,))

    def _pause(self) -> float:
        if self._occupied:
            return self._rng.expovariate(1 / self._gap)
        return self._rng.lognormvariate(math.log(self._stay), _STAY_SPREAD)


class Counter:
    """A barrier's count of free places; reports now and then, changed or not."""

    def __init__(self, park: CarPark, topics: Topics, rng: random.Random) -> None:
        self.name = f"parking/{park.code}"
        self.due = 0.0
        self._topic = topics.count(park.code)
        self._rng = rng
        self._capacity = park.capacity
        filling = rng.uniform(*_FILLINGS)
        self._arrivals = self._capacity * filling / _BARRIER_STAY
        self._occupied = round(self._capacity * filling)
        self._sequence = 0

    def speak(self, now: datetime) -> SensorMessage:
        """Tell how many places are free, and let cars come and go until the next report."""
        time = to_the_millisecond(now)
        self._sequence += 1
        free = self._capacity - self._occupied
        status = "open" if free else "full"
        payload = _json(free=free, total=self._capacity, status=status, time=_rfc3339(time))
        fact = Fact(self.name, micros(time), (free, self._capacity, status))
        minutes = self._rng.uniform(*_REPORT_EVERY)
        departures = _poisson(self._occupied / _BARRIER_STAY * minutes, self._rng)
        arrivals = _poisson(self._arrivals * minutes, self._rng)
        self._occupied = min(self._capacity, max(0, self._occupied - departures) + arrivals)
        self.due += minutes * 60
        return SensorMessage(self._topic, payload, self.name, self._sequence - 1, (fact,))


def bays_and_counters(registry: Registry, topics: Topics, seed: int, _begin: datetime) -> list[Device]:
    """Make every sensor of a registry's car parks."""
    devices: list[Device] = []
    for park in registry.car_park:
        devices += [
            Bay(park, spot, topics, device_random(seed, f"parking/{park.code}/{spot.label}"))
            for spot in park.all_spots()
        ]
        if park.basis == "count":
            devices.append(Counter(park, topics, device_random(seed, f"parking/{park.code}")))
    return devices


def _json(**fields: object) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _poisson(mean: float, rng: random.Random) -> int:
    """Draw a count of independent events (Knuth's way; the means here are below a few dozen)."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
