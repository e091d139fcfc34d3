"""Killed, cut off, taken over: nothing is lost, nothing is double, and the figures are right afterwards."""

import asyncio
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chaos.catalogue import SCENARIOS
from chaos.scenario import Scale
from harness.broker import Mosquitto
from harness.clients import publish
from harness.databases import TestServer, asking
from harness.facts import expected_state, random_events, spot_message
from harness.judge import assert_figures, ledger
from harness.proxy import Origin, proxy_to
from harness.rig import WRITER
from harness.service import Service, run_command
from harness.waiting import eventually

SEED = random.randrange(10**6)


async def stored_events(ask: Callable[..., Any]) -> list[Any]:
    """Give all stored events as facts."""
    rows = await ask(
        "SELECT code, label, occupied, time FROM parking_event JOIN spot ON spot.id = spot_id "
        "JOIN car_park ON car_park.id = car_park_id"
    )
    return sorted(rows)


async def assert_whole(ask: Callable[..., Any], broker: Mosquitto, service: Service, events: list[Any]) -> None:
    """Check that exactly the acknowledged facts are stored, the newest is the state, and ledger and figures agree."""
    await eventually(lambda: stored_events(ask), lambda stored: len(stored) >= len(set(events)))
    assert await stored_events(ask) == sorted(set(events))
    states = await ask(
        "SELECT code, label, observed_at, occupied FROM spot_state JOIN spot ON spot.id = spot_id "
        "JOIN car_park ON car_park.id = car_park_id"
    )
    assert {(code, label): (at, occupied) for code, label, at, occupied in states} == expected_state(events)
    await assert_figures(broker.url, ask)
    audit = await run_command("audit", settings=service.settings)
    assert audit.returncode == 0, audit.stdout


@pytest.mark.parametrize("seed", [SEED])
def test_killed_ten_times_in_mid_stream_loses_and_doubles_nothing(
    server: TestServer, tmp_path: Path, seed: int
) -> None:
    """SIGKILL at random moments of a stream, ten times: exactly what the broker acknowledged is stored, once."""
    result = SCENARIOS["service killed at random moments"].run(Scale(times=10), server, tmp_path, seed)
    assert result.is_clean, result


async def test_a_commit_whose_answer_is_cut_off_is_neither_lost_nor_doubled(
    service: Service, broker: Mosquitto, database_url: str, ask: Callable[..., Any]
) -> None:
    """The fence tells that the COMMIT happened: the service adopts it, acknowledges, and goes on."""
    events = random_events(SEED, 600)
    messages = [spot_message(park, spot, occupied=occupied, time=time) for park, spot, occupied, time in events]
    async with proxy_to(database_url) as proxy:
        service.settings["ARCEAUX_DATABASE_URL"] = proxy.through
        await service.start_ready()
        answered = proxy.stop_at(WRITER, Origin.SERVER, "C", b"COMMIT\0")
        await publish(broker.url, messages)
        await answered.reached()
        answered.cut()
        await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= len(messages))

        assert "commit_had_happened" in service.log
        sums = await ledger(ask)
        assert sums["messages"] == len(messages)
        assert await stored_events(ask) == sorted(set(events))
        await eventually(
            lambda: asyncio.to_thread(service.metric, "arceaux_unacknowledged"), lambda waiting: waiting == 0
        )
        assert await service.stop() == 0
    service.settings["ARCEAUX_DATABASE_URL"] = database_url
    await service.start_ready()
    await assert_whole(ask, broker, service, events)
    assert (await ledger(ask))["messages"] == len(messages), "something was not acknowledged and came again"


async def test_a_database_connection_cut_in_mid_stream_is_mended(
    service: Service, broker: Mosquitto, database_url: str, ask: Callable[..., Any]
) -> None:
    """Connections cut at any moment of a stream are opened again; nothing is lost."""
    events = random_events(SEED, 1500)
    messages = [spot_message(park, spot, occupied=occupied, time=time) for park, spot, occupied, time in events]
    async with proxy_to(database_url) as proxy:
        service.settings["ARCEAUX_DATABASE_URL"] = proxy.through
        await service.start_ready()
        for start in range(5):
            publishing = asyncio.create_task(publish(broker.url, messages[start::5]))
            proxy.cut()
            await publishing
            proxy.cut()
        await assert_whole(ask, broker, service, events)


