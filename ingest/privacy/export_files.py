"""Files of an export: written beside their place, for their owner alone, and put there when all are whole."""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Final

from ingest.errors import ArceauxError
from schemas.faults import ConfigurationError

_OWNER_ALONE: Final = 0o600
_ZIP: Final = ".zip"


class Written:
    """A file that is being written: what went into it so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """The digest of all that was written, in hexadecimal."""
        return self._digest.hexdigest()


OpenFile = Callable[[str], AbstractContextManager[Written]]
"""Opens a new file of the export, by its name."""


@contextmanager
def export_to(place: Path) -> Iterator[OpenFile]:
    """Make a directory, or one file where the name ends in .zip; what fails leaves nothing there.

    Raises ConfigurationError where the place is taken or cannot be.
    """
    if place.exists():
        raise ConfigurationError(f"--output: {place} is there already: name another place")
    try:
        with (_zip if place.suffix == _ZIP else _directory)(place) as open_file:
            yield open_file
    except OSError as error:
        raise ArceauxError(f"--output: {place} cannot be written ({error.strerror})") from None


@contextmanager
def _directory(place: Path) -> Iterator[OpenFile]:
    temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))

    @contextmanager
    def open_file(name: str) -> Iterator[Written]:
        descriptor = os.open(temporary / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ALONE)
        with os.fdopen(descriptor, "wb") as file:
            yield Written(file)
            file.flush()
            os.fsync(file.fileno())

    try:
        yield open_file
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _zip(place: Path) -> Iterator[OpenFile]:
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                yield lambda name: _member(archive, name)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(place)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[Written]:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = _OWNER_ALONE << 16
    with archive.open(entry, "w", force_zip64=True) as file:
        yield Written(file)
