"""What happens in the city in a week: a match, a market day. A pure function of the seed and the week."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from schemas.registry import CarPark
from simulators.fleet import device_random
from simulators.parking.calendar import HALF_HOURS_A_WEEK
from simulators.parking.drivers import Stay

EventName = Literal["match", "market"]

_STADIUM, _STADIUM_REACH = (43.6222, 3.8119), 3.5
"""Stade de la Mosson: latitude and longitude, and from how far visitors still come, in km."""
_MATCH_ODDS = 0.5
"""A club plays at home every other week."""
_KICK_OFFS = ((4, 20.0), (5, 15.0), (5, 19.0), (6, 15.0))
"""Weekday, Monday as 0, and hour."""
_MATCH_LEAD, _MATCH_SPREAD, _MATCH_STAY = 0.9, 0.35, Stay(3.0, 0.1)
_MATCH_ARRIVALS = (0.4, 0.9)
_MARKET_DAYS, _MARKET_HOUR, _MARKET_SPREAD, _MARKET_STAY = (1, 5, 6), 10.0, 1.2, Stay(1.4, 0.4)
_MARKET_ARRIVALS = (0.1, 0.25)
_KILOMETRES_A_DEGREE = 111.2


@dataclass(frozen=True, slots=True)
class Event:
    """Something that draws drivers: `arrivals` for each place of a car park, normally distributed.

    They come around `hour`, counted from Monday's midnight, with a standard deviation of `spread` hours.
    """

    hour: float
    spread: float
    arrivals: float
    stay: Stay

    def rates(self) -> list[float]:
        """Give its arrivals an hour for each place, in each half hour of the week."""
        normal = NormalDist(self.hour, self.spread)
        edges = [normal.cdf(half / 2) for half in range(HALF_HOURS_A_WEEK + 1)]
        return [2 * self.arrivals * (edges[half + 1] - edges[half]) for half in range(HALF_HOURS_A_WEEK)]


NOTHING = Event(0.0, 1.0, 0.0, Stay(1.0, 0.0))


def events_of(seed: int, week: int) -> Mapping[EventName, Event]:
    """Give the events of a week, by its number since 5 January 1970."""
    rng = device_random(seed, f"parking/events/{week}")
    market = 24 * rng.choice(_MARKET_DAYS) + _MARKET_HOUR
    found: dict[EventName, Event] = {
        "market": Event(market, _MARKET_SPREAD, rng.uniform(*_MARKET_ARRIVALS), _MARKET_STAY)
    }
    if rng.random() < _MATCH_ODDS:
        found["match"] = _match(rng)
    return found


def events_at(park: CarPark) -> frozenset[EventName]:
    """Tell which events draw drivers to a car park: a match near the stadium, a market in the centre."""
    names: set[EventName] = set()
    if park.zone.casefold() == "centre":
        names.add("market")
    if park.latitude is not None and park.longitude is not None:
        north, east = park.latitude - _STADIUM[0], park.longitude - _STADIUM[1]
        east *= math.cos(math.radians(_STADIUM[0]))
        if math.hypot(north, east) * _KILOMETRES_A_DEGREE < _STADIUM_REACH:
            names.add("match")
    return frozenset(names)


def _match(rng: random.Random) -> Event:
    day, kick_off = rng.choice(_KICK_OFFS)
    hour = 24 * day + kick_off - _MATCH_LEAD
    return Event(hour, _MATCH_SPREAD, rng.uniform(*_MATCH_ARRIVALS), _MATCH_STAY)
