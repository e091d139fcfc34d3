"""What the documentation says of homes, held against the code by reading both."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import cbor2
import pytest
from unit.households import Household, paused
from unit.pages import ROOT, names, page, plain, section, table
from unit.worlds import GATE, KEY, deliver

from processors import senml
from processors.dead_letters import dead_letters
from processors.decode import Decoded
from processors.gate import Pause
from processors.privacy import pseudonym
from processors.properties import PROPERTIES
from processors.times import to_datetime
from schemas.live import DistrictFigure, DistrictSuppressed
from schemas.reasons import Reason
from schemas.registry import load_registry
from schemas.units import KINDS, POOLED, Scale, scale

DISTRICT = "### `{root}/live/dwellings/{district}`"
ARRIVED = 1_795_298_405_000_000
"""2026-11-21T22:00:05Z, when the examples arrive."""


def city() -> Household:
    """Give the homes of the registry that ships."""
    registry = load_registry(ROOT / "deploy/registry.toml")
    return Household([home.model_dump() for home in registry.dwelling])


def part(name: str, heading: str) -> str:
    """Give what stands under a heading, without the headings below it."""
    return re.split(r"^#", section(page(name), heading), maxsplit=1, flags=re.MULTILINE)[0]


def test_every_label_of_senml_is_told_with_its_number() -> None:
    """A record with the number that the page tells is read as one with the label."""
    told = {plain(label): int(number) for label, number, _ in table(part("formats.md", "## SenML"))}
    assert len(set(told.values())) == len(told) == 15
    for label, number in told.items():
        assert senml.parse(cbor2.dumps([{number: 10}])) == [{label: 10}]


def secondary_units() -> set[str]:
    """Give every unit that comes to another one."""
    code = ast.parse((ROOT / "schemas/units.py").read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if scale(text) != Scale(text)}


def test_every_unit_that_is_converted_is_told() -> None:
    """The table of units is the code's: what each one comes to, or what is taken off."""
    told = {}
    for primary, units in table(section(page("formats.md"), "### Units")):
        for unit, offset, factor in re.findall(r"`([^`]+)` \((- )?([\d./]+)\)", units):
            numerator, _, denominator = factor.partition("/")
            number = float(Fraction(numerator) / Fraction(denominator or "1"))
            told[unit] = Scale(plain(primary), 1.0, -number) if offset else Scale(plain(primary), number)
    assert set(told) == secondary_units()
    for unit, expected in told.items():
        found = scale(unit)
        assert (found.primary, found.offset) == (expected.primary, expected.offset)
        assert found.factor == pytest.approx(expected.factor)


@pytest.mark.parametrize(
    "heading", ["### What rejects a pack", "### What becomes of a record", "### What becomes of an attribute"]
)
def test_what_is_not_stored_has_a_reason(heading: str) -> None:
    """Whatever the tables say becomes of something is a reason, or `refused`."""
    found = {name for row in table(part("formats.md", heading)) for name in names(row[-1])}
    assert found
    assert found <= {*Reason, "refused", "duplicate"}


def test_every_attribute_that_is_stored_is_told() -> None:
    """The table is the code's: of every reading its unit, and the names it goes by, the best first."""
    told: dict[str, tuple[str, str]] = {}
    for reading, unit, attributes in table(part("formats.md", "### What devices measure")):
        told |= {name: (plain(reading), "" if unit.startswith("none") else plain(unit)) for name in names(attributes)}
    assert told == {name: (found.name, found.unit) for name, found in PROPERTIES.items()}
    order = [name for name in PROPERTIES if name in told]
    for row in table(part("formats.md", "### What devices measure")):
        assert names(row[-1]) == sorted(names(row[-1]), key=order.index)


def test_every_word_that_stands_for_a_number_is_told() -> None:
    """The sentence about states names them."""
    (sentence,) = re.findall(r"these are known: (.*?)motion\.", page("formats.md"), re.DOTALL)
    assert set(names(sentence)) == {word for found in PROPERTIES.values() for word in found.words}


def examples(name: str, heading: str, *, columns: int) -> list[tuple[str, ...]]:
    """Give the worked examples under a heading, the rows of so many columns."""
    return [tuple(row) for row in table(part(name, heading)) if len(row) == columns]


def outcomes(told: str) -> Iterator[tuple[str, ...]]:
    """Take the words of an example apart: readings, reasons and refusals, in order."""
    reading = r"`(?P<name>[^`]+)` (?P<value>[\d.]+)(?: `(?P<unit>[^`]+)`)? at (?P<time>[\d:.]+)"
    for entry in told.split("; "):
        if found := re.search(reading, entry):
            yield (found["name"], found["value"], found["unit"] or "", found["time"])
        elif found := re.search(r"dead letter, `(\w+)`", entry):
            yield (found[1],)
        else:
            assert entry == "refused", entry
            yield ("refused",)


