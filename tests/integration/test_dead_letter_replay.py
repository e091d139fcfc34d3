"""Dead letters after a fix: decoded again as of their arrival, stored once, marked, and booked as replays."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import publish
from harness.facts import NOW
from harness.judge import assert_figures, ledger
from harness.service import Service, run_command
from harness.waiting import eventually

pytestmark = pytest.mark.one_server

BAY = "city/parking/NEWP/spots/N-1"
NEW_PARK = """
[[car_park]]
code = "NEWP"
name = "New"
capacity = 2
basis = "spots"
spots = ["N-1..N-2"]
"""
HOME = """
[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
max_sensors = {sensors}
"""


def spot(*, occupied: bool, minutes_ago: float | None) -> bytes:
    """Make what a bay sends, with a time of its own or without."""
    time = {} if minutes_ago is None else {"time": (NOW - timedelta(minutes=minutes_ago)).isoformat()}
    return json.dumps({"occupied": occupied} | time).encode()


LOST_BAY = [
    (BAY, spot(occupied=True, minutes_ago=30)),
    (BAY, spot(occupied=False, minutes_ago=None)),
    ("city/parking/ANTI/spots/P-001", b"{"),
]


def add_home(registry: Path, home: str) -> None:
    """Add a home to the registry, in place of one that was added before."""
    registry.write_text(registry.read_text(encoding="utf-8").partition("\n[[dwelling]]")[0] + home, encoding="utf-8")


async def dead_lettered(ask: Callable[..., Any], readings: int) -> None:
    """Wait until so many readings are in dead letters."""
    await eventually(lambda: ledger(ask), lambda sums: sums["dead_lettered"] >= readings)


async def replay(service: Service, *arguments: str) -> str:
    """Run the command, which has to go well, and the audit after it."""
    done = await run_command("deadletters", "replay", *arguments, settings=service.settings)
    assert done.returncode == 0, done.stderr
    audit = await run_command("audit", settings=service.settings)
    assert audit.returncode == 0, audit.stdout
    return done.stdout


async def replayed(ask: Callable[..., Any]) -> Any:  # noqa: ANN401 - a row of numbers
    """Give the ledger of replays: messages, readings, stored, duplicate, dead-lettered, refused."""
    columns = ("messages", "readings", "stored", "duplicate", "dead_lettered", "refused")
    sums = ", ".join(f"coalesce(sum({name}), 0)::int" for name in columns)
    return (await ask(f"SELECT {sums} FROM ledger WHERE route = 'replay'"))[0]


async def test_letters_are_taken_in_after_a_fix_by_the_running_service(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """The registry gets the car park; its letters become readings at their own times, once however often it is run."""
    await publish(broker.url, LOST_BAY)
    await dead_lettered(ask, 3)
    arrived = await ask("SELECT received_at FROM dead_letter WHERE reason = 'unknown_asset' ORDER BY id")

    unfixed = await replay(running)
    assert "3 still not usable" in unfixed or "2 still not usable: unknown_asset" in unfixed
    assert tuple(await replayed(ask)) == (3, 3, 0, 3, 0, 0)
    assert await ask("SELECT count(*) FROM dead_letter WHERE repeats > 0 OR replayed_at IS NOT NULL") == 0

    with registry_path.open("a", encoding="utf-8") as registry:
        registry.write(NEW_PARK)
    await eventually(lambda: asyncio.to_thread(lambda: running.log), lambda log: "registry_taken_up" in log)
    done = await replay(running, "--reason", "unknown_asset")
    assert "2 replayed: decoded" in done

    assert tuple(await replayed(ask)) == (5, 5, 2, 3, 0, 0)
    rows = await ask("SELECT time, arrived_at, occupied FROM parking_event ORDER BY time")
    assert [(at, occupied) for at, _, occupied in rows] == [(NOW - timedelta(minutes=30), True), (arrived[1][0], False)]
    assert [arrival for _, arrival, _ in rows] == [at for (at,) in arrived]
    assert await ask("SELECT count(*) FROM dead_letter WHERE replayed_at IS NOT NULL") == 2
    await assert_figures(broker.url, ask)

    assert "nothing to replay" in await replay(running, "--reason", "unknown_asset")
    ids = await ask("SELECT id::text FROM dead_letter WHERE replayed_at IS NOT NULL")
    assert "2 replayed" in await replay(running, *(number for (number,) in ids))
    assert tuple(await replayed(ask)) == (7, 7, 2, 5, 0, 0)
    assert await ask("SELECT count(*) FROM parking_event") == 2


async def test_letters_are_taken_in_while_no_service_runs(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """The command does it by itself, and the next start of the service finds the readings and shows the figures."""
    await service.start_ready()
    await publish(broker.url, LOST_BAY)
    await dead_lettered(ask, 3)
    assert await service.stop() == 0
    committed_at = await ask("SELECT committed_at FROM worker")

    with registry_path.open("a", encoding="utf-8") as registry:
        registry.write(NEW_PARK)
    done = await replay(service)

    assert "2 replayed: decoded" in done
    assert "1 still not usable: malformed_payload" in done
    assert tuple(await replayed(ask)) == (3, 3, 2, 1, 0, 0)
    # Pauses are dated back to when something was last heard, and a replay hears nothing.
    assert await ask("SELECT committed_at FROM worker") == committed_at
    await service.start_ready()
    await assert_figures(broker.url, ask)
    assert await ask("SELECT free FROM availability JOIN car_park c ON c.id = car_park_id WHERE code = 'NEWP'") == 1
    assert await service.stop() == 0


async def test_a_homes_letters_get_their_names_back(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """Kept with the pseudonym, decoded with the id: a raised limit lets the dead-lettered readings in."""
    add_home(registry_path, HOME.format(sensors=1))
    pack = [
        {"bn": "hut-01/", "bt": NOW.timestamp(), "n": "kitchen", "u": "Cel", "v": 20},
        {"n": "bath", "u": "Cel", "v": 21},
        {"n": "hall", "u": "Cel", "v": 22},
    ]
    await service.start_ready()
    await publish(broker.url, [("city/dwellings/hut-01/senml", json.dumps(pack).encode())])
    await dead_lettered(ask, 2)
    assert await ask("SELECT count(*) FROM dead_letter WHERE topic LIKE '%%hut-01%%' OR payload LIKE '%%hut-01%%'") == 0

    add_home(registry_path, HOME.format(sensors=9))
    await eventually(lambda: asyncio.to_thread(lambda: service.log), lambda log: "registry_taken_up" in log)
    assert "2 replayed: decoded" in await replay(service)

    assert await ask("SELECT name, value FROM dwelling_reading JOIN sensor ON sensor.id = sensor_id ORDER BY 1") == [
        ("bath", 21.0),
        ("hall", 22.0),
        ("kitchen", 20.0),
    ]
    assert tuple(await replayed(ask)) == (2, 2, 2, 0, 0, 0)
    assert await service.stop() == 0


async def test_a_letter_that_the_database_refused_is_taken_in_once_it_does_not(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """While it still refuses, the letter stays as it is and does no harm to the others of its replay."""
    await ask("ALTER TABLE parking_event ADD CONSTRAINT odd CHECK (NOT occupied)")
    bays = [f"city/parking/ANTI/spots/P-{number:03d}" for number in range(1, 5)]
    await publish(broker.url, [(bay, spot(occupied=True, minutes_ago=5)) for bay in bays])
    await dead_lettered(ask, 4)

    assert "4 still not usable: database_rejected: " in await replay(running)
    assert tuple(await replayed(ask)) == (4, 4, 0, 4, 0, 0)

    await ask("ALTER TABLE parking_event DROP CONSTRAINT odd")
    assert "4 replayed" in await replay(running)
    assert await ask("SELECT count(*) FROM parking_event WHERE occupied") == 4
    assert await ask("SELECT count(*) FROM spot_state WHERE occupied") == 4
    await assert_figures(broker.url, ask)


async def test_a_pack_that_is_readable_now_brings_its_bad_records_as_letters(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """Rejected whole, then replayed: the good records are stored, the bad one is a dead letter of its own."""
    add_home(registry_path, HOME.format(sensors=9))
    pack = [{"bt": NOW.timestamp(), "n": name, "u": "Cel", "v": value} for name, value in (("a", 1), ("b", 999))]
    service.settings["ARCEAUX_MAX_PAYLOAD_BYTES"] = "64"
    await service.start_ready()
    await publish(broker.url, [("city/dwellings/hut-01/senml", json.dumps(pack).encode())])
    await dead_lettered(ask, 1)
    await service.stop()
    del service.settings["ARCEAUX_MAX_PAYLOAD_BYTES"]

    for _ in range(2):
        await replay(service, *(str(number) for number in [await ask("SELECT min(id) FROM dead_letter")]))

    assert await ask("SELECT value FROM dwelling_reading") == 1.0
    assert [reason for (reason,) in await ask("SELECT reason FROM dead_letter ORDER BY id")] == [
        "payload_too_large",
        "value_out_of_range",
    ]
    assert tuple(await replayed(ask)) == (2, 4, 1, 2, 1, 0)
