"""Polls of car park counters: a file for each poll, its local time in its name, a `NAME;FREE;TOTAL` in each line."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from simulators.readers.parsing import files_of, in_utc, lines_of, whole_number
from simulators.readers.records import Count, Skipped

SUFFIX = ".dat"
_ZONE = ZoneInfo("Europe/Paris")
_FILE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)@(\d\d)-(\d\d)-(\d\d)$", re.ASCII)


def read(path: Path) -> Iterator[Count | Skipped]:
    """Read a directory of polls, or one of them: `data2023-01-13@00-40-14.dat`."""
    for file in files_of(path, SUFFIX):
        try:
            time = _time_of(file.stem)
        except ValueError as error:
            yield Skipped(file.name, str(error))
        else:
            yield from _read_poll(file, time)


def _read_poll(file: Path, time: datetime) -> Iterator[Count | Skipped]:
    for where, line, is_whole in lines_of(file):
        # A poll that was cut short may end within a number, and half a number is a number, too.
        if not is_whole:
            yield Skipped(where, "the line has no end, so its last number may be cut")
            continue
        try:
            yield _count(line, time)
        except ValueError as error:
            yield Skipped(where, str(error))


def _count(line: str, time: datetime) -> Count:
    fields = [field.strip() for field in line.split(";")]
    if len(fields) != 3 or not fields[0] or "\ufffd" in line:  # noqa: PLR2004 - name, free and total
        raise ValueError("expected NAME;FREE;TOTAL")
    name, free, total = fields
    return Count(time, name, whole_number(free), whole_number(total))


def _time_of(stem: str) -> datetime:
    match = _FILE_TIME.search(stem)
    if match is None:
        raise ValueError("expected a file name such as data2023-01-13@00-40-14.dat")
    day, hours, minutes, seconds = match.groups()
    return in_utc(datetime.fromisoformat(f"{day}T{hours}:{minutes}:{seconds}").replace(tzinfo=_ZONE))
