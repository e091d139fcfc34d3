"""Homes' zigbee2mqtt on real parts: what its cache repeats, what is impossible, and the books of both."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import publish
from harness.judge import ledger
from harness.service import Service, run_command
from harness.waiting import eventually

pytestmark = pytest.mark.one_server

HOME = """
[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
"""
BASE = "city/dwellings/hut-01/zigbee2mqtt"
ONE_BY_ONE = {"ARCEAUX_BATCH_MAX_READINGS": "1"}


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add a home to the small registry."""
    _append(registry_path, HOME)
    return registry_path


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def state(device: str, **attributes: Any) -> tuple[str, bytes]:  # noqa: ANN401 - whatever a device tells
    """Make a state of a device."""
    return f"{BASE}/{device}", json.dumps(attributes).encode()


async def settled(ask: Callable[..., Any], messages: int) -> dict[str, int]:
    """Wait until so many messages are in the ledger."""
    return dict(await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= messages))


async def stored(ask: Callable[..., Any]) -> list[tuple[str, float]]:
    """Give names and values of what is stored, in order of time."""
    rows = await ask(
        "SELECT name, value FROM dwelling_reading JOIN sensor ON sensor.id = sensor_id ORDER BY time, name, value"
    )
    return [(name, value) for name, value in rows]


async def assert_balanced(service: Service) -> None:
    """Check that the ledger is proved by the tables."""
    audit = await run_command("audit", settings=service.settings)
    assert audit.returncode == 0, audit.stdout


async def test_what_a_cache_repeats_is_a_duplicate_over_a_restart(
    service: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """Also after a crash; a value that is another one is stored, and the bridge's own messages are refused."""
    plug = {"power": 41, "energy": 80.7, "state": "ON", "linkquality": 90}
    await service.start_ready()
    await publish(
        broker.url,
        [
            state("détecteur [entrée]", occupancy=True, temperature=20.5),
            state("détecteur [entrée]", occupancy=False, temperature=20.5),
            state("plug", **plug),
            (f"{BASE}/bridge/state", b"online"),
            (f"{BASE}/plug/availability", b'{"state":"online"}'),
        ],
    )
    sums = await settled(ask, 5)
    assert (sums["stored"], sums["duplicate"], sums["refused"], sums["dead_lettered"]) == (5, 1, 4, 0)

    service.kill()
    await service.start_ready()
    await publish(broker.url, [state("plug", **plug), state("détecteur [entrée]", occupancy=False, temperature=20.5)])
    sums = await settled(ask, 7)
    assert (sums["stored"], sums["duplicate"], sums["refused"]) == (5, 5, 6)

    assert await service.stop(signal.SIGTERM) == 0
    await service.start_ready()
    await publish(broker.url, [state("plug", **plug | {"power": 42})])
    sums = await settled(ask, 8)
    assert (sums["stored"], sums["duplicate"], sums["refused"]) == (6, 6, 8)
    motion, temperature = "détecteur [entrée]/occupancy", "détecteur [entrée]/temperature"
    assert sorted(await stored(ask)) == [
        (motion, 0),
        (motion, 1),
        (temperature, 20.5),
        ("plug/energy", pytest.approx(80.7 * 3.6e6)),
        ("plug/power", 41),
        ("plug/power", 42),
    ]
    assert await ask("SELECT count(*) FROM last_told") == 4
    assert await ask("SELECT DISTINCT route FROM ledger WHERE stored > 0") == "zigbee2mqtt"
    await assert_balanced(service)


async def test_a_bad_attribute_is_a_dead_letter_that_can_be_replayed(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """Alone, with the time of its state; its neighbours are stored."""
    await publish(broker.url, [state("oven", temperature=170, power=5, humidity=40)])
    sums = await settled(ask, 1)
    assert (sums["stored"], sums["dead_lettered"]) == (2, 1)
    ((topic, payload, arrived),) = await ask("SELECT topic, encode(payload, 'escape'), received_at FROM dead_letter")
    assert topic.endswith("/zigbee2mqtt/oven")
    assert "hut-01" not in topic
    assert json.loads(payload) == {"temperature": 170}

    wider = '[[dwelling.sensor]]\nname = "oven/temperature"\nkind = "temperature"\nmaximum = 300\n'
    await asyncio.to_thread(_append, registry_path, wider)
    await eventually(lambda: asyncio.to_thread(lambda: running.log), lambda log: "registry_taken_up" in log)
    done = await run_command("deadletters", "replay", settings=running.settings)
    assert "1 replayed: decoded" in done.stdout, done.stdout + done.stderr
    assert await ask(
        "SELECT value, time FROM dwelling_reading JOIN sensor s ON s.id = sensor_id WHERE value = 170"
    ) == [(170, arrived)]
    await assert_balanced(running)


async def test_a_glitch_never_enters_and_a_step_costs_one_reading(
    service_settings: dict[str, str], tmp_path: Path, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """The suspects are dead letters, and whoever replays one has it stored."""
    service = Service(tmp_path, service_settings | ONE_BY_ONE)
    try:
        await service.start_ready()
        energy = [state("plug", energy=value) for value in (80.7, 0, 80.8)]
        heat = [state("stove", temperature=value) for value in (20, 85, 60, 60.5)]
        await publish(broker.url, [*energy, *heat])
        sums = await settled(ask, 7)
        assert (sums["stored"], sums["dead_lettered"]) == (4, 3)
        assert [value for name, value in await stored(ask) if name == "stove/temperature"] == [20, 60.5]
        assert await ask("SELECT count(*) FROM dwelling_reading WHERE value = 0") == 0
        assert await ask("SELECT DISTINCT reason FROM dead_letter") == "value_out_of_range"
        await assert_balanced(service)

        ((suspect,),) = await ask("SELECT id::text FROM dead_letter WHERE encode(payload, 'escape') LIKE '%60%'")
        done = await run_command("deadletters", "replay", suspect, settings=service.settings)
        assert "1 replayed: decoded" in done.stdout, done.stdout + done.stderr
        assert [value for name, value in await stored(ask) if name == "stove/temperature"] == [20, 60, 60.5]
        await assert_balanced(service)
    finally:
        service.kill()
