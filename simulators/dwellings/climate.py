"""The weather around a flat, as its air meets it. No I/O and no clock."""

import math
from datetime import UTC, datetime, timedelta

from simulators.dwellings.household import ZONE
from simulators.dwellings.rooms import Surroundings, saturation
from simulators.weather import daylight, outside_temperature

_HEATED_BY_DAY = (6, 23)
_COLDEST_HOUR, _DAWN_HUMIDITY = 4, 0.88
"""The air holds all day what it held at the hour of dew."""
_MEAN_PRESSURE, _PRESSURE_SWING, _PRESSURE_PERIOD = 1015.0, 9.0, timedelta(days=5.3)


def surroundings(at: float) -> Surroundings:
    """Give what a flat is in, at so many seconds since 1970."""
    now = datetime.fromtimestamp(at, UTC)
    dawn = now.replace(hour=_COLDEST_HOUR, minute=0, second=0)
    begin, end = _HEATED_BY_DAY
    return Surroundings(
        temperature=outside_temperature(now),
        vapour=_DAWN_HUMIDITY * saturation(outside_temperature(dawn)),
        daylight=daylight(now),
        by_day=begin <= now.astimezone(ZONE).hour < end,
    )


def outside_humidity(around: Surroundings) -> float:
    """Relative humidity outside, 0 to 100."""
    return 100 * min(1.0, around.vapour / saturation(around.temperature))


def outside_pressure(at: float) -> float:
    """Hectopascals at sea level: highs and lows that take turns."""
    return _MEAN_PRESSURE + _PRESSURE_SWING * math.sin(at / _PRESSURE_PERIOD.total_seconds() * math.tau)
