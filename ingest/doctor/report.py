"""What the doctor found: one check after the other, as text for people and as data for programs."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ingest.dead_letter_text import printable

_ELLIPSIS: Final = "…"
_LONGEST_NAME: Final = 80


class Status(StrEnum):
    """What a check came to. UNKNOWN could not be checked, which is never the same as OK."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


STATUS_WIDTH: Final = max(map(len, Status))


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was looked at, what was found and, unless it is OK, what to do."""

    check: str
    status: Status
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Check:
    """Make a check that found all well."""
    return Check(check, Status.OK, found)


def warning(check: str, found: str, remedy: str) -> Check:
    """Make a check that found what works, and should be otherwise."""
    return Check(check, Status.WARNING, found, remedy)


def problem(check: str, found: str, remedy: str) -> Check:
    """Make a check that found what loses readings or keeps the service from working."""
    return Check(check, Status.PROBLEM, found, remedy)


def unknown(check: str, found: str, remedy: str = "") -> Check:
    """Make a check that could not be made."""
    return Check(check, Status.UNKNOWN, found, remedy)


def lines(checks: Sequence[Check], width: int | None = None) -> Iterator[tuple[Status | None, str]]:
    """Write checks as aligned lines, each with its status; a remedy and the rest of a long line have none.

    Lines are wrapped to `width` columns; None leaves each as long as it is.
    """
    names = max((len(check.check) for check in checks), default=0)
    indent = " " * (STATUS_WIDTH + names + 4)
    for check in checks:
        first = f"{check.status:{STATUS_WIDTH}}  {check.check:{names}}  {check.found}"
        yield check.status, _wrapped(first, indent, width)
        if check.remedy:
            yield None, _wrapped(f"{indent}-> {check.remedy}", f"{indent}   ", width)


def summary(checks: Sequence[Check]) -> str:
    """Count the checks by what they came to, worst first."""
    problems, warnings, unknowns, well = (
        sum(check.status is status for check in checks)
        for status in (Status.PROBLEM, Status.WARNING, Status.UNKNOWN, Status.OK)
    )
    return f"{plural(problems, 'problem')}, {plural(warnings, 'warning')}, {unknowns} unknown, {well} ok"


def has_problem(checks: Sequence[Check]) -> bool:
    """Tell whether anything has to be mended."""
    return any(check.status is Status.PROBLEM for check in checks)


def shown(name: str) -> str:
    """Write what somebody else named, for a terminal: escaped where it does not print, and cut."""
    escaped = printable(name[:_LONGEST_NAME])
    is_cut = len(name) > _LONGEST_NAME or len(escaped) > _LONGEST_NAME
    return escaped[: _LONGEST_NAME - 1] + _ELLIPSIS if is_cut else escaped


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: 1 bay, 2 bays."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def some(names: Sequence[str], most: int = 10) -> str:
    """List names, `most` of them at most, and tell how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _wrapped(line: str, indent: str, width: int | None) -> str:
    if width is None:
        return line
    # On a narrow terminal a column of two words would be harder to read than a line that it breaks itself.
    return textwrap.fill(line, max(width, len(indent) + 30), subsequent_indent=indent, break_on_hyphens=False)
