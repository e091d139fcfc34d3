"""What simulated homes say, on real parts: every fact that they issue is stored as it was issued, and nothing else."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.homes import KEY
from harness.judge import ledger
from harness.service import Service, run_command
from harness.waiting import eventually

from processors.privacy import pseudonym
from schemas.registry import load_registry
from schemas.settings import BrokerAddress
from schemas.topics import Topics
from simulators.dwellings.model import homes
from simulators.fleet import ARRIVAL, Fleet, to_the_millisecond
from simulators.runs.pace import Issued, Pace, issue
from simulators.sending.sender import Sender

pytestmark = pytest.mark.one_server

HOURS = 2
SPEAKING = (0, 1, 2, 7)
"""Homes by turn: a gateway alone; a zigbee2mqtt that tells times; no consent; one that tells none, and CBOR."""
HOME = """
[[dwelling]]
id = "flat-{turn}"
district = "antigone"
consent = {consent}
"""
LISTED = """sensor = [{ name = "meter/energy", kind = "energy", unit = "Wh" }]
"""
STORED = """
SELECT pseudonym, name, (extract(epoch FROM time) * 1000000)::bigint, value
FROM dwelling_reading JOIN sensor ON sensor.id = sensor_id JOIN dwelling ON dwelling.id = dwelling_id ORDER BY time
"""


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add eight homes to the small registry."""
    text = [HOME.format(turn=turn, consent=str(turn != SPEAKING[2]).lower()) for turn in range(8)]
    text[0] += LISTED
    registry_path.write_text(registry_path.read_text(encoding="utf-8") + "".join(text), encoding="utf-8")
    return registry_path


async def stored(ask: Callable[..., Any]) -> tuple[Counter[tuple[str, int, float]], dict[str, list[float]]]:
    """Give what is stored as facts, and as the values of each source in order."""
    ids = {pseudonym(KEY, f"flat-{turn}"): f"dwellings/flat-{turn}" for turn in range(8)}
    rows = [(f"{ids[home]}/{name}", int(time), float(value)) for home, name, time, value in await ask(STORED)]
    values = defaultdict(list)
    for source, _, value in rows:
        values[source].append(value)
    return Counter(rows), values


def without_consent(message: Issued) -> bool:
    """Tell a message of the home that does not consent."""
    return message.topic.startswith(f"city/dwellings/flat-{SPEAKING[2]}/")


async def assert_stored(ask: Callable[..., Any], issued: Sequence[Issued]) -> None:
    """Compare both."""
    facts = [fact for message in issued if not without_consent(message) for fact in message.facts]
    rows, values = await stored(ask)
    timed = Counter((fact.source, fact.time, fact.values[0]) for fact in facts if fact.time != ARRIVAL)
    untimed = defaultdict(list)
    for fact in facts:
        if fact.time == ARRIVAL:
            untimed[fact.source].append(fact.values[0])
    assert len(untimed) > 20
    assert len(timed) > 1000 * HOURS
    assert {source: values[source] for source in untimed} == untimed
    assert Counter({row: count for row, count in rows.items() if row[0] not in untimed}) == timed


async def test_every_fact_is_stored_as_it_was_issued(
    running: Service, broker: Mosquitto, registry_path: Path, ask: Callable[..., Any]
) -> None:
    """Some hours of four homes, sent at once: no dead letter, nothing lost, doubled or altered."""
    begin = to_the_millisecond(datetime.now(UTC) - timedelta(hours=HOURS, minutes=1))
    devices = homes(load_registry(registry_path), Topics("city"), 1, begin)
    fleet = Fleet([devices[turn] for turn in SPEAKING])
    issued = list(issue(fleet, Pace(begin, speed=None), timedelta(hours=HOURS)))
    await Sender(BrokerAddress(broker.url), "simulator").run(iter(issued))
    sums = await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= len(issued))
    assert sums["dead_lettered"] == 0
    assert sums["refused"] > sum(map(without_consent, issued)) > HOURS * 12
    await assert_stored(ask, issued)
    assert (await run_command("audit", settings=running.settings)).returncode == 0
