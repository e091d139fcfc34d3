"""The health of sensors and what is missing upstream, on real parts and over restarts."""

import asyncio
import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import publish, retained
from harness.judge import assert_figures, ledger
from harness.service import Service
from harness.waiting import eventually

from ingest import load
from ingest.database import connect
from processors.gate import Gate
from processors.health import STATES
from processors.layout import Layout
from processors.privacy import Privacy
from processors.sensors import Sensors
from schemas.registry import load_registry
from schemas.topics import Topics

pytestmark = pytest.mark.one_server

TOPIC = "city/live/health"
KEY = b"k" * 32
CAR_PARKS = """
[[car_park]]
code = "ANTI"
name = "Antigone"
capacity = 4
basis = "spots"
heartbeat = "1h"
spots = ["P-1..P-4"]

[[car_park]]
code = "COME"
name = "Comédie"
capacity = 664
basis = "count"
stuck_after = "1h"
"""
DEPARTING = """
[[car_park]]
code = "QUAY"
name = "Quay"
capacity = 1
basis = "spots"
spots = ["Q-1"]
"""
HOME = """
[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true

[[dwelling.sensor]]
name = "kitchen/temperature"
kind = "temperature"
heartbeat = "1s"

[[dwelling.sensor]]
name = "door"
kind = "contact"
"""
Attention = dict[str, tuple[str, datetime | None]]


@pytest.fixture
def registry_path(tmp_path: Path) -> Path:
    """Write a registry in which sensors are soon in trouble."""
    path = tmp_path / "registry.toml"
    path.write_text(CAR_PARKS + DEPARTING + HOME, encoding="utf-8")
    return path


def bay(name: str, at: datetime, *, occupied: bool = True, **more: Any) -> tuple[str, bytes]:  # noqa: ANN401 - fields
    """Make what a bay sensor sends."""
    car_park, spot = name.split("/")
    body = {"occupied": occupied, "time": at.isoformat(), **more}
    return f"city/parking/{car_park}/spots/{spot}", json.dumps(body).encode()


def counter(at: datetime, free: int) -> tuple[str, bytes]:
    """Make what the counter sends."""
    return "city/parking/COME/count", json.dumps({"free": free, "time": at.isoformat()}).encode()


def troubles(now: datetime) -> list[tuple[str, bytes]]:
    """Make what brings every sensor but one into another state."""
    second = timedelta(seconds=1)
    return [
        *(bay("QUAY/Q-1", now - (12 - n) * second, occupied=n % 2 == 0) for n in range(12)),
        bay("ANTI/P-1", now - timedelta(hours=2)),
        bay("ANTI/P-2", now - second, battery=2.5),
        *(bay("ANTI/P-3", now + timedelta(hours=1) + n * second) for n in range(3)),
        bay("ANTI/P-4", now - 3 * second, seq=1),
        bay("ANTI/P-4", now - second, seq=5),
        counter(now - timedelta(hours=2), 7),
        counter(now - second, 7),
    ]


async def attention(url: str) -> Attention:
    """Give the sensors that the topic names, with their states."""
    figure = (await retained(url, TOPIC)).get(TOPIC, {})
    named = figure.get("attention", [])
    assert figure.get("attention_total", 0) == len(named)
    return {row["asset"]: (row["state"], row["since"] and datetime.fromisoformat(row["since"])) for row in named}


async def states(url: str) -> dict[str, str]:
    """Give the states that are named."""
    return {asset: state for asset, (state, _) in (await attention(url)).items()}


IN_TROUBLE = {
    "QUAY/Q-1": "flapping",
    "ANTI/P-1": "silent",
    "ANTI/P-2": "low_battery",
    "ANTI/P-3": "clock_skew",
    "COME": "stuck",
}


