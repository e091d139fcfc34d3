"""How sensors of several makers write a time, and to which microsecond each of them comes down."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from simulators.fleet import micros
from simulators.parking.calendar import HOME_ZONE

Told = tuple[str, int]
"""A time as it stands in JSON, and the microseconds since 1970 that it comes down to."""
TimeForm = Callable[[datetime], Told]
"""Writes a time in UTC."""

_SECOND, _MILLI = 1_000_000, 1_000
_HOME = ZoneInfo(HOME_ZONE)


def zulu(at: datetime) -> Told:
    """RFC 3339 in UTC to the millisecond."""
    whole = micros(at)
    return f'"{at.isoformat(timespec="milliseconds")[:23]}Z"', whole - whole % _MILLI


def zulu_seconds(at: datetime) -> Told:
    """RFC 3339 in UTC to the second."""
    whole = micros(at)
    return f'"{at.isoformat(timespec="seconds")[:19]}Z"', whole - whole % _SECOND


def zulu_nanoseconds(at: datetime) -> Told:
    """RFC 3339 in UTC with nine digits, of which the service cuts three."""
    whole = micros(at)
    return f'"{nine_digits(at, whole)}Z"', whole


def offset(at: datetime) -> Told:
    """RFC 3339 with the offset of Paris, to the second."""
    whole = micros(at)
    return f'"{at.astimezone(_HOME).isoformat(timespec="seconds")}"', whole - whole % _SECOND


def epoch_seconds(at: datetime) -> Told:
    """Whole seconds since 1970."""
    whole = micros(at) // _SECOND
    return str(whole), whole * _SECOND


def epoch_fraction(at: datetime) -> Told:
    """Seconds since 1970 with three digits."""
    seconds, fraction = divmod(micros(at) // _MILLI, 1_000)
    return f"{seconds}.{fraction:03d}", (seconds * 1_000 + fraction) * _MILLI


def epoch_milliseconds(at: datetime) -> Told:
    """Milliseconds since 1970."""
    whole = micros(at) // _MILLI
    return str(whole), whole * _MILLI


def local(zone: ZoneInfo) -> TimeForm:
    """Give the local time without an offset, to the second; the hour that comes twice is told in UTC."""

    def form(at: datetime) -> Told:
        there = at.astimezone(zone)
        if there.replace(fold=0).utcoffset() != there.replace(fold=1).utcoffset():
            return zulu_seconds(at)
        whole = micros(at)
        return f'"{there.isoformat(timespec="seconds")[:19]}"', whole - whole % _SECOND

    return form


def nine_digits(at: datetime, whole: int) -> str:
    """Write a time as network servers do, without an offset; the last three digits come from the microseconds."""
    return f"{at.isoformat(timespec='microseconds')[:26]}{whole * 7 % 1000:03d}"


FORMS: Mapping[str, TimeForm] = MappingProxyType(
    {
        "zulu": zulu,
        "zulu_seconds": zulu_seconds,
        "zulu_nanoseconds": zulu_nanoseconds,
        "offset": offset,
        "epoch_seconds": epoch_seconds,
        "epoch_fraction": epoch_fraction,
        "epoch_milliseconds": epoch_milliseconds,
    }
)


def in_utc(now: datetime) -> datetime:
    """Give a time in UTC."""
    return now if now.tzinfo is UTC else now.astimezone(UTC)
