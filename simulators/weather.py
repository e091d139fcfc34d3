"""Montpellier's weather as sensors meet it: warmth and daylight, by season and hour. No I/O and no clock."""

import math
from datetime import UTC, date, datetime

_LATITUDE, _LONGITUDE = math.radians(43.61), math.radians(3.88)
_YEAR = 365
_MEAN, _SEASON, _DAY = 15.5, 8.5, 4.5
"""Degrees Celsius: about the normals, from 7 in January to 24 in July, and the swing of a fair day."""
_COLDEST_DAY, _COLDEST_HOUR = 20, 4
_ZENITH_LUX = 80_000
"""On level ground under a sky that is neither clear nor grey; direct sun alone comes to 100,000."""


def outside_temperature(now: datetime) -> float:
    """Degrees Celsius in the shade."""
    day, hour = _day_and_hour(now)
    season = math.cos((day - _COLDEST_DAY) / _YEAR * math.tau)
    return _MEAN - _SEASON * season - _DAY * math.cos((hour - _COLDEST_HOUR) / 24 * math.tau)


def daylight(now: datetime) -> float:
    """Lux on level ground, in proportion to the sine of the sun's height; 0 at night.

    The declination is Cooper's (Solar Energy 12, 1969): 23.45 degrees times sin(2 pi (284 + day) / 365).
    """
    day, hour = _day_and_hour(now)
    declination = math.radians(23.45) * math.sin((284 + day) / _YEAR * math.tau)
    hour_angle = (hour - 12) / 24 * math.tau + _LONGITUDE
    height = math.sin(_LATITUDE) * math.sin(declination)
    height += math.cos(_LATITUDE) * math.cos(declination) * math.cos(hour_angle)
    return _ZENITH_LUX * max(0.0, height)


def _day_and_hour(now: datetime) -> tuple[int, float]:
    at = now.astimezone(UTC)
    return at.toordinal() - date(at.year, 1, 1).toordinal() + 1, at.hour + at.minute / 60 + at.second / 3600
