"""Where values stand in a JSON text, so that one can be replaced and every other byte stays as it is. No I/O.

Texts have to be JSON: whoever calls has parsed them.
"""

import re
from collections.abc import Iterator, Mapping
from json import JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]  # what JSONDecoder itself reads strings with
from typing import Any, NamedTuple

EACH = "*"
"""In `Wanted`, every element of an array."""
Wanted = Mapping[str, "Wanted | None"]
"""Which values are wanted, by the path to them: None marks one."""
_DECODER = JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")


class Place(NamedTuple):
    """A value, and where its text begins and ends."""

    begin: int
    end: int
    value: Any


def places(text: str, wanted: Wanted, at: int = 0) -> Iterator[Place]:
    """Give the wanted values of the value that begins at `at`, in their order; what is not there is left out."""
    at = _skip(text, at)
    for key, place in _children(text, at):
        inner = wanted.get(key, ())
        if inner is None:
            yield place
        elif inner and isinstance(place.value, dict | list):
            yield from places(text, inner, place.begin)


def elements(text: str) -> Iterator[Place]:
    """Give the elements of a text that is an array."""
    return (place for _, place in _children(text, _skip(text, 0)))


def _children(text: str, at: int) -> Iterator[tuple[str, Place]]:
    if text[at] == "{":
        return _members(text, at)
    return _elements(text, at) if text[at] == "[" else iter(())


def _members(text: str, at: int) -> Iterator[tuple[str, Place]]:
    at = _skip(text, at + 1)
    while text[at] == '"':
        key, at = scanstring(text, at + 1)
        begin = _skip(text, _skip(text, at) + 1)  # past the colon
        value, end = _DECODER.raw_decode(text, begin)
        yield key, Place(begin, end, value)
        at = _skip(text, end)
        if text[at] == "}":
            return
        at = _skip(text, at + 1)


def _elements(text: str, at: int) -> Iterator[tuple[str, Place]]:
    at = _skip(text, at + 1)
    while text[at] != "]":
        value, end = _DECODER.raw_decode(text, at)
        yield EACH, Place(at, end, value)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return at if blank is None else blank.end()
