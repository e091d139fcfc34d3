"""Answers of the old XML feed: one car park each, its time local and without an offset."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from zoneinfo import ZoneInfo

from simulators.readers.parsing import content_of, files_of, time_of, whole_number
from simulators.readers.records import ArchiveError, Count, Skipped

SUFFIX = ".xml"
_ZONE = ZoneInfo("Europe/Paris")


class _DocumentTypeError(Exception):
    """The document declares a type, and with it may declare entities."""


def read(path: Path) -> Iterator[Count | Skipped]:
    """Read one answer, or a directory of them. An answer with a document type is refused with an ArchiveError."""
    for file in files_of(path, SUFFIX):
        try:
            yield _count(_parse(content_of(file)))
        except _DocumentTypeError:
            raise ArchiveError(f"{file}: has a DOCTYPE, which the feed never had; entities are not expanded") from None
        except ValueError as error:
            yield Skipped(file.name, str(error))


def _parse(content: bytes) -> Element:
    """Parse a document; one that could declare entities is refused before the first of them is read."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)  # noqa: FBT003 - the whole document; takes no names
    except expat.ExpatError as error:
        raise ValueError(f"no well-formed XML: {error}") from None
    return builder.close()


def _refuse(*_: object) -> NoReturn:
    raise _DocumentTypeError


def _count(answer: Element) -> Count:
    status = _text(answer, "Status")
    total = _text(answer, "Total")
    return Count(
        time_of(_needed(answer, "DateTime"), _ZONE),
        _needed(answer, "Name"),
        whole_number(_needed(answer, "Free")),
        whole_number(total) if total else None,
        status or None,
    )


def _needed(answer: Element, name: str) -> str:
    text = _text(answer, name)
    if not text:
        raise ValueError(f"no {name} in it")
    return text


def _text(answer: Element, name: str) -> str:
    return (answer.findtext(name) or "").strip()
