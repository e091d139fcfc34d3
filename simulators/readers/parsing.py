"""What the readers share: files, lines, times and numbers as archives write them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from simulators.readers.records import ArchiveError

_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?P<offset>Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE
)
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
"""Far beyond what a counter may tell, and short of what int() refuses to read."""


def files_of(path: Path, suffix: str) -> list[Path]:
    """Give a file itself, or the files of a directory that end in `suffix`, by name.

    Raises ArchiveError for what is neither, and for a directory without such a file.
    """
    try:
        if path.is_file():
            return [path]
        found = sorted(file for file in path.iterdir() if file.suffix.lower() == suffix and file.is_file())
    except OSError as error:
        raise _unreadable(path, error) from None
    if not found:
        raise ArchiveError(f"{path}: there is no {suffix} file in it")
    return found


def content_of(path: Path) -> bytes:
    """Read a whole file. Raises ArchiveError where that fails."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def lines_of(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Give each line of a text file that is not blank: where it stands, its text, and whether it has its end.

    The text is without line end and outer blanks; bytes that are no UTF-8 become U+FFFD. Raises ArchiveError.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if text := line.strip():
                    yield f"{path.name}:{number}", text, line.endswith("\n")
    except OSError as error:
        raise _unreadable(path, error) from None


def time_of(text: str, zone: tzinfo | None = None) -> datetime:
    """Read `2023-01-28T17:43:22.337386600`, with an offset or in `zone`, as UTC; digits past the sixth are cut.

    Raises ValueError for what is no such time, and for one without an offset where there is no zone.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no time such as 2023-01-28T17:43:22")
    time = datetime.fromisoformat(match[0].upper())
    if match["offset"] is None and zone is None:
        raise ValueError(f"the time {text} has no offset")
    return in_utc(time if match["offset"] else time.replace(tzinfo=zone))


def in_utc(time: datetime) -> datetime:
    """Give a time of some zone in UTC. Raises ValueError where UTC has no such year.

    Of an hour that local clocks show twice it is the first, unless `fold` says otherwise; an hour that they leave
    out is taken as if they had not been put forward yet.
    """
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{time} is out of range") from None


def whole_number(text: str) -> int:
    """Read a whole number, with leading zeros or without. Raises ValueError."""
    if not _WHOLE_NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def _unreadable(path: Path, error: OSError) -> ArchiveError:
    return ArchiveError(f"{path}: cannot be read ({error.strerror})")
