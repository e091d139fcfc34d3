"""The parking fleet on real parts: what it says is what is stored."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.judge import ledger
from harness.lorawan_bays import registry_text
from harness.service import Service
from harness.waiting import eventually

from schemas.registry import load_registry
from schemas.settings import BrokerAddress
from schemas.topics import Route, Topics
from simulators.fleet import Fact
from simulators.runs.simulate import make_plan
from simulators.runs.stream import stream
from simulators.sending.sender import Sender

pytestmark = pytest.mark.one_server

HOURS = timedelta(hours=3)
STORED = """
SELECT 'parking/' || code || '/' || label, (extract(epoch FROM time) * 1000000)::bigint, occupied::int, NULL, NULL
FROM parking_event JOIN spot ON spot.id = spot_id JOIN car_park ON car_park.id = car_park_id
UNION ALL
SELECT 'parking/' || code, (extract(epoch FROM time) * 1000000)::bigint, free, total, status
FROM parking_count JOIN car_park ON car_park.id = car_park_id
"""


@pytest.fixture
def registry_path(tmp_path: Path) -> Path:
    """Write the registry that ships, with more bays that speak by LoRaWAN, at either network server."""
    path = tmp_path / "registry.toml"
    path.write_text(registry_text(), encoding="utf-8")
    return path


async def stored(ask: Callable[..., Any]) -> Counter[Fact]:
    """Give what the tables hold, as facts."""
    rows = await ask(STORED)
    return Counter(
        Fact(source, time, tuple(value for value in values if value is not None)) for source, time, *values in rows
    )


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
async def test_every_fact_of_the_fleet_is_stored_once(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path, seed: int
) -> None:
    """Three hours of the city's bays and counters, in the forms of all makers, are stored as they were meant."""
    registry = load_registry(registry_path)
    now = datetime.now(UTC)
    plan = make_plan("parking", registry_path, "city", seed=seed, rate="max", duration=HOURS, now=now)
    issued = list(stream(plan, registry))
    routes = {Topics("city").parse(one.topic).route for one in issued}
    assert routes == {Route.SPOT, Route.COUNT, Route.CHIRPSTACK, Route.TTS}
    facts = Counter(fact for one in issued for fact in one.facts)

    sender = Sender(BrokerAddress(broker.url), "simulator")
    await sender.run(issued)
    assert sender.traffic.acknowledged == len(issued)
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= len(issued))

    assert max(facts.values()) == 1
    assert await stored(ask) == facts, f"seed {seed}"
    sums = await ledger(ask)
    assert (sums["stored"], sums["dead_lettered"], sums["refused"]) == (len(issued), 0, 0)
    assert running.metric("arceaux_car_park_free", car_park="FOCH") >= 0
