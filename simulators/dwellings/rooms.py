"""The air, light and window of a room: a well-mixed volume with one warmth. No I/O and no clock.

Over a step everything that drives the room stands still, so each balance dx/dt = rate (settled - x) has an exact
solution, and no step is too long.
"""

import math
import random
from dataclasses import dataclass
from typing import Final, NamedTuple

# Per hour. A flat that is let alone comes halfway to the warmth outside in a day; radiators and open doors are quicker.
_LEAK_SHUT, _LEAK_OPEN, _RADIATOR, _DOORS = 1 / 35, 1.2, 1.0, 0.4
_AIR_CHANGES_OPEN = 7.0
_WATT_HOURS_A_DEGREE = 25.0
"""Of a square metre of floor, with what of walls and furniture follows within hours."""
_HEIGHT = 2.5
_NIGHT_SETBACK = 2.0
_MET_WATTS, _MET_MOISTURE = 80.0, 38.0
"""Watts and grams of water an hour of a person, for each met."""
_MET_CO2 = 0.013
"""Cubic metres an hour for each met: between women and men of 30 to 40 of Persily and de Jonge, Indoor Air 27, 2017."""
OUTSIDE_CO2: Final = 425.0
_MOST_HUMIDITY = 0.98
_LAMP_LUX = 170.0


@dataclass(frozen=True, slots=True)
class RoomPlan:
    """What a room is: square metres, degrees Celsius wanted by day, air changes an hour, share of daylight."""

    name: str
    area: float
    wanted: float
    air_changes: float = 0.7
    daylight: float = 0.0

    @property
    def volume(self) -> float:
        """Cubic metres."""
        return self.area * _HEIGHT

    @property
    def has_window(self) -> bool:
        """Whether daylight comes in, through a window that opens."""
        return self.daylight > 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a room is in: degrees Celsius outside, grams of water in a cubic metre there, lux, whether heated by day."""

    temperature: float
    vapour: float
    daylight: float
    by_day: bool


class Inside(NamedTuple):
    """What goes on in a room: met of all people together, watts of appliances, grams of water an hour from these."""

    met: float = 0.0
    watts: float = 0.0
    moisture: float = 0.0


class Room:
    """A room's present state, which time changes."""

    def __init__(self, plan: RoomPlan, outside: float, rng: random.Random) -> None:
        self.plan = plan
        self.temperature = max(plan.wanted, outside) + rng.gauss(0, 0.5)
        self.co2 = rng.uniform(450, 700)
        self.is_open = False
        self.is_lit = False
        self.inside = Inside()
        self._vapour = rng.uniform(0.4, 0.55) * saturation(self.temperature)

    @property
    def humidity(self) -> float:
        """Relative humidity, 0 to 100."""
        return 100 * self._vapour / saturation(self.temperature)

    def pass_time(self, hours: float, around: Surroundings, indoors: float) -> None:
        """Let the air settle for so long; `indoors` is the warmth of the whole flat."""
        inside = self.inside
        self.temperature = self._settled_temperature(hours, around, indoors)
        rate = _AIR_CHANGES_OPEN if self.is_open else self.plan.air_changes
        flow = rate * self.plan.volume
        kept = math.exp(-rate * hours)
        co2 = OUTSIDE_CO2 + 1e6 * _MET_CO2 * inside.met / flow
        self.co2 = co2 + (self.co2 - co2) * kept
        vapour = around.vapour + (inside.moisture + _MET_MOISTURE * inside.met) / flow
        # What is too much runs down the panes.
        most = _MOST_HUMIDITY * saturation(self.temperature)
        self._vapour = min(most, vapour + (self._vapour - vapour) * kept)

    def daylight(self, around: Surroundings) -> float:
        """Lux of the day on a shelf."""
        return around.daylight * self.plan.daylight

    def illuminance(self, around: Surroundings) -> float:
        """Lux on a shelf, with those of the lamp."""
        return self.daylight(around) + (_LAMP_LUX if self.is_lit else 0)

    def _settled_temperature(self, hours: float, around: Surroundings, indoors: float) -> float:
        leak = _LEAK_OPEN if self.is_open else _LEAK_SHUT
        rate = leak + _DOORS
        gain = (self.inside.watts + _MET_WATTS * self.inside.met) / (_WATT_HOURS_A_DEGREE * self.plan.area)
        unheated = (leak * around.temperature + _DOORS * indoors + gain) / rate
        wanted = self.plan.wanted - (0 if around.by_day else _NIGHT_SETBACK)
        if unheated >= wanted:
            return _towards(self.temperature, unheated, rate, hours)
        heated = (rate * unheated + _RADIATOR * wanted) / (rate + _RADIATOR)
        if self.temperature < heated:
            return _towards(self.temperature, heated, rate + _RADIATOR, hours)
        return max(heated, _towards(self.temperature, unheated, rate, hours))


def saturation(temperature: float) -> float:
    """Grams of water that a cubic metre of air can hold at so many degrees Celsius.

    Magnus' formula with the constants of the WMO (Guide No. 8, annex 4.B), and the gas law of water vapour.
    """
    hectopascals = 6.112 * math.exp(17.62 * temperature / (243.12 + temperature))
    return 216.7 * hectopascals / (273.15 + temperature)


def _towards(value: float, settled: float, rate: float, hours: float) -> float:
    return settled + (value - settled) * math.exp(-rate * hours)
