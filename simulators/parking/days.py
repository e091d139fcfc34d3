"""Days of counters, simulated and real, as samples of one kind."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from schemas.registry import CarPark, Registry
from schemas.topics import Topics
from simulators.fleet import Fleet
from simulators.parking.calendar import HALF_HOUR, HOME_ZONE
from simulators.parking.curves import Sample, occupancy
from simulators.parking.model import bays_and_counters
from simulators.readers import polls
from simulators.readers.records import Count

FAULTY = ("COME", "CIRC", "GA109", "GA250", "ARCE")
"""Counters of the three real days that are no measure: four of them frozen, and one whose total flips."""
_ZONE = ZoneInfo(HOME_ZONE)


def midnight(day: date) -> datetime:
    """Give the begin of a day, local time, in UTC."""
    return datetime.combine(day, time(), _ZONE).astimezone(UTC)


def simulated(car_parks: tuple[CarPark, ...], seed: int, first: date, days: int) -> Iterator[Sample]:
    """Let the counters of car parks speak for some days."""
    begin = midnight(first)
    registry = Registry(car_park=car_parks)
    capacity = {f"parking/{park.code}": park.capacity for park in car_parks}
    fleet = Fleet(bays_and_counters(registry, Topics("city"), seed, begin))
    end = (midnight(first + timedelta(days=days)) - begin).total_seconds()
    while fleet.due < end:
        at = begin + timedelta(seconds=fleet.due)
        (fact,) = fleet.next_message(at).facts
        free = fact.values[0]
        if fact.source in capacity and isinstance(free, int):
            code = fact.source.removeprefix("parking/")
            yield Sample(half_hour(at, first), code, occupancy(free, capacity[fact.source]))


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
