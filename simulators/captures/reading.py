"""Reading a capture: its messages one by one, without holding more of it than a member."""

from collections.abc import Iterator
from pathlib import Path

from simulators.captures.lines import Captured, LineError, Recording, read_line
from simulators.captures.members import DamagedError, Members
from simulators.readers.records import ArchiveError


class CaptureReader:
    """A capture that is read from its begin. `end` and `torn` are those of `Members`, `recording` its newest header."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.recording: Recording | None = None
        self.end = 0
        self.torn = 0

    def __iter__(self) -> Iterator[Captured]:
        """Give the messages as they stand. Raises ArchiveError for what is no capture, or a damaged one."""
        try:
            with self._path.open("rb") as file:
                yield from self._messages(Members(file))
        except OSError as error:
            raise ArchiveError(f"{self._path}: cannot be read ({error.strerror})") from None
        except DamagedError as error:
            raise ArchiveError(f"{self._path}: {error}") from None

    def to_the_end(self) -> Recording:
        """Read all of it, and give its newest header. Raises as iterating does."""
        for _ in self:
            pass
        return self._header()

    def _messages(self, members: Members) -> Iterator[Captured]:
        for number, line in enumerate(self._lines(members), 1):
            message = self._read(line, number)
            if message is not None:
                yield message
        self.torn = members.torn
        self._header()

    def _header(self) -> Recording:
        if self.recording is None:
            raise ArchiveError(f"{self._path}: no capture; `arceaux record` writes one")
        return self.recording

    def _lines(self, members: Members) -> Iterator[bytes]:
        for content in members:
            yield from content.removesuffix(b"\n").split(b"\n")
            self.end = members.end

    def _read(self, line: bytes, number: int) -> Captured | None:
        try:
            read = read_line(line)
        except LineError as error:
            raise ArchiveError(f"{self._path}:{number}: {error}") from None
        if isinstance(read, Recording):
            self.recording = read
            return None
        if self.recording is None:
            raise ArchiveError(f"{self._path}: no capture: its first line is no header")
        return read
