"""The examples of RFC 8428, as published beside their resolved forms."""

import json
from typing import Any, NamedTuple

import numpy as np
import pytest
from harness.archives import archive

from processors import senml, senml_columns
from schemas.reasons import Reason

ARRIVED = {1: 1_498_780_179, 2: 1_498_780_179, 7: 1_499_109_309, 9: 1_498_780_179}
"""The clock of whoever resolved the examples that hold no time of their own, in seconds."""
LATER = 1_795_298_400
"""Any other arrival: the times of the other examples do not depend on it."""
BYTE_FORMS = [*((number, "json") for number in range(1, 14)), (3, "cbor"), (5, "cbor")]


class Resolved(NamedTuple):
    """A record as its resolved form has it: time in microseconds, and no value where it is no number."""

    name: str
    unit: str | None
    time: int
    value: float | None


def published(number: int) -> list[Resolved]:
    """Give the resolved form of an example, mended where its README says that it is wrong."""
    if number == 13:
        return [
            Resolved("2001:db8::3", "/", 1_320_078_429_000_000, 0.5),
            Resolved("2001:db8::4", "/", 1_320_078_429_000_000, 0.5),
            Resolved("2001:db8::3", "/", 1_320_078_429_100_000, 0),
            Resolved("2001:db8::4", "/", 1_320_078_429_100_000, 0),
        ]
    records = json.loads(archive(f"senml/ex{number}.gen.resolved.json").read_bytes())
    resolved = [_published_record(record) for record in records]
    if number == 7:
        resolved.append(Resolved("urn:dev:ow:10e2073a01080063:nfv-reader", None, ARRIVED[7] * 1_000_000, None))
    return resolved


def _published_record(record: dict[str, Any]) -> Resolved:
    value = record.get("v", record.get("vb"))
    time = round(record["t"] * 1_000_000)
    return Resolved(record["n"], record.get("u"), time, None if value is None else float(value))


def resolve(payload: bytes, arrived: int) -> list[Resolved]:
    """Resolve a pack; carriers are no records of the resolved form."""
    found = senml_columns.resolve([senml.parse(payload)])
    assert not found.faults
    size = len(found.pack)
    times = senml_columns.to_micros(found, np.full(size, arrived * 1_000_000))
    texts = (found.base_names, found.names, found.base_units, found.units)
    base_names, names, base_units, units = (column or [None] * size for column in texts)
    return [
        Resolved(
            (base_names[index] or "") + (names[index] or ""),
            units[index] or base_units[index],
            int(times[index]),
            float(found.value[index]) if found.is_stored[index] else None,
        )
        for index in range(size)
        if not found.is_carrier[index]
    ]


@pytest.mark.parametrize(("number", "form"), BYTE_FORMS)
def test_an_example_resolves_to_its_published_form(number: int, form: str) -> None:
    """Names, units, values and absolute times are those of the resolved form, whichever the format."""
    name = f"senml/ex{number}.gen.{form}" if form == "cbor" else f"senml/ex{number}.{form}"
    assert resolve(archive(name).read_bytes(), ARRIVED.get(number, LATER)) == published(number)


@pytest.mark.parametrize("number", range(1, 14))
def test_an_example_means_the_same_without_its_blanks(number: int) -> None:
    """The examples as they stand in the text, and as they were generated, are the same packs."""
    published, generated = (archive(f"senml/ex{number}.{form}").read_bytes() for form in ("json", "gen.json"))
    assert resolve(published, LATER) == resolve(generated, LATER)


def test_the_long_and_the_short_form_are_one() -> None:
    """Examples 10 and 11 tell the same, with and without a base name."""
    long, short = (archive(f"senml/ex{number}.json").read_bytes() for number in (10, 11))
    assert resolve(long, LATER) == resolve(short, LATER)


def test_a_resolved_form_is_a_pack_that_resolves_to_itself() -> None:
    """Nothing is left to be folded in."""
    payload = archive("senml/ex5.gen.resolved.json").read_bytes()
    assert resolve(payload, LATER) == published(5)


def test_an_example_cut_short_is_malformed() -> None:
    """A pack that ends anywhere before its end is no pack, in either format."""
    for name in ("senml/ex4.json", "senml/ex3.gen.cbor"):
        payload = archive(name).read_bytes().rstrip()
        for end in range(1, len(payload)):
            with pytest.raises(senml.PackError) as caught:
                senml.parse(payload[:end])
            assert caught.value.reason is Reason.MALFORMED_PAYLOAD
