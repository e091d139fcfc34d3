"""A home measured every ten minutes: the UCI data set "Appliances energy prediction", one row for each time."""

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from simulators.readers.parsing import in_utc, lines_of
from simulators.readers.records import ArchiveError, Measurements, Sensor, Skipped

SUFFIX = ".csv"
_ZONE = timezone(timedelta(hours=1))
"""The house stood in Belgium, and its clock was not put forward in spring: our reading, see docs/replay.md."""
_DATE = re.compile(r"(\d{4})[-/](\d\d?)[-/](\d\d?) (\d\d?):(\d\d)(?::(\d\d))?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_PASCAL_IN_MM_HG = 133.322387415
_TIME_COLUMN = "date"


class Column(NamedTuple):
    """Whose values a column has; its numbers times `factor` are in the sensor's unit."""

    sensor: Sensor
    factor: float = 1.0


_ROOMS = (
    *("kitchen", "living-room", "laundry", "office", "bathroom"),
    *("outside-north", "ironing-room", "teenager-room", "parents-room"),
)
COLUMNS = {
    # Energy used in the ten minutes of the row.
    "Appliances": Column(Sensor("appliances/energy", "Wh")),
    "lights": Column(Sensor("lights/energy", "Wh")),
    **{f"T{number}": Column(Sensor(f"{room}/temperature", "Cel")) for number, room in enumerate(_ROOMS, 1)},
    **{f"RH_{number}": Column(Sensor(f"{room}/humidity", "%RH")) for number, room in enumerate(_ROOMS, 1)},
    "T_out": Column(Sensor("weather/temperature", "Cel")),
    "Press_mm_hg": Column(Sensor("weather/pressure", "Pa"), _PASCAL_IN_MM_HG),
    "RH_out": Column(Sensor("weather/humidity", "%RH")),
    "Windspeed": Column(Sensor("weather/wind-speed", "m/s")),
    "Visibility": Column(Sensor("weather/visibility", "km")),
    "Tdewpoint": Column(Sensor("weather/dew-point", "Cel")),
}
"""What the data set's own description says of its columns."""
_RANDOM = {"rv1", "rv2"}
"""Random numbers that its authors added to test their models, in some copies of the file: no measurements."""


def read(path: Path) -> Iterator[Measurements | Skipped]:
    """Read the file. Raises ArchiveError where its first line does not name the data set's columns."""
    rows = lines_of(path)
    columns = _columns(path, _fields(next(rows, ("", "", True))[1]))
    sensors = tuple(column.sensor for column in columns if column)
    for where, line, _ in rows:
        try:
            time, values = _row(columns, _fields(line))
        except ValueError as error:
            yield Skipped(where, str(error))
        else:
            yield Measurements(time, sensors, values)


def _fields(line: str) -> list[str]:
    # No value holds a comma, so that quotes only decorate, and an odd one spoils no other row.
    return [field.strip().strip('"').strip() for field in line.split(",")]


def _columns(path: Path, header: Sequence[str]) -> list[Column | None]:
    known = {_TIME_COLUMN, *_RANDOM, *COLUMNS}
    unknown = [name for name in header if name not in known]
    if header[0] != _TIME_COLUMN or unknown or len(set(header)) < len(header) or not COLUMNS.keys() & set(header):
        what = f"column {unknown[0]!r} is none of it" if unknown else "its first line does not name the columns"
        raise ArchiveError(f"{path}: not the appliances data set: {what}")
    return [COLUMNS.get(name) for name in header[1:]]


def _row(columns: Sequence[Column | None], fields: Sequence[str]) -> tuple[datetime, tuple[float, ...]]:
    if len(fields) != len(columns) + 1:
        raise ValueError(f"expected {len(columns) + 1} fields, not {len(fields)}")
    pairs = zip(columns, fields[1:], strict=True)
    return _time(fields[0]), tuple(_value(column, text) for column, text in pairs if column)


def _value(column: Column, text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{column.sensor.name}: {text!r} is no number")
    return value if column.factor == 1 else value * column.factor


def _time(text: str) -> datetime:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no date such as 2016/1/11 17:00")
    year, month, day, hour, minute, second = (int(part) for part in match.groups(default="0"))
    return in_utc(datetime(year, month, day, hour, minute, second, tzinfo=_ZONE))
