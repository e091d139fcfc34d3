"""SenML packs (RFC 8428) in JSON and CBOR: from a payload to records, as they were written.

Everything that is wrong with a pack as one is a PackError. What records mean is told by processors/senml_columns.py.
"""

import codecs
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

import cbor2
from pydantic_core import from_json

from schemas.reasons import Reason

Record = Mapping[str, Any]

VERSION: Final = 10
_CBOR_LABELS: Final = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
_CBOR_DEPTH: Final = 16
_LARGEST_MANTISSA: Final = 2**1024
"""Of a decimal fraction: to make one of a hundred thousand digits takes seconds."""
_LARGEST_EXPONENT: Final = 1000
"""Likewise: beyond it any float is infinite, or 0."""
BASE_LABELS: Final = ("bver", "bn", "bt", "bu", "bv", "bs")


class PackError(ValueError):
    """A pack that cannot be used as a whole."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def parse(payload: bytes) -> list[Record]:
    """Give the records of a pack, labels as in JSON. The first byte tells JSON from CBOR.

    Raises PackError for broken syntax, what is no array of maps, a version that is not supported or not one, and a
    label ending in `_`, which must be understood (section 4.4) and is not.
    """
    records = _from_cbor(payload) if _is_cbor(payload) else load_json(payload)
    if not isinstance(records, list) or not records or set(map(type, records)) != {dict}:
        raise PackError(Reason.SCHEMA_VIOLATION, "expected an array of at least one SenML record")
    labels = set().union(*records)
    if any(isinstance(label, str) and label.endswith("_") for label in labels):
        raise PackError(Reason.SCHEMA_VIOLATION, "a label ends in _ and is not known, so the pack must not be used")
    if "bver" in labels:
        _check_version([record["bver"] for record in records if "bver" in record])
    return records


def excerpt(payload: bytes, number: int) -> bytes | None:
    """Give one record of a pack that parses as a pack of its own, with the base fields in force, in the same format.

    None for a record that cannot be written again, such as one that holds itself.
    """
    alone = _with_bases(payload)[number]
    try:
        if not _is_cbor(payload):
            fields = (f"{to_json(label)}:{to_json(value)}" for label, value in alone.items())
            return f"[{{{','.join(fields)}}}]".encode()
        back = {label: key for key, label in _CBOR_LABELS.items()}
        return cbor2.dumps([{back.get(label, label): value for label, value in alone.items()}])
    except (ValueError, cbor2.CBOREncodeError):
        return None


@lru_cache(maxsize=1)  # the faulty records of a pack are asked for one after the other
def _with_bases(payload: bytes) -> list[Record]:
    """Give the records of a pack, each with the base fields in force."""
    base: dict[str, Any] = {}
    whole: list[Record] = []
    for record in parse(payload):
        base |= {label: record[label] for label in BASE_LABELS if label in record}
        # In one order, so that the excerpt of an excerpt is the same text.
        whole.append({label: base[label] for label in BASE_LABELS if label in base} | dict(record))
    return whole


def to_json(value: object) -> str:
    """Write a value as JSON that is read again as the same; raise ValueError where it cannot be."""
    if isinstance(value, float) and abs(value) == float("inf"):
        return "1e999" if value > 0 else "-1e999"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _is_cbor(payload: bytes) -> bool:
    """Tell by the first byte: JSON begins in ASCII, or wrongly with a byte order mark."""
    return payload[:1] >= b"\x80" and not payload.startswith(codecs.BOM_UTF8)


def load_json(payload: bytes) -> Any:  # noqa: ANN401 - whatever the sender wrote
    """Give what JSON holds. Raises PackError where it is none."""
    try:
        return from_json(payload, allow_inf_nan=False)
    except ValueError as error:
        raise PackError(Reason.MALFORMED_PAYLOAD, f"not JSON: {_first_line(error)}") from None


def _from_cbor(payload: bytes) -> Any:  # noqa: ANN401 - as above
    stream = BytesIO(payload)
    try:
        records = cbor2.load(stream, max_depth=_CBOR_DEPTH, semantic_decoders=_CBOR_TAGS)
    except Exception as error:  # noqa: BLE001 - whatever a decoder may meet
        raise PackError(Reason.MALFORMED_PAYLOAD, f"not CBOR: {_first_line(error)}") from None
    if stream.tell() != len(payload):
        raise PackError(Reason.MALFORMED_PAYLOAD, "not CBOR: bytes after its end")
    if not isinstance(records, list):
        return records
    return [
        {_CBOR_LABELS.get(label, label): value for label, value in record.items()}
        if isinstance(record, dict)
        else record
        for record in records
    ]


def _untagged(value: object, _is_immutable: bool) -> object:
    return value


def _decimal_fraction(value: object, _is_immutable: bool) -> object:
    match value:
        case (int(exponent), int(mantissa)) if abs(mantissa) < _LARGEST_MANTISSA:
            return Decimal(mantissa).scaleb(max(-_LARGEST_EXPONENT, min(exponent, _LARGEST_EXPONENT)))
    return value


_CBOR_TAGS: Final[Mapping[int, Callable[[Any, bool], object]]] = {
    # Of all tags SenML uses the decimal fraction alone. What else is tagged, a date, an expression, a reference to
    # itself, is taken as it stands: no payload shall choose what reads it.
    **dict.fromkeys((0, 1, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000), _untagged),
    4: _decimal_fraction,
    55799: _untagged,
}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _check_version(versions: list[object]) -> None:
    if any(type(version) is not int or not 0 < version <= VERSION for version in versions):
        raise PackError(Reason.SCHEMA_VIOLATION, f"bver: expected a version up to {VERSION}")
    if len(set(versions)) > 1:
        raise PackError(Reason.SCHEMA_VIOLATION, "bver: expected one version in all records")
