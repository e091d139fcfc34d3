"""What happens in the city in a week: a match, markets. A pure function of the seed and the week."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from types import MappingProxyType
from typing import Literal

from schemas.registry import CarPark
from simulators.fleet import device_random
from simulators.parking.calendar import HALF_HOURS_A_WEEK
from simulators.parking.drivers import Stay

EventName = Literal["match", "market", "flea market"]

_STADIUM, _KILOMETRES_A_DEGREE = (43.6222, 3.8119), 111.2
"""Stade de la Mosson, in degrees of latitude and longitude. The flea market is held beside it."""
_REACH: Mapping[EventName, float] = MappingProxyType({"match": 2.5, "flea market": 1.5})
"""From how far away people still walk there, in km."""
_MATCH_ODDS = 0.5
"""A club plays at home every other week."""
_KICK_OFFS = ((4, 20.0), (5, 15.0), (5, 19.0), (6, 15.0))
"""Weekday, Monday as 0, and hour."""
_MATCH_LEAD = 0.9
_MARKET_DAYS, _SUNDAY = (1, 5), 6


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
        return [2 * self.arrivals * (after - before) for before, after in pairwise(edges)]


NOTHING = Event(0.0, 1.0, 0.0, Stay(1.0, 0.0))


def events_of(seed: int, week: int) -> Mapping[EventName, Event]:
    """Give the events of a week, by its number since 5 January 1970: a match not in each."""
    rng = device_random(seed, f"parking/events/{week}")
    found: dict[EventName, Event] = {
        "market": Event(24 * rng.choice(_MARKET_DAYS) + 10.0, 1.2, rng.uniform(0.1, 0.25), Stay(1.4, 0.4)),
        "flea market": Event(24 * _SUNDAY + 8.3, 0.8, rng.uniform(0.4, 0.7), Stay(2.3, 0.3)),
    }
    if rng.random() < _MATCH_ODDS:
        day, kick_off = rng.choice(_KICK_OFFS)
        found["match"] = Event(24 * day + kick_off - _MATCH_LEAD, 0.35, rng.uniform(0.4, 0.8), Stay(3.0, 0.1))
    return found


def events_at(park: CarPark) -> frozenset[EventName]:
    """Tell which events draw drivers to a car park: a market in the centre, the others where they are near."""
    names: set[EventName] = {"market"} if park.zone.casefold() == "centre" else set()
    if park.latitude is not None and park.longitude is not None:
        away = _from_stadium(park.latitude, park.longitude)
        names |= {name for name, reach in _REACH.items() if away < reach}
    return frozenset(names)


def _from_stadium(latitude: float, longitude: float) -> float:
    """Give the distance in km, of places that are near."""
    north, east = latitude - _STADIUM[0], longitude - _STADIUM[1]
    return math.hypot(north, east * math.cos(math.radians(_STADIUM[0]))) * _KILOMETRES_A_DEGREE
