"""When car parks are closed: some at night, some on public holidays. A pure function of a car park's randomness."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from simulators.parking.calendar import HALF_HOURS_A_DAY, Calendar, day_of, is_holiday
from simulators.parking.profiles import ParkKind

_NIGHTS: Mapping[ParkKind, tuple[float, float, float]] = MappingProxyType(
    {"park-and-ride": (0.3, 1.0, 4.5), "leisure": (0.5, 2.0, 8.0), "suburb": (0.3, 0.5, 6.0)}
)
"""The share of a kind that closes at night, from and to which hour."""
_CLOSED_ON_HOLIDAYS = 0.15


@dataclass(frozen=True, slots=True)
class Hours:
    """When a car park is closed: from and to a half hour of each day, and on public holidays or not."""

    calendar: Calendar
    closed: tuple[int, int] = (0, 0)
    on_holidays: bool = False

    def is_closed(self, own: float) -> bool:
        """Whether it is closed at a time of the fleet's own; who is in may leave all the same."""
        if not self.closed[1] and not self.on_holidays:
            return False
        day, half_hour = divmod(self.calendar.half_hour(own), HALF_HOURS_A_DAY)
        return self.closed[0] <= half_hour < self.closed[1] or (self.on_holidays and is_holiday(day_of(day)))


def hours_of(kind: ParkKind, calendar: Calendar, rng: random.Random) -> Hours:
    """Draw when a car park of a kind is closed."""
    share, begin, end = _NIGHTS.get(kind, (0.0, 0.0, 0.0))
    closed = (round(2 * begin), round(2 * end)) if rng.random() < share else (0, 0)
    return Hours(calendar, closed, rng.random() < _CLOSED_ON_HOLIDAYS)
