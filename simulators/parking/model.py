"""The parking of a registry as devices: bays that are taken and left, counters that drift. No I/O and no clock."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from schemas.registry import CarPark, Registry, Spot, SpotKind
from schemas.topics import Topics
from simulators.fleet import Device, announcement, device_random
from simulators.parking.arrivals import Timetable
from simulators.parking.bay_formats import voice_of
from simulators.parking.bays import Bay, Unasked
from simulators.parking.calendar import HOME_ZONE, Calendar
from simulators.parking.counters import Counter
from simulators.parking.events import EventName, events_at
from simulators.parking.profiles import BAYS, PARKS, ParkKind, kind_of

_BAY_TURNOVER = 15.0
"""How many times as many drivers look at a bay as come to a place behind barriers."""
_HEARTBEATS = 2
"""How often a bay speaks at least within the heartbeat of the registry."""


class _Parking:
    """What the devices of one fleet share, none of which changes: calendars and timetables."""

    def __init__(self, seed: int, begin: datetime) -> None:
        self.seed = seed
        self.begin = begin
        self.calendar = cache(self._calendar)
        self._park = cache(self._of_park)
        self._bay = cache(self._of_bay)

    def park(self, park: CarPark) -> Timetable:
        """Give who comes to a car park."""
        return self._park(kind_of(park), park.timezone, events_at(park))

    def bay(self, park: CarPark, kind: SpotKind) -> Timetable:
        """Give who comes to a bay of a kind."""
        return self._bay(kind, park.timezone, events_at(park))

    def _calendar(self, timezone: str | None) -> Calendar:
        return Calendar(self.begin, ZoneInfo(timezone or HOME_ZONE))

    def _of_park(self, kind: ParkKind, timezone: str | None, events: frozenset[EventName]) -> Timetable:
        return Timetable(PARKS[kind], self.calendar(timezone), self.seed, events)

    def _of_bay(self, kind: SpotKind, timezone: str | None, events: frozenset[EventName]) -> Timetable:
        return Timetable(BAYS[kind], self.calendar(timezone), self.seed, events, _BAY_TURNOVER)


def bays_and_counters(registry: Registry, topics: Topics, seed: int, begin: datetime) -> list[Device]:
    """Make every sensor of a registry's car parks, as it is at `begin`.

    The first states come one after the other, so that others' number tells when; all else is a device's own.
    """
    parking = _Parking(seed, begin)
    sensors = [*_sensors(registry)]
    return [
        _make(parking, park, spot, topics, announcement(number, len(sensors)))
        for number, (park, spot) in enumerate(sensors)
    ]


def _sensors(registry: Registry) -> Iterator[tuple[CarPark, Spot | None]]:
    """Give each bay with its car park, and each car park that is counted."""
    for park in registry.car_park:
        for spot in park.all_spots():
            yield park, spot
        if park.basis == "count":
            yield park, None


def _make(parking: _Parking, park: CarPark, spot: Spot | None, topics: Topics, first: float) -> Device:
    if spot is None:
        rng = device_random(parking.seed, f"parking/{park.code}")
        calendar = parking.calendar(park.timezone)
        return Counter(park, topics.count(park.code), parking.park(park), calendar, first, rng)
    name = f"parking/{park.code}/{spot.label}"
    rng = device_random(parking.seed, name)
    voice = voice_of(park, spot, topics, parking.begin, rng)
    unasked = Unasked(first, park.heartbeat.total_seconds() / _HEARTBEATS)
    return Bay(name, parking.bay(park, spot.kind), voice, unasked, rng)