async def test_sensors_in_trouble_are_named_until_they_are_well(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """Each with its state and since when, over a restart; the topic is what the tables hold, and empties again."""
    await service.start_ready()
    never_heard = await eventually(lambda: attention(broker.url), lambda seen: len(seen) == 6)
    assert set(never_heard.values()) == {("silent", None)}

    now = datetime.now(UTC)
    await publish(broker.url, troubles(now))
    await eventually(lambda: states(broker.url), lambda seen: seen == IN_TROUBLE)
    named = await attention(broker.url)
    assert named["ANTI/P-1"][1] == named["COME"][1] == now - timedelta(hours=2)
    assert all(since is not None and since >= now for _, since in (named[asset] for asset in ("QUAY/Q-1", "ANTI/P-2")))
    figures = await retained(broker.url, "city/live/parking/+")
    quality = {code: figures[f"city/live/parking/{code}"]["quality"] for code in ("ANTI", "QUAY", "COME")}
    assert quality == {"ANTI": [], "QUAY": ["flapping"], "COME": ["stuck"]}
    assert service.metric("arceaux_sensors", domain="parking", state="clock_skew") == 1
    assert service.metric("arceaux_sensors", domain="parking", state="ok") == 1
    assert service.metric("arceaux_missing_upstream_messages", car_park="ANTI") == 3

    assert await service.stop(signal.SIGKILL) == -signal.SIGKILL
    await service.start_ready()
    before = (await retained(broker.url, TOPIC))[TOPIC]["revision"]
    await publish(broker.url, [bay("ANTI/P-4", now + timedelta(milliseconds=1))])
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= len(troubles(now)) + 1)
    rows = await ask("SELECT asset, state, since FROM attention ORDER BY asset")
    assert {asset: (state, since) for asset, state, since in rows} == named
    assert await eventually(lambda: attention(broker.url), lambda seen: seen == named)
    await assert_figures(broker.url, ask)
    assert service.metric("arceaux_missing_upstream_messages", car_park="ANTI") == 3

    # While a backlog is read, nothing is said of clocks.
    await eventually(lambda: retained(broker.url, "city/live/parking/+"), lambda seen: "catching_up" not in str(seen))
    at = datetime.now(UTC)
    well = [bay("ANTI/P-1", at), bay("ANTI/P-2", at, battery=3.6), bay("ANTI/P-3", at - timedelta(seconds=1))]
    late = [bay("ANTI/P-4", now - timedelta(seconds=2), seq=seq) for seq in (2, 3, 4)]
    await publish(broker.url, [*well, *late, counter(at, 8)])
    await eventually(lambda: states(broker.url), lambda seen: seen == {"QUAY/Q-1": "flapping"})
    await asyncio.to_thread(registry_path.write_text, CAR_PARKS + HOME)
    await eventually(lambda: states(broker.url), lambda seen: not seen)
    figure = (await retained(broker.url, TOPIC))[TOPIC]
    assert figure["revision"] > before
    assert await ask("SELECT count(*) FROM attention") == 0
    assert service.metric("arceaux_sensors", domain="parking", state="ok") == 5
    assert service.metric("arceaux_missing_upstream_messages", car_park="ANTI") == 0
    assert await service.stop() == 0


async def test_homes_are_counted_and_never_named(running: Service, broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """A silent sensor of a home is a number, in the topic, the table and the metric."""

    async def dwellings() -> dict[str, int]:
        return dict((await retained(broker.url, TOPIC)).get(TOPIC, {}).get("dwellings", {}))

    pack = [{"n": "kitchen/temperature", "u": "Cel", "v": 21.5}, {"n": "hall/co2", "u": "ppm", "v": 640}]
    await publish(broker.url, [("city/dwellings/hut-01/senml", json.dumps(pack).encode())])
    counts = await eventually(dwellings, lambda seen: seen.get("silent") == 1, seconds=60)
    assert counts == {state: {"ok": 2, "silent": 1}.get(state, 0) for state in counts}

    figure = (await retained(broker.url, TOPIC))[TOPIC]
    assert figure["sensors"]["silent"] == 1 + 6
    assert {row["asset"] for row in figure["attention"]} == {"COME", "QUAY/Q-1", *(f"ANTI/P-{n}" for n in range(1, 5))}
    assert running.metric("arceaux_sensors", domain="dwellings", state="silent") == 1
    (pseudonym,) = {str(await ask("SELECT pseudonym FROM dwelling"))}
    told = str(figure) + str(await ask("SELECT * FROM attention")) + running.page("/metrics")
    assert [name for name in ("hut-01", pseudonym, "kitchen", "antigone") if name in told] == []


async def test_attention_of_another_registrys_sensors_is_no_hindrance(database_url: str, registry_path: Path) -> None:
    """A worker of another name and registry may write while this one loads: it starts all the same."""
    registry = load_registry(registry_path)
    privacy = Privacy.of(registry, Topics("city"), KEY)
    async with await connect(database_url, "test") as connection:
        registered = await load.register(connection, registry, privacy, Gate())
        layout = Layout.of(registry, registered.ids, privacy, Sensors(KEY))
        await connection.execute("INSERT INTO attention VALUES ('GONE/X-1', 'stuck', now()), ('COME', 'stuck', now())")
        world = await load.load_world(connection, layout)
    assert [STATES[code] for code in world.health.state if code] == ["stuck"]
