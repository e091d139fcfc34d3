"""A capture that is being written: whole members, each on the disk before its messages are acknowledged."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.faults import ConfigurationError
from simulators.captures.lines import Captured, Recording, header_line, message_line
from simulators.captures.members import make_member
from simulators.captures.reading import CaptureReader
from simulators.readers.records import ArchiveError

MEMBER_SIZE = 256 * 1024
"""Bytes of lines in a member, at most, but for a message that is larger. Larger ones compress no better."""
_MODE = 0o600
"""Captures may hold what homes say, and the ids of devices."""


class WriteError(Exception):
    """What was received cannot be written; the message says why."""


class CaptureFile:
    """The file, locked while it is open. `compressed` counts the bytes that were added to it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self.compressed = 0

    def append(self, messages: Iterable[Captured]) -> None:
        """Write messages, and return when they are on the disk. Raises WriteError."""
        try:
            self._write(make_member(content) for content in _contents(messages))
        except OSError as error:
            raise WriteError(
                f"{self._path}: cannot be written ({error.strerror}); the broker keeps what was not: make room, and go "
                "on with --append"
            ) from None

    def begin(self, recording: Recording) -> None:
        """Write the header of a recording. Raises OSError."""
        self._write([make_member(header_line(recording))])

    def close(self) -> None:
        """End; whoever waits for the file may have it."""
        os.close(self._descriptor)

    def _write(self, members: Iterable[bytes]) -> None:
        for member in members:
            rest = memoryview(member)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            # Before the next one is begun: after a crash, only the last can be spoilt.
            os.fsync(self._descriptor)
            self.compressed += len(member)


def create(path: Path, recording: Recording) -> CaptureFile:
    """Make a new capture. Raises ConfigurationError where there is a file or none can be made, else WriteError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, _MODE)
    except FileExistsError:
        raise ConfigurationError(f"{path} is there already: go on with it by --append, or name another file") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror})") from None
    file = _lock(path, descriptor)
    try:
        file.begin(recording)
        _sync_directory(path)
    except OSError as error:
        file.close()
        # Without its header it could be neither gone on with nor made again.
        path.unlink()
        raise WriteError(f"{path}: cannot be written ({error.strerror})") from None
    return file


def reopen(path: Path) -> tuple[CaptureFile, Recording, int]:
    """Open a capture to go on with it; give what was recorded, and how many bytes were cut off that a crash had torn.

    Raises ConfigurationError for what is no capture, or cannot be opened, WriteError where the disk is full.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    except OSError as error:
        raise ConfigurationError(f"--append: {path} cannot be written ({error.strerror})") from None
    file = _lock(path, descriptor)
    try:
        reader = CaptureReader(path)
        recording = reader.to_the_end()
        os.ftruncate(descriptor, reader.end)
        file.begin(recording)
    except ArchiveError as error:
        file.close()
        raise ConfigurationError(f"--append: {error}") from None
    except OSError as error:
        file.close()
        raise WriteError(f"{path}: cannot be written ({error.strerror})") from None
    return file, recording, reader.torn


def _lock(path: Path, descriptor: int) -> CaptureFile:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigurationError(f"{path}: another `arceaux record` writes to it") from None
    return CaptureFile(path, descriptor)


def _contents(messages: Iterable[Captured]) -> Iterator[bytes]:
    """Give the lines of messages, as many at once as a member takes."""
    lines: list[bytes] = []
    size = 0
    for message in messages:
        line = message_line(message)
        if lines and size + len(line) > MEMBER_SIZE:
            yield b"".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield b"".join(lines)


def _sync_directory(path: Path) -> None:
    """Make sure that the file is found after a crash."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
