"""The readers of archives, by name: each gives the records of one kind of file, and what it had to skip."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from schemas.faults import ConfigurationError
from simulators.readers import appliances, ngsi, polls, xml_feed
from simulators.readers.records import Read


class Reader(NamedTuple):
    """How an archive is read, and what its files end in."""

    read: Read
    suffix: str


HOME = "appliances"
CAPTURE, TABLE = "capture", "csv"
"""Read in ways of their own: captures a piece at a time, tables as the command line says."""
CAPTURE_SUFFIX = ".gz"
READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "polls": Reader(polls.read, polls.SUFFIX),
        "xml": Reader(xml_feed.read, xml_feed.SUFFIX),
        "ngsi": Reader(ngsi.read, ngsi.SUFFIX),
        HOME: Reader(appliances.read, appliances.SUFFIX),
    }
)
_SUFFIXES = {name: reader.suffix for name, reader in READERS.items()} | {CAPTURE: CAPTURE_SUFFIX}
_NAMES = ", ".join((*READERS, CAPTURE, TABLE))


def choose(path: Path, name: str | None) -> str:
    """Give the name of an archive's reader: the one that is told, else the one that its files ask for.

    Raises ConfigurationError for a file that is not there, a reader that is none, and where nothing is told and the
    files end in what no reader reads, or in what several do.
    """
    if name is not None and name not in (*READERS, CAPTURE, TABLE):
        raise ConfigurationError(f"--reader: {name!r} is none of {_NAMES}")
    try:
        path.stat()
        suffixes = {file.suffix.lower() for file in (path.iterdir() if path.is_dir() else [path])}
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from None
    if name is not None:
        return name
    guesses = [known for known, suffix in _SUFFIXES.items() if suffix in suffixes]
    if len(guesses) != 1:
        raise ConfigurationError(f"{path}: cannot tell what it is; name its reader, --reader with one of {_NAMES}")
    return guesses[0]
