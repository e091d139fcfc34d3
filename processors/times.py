"""Event times in: RFC 3339 with an offset, or an epoch number whose size tells its unit; out: microseconds since 1970.

Digits of an RFC 3339 time past six are cut; an epoch number is rounded to the nearest microsecond.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS: Final = 86_400
_SECONDS_BELOW, _MILLIS_BELOW, _MICROS_BELOW = 1e11, 1e14, 1e17
_FAR: Final = 2**61
"""Beyond any acceptance window, and still an int64 with room to double."""


class MissingOffsetError(ValueError):
    """The time says nothing of its offset, and the registry gives the asset no time zone."""


def to_micros(value: float | str, zone: ZoneInfo | None) -> int:
    """Give a time in microseconds since 1970; `zone` serves times without an offset.

    A string has the shape of RFC 3339 already (the payload's schema checks it). A number below 1e11 is seconds,
    below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds. Results are clipped to +-2**61.

    Raises MissingOffsetError, or ValueError for a date that does not exist.
    """
    if isinstance(value, str):
        return _from_rfc3339(value, zone)
    return _from_epoch(value)


def from_datetime(value: datetime) -> int:
    """Give an aware datetime in microseconds since 1970, exactly."""
    since = value - EPOCH
    return (since.days * _DAY_SECONDS + since.seconds) * 1_000_000 + since.microseconds


def to_datetime(micros: int) -> datetime:
    """Give microseconds since 1970 as an aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=micros)


def _from_rfc3339(text: str, zone: ZoneInfo | None) -> int:
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        if zone is None:
            raise MissingOffsetError
        moment = moment.replace(tzinfo=zone)
    return from_datetime(moment)


def _from_epoch(number: float) -> int:
    whole = int(number)
    # Apart: the product of a float of today and a million has no room for its last digits.
    if -_SECONDS_BELOW < number < _SECONDS_BELOW:
        return whole * 1_000_000 + round((number - whole) * 1_000_000)
    if -_MILLIS_BELOW < number < _MILLIS_BELOW:
        return whole * 1_000 + round((number - whole) * 1_000)
    if -_MICROS_BELOW < number < _MICROS_BELOW:
        return whole + round(number - whole)
    return max(-_FAR, min(_FAR, (whole + 500) // 1000))
