"""Durations as people write them: `50ms`, `20 s`, `15m`, `25h`, `8d`, or a bare number of seconds."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
"""In microseconds."""
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|day|days)?\s*", re.ASCII)
_LONGEST = timedelta(days=36500)


def parse_duration(value: object) -> timedelta:
    """Read a duration; a number without a unit is seconds.

    Raises ValueError, saying what is expected, for anything else.
    """
    if isinstance(value, timedelta):
        return value
    match = _PATTERN.fullmatch(str(value))
    if match is None or isinstance(value, bool):
        raise ValueError("expected a duration such as 50ms, 20s, 15m, 25h or 8d")
    number, unit = match.groups()
    microseconds = round(Decimal(number) * _UNITS[(unit or "s").removesuffix("ays").removesuffix("ay")])
    if microseconds > _LONGEST // timedelta(microseconds=1):
        raise ValueError(f"expected a duration of at most {_LONGEST.days}d")
    return timedelta(microseconds=microseconds)


def format_duration(value: timedelta) -> str:
    """Write a duration in its largest whole unit, so that `parse_duration` reads it back."""
    microseconds = value // timedelta(microseconds=1)
    for unit in ("d", "h", "m", "s", "ms"):
        if microseconds % _UNITS[unit] == 0:
            return f"{microseconds // _UNITS[unit]}{unit}"
    return f"{microseconds // 1000}.{microseconds % 1000:03d}ms"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
]