async def test_a_second_process_of_one_name_makes_the_first_one_stop(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], tmp_path: Path
) -> None:
    """The later process holds the lease; the earlier one ends with status 1 and says why."""
    events = random_events(SEED, 300)
    messages = [spot_message(park, spot, occupied=occupied, time=time) for park, spot, occupied, time in events]
    later = Service(tmp_path, service.settings)
    later.settings["ARCEAUX_OPS_PORT"] = str(later.ops_port)
    await service.start_ready()
    try:
        await later.start_ready()
        await publish(broker.url, messages)

        assert await service.wait() == 1
        assert "took over" in service.log.splitlines()[-1]
        assert await ask("SELECT lease FROM worker") == 2
        await assert_whole(ask, broker, later, events)
    finally:
        assert await later.stop() == 0


async def test_a_broker_killed_and_started_again_gets_its_consumer_back(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """After the broker was killed the service connects again by itself and its figures are retained again."""
    events = random_events(SEED, 300)
    messages = [spot_message(park, spot, occupied=occupied, time=time) for park, spot, occupied, time in events]
    half = len(messages) // 2
    await publish(broker.url, messages[:half])
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= half)

    broker.stop(signal.SIGKILL)
    broker.start()
    await running.ready()
    await eventually(lambda: asyncio.to_thread(running.metric, "arceaux_reconnects_total"), lambda count: count >= 1)
    await publish(broker.url, messages[half:])

    await assert_whole(ask, broker, running, events)


async def test_absent_parts_are_waited_for(service: Service, broker: Mosquitto) -> None:
    """A broker that is not there at the start is waited for, and SIGTERM ends the wait cleanly."""
    broker.stop()
    service.start()
    await eventually(lambda: asyncio.to_thread(lambda: service.log), lambda log: "broker_waiting" in log)
    broker.start()
    await service.ready()
    assert await service.stop() == 0

    service.settings["ARCEAUX_DATABASE_URL"] = "postgresql://postgres@127.0.0.1:1/nowhere"
    service.log_path.unlink()
    service.start()
    await eventually(lambda: asyncio.to_thread(lambda: service.log), lambda log: "database_waiting" in log)
    assert await service.stop() == 0


@pytest.mark.usefixtures("running")
async def test_a_poison_reading_is_dead_lettered_and_the_rest_is_stored(
    broker: Mosquitto, database_url: str, ask: Callable[..., Any]
) -> None:
    """What the database refuses in a reading isolates that reading, not its batch."""
    events = sorted(set(random_events(SEED, 400)))
    messages = [spot_message(park, spot, occupied=occupied, time=time) for park, spot, occupied, time in events]
    park, spot, occupied, time = events[123]
    spot_id = await ask(
        "SELECT spot.id FROM spot JOIN car_park c ON c.id = car_park_id WHERE code = %s AND label = %s", park, spot
    )
    await ask(
        f"ALTER TABLE parking_event ADD CHECK (NOT (spot_id = {spot_id} AND time = '{time.isoformat()}' "
        f"AND occupied = {occupied}))"
    )

    # Every message twice, so that the poison stands twice in its batch.
    await publish(broker.url, [message for message in messages for _ in range(2)])
    sums = await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= 2 * len(messages))

    assert (sums["stored"], sums["dead_lettered"]) == (len(messages) - 1, 1)
    assert await ask("SELECT reason, topic FROM dead_letter") == [("database_rejected", messages[123][0])]
    assert await stored_events(asking(database_url)) == [event for event in events if event != events[123]]
    await assert_figures(broker.url, ask)


async def test_a_batch_that_takes_too_long_is_halved(
    service: Service, broker: Mosquitto, database_url: str, ask: Callable[..., Any]
) -> None:
    """Where a table has become slow, batches shrink until the database's time-out lets them pass."""
    await ask(
        "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.01); RETURN new; END $$"
    )
    await ask("CREATE TRIGGER linger BEFORE INSERT ON parking_event FOR EACH ROW EXECUTE FUNCTION linger()")
    service.settings["ARCEAUX_DATABASE_URL"] = f"{database_url}?options=-c%20statement_timeout%3D400ms"
    events = sorted(set(random_events(SEED, 90)))
    messages = [spot_message(park, spot, occupied=occupied, time=time) for park, spot, occupied, time in events]
    await service.start_ready()
    await publish(broker.url, messages)

    await assert_whole(ask, broker, service, events)
    assert "batch_halved" in service.log
    assert (await ledger(ask))["messages"] == len(messages)
