"""A city that was recorded and is played again, faster: the tables say the same."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.databases import TestServer, asking
from harness.judge import ledger
from harness.recording import recording
from harness.service import Service, run_command
from harness.waiting import eventually

from schemas.registry import load_registry
from schemas.settings import BrokerAddress
from simulators.fleet import to_the_millisecond
from simulators.runs.pace import Issued
from simulators.runs.stream import Plan, digest, stream
from simulators.sending.sender import Sender

pytestmark = pytest.mark.one_server

HOMES = "".join(
    f'\n[[dwelling]]\nid = "hut-0{number}"\ndistrict = "antigone"\nconsent = {str(number != 2).lower()}\n'
    for number in range(1, 5)
)
HOURS = 3
TABLES = {
    "parking_event": """
        SELECT code, label, time, occupied FROM parking_event JOIN spot ON spot.id = spot_id
        JOIN car_park ON car_park.id = car_park_id
    """,
    "parking_count": """
        SELECT code, time, free, total, parking_count.status FROM parking_count
        JOIN car_park ON car_park.id = car_park_id
    """,
    "dwelling_reading": """
        SELECT pseudonym, name, unit, time, value FROM dwelling_reading JOIN sensor ON sensor.id = sensor_id
        JOIN dwelling ON dwelling.id = dwelling_id
    """,
    "spot_state": """
        SELECT code, label, occupied, since, observed_at, battery, last_seq FROM spot_state
        JOIN spot ON spot.id = spot_id JOIN car_park ON car_park.id = car_park_id
    """,
    "count_state": """
        SELECT code, free, free_at, total, total_at, count_state.status, status_at FROM count_state
        JOIN car_park ON car_park.id = car_park_id
    """,
    "availability": """
        SELECT code, free, occupied, unknown, availability.capacity, status, stale, quality
        FROM availability JOIN car_park ON car_park.id = car_park_id
    """,
    "dead_letter": "SELECT topic, payload, reason FROM dead_letter",
}
"""All that follows from what was sent; ids, times of arrival and revisions are each run's own.

So is `observed_at` of a figure: where nothing else changes, it is written once a minute.
"""


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add homes to the small registry, one of which does not consent."""
    with registry_path.open("a", encoding="utf-8") as file:
        file.write(HOMES)
    return registry_path


@pytest.fixture
async def another(
    server: TestServer, service_settings: dict[str, str], tmp_path: Path
) -> AsyncIterator[tuple[Service, Callable[..., Any]]]:
    """Give a service of the same city with a fresh database, and what asks that."""
    url = server.create()
    service = Service(tmp_path, service_settings | {"ARCEAUX_DATABASE_URL": url, "ARCEAUX_CLIENT_ID": "again"})
    try:
        yield service, asking(url)
    finally:
        service.kill()
        server.drop(url)


async def tables(ask: Callable[..., Any]) -> dict[str, list[Any]]:
    """Read what has to be equal."""
    return {name: sorted(await ask(query), key=repr) for name, query in TABLES.items()}


def tells_its_time(issued: Issued) -> bool:
    """Tell whether a message is stored at the same time again; one that tells none is stored at its arrival."""
    return "/zigbee2mqtt/" not in issued.topic


async def test_a_recorded_stretch_replayed_at_fifty_times_the_speed_gives_the_same_tables(
    running: Service,
    broker: Mosquitto,
    ask: Callable[..., Any],
    another: tuple[Service, Callable[..., Any]],
    tmp_path: Path,
) -> None:
    """Every event, count and reading, and the state and figures that follow from them."""
    path = Path(running.settings["ARCEAUX_REGISTRY"])
    begin = to_the_millisecond(datetime.now(UTC) - timedelta(hours=HOURS))
    plan = Plan(
        kind="city",
        seed=7,
        begin=begin,
        duration=HOURS * 3600,
        speed=HOURS * 3600 / 3,
        registry=path,
        registry_digest=digest(path),
    )
    async with recording(tmp_path, running.settings, "--with-dwellings") as record:
        sender = Sender(BrokerAddress(broker.url), "city")
        await sender.run(issued for issued in stream(plan, load_registry(path)) if tells_its_time(issued))
        sent = sender.traffic.acknowledged
        await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= sent)
        await record.holds(sent)
        assert (await record.stop())["messages"] == sent
    assert await running.stop() == 0, running.log
    original = await tables(ask)
    assert all(len(original[name]) > 100 for name in ("parking_event", "dwelling_reading"))
    assert original["parking_count"]

    service, ask_again = another
    await service.start_ready()
    ended = await run_command("replay", str(record.path), "--speed", "50", settings=service.settings)
    assert ended.returncode == 0, ended.stderr
    await eventually(lambda: ledger(ask_again), lambda sums: sums["messages"] >= sent)
    again = await eventually(lambda: tables(ask_again), lambda found: found["availability"] == original["availability"])
    for name, rows in original.items():
        assert again[name] == rows, name
