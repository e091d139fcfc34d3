"""The list of erased homes that is kept apart from the database, so that a restored backup does not bring one back.

One line an event, only ever appended: a moment, `erased` or `readmitted`, and the mark of a home in hexadecimal.
"""

import fcntl
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

from schemas.faults import ConfigurationError
from schemas.settings import Settings

_NAME: Final = "ARCEAUX_ERASED_FILE"
_EVENTS: Final = ("erased", "readmitted")
_LINE: Final = re.compile(rb"(\S+) (erased|readmitted) ([0-9a-f]{64})")


class Standing(NamedTuple):
    """When a home was erased last and when it was readmitted last, None for never, as far as it is known."""

    erased_at: datetime | None = None
    readmitted_at: datetime | None = None

    @property
    def is_erased(self) -> bool:
        """Tell whether the erasure counts: it is the later one, or both are of one moment."""
        return self.erased_at is not None and self.latest == self.erased_at

    @property
    def latest(self) -> datetime | None:
        """The moment of the newest event."""
        return max((moment for moment in self if moment is not None), default=None)

    def joined(self, other: Self) -> Self:
        """Give the newest of both."""
        return type(self)(*(_later(*moments) for moments in zip(self, other, strict=True)))

    def news(self, known: Self) -> Self:
        """Give what of this is later than what is known, None for the rest."""
        pairs = zip(self, known, strict=True)
        return type(self)(*(None if _later(mine, theirs) == theirs else mine for mine, theirs in pairs))


NEVER_ERASED: Final = Standing()


Standings = Mapping[bytes, Standing]


class ErasedFile:
    """The file; absent until the first event."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Give the file that the settings name, if any."""
        return cls(settings.erased_file) if settings.erased_file else None

    def read(self) -> Standings:
        """Give the standing of every mark. Raises ConfigurationError for a file that cannot be read or is another."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigurationError(f"{_NAME}: {self._path} cannot be read ({error.strerror})") from None
        found: dict[bytes, Standing] = {}
        # What stands behind the last line end was cut off while it was written: its command did not go on.
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):
            mark, standing = self._parse(number, line)
            found[mark] = standing.joined(found.get(mark, NEVER_ERASED))
        return found

    def append(self, new: Standings) -> None:
        """Add events, on disk when this returns. Raises ConfigurationError where that cannot be done."""
        lines = [
            f"{at.isoformat()} {event} {mark.hex()}\n"
            for mark, standing in new.items()
            for event, at in zip(_EVENTS, standing, strict=True)
            if at is not None
        ]
        try:
            self._write("".join(lines).encode())
        except OSError as error:
            raise ConfigurationError(f"{_NAME}: {self._path} cannot be written ({error.strerror})") from None

    def _write(self, lines: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            content = file.read()
            file.seek(content.rfind(b"\n") + 1)
            file.truncate()
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _parse(self, number: int, line: bytes) -> tuple[bytes, Standing]:
        try:
            if match := _LINE.fullmatch(line):
                at, event, mark = match.groups()
                moment = datetime.fromisoformat(at.decode())
                if moment.tzinfo is not None:
                    return bytes.fromhex(mark.decode()), Standing(**{f"{event.decode()}_at": moment})
        except ValueError:
            pass  # no moment; said below
        raise ConfigurationError(
            f"{_NAME}: {self._path}: line {number}: expected a time, `erased` or `readmitted`, and a mark; "
            "restore the file from its copy"
        )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)