def worked_examples() -> Iterator[tuple[str, ...]]:
    """Give topic, payload and outcome of every worked example of what a home sends."""
    for topic, heading in (("senml", "### Examples of packs"), ("zigbee2mqtt/plug", "### Examples of states")):
        for payload, told in examples("formats.md", heading, columns=2):
            yield (topic, payload, told)


@pytest.mark.parametrize(("topic", "payload", "told"), [*worked_examples()])
def test_what_homes_send_becomes_what_is_told(topic: str, payload: str, told: str) -> None:
    """Every worked example, decoded with the registry that ships, comes to what the page says."""
    homes = city()
    message = deliver(f"city/dwellings/hut-01/{topic}", payload.strip("`").encode(), received_at=ARRIVED)
    assert_outcomes(homes, homes.decode(message), told)


def assert_outcomes(homes: Household, decoded: Decoded, told: str) -> None:
    """Check that a batch came to the readings, reasons and refusals that an example tells."""
    readings = iter(homes.stored(decoded))
    reasons = iter(reject.reason for reject in decoded.rejects)
    refused = 0
    for outcome in outcomes(told):
        if len(outcome) == 1 and outcome[0] == "refused":
            refused += 1
        elif len(outcome) == 1:
            assert next(reasons) == outcome[0]
        else:
            stored = next(readings)
            clock = to_datetime(stored.time).time().isoformat()
            assert (stored.name, stored.unit) == (outcome[0], outcome[2])
            assert stored.value == pytest.approx(float(outcome[1]))
            assert clock.rstrip("0" if "." in clock else "") == outcome[3]
    assert (list(readings), list(reasons), decoded.refused.total()) == ([], [], refused)


@pytest.mark.parametrize(("payload", "told"), examples("formats.md", "## The red button", columns=2))
@pytest.mark.parametrize("was_paused", [False, True])
def test_presses_do_what_is_told(payload: str, told: str, was_paused: bool) -> None:
    """Every payload in the table begins a pause, ends it, does nothing or is rejected, as the page says."""
    homes = city()
    home = homes.pseudonym("hut-01")
    body = b"" if payload == "(empty)" else payload.strip("`").encode()
    press = deliver("city/dwellings/hut-01/pause", body, received_at=ARRIVED)
    decoded = homes.decode(press, gate=paused(home, Pause(ARRIVED - 1)) if was_paused else GATE)
    letters = dead_letters(decoded.rejects, [press], homes.layout)
    assert [(letter.reason, letter.payload) for letter in letters] == [(name, None) for name in names(told)]
    is_paused = told == "begins a pause" or (was_paused and told != "ends the pause")
    assert decoded.homes.gate.is_paused(home) == is_paused


@pytest.mark.parametrize(
    ("topic", "payload", "kept", "body"), examples("privacy.md", "## What dead letters keep", columns=4)
)
def test_dead_letters_keep_what_is_told(topic: str, payload: str, kept: str, body: str) -> None:
    """Every worked example leaves the topic and the payload that the page says, pseudonyms for ids."""
    homes = city()
    message = deliver(f"city/dwellings/{topic.strip('`')}", payload.strip("`").encode(), received_at=ARRIVED)
    (letter,) = dead_letters(homes.decode(message).rejects, [message], homes.layout)

    def named(cell: str) -> str:
        return re.sub(r"\{([\w-]+)\}", lambda found: homes.pseudonym(found[1]), cell.strip("`"))

    assert letter.topic == f"city/dwellings/{named(kept)}"
    assert letter.payload == (None if body == "no" else named(body).encode())


def test_the_row_of_a_home_is_found_as_told(tmp_path: Path) -> None:
    """The lines that a reader copies give the pseudonym."""
    (program,) = re.findall(r"python -c '(.*?)' /etc", page("privacy.md"), re.DOTALL)
    key = tmp_path / "key"
    key.write_bytes(KEY + b"\n")
    command = [sys.executable, "-c", program, str(key), "hut-01"]
    found = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert found.strip() == pseudonym(KEY, "hut-01")


def test_every_pooled_kind_is_told() -> None:
    """How it is pooled, in which unit, and to which step it is rounded."""
    rows = table(section(page("pooled.md"), "## The rule"))
    told = {kind: (how, unit, Decimal(step)) for kind, how, unit, step in (map(plain, row) for row in rows)}
    assert told == {kind: (how, KINDS[kind].unit, step) for kind, (how, step) in POOLED.items()}


@pytest.mark.parametrize(("name", "heading"), [("pooled.md", "## The figure"), ("formats.md", DISTRICT)])
def test_payloads_of_districts_are_what_is_shown(name: str, heading: str) -> None:
    """Both the figure and the notice, key by key, in this order."""
    figure, notice = re.findall(r"^```json\n(.*?)^```", section(page(name), heading), re.MULTILINE | re.DOTALL)
    for shown, model in ((figure, DistrictFigure), (notice, DistrictSuppressed)):
        written = json.loads(model.model_validate_json(shown).payload())
        assert json.dumps(written) == json.dumps(json.loads(shown))
