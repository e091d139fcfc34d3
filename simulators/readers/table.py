"""Tables as CSV, whatever their columns are called: which of them is what, the command line says."""

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TypeVar

from simulators.readers.parsing import in_utc, time_of, whole_number
from simulators.readers.records import ArchiveError, BayState, Count, Measurements, Record, Sensor, Skipped

TRUE = ("true", "1", "yes", "occupied", "taken")
"""What stands for a bay that is taken, in any case, unless the command line says otherwise; all else is free."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_NUMBER = re.compile(r"\d{1,19}(\.\d{1,9})?", re.ASCII)
_PER_SECOND = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (math.inf, 10**9))
"""Numbers below are seconds, milliseconds, microseconds, nanoseconds since 1970."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How a table is written.

    `columns` gives the header of each field: `time`, and of counts `name`, `free`, perhaps `total` and `status`; of
    bays `name`, `spot`, `occupied`; of sensors `sensor`, `value`, perhaps `unit`. `wide` gives the sensor of each
    header where every sensor has a column of its own. `zone` serves times without an offset, `time_format` is one of
    strptime.
    """

    columns: Mapping[str, str]
    wide: Mapping[str, Sensor] = field(default_factory=dict)
    zone: tzinfo | None = None
    time_format: str | None = None
    delimiter: str = ","
    true: tuple[str, ...] = TRUE

    @property
    def is_of_a_home(self) -> bool:
        """Whether it tells of sensors of a home."""
        return bool(self.wide) or "value" in self.columns


def read_table(path: Path, table: TableFormat) -> Iterator[Record | Skipped]:
    """Read a file whose first line names its columns. Raises ArchiveError where one that is asked for is not there."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = csv.reader(file, delimiter=table.delimiter)
            header = [name.strip() for name in next(rows, [])]
            _check_header(path, table, header)
            for cells in rows:
                if not any(cell.strip() for cell in cells):
                    continue
                try:
                    yield _record(table, _row(header, cells))
                except ValueError as error:
                    yield Skipped(f"{path.name}:{rows.line_num}", str(error))
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read ({error.strerror})") from None
    except csv.Error as error:
        raise ArchiveError(f"{path}: no CSV: {error}") from None


def _check_header(path: Path, table: TableFormat, header: list[str]) -> None:
    for wanted in (*table.columns.values(), *table.wide):
        if header.count(wanted) != 1:
            what = "stands twice in" if wanted in header else "is none of"
            raise ArchiveError(f"{path}:1: column {wanted!r} {what} the header: {', '.join(header)}")


def _row(header: list[str], cells: list[str]) -> Mapping[str, str]:
    if len(cells) != len(header):
        raise ValueError(f"expected {len(header)} cells, not {len(cells)}")
    return dict(zip(header, (cell.strip() for cell in cells), strict=True))


def _record(table: TableFormat, row: Mapping[str, str]) -> Record:
    def needed(name: str, parse: Callable[[str], ValueT]) -> ValueT:
        return _cell(row, table.columns[name], parse)

    def told(name: str, parse: Callable[[str], ValueT]) -> ValueT | None:
        return needed(name, parse) if row.get(table.columns.get(name, "")) else None

    time = needed("time", lambda text: _time(text, table))
    if "free" in table.columns:
        return Count(
            time, needed("name", _text), needed("free", whole_number), told("total", whole_number), told("status", str)
        )
    if "occupied" in table.columns:
        is_occupied = needed("occupied", lambda text: _text(text).casefold() in table.true)
        return BayState(time, needed("name", _text), needed("spot", _text), is_occupied)
    if table.wide:
        return _wide(table, row, time)
    sensor = Sensor(needed("sensor", _text), told("unit", str) or "")
    return Measurements(time, (sensor,), (needed("value", _number),))


def _wide(table: TableFormat, row: Mapping[str, str], time: datetime) -> Measurements:
    """Give what a row tells of its sensors; an empty cell tells nothing."""
    told = {column: sensor for column, sensor in table.wide.items() if row[column]}
    if not told:
        raise ValueError(f"no value in columns {', '.join(table.wide)}")
    return Measurements(time, tuple(told.values()), tuple(_cell(row, column, _number) for column in told))


def _cell(row: Mapping[str, str], column: str, parse: Callable[[str], ValueT]) -> ValueT:
    try:
        return parse(row[column])
    except ValueError as error:
        raise ValueError(f"column {column!r}: {error}") from None


def _text(text: str) -> str:
    if not text:
        raise ValueError("the cell is empty")
    return text


def _number(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no number")
    return value


def _time(text: str, table: TableFormat) -> datetime:
    """Read a time: by the format that is told, else a number since 1970, else `2023-01-28T17:43:22` or with a blank."""
    if table.time_format is not None:
        time = datetime.strptime(text, table.time_format)  # noqa: DTZ007 - it gets its zone below
        if time.tzinfo is None and table.zone is None:
            raise ValueError(f"the time {text} has no offset; tell its --zone")
        return in_utc(time if time.tzinfo else time.replace(tzinfo=table.zone))
    if _EPOCH_NUMBER.fullmatch(text):
        whole, _, fraction = text.partition(".")
        per_second = next(unit for limit, unit in _PER_SECOND if float(text) < limit)
        per_micro = 10 ** len(fraction) * per_second
        micros = (int(whole + fraction) * 10**6 + per_micro // 2) // per_micro
        try:
            return _EPOCH + timedelta(microseconds=micros)
        except OverflowError:
            raise ValueError(f"{text} is out of range") from None
    return time_of(text.replace(" ", "T", 1), table.zone)
