"""The sensors of a flat: their names, their units, and what each of them reads. No I/O and no clock.

What a room's air is like is polled, one room after the other, before a pack goes out. Contacts, beds, mats, detectors
and plugs tell of themselves, so that what they told last is always known.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from simulators.dwellings.acoustics import decibels
from simulators.dwellings.climate import outside_humidity, outside_pressure
from simulators.dwellings.flat import ROOMS, Flat
from simulators.dwellings.presence import BEDROOMS, MATS
from simulators.dwellings.rooms import Room
from simulators.dwellings.supply import Meter

LIVED_IN: Final = ("living", "kitchen", "bedroom1", "bedroom2")
_POLL_MILLISECONDS: Final = 150
_DIGITS: Final = {"Cel": 2, "%RH": 1, "dB": 1, "W": 1, "Wh": 1, "l": 1, "hPa": 1}
"""What sensors resolve, after the point. Lux, ppm and Pa come as whole numbers."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor; a truth value has no unit. `lag` is how many milliseconds before a pack it is asked."""

    name: str
    unit: str
    measure: Callable[[], float | bool]
    lag: int = 0

    @property
    def digits(self) -> int | None:
        """How many digits after the point it resolves; None for whole numbers."""
        return _DIGITS.get(self.unit)

    def read(self) -> float | bool:
        """Give the value, as fine as it resolves."""
        value = self.measure()
        return value if isinstance(value, bool) else round(value, self.digits)


def sensors(flat: Flat, rng: random.Random) -> dict[str, Sensor]:
    """Give all sensors of a flat, by name."""
    found = [*_of_supply(flat), *_of_outdoors(flat, rng)]
    for number, plan in enumerate(ROOMS):
        found += _of_air(flat, flat.rooms[plan.name], rng, _POLL_MILLISECONDS * (len(ROOMS) - number))
        found += _of_people(flat, flat.rooms[plan.name])
    found += [Sensor(f"{mat}/floor_pressure", "Pa", partial(_pascals, flat, mat, rng)) for mat in MATS]
    found += [Sensor("hall/door/contact", "", lambda: not flat.door_is_open)]
    return {sensor.name: sensor for sensor in found}


def _of_air(flat: Flat, room: Room, rng: random.Random, lag: int) -> Iterator[Sensor]:
    name = room.plan.name
    yield Sensor(f"{name}/temperature", "Cel", lambda: room.temperature + rng.gauss(0, 0.03), lag)
    yield Sensor(f"{name}/humidity", "%RH", lambda: _percent(room.humidity + rng.gauss(0, 0.2)), lag)
    yield Sensor(f"{name}/illuminance", "lx", lambda: room.illuminance(flat.around) * rng.uniform(0.98, 1.02), lag)
    if name in LIVED_IN:
        yield Sensor(f"{name}/co2", "ppm", lambda: room.co2 + rng.gauss(0, 4), lag)
        yield Sensor(f"{name}/noise", "dB", lambda: decibels(flat, name) + rng.gauss(0, 0.5), lag)


def _of_people(flat: Flat, room: Room) -> Iterator[Sensor]:
    """Give what tells of people at once. A contact is true when it is closed, as in zigbee2mqtt."""
    name = room.plan.name
    yield Sensor(f"{name}/motion", "", lambda: flat.presence.moves(name))
    if room.plan.has_window:
        yield Sensor(f"{name}/window/contact", "", lambda: not room.is_open)
    if name in BEDROOMS:
        yield Sensor(f"{name}/bed", "", lambda: flat.presence.beds[name])


def _of_supply(flat: Flat) -> Iterator[Sensor]:
    for name, load in {**flat.supply.loads, "meter": flat.supply.power}.items():
        yield Sensor(f"{name}/power", "W", partial(_flow, load))
        yield Sensor(f"{name}/energy", "Wh", partial(_total, load))
    for name, tap in {**flat.supply.taps, "meter": flat.supply.water}.items():
        yield Sensor(f"{name}/water", "l", partial(_total, tap))


def _of_outdoors(flat: Flat, rng: random.Random) -> Iterator[Sensor]:
    lag = _POLL_MILLISECONDS * (len(ROOMS) + 1)
    yield Sensor("outdoor/temperature", "Cel", lambda: flat.around.temperature + rng.gauss(0, 0.05), lag)
    yield Sensor("outdoor/humidity", "%RH", lambda: _percent(outside_humidity(flat.around) + rng.gauss(0, 0.4)), lag)
    yield Sensor("outdoor/illuminance", "lx", lambda: flat.around.daylight * rng.uniform(0.97, 1.03), lag)
    yield Sensor("outdoor/pressure", "hPa", lambda: outside_pressure(flat.at) + rng.gauss(0, 0.05), lag)


def _pascals(flat: Flat, mat: str, rng: random.Random) -> float:
    return flat.presence.mats[mat] + abs(rng.gauss(0, 20))


def _percent(value: float) -> float:
    return min(100.0, max(0.0, value))


def _flow(meter: Meter) -> float:
    return meter.flow


def _total(meter: Meter) -> float:
    return meter.total
