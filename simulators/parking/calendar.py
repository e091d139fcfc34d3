"""Which half hour of which local week it is, in the fleet's own time; and French public holidays. No clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

HALF_HOUR = 1800
HALF_HOURS_A_DAY = 48
HALF_HOURS_A_WEEK = 7 * HALF_HOURS_A_DAY
HOUR = 3600
WEEK = 7 * 24 * HOUR
HOME_ZONE = "Europe/Paris"
"""Where a car park without a `timezone` is taken to be."""
_FIRST_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_FIXED_HOLIDAYS = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
_AFTER_EASTER = (1, 39, 50)
"""Days from Easter Sunday to Easter Monday, Ascension and Whit Monday."""


class Calendar:
    """Turns seconds since a fleet's begin into the local time, through changes of the clocks.

    A week is told by its number since Monday, 5 January 1970.
    """

    def __init__(self, begin: datetime, zone: ZoneInfo) -> None:
        self._zone = zone
        self._begin = (begin - _FIRST_MONDAY).total_seconds()
        self._offsets: dict[int, float] = {}

    def local(self, own: float) -> float:
        """Give the local time in seconds since the first Monday; those of one hour in October come twice."""
        at = self._begin + own
        hour = int(at // HOUR)
        offset = self._offsets.get(hour)
        if offset is None:
            offset = self._offsets[hour] = self._offset(hour)
        return at + offset

    def half_hour(self, own: float) -> int:
        """Give the half hour since the first Monday."""
        return int(self.local(own) // HALF_HOUR)

    def _offset(self, hour: int) -> float:
        # Clocks change at whole hours of UTC, so within one the offset is the same.
        offset = (_FIRST_MONDAY + timedelta(hours=hour)).astimezone(self._zone).utcoffset()
        return offset.total_seconds() if offset else 0.0


def day_of(number: int) -> date:
    """Give a day by its number since the first Monday."""
    return date.fromordinal(_FIRST_MONDAY.toordinal() + number)


def week_of(day: date) -> int:
    """Give the number of a day's week since that of the first Monday."""
    return (day.toordinal() - _FIRST_MONDAY.toordinal()) // 7


def is_holiday(day: date) -> bool:
    """Whether a day is a public holiday in France."""
    if (day.month, day.day) in _FIXED_HOLIDAYS:
        return True
    return (day - easter(day.year)).days in _AFTER_EASTER


def easter(year: int) -> date:
    """Give Easter Sunday of the Gregorian calendar, by the anonymous algorithm of Meeus (Astronomical Algorithms)."""
    century, rest = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)
