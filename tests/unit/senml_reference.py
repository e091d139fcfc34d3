"""RFC 8428, section 4.6, record by record and as plainly as it can be said: what `processors.senml` is held against.

Written from the rules, not from the code it judges. With it, ways to draw packs and to write them in JSON and CBOR.
"""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import cbor2
from hypothesis import strategies as st

Record = dict[str, Any]

KEYS = {"bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6} | {
    label: key for key, label in enumerate(["n", "u", "v", "vs", "vb", "s", "t", "ut", "vd"])
}
"""The labels' integers in CBOR, table 4 of the RFC."""
FAULTY, CARRIER, REFUSED = "faulty", "carrier", "refused"
"""A record that breaks a rule; one of base fields only; one without a number to store."""


class Reading(NamedTuple):
    """A record with a number to store, resolved."""

    name: str
    unit: str | None
    value: float
    seconds: float
    is_relative: bool


Outcome = Reading | str


def _is_number(told: object) -> bool:
    if isinstance(told, bool) or not isinstance(told, int | float | Decimal):
        return False
    try:
        return math.isfinite(float(told))
    except OverflowError:
        return False


def _is_good(label: str, told: object) -> bool:
    """Tell whether a field may say so; what nothing rests on may say anything."""
    match label:
        case "bt" | "bv" | "t" | "v":
            return _is_number(told)
        case "bn" | "bu" | "n" | "u" | "vs":
            return isinstance(told, str)
        case "vb":
            return isinstance(told, bool)
        case "vd":
            return isinstance(told, str | bytes)
    return True


def resolve_pack(records: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Say what each record of a pack comes to."""
    base: Record = {}
    outcomes = []
    for record in records:
        for label in ("bn", "bt", "bu", "bv", "bs"):
            if label in record:
                base[label] = record[label]
        outcomes.append(_resolve(base, record))
    return outcomes


def _resolve(base: Record, record: Mapping[str, Any]) -> Outcome:
    if not all(_is_good(label, told) for label, told in (*base.items(), *record.items())):
        return FAULTY
    if all(label.startswith("b") for label in record):
        return CARRIER
    values = [label for label in ("v", "vs", "vb", "vd") if label in record]
    if len(values) > 1:
        return FAULTY
    if values in (["vs"], ["vd"]):
        return REFUSED
    if not values and "bv" not in base:
        return REFUSED if "s" in record or "bs" in base else FAULTY
    value = float(record["vb"]) if values == ["vb"] else float(record.get("v", 0)) + float(base.get("bv", 0))
    seconds = float(record.get("t", 0)) + float(base.get("bt", 0))
    name = base.get("bn", "") + record.get("n", "")
    unit = record.get("u", base.get("bu"))
    return Reading(name, unit, value, seconds, is_relative=seconds < 2**28)


_LARGEST = 10**300
"""Of what is written as a decimal fraction; beyond it are the numbers that are no floats."""
_WORDS = st.sampled_from(["", "a", "b/c", "urn:dev:x:", "temp"])
_NUMBERS = st.one_of(
    st.integers(-3, 60),
    st.floats(-1e9, 1e9),
    st.sampled_from([2**28 - 1, 2**28, 2**28 + 0.5, 1.5, 1_795_298_400, 1_795_298_400.25, 2**53 + 1, 10**19]),
)
_GOOD: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("bt", "t"), _NUMBERS | st.sampled_from([2**27, -(2**27)])),
    **dict.fromkeys(("bv", "v", "bs", "s", "ut"), _NUMBERS),
    **dict.fromkeys(("bn", "n"), _WORDS),
    **dict.fromkeys(("bu", "u"), st.sampled_from(["Cel", "K", "%RH", ""])),
    "vs": _WORDS,
    "vb": st.booleans(),
    "vd": st.sampled_from(["aGkgCg", ""]),
    "x": st.none(),
    "bx": st.just(1),
}
_FAULTY: st.SearchStrategy[Any] = st.sampled_from([None, [], {}, "1", True, 10**400, "", -(10**400)])
_LIKELY = ["n", "v", "v", "t", "bn", "bt", "bv"]


@st.composite
def records(draw: st.DrawFn, *, faulty: bool = True) -> Record:
    """Draw a record, mostly one that is right; base fields come and come again."""
    labels = draw(st.lists(st.sampled_from([*_LIKELY, *_GOOD]), max_size=5, unique=True))
    may_fail = faulty and draw(st.integers(0, 5)) == 0
    return {label: draw(_FAULTY if may_fail and draw(st.booleans()) else _GOOD[label]) for label in labels}


def packs(*, faulty: bool = True) -> st.SearchStrategy[list[Record]]:
    """Draw a pack."""
    return st.lists(records(faulty=faulty), min_size=1, max_size=8)


def to_json(pack: Sequence[Mapping[str, Any]]) -> bytes:
    """Write a pack in JSON."""
    return json.dumps(pack).encode()


@st.composite
def to_cbor(draw: st.DrawFn, pack: Sequence[Mapping[str, Any]]) -> bytes:
    """Write a pack in CBOR: numbers short or as decimal fractions, arrays with a length or without."""
    body = b""
    for record in pack:
        fields = {KEYS.get(label, label): _in_cbor(label, told) for label, told in record.items()}
        if draw(st.booleans()):
            fields = {key: _as_fraction(told) for key, told in fields.items()}
        body += cbor2.dumps(fields, canonical=draw(st.booleans()))
    if draw(st.booleans()):
        return b"\x9f" + body + b"\xff"
    head = bytes([0x80 + len(pack)])
    return draw(st.sampled_from([b"", b"\xd9\xd9\xf7"])) + head + body


def _in_cbor(label: str, told: object) -> object:
    if label == "vd" and isinstance(told, str):
        return told.encode()
    return told


def _as_fraction(told: object) -> object:
    if isinstance(told, bool) or not isinstance(told, int | float) or abs(told) > _LARGEST:
        return told
    return Decimal(repr(told))
