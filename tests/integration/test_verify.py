"""Runs with every kind of fault, verified; and what is done to them by hand is found."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.city import PARKING
from harness.clients import publish_retained, retained
from harness.fleets import plan_of, run_fleet, write_city
from harness.service import Service, run_command
from harness.waiting import eventually

from schemas.registry import load_registry
from simulators.faults.kinds import Fault
from simulators.runs.run_file import Mark, RunFile
from simulators.runs.stream import stream

SEED = random.randrange(10**6)

pytestmark = pytest.mark.one_server


@pytest.fixture
def registry_path(tmp_path: Path) -> Path:
    """Write car parks and homes."""
    path = tmp_path / "registry.toml"
    write_city(path)
    return path


async def verify(service: Service, file: Path, wait: str = "20s", status: int = 0) -> dict[str, Any]:
    """Run `arceaux verify`; give its report."""
    ended = await run_command("verify", str(file), "--wait", wait, "--json", settings=service.settings)
    assert ended.returncode == status, (json.dumps(json.loads(ended.stdout or "{}"), indent=1), ended.stderr)
    return dict(json.loads(ended.stdout))


@pytest.mark.parametrize("seed", [SEED])
async def test_a_run_with_all_faults_is_proven(
    running: Service, broker: Mosquitto, registry_path: Path, tmp_path: Path, seed: int
) -> None:
    """Every acknowledged good fact is stored once, every bad message is a dead letter of its reason, nothing else."""
    plan = plan_of(registry_path, seed, hours=3)
    faults = Counter(issued.fault for issued in stream(plan, load_registry(registry_path)))
    assert faults.keys() >= {*Fault} - {Fault.DROP, Fault.SILENT}
    file = tmp_path / "run.jsonl"
    sent = await run_fleet(broker.url, plan, file)
    report = await verify(running, file)
    assert report["messages"] == {"issued": sent, "acknowledged": sent, "open": 0}


async def test_what_is_killed_in_between_is_proven(
    running: Service, broker: Mosquitto, registry_path: Path, tmp_path: Path
) -> None:
    """The service is killed while a fleet speaks, with faults, and starts again: everything is where it has to be."""
    plan = plan_of(registry_path, SEED + 1, hours=4 / 3600, rate=400)
    file = tmp_path / "run.jsonl"
    fleet = asyncio.create_task(run_fleet(broker.url, plan, file))
    received = "arceaux_messages_received_total"
    await eventually(lambda: asyncio.to_thread(running.metric, received, route="spot"), lambda count: count > 100)
    running.kill()
    assert not fleet.done(), "the fleet was to go on"
    await running.start_ready()
    live = verify(running, file)
    sent = await fleet
    assert (await live)["messages"]["issued"] > 100
    assert (await verify(running, file))["messages"] == {"issued": sent, "acknowledged": sent, "open": 0}


@pytest.mark.parametrize("seed", [SEED + 2])
async def test_the_oracle_is_no_rubber_stamp(
    service: Service, broker: Mosquitto, registry_path: Path, tmp_path: Path, ask: Callable[..., Any], seed: int
) -> None:
    """What is deleted, changed, added and booked by hand is named, each as what it is, and so is a wrong figure."""
    file = tmp_path / "run.jsonl"
    await service.start_ready()
    await run_fleet(broker.url, plan_of(registry_path, seed, hours=1), file)
    await verify(service, file)
    figure = (await retained(broker.url, "city/live/parking/ANTI"))["city/live/parking/ANTI"]
    assert await service.stop() == 0, service.log

    # None of it is the newest of its bay: no figure rests on it.
    old = (
        "SELECT time, spot_id, occupied FROM parking_event AS one WHERE time < arrived_at - interval '20 minutes' AND "
        "EXISTS (SELECT FROM parking_event AS newer WHERE newer.spot_id = one.spot_id AND newer.time > one.time)"
    )
    await ask(f"DELETE FROM parking_event WHERE (time, spot_id, occupied) IN ({old} ORDER BY time LIMIT 1)")
    first = "SELECT time, sensor_id, value FROM dwelling_reading ORDER BY time LIMIT 1"
    await ask(f"UPDATE dwelling_reading SET value = value + 1 WHERE (time, sensor_id, value) IN ({first})")
    await ask(
        "INSERT INTO parking_event SELECT time + interval '7 microseconds', spot_id, occupied, arrived_at "
        f"FROM ({old} ORDER BY time DESC LIMIT 1) AS one JOIN parking_event USING (time, spot_id, occupied)"
    )
    arrival = "(SELECT min(arrived_at) FROM parking_event)"
    await ask(f"INSERT INTO dwelling_reading SELECT {arrival}, sensor_id, -7 FROM dwelling_reading LIMIT 1")
    sensor = await ask(
        "INSERT INTO sensor (dwelling_id, name, kind, unit) "
        "SELECT dwelling_id, 'stranger', kind, unit FROM sensor LIMIT 1 RETURNING id"
    )
    await ask(f"INSERT INTO dwelling_reading VALUES ({arrival}, {sensor}, 1)")
    await ask("DELETE FROM dead_letter WHERE id = (SELECT min(id) FROM dead_letter WHERE payload IS NOT NULL)")
    await ask(
        "UPDATE ledger SET readings = readings + 5, stored = stored + 5 WHERE ctid = (SELECT min(ctid) FROM ledger)"
    )
    await publish_retained(broker.url, "city/live/parking/ANTI", json.dumps(figure | {"free": 1}).encode())
    report = await verify(service, file, "1s", status=1)
    facts = report["facts"]
    assert (facts["missing"], facts["altered"], facts["unexplained"], facts["doubled"]) == (2, 1, 3, 0)
    assert sum(letters["missing"] for letters in report["dead_letters"].values()) == 1
    assert report["ledger"] == {"stored": 3, "dead_lettered": 1}, "five booked, one deleted, three added"
    assert set(report["figures"]["wrong"]) == {"city/live/parking", "city/live/parking/ANTI"}


async def test_what_cannot_be_verified_is_told_in_a_line(
    service_settings: dict[str, str], registry_path: Path, tmp_path: Path
) -> None:
    """Another registry, no file of a run, homes without a key, an unknown fault: 2 before any connection."""
    nowhere = service_settings | {"ARCEAUX_BROKER_URL": "mqtt://127.0.0.1:1"}
    file = tmp_path / "run.jsonl"
    run = RunFile(file, plan_of(registry_path, 1, hours=1))
    run.mark(Mark(process=0, at=datetime.now(UTC), sent=0, acknowledged=[]))
    run.close()
    other = tmp_path / "other.toml"
    other.write_text(PARKING)
    for settings, told in (
        (nowhere | {"ARCEAUX_REGISTRY": str(other)}, "is another registry than that of the run"),
        ({k: v for k, v in nowhere.items() if "KEY" not in k}, "ARCEAUX_PSEUDONYM_KEY_FILE is not set"),
        (nowhere | {"ARCEAUX_TOPIC_ROOT": "town"}, "set ARCEAUX_TOPIC_ROOT=city"),
    ):
        ended = await run_command("verify", str(file), settings=settings)
        assert ended.returncode == 2, ended.stderr
        assert told in ended.stderr
        assert ended.stderr.count("\n") == 1
    ended = await run_command("simulate", "city", "--faults", "dupe", settings=nowhere)
    assert ended.returncode == 2
    assert ended.stderr.startswith("arceaux: --faults: unknown kind 'dupe'; expected all, or some of duplicate, ")
    ended = await run_command("verify", str(other), settings=nowhere)
    assert ended.returncode == 2
    assert "not the file of a run" in ended.stderr
