"""The air, light and window of a room: a well-mixed volume with one warmth. No I/O and no clock.

Over a step everything that drives the room stands still, so each balance dx/dt = rate (settled - x) has an exact
solution, and no step is too long.
"""

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

# Per hour. A flat that is let alone comes halfway to the warmth outside in a day; radiators and open doors are quicker.
_LEAK_SHUT, _LEAK_OPEN, _RADIATOR, _DOORS = 1 / 35, 1.2, 1.0, 0.4
_AIR_CHANGES_OPEN = 7.0
_WATT_HOURS_A_DEGREE = 25.0
"""Of a square metre of floor, with what of walls and furniture follows within hours."""
_HEIGHT = 2.5
_NIGHT_SETBACK = 2.0
_PERSON_WATTS, _PERSON_MOISTURE = 90.0, 45.0
"""Watts and grams of water an hour of a person at rest."""
_PERSON_CO2 = 0.018
"""Cubic metres an hour, sedentary: Persily and de Jonge, Indoor Air 27, 2017."""
_OUTSIDE_CO2 = 425.0
_OUTSIDE_HUMIDITY, _MOST_HUMIDITY = 0.7, 0.98
_STALE = 1100.0
"""ppm of CO2 at which people begin to notice."""
_AIRED_FRESH, _AIRED_STALE = 0.3, 1.5
"""Times an hour that someone who is up opens the window."""
_AIRING_MINUTES, _AIRING_SPREAD = 9.0, 0.5
_LAMP_LUX, _DARK_LUX = 170.0, 90.0


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
    """What a room is in: degrees Celsius outside and in the whole flat, lux, and whether people heat as by day."""

    temperature: float
    indoors: float
    daylight: float
    by_day: bool


@dataclass(frozen=True, slots=True)
class Inside:
    """What goes on in a room: people up and asleep, watts of appliances, grams of water an hour."""

    awake: int = 0
    asleep: int = 0
    watts: float = 0.0
    moisture: float = 0.0

    @property
    def people(self) -> int:
        """All of them."""
        return self.awake + self.asleep


class Room:
    """A room's present state, which time changes."""

    def __init__(self, plan: RoomPlan, outside: float, rng: random.Random) -> None:
        self.plan = plan
        self.temperature = max(plan.wanted, outside) + rng.gauss(0, 0.5)
        self.co2 = rng.uniform(450, 700)
        self._vapour = rng.uniform(0.4, 0.55) * saturation(self.temperature)
        self._shut_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether the window is."""
        return self._shut_at is not None

    @property
    def humidity(self) -> float:
        """Relative humidity, 0 to 100."""
        return 100 * self._vapour / saturation(self.temperature)

    def pass_time(self, hours: float, around: Surroundings, inside: Inside) -> None:
        """Let the air settle for so long, in what is around and inside."""
        self.temperature = self._settled_temperature(hours, around, inside)
        rate = _AIR_CHANGES_OPEN if self.is_open else self.plan.air_changes
        flow = rate * self.plan.volume
        co2 = _OUTSIDE_CO2 + 1e6 * _PERSON_CO2 * inside.people / flow
        self.co2 = _towards(self.co2, co2, rate, hours)
        moisture = inside.moisture + _PERSON_MOISTURE * inside.people
        vapour = _OUTSIDE_HUMIDITY * saturation(around.temperature) + moisture / flow
        # What is too much runs down the panes.
        most = _MOST_HUMIDITY * saturation(self.temperature)
        self._vapour = min(most, _towards(self._vapour, vapour, rate, hours))

    def use_window(self, now: datetime, hours: float, inside: Inside, rng: random.Random) -> None:
        """Shut the window where it is time, or open it for some minutes where someone is up to do so."""
        if self._shut_at is not None and now >= self._shut_at:
            self._shut_at = None
        elif self._shut_at is None and self.plan.has_window and inside.awake:
            times = _AIRED_STALE if self.co2 > _STALE else _AIRED_FRESH
            if rng.random() < -math.expm1(-times * hours):
                minutes = rng.lognormvariate(math.log(_AIRING_MINUTES), _AIRING_SPREAD)
                self._shut_at = now + timedelta(minutes=minutes)

    def illuminance(self, around: Surroundings, *, in_use: bool) -> float:
        """Lux on a shelf; who uses the room in the dark turns on the lamp."""
        daylight = around.daylight * self.plan.daylight
        return daylight + (_LAMP_LUX if in_use and daylight < _DARK_LUX else 0)

    def _settled_temperature(self, hours: float, around: Surroundings, inside: Inside) -> float:
        leak = _LEAK_OPEN if self.is_open else _LEAK_SHUT
        rate = leak + _DOORS
        gain = (inside.watts + _PERSON_WATTS * inside.people) / (_WATT_HOURS_A_DEGREE * self.plan.area)
        unheated = (leak * around.temperature + _DOORS * around.indoors + gain) / rate
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
