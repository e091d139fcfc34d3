"""What the documentation says of uplinks, held against the code by reading both."""

import json
import re

import pytest
from unit.lorawan import BAY, FRIDGE, from_chirpstack
from unit.pages import ROOT, page, section, table
from unit.test_docs_homes import ARRIVED, assert_outcomes, city
from unit.worlds import GATE, LIMITS, NO_GAP, layout_of

from processors.decode import decode
from processors.times import to_datetime
from schemas.delivery import Delivery
from schemas.registry import load_registry

TIME = "2026-11-21T22:00:00.123456789+00:00"


def examples(heading: str) -> list[tuple[str, str]]:
    """Give the worked examples under a heading: decoded fields, and what becomes of them."""
    return [(row[0].strip("`"), row[1]) for row in table(section(page("formats.md"), heading))]


def uplink(fields: str, eui: str) -> Delivery:
    """Give the uplink of an example."""
    body = {"time": TIME, "devAddr": "01a2b3c4", "fCnt": 17, "data": "gAc=", "object": json.loads(fields)}
    return from_chirpstack(body, eui=eui, received_at=ARRIVED)


@pytest.mark.parametrize(("fields", "told"), examples("### Examples of uplinks of bays"))
def test_uplinks_of_bays_become_what_is_told(fields: str, told: str) -> None:
    """Every worked example, decoded with the registry that ships, is stored, refused or rejected as the page says."""
    layout = layout_of(load_registry(ROOT / "deploy/registry.toml"))
    decoded = decode([uplink(fields, BAY)], layout, LIMITS, GATE, NO_GAP)
    if reason := re.fullmatch(r"dead letter, `(\w+)`", told):
        assert [reject.reason for reject in decoded.rejects] == [reason[1]]
    elif told == "refused":
        assert (len(decoded.events), decoded.rejects, decoded.refused.total()) == (0, (), 1)
    else:
        state, clock, volts = re.fullmatch(r"(occupied|free) at ([\d:.]+)(?:, ([\d.]+) V)?", told).groups()  # type: ignore[union-attr] # else the page is wrong
        (event,) = decoded.events
        assert (event["occupied"], to_datetime(int(event["time"])).time().isoformat()) == (state == "occupied", clock)
        assert event["battery"] == pytest.approx(float(volts or "nan"), nan_ok=True)


@pytest.mark.parametrize(("fields", "told"), examples("### Examples of uplinks of rooms"))
def test_uplinks_of_rooms_become_what_is_told(fields: str, told: str) -> None:
    """Every worked example, decoded with the registry that ships, comes to what the page says."""
    homes = city()
    assert_outcomes(homes, homes.decode(uplink(fields, FRIDGE)), told)


def test_every_kind_of_message_of_a_bay_is_told() -> None:
    """Whatever the table says becomes of something is a state, a reason or a refusal."""
    rows = [row for row in table(section(page("formats.md"), "### Uplinks of bays")) if len(row) == 3]
    assert len(rows) > 5
    assert {row[2].split(";")[0] for row in rows} == {"the state", "`refused`", "dead letter, `schema_violation`"}
