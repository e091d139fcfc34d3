"""Days of counters, simulated and real, as samples of one kind; and simulated days of bays."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from schemas.registry import CarPark, Registry, SpotKind
from schemas.topics import Topics
from simulators.fleet import Fleet
from simulators.parking.calendar import HALF_HOUR, HALF_HOURS_A_DAY, HOME_ZONE
from simulators.parking.curves import Curve, Sample, occupancy
from simulators.parking.model import bays_and_counters
from simulators.readers import polls
from simulators.readers.records import Count

FAULTY = ("COME", "CIRC", "GA109", "GA250", "ARCE")
"""Counters of the three real days that are no measure: four of them frozen, and one whose total flips."""
_ZONE = ZoneInfo(HOME_ZONE)
_LOOK_EVERY = 300
"""Seconds between two looks at a bay."""


def midnight(day: date) -> datetime:
    """Give the begin of a day, local time, in UTC."""
    return datetime.combine(day, time(), _ZONE).astimezone(UTC)


def simulated(car_parks: tuple[CarPark, ...], seed: int, first: date, days: int) -> Iterator[Sample]:
    """Let the counters of car parks speak for some days."""
    begin = midnight(first)
    registry = Registry(car_park=car_parks)
    capacity = {f"parking/{park.code}": park.capacity for park in car_parks}
    counters = (one for one in bays_and_counters(registry, Topics("city"), seed, begin) if one.name in capacity)
    fleet = Fleet([*counters])
    end = (midnight(first + timedelta(days=days)) - begin).total_seconds()
    while len(fleet) and fleet.due < end:
        at = begin + timedelta(seconds=fleet.due)
        for fact in fleet.next_message(at).facts:
            taken = occupancy(int(fact.values[0]), capacity[fact.source])
            yield Sample(half_hour(at, first), fact.source.removeprefix("parking/"), taken)


def real(archive: Path, car_parks: tuple[CarPark, ...], first: date) -> Iterator[Sample]:
    """Read what counters told in an archive of polls; those of other car parks are left out.

    Raises ArchiveError where it cannot be read.
    """
    codes = {name: park.code for park in car_parks for name in (park.code, *park.aliases)}
    for record in polls.read(archive):
        if isinstance(record, Count) and record.name in codes and record.total:
            yield Sample(half_hour(record.time, first), codes[record.name], occupancy(record.free, record.total))


def half_hour(at: datetime, first: date) -> int:
    """Give the half hour since the midnight of a day, local time."""
    local = at.astimezone(_ZONE)
    since = datetime.combine(local.date(), local.time()) - datetime.combine(first, time())
    return since // timedelta(seconds=HALF_HOUR)


def bays(registry: Registry, seed: int, first: date, days: int) -> Mapping[SpotKind, Curve]:
    """Let the bays of a registry live for some days; give which share of each kind is taken."""
    begin, size = midnight(first), days * HALF_HOURS_A_DAY
    kinds = {f"parking/{park.code}/{spot.label}": spot.kind for park in registry.car_park for spot in park.all_spots()}
    told: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in kinds}
    fleet = Fleet([one for one in bays_and_counters(registry, Topics("city"), seed, begin) if one.name in kinds])
    while len(fleet) and fleet.due < size * HALF_HOUR:
        own = fleet.due
        for fact in fleet.next_message(begin + timedelta(seconds=own)).facts:
            times, states = told[fact.source]
            times.append(own)
            states.append(float(fact.values[0]))
    looks = np.arange(0, size * HALF_HOUR, _LOOK_EVERY)
    taken: dict[SpotKind, list[Curve]] = {}
    for name, (times, states) in told.items():
        at = np.searchsorted(times, looks, side="right").clip(1) - 1
        taken.setdefault(kinds[name], []).append(np.asarray(states)[at])
    return {kind: np.mean(rows, axis=0).reshape(size, -1).mean(axis=1) for kind, rows in taken.items()}
