"""The way of a message, from a sensor's PUBACK to the retained figure, on real parts."""

import asyncio
import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import publish, publish_retained, retained
from harness.facts import NOW, expected_state, random_events, spot_message
from harness.judge import assert_figures, ledger
from harness.service import Service, run_command
from harness.waiting import eventually


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
async def test_random_events_end_as_distinct_facts(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], seed: int
) -> None:
    """Events in any order with repeats end as the distinct facts, the state of the newest and figures that add up."""
    events = random_events(seed, 1500)
    messages = [spot_message(park, spot, occupied=occupied, time=time) for park, spot, occupied, time in events]

    await publish(broker.url, messages)
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= len(messages))

    stored = await ask(
        "SELECT code, label, occupied, time FROM parking_event JOIN spot ON spot.id = spot_id "
        "JOIN car_park ON car_park.id = car_park_id"
    )
    assert sorted(stored) == sorted(set(events))
    newest = expected_state(events)
    states = await ask(
        "SELECT code, label, observed_at, occupied FROM spot_state JOIN spot ON spot.id = spot_id "
        "JOIN car_park ON car_park.id = car_park_id"
    )
    assert {(code, label): (at, occupied) for code, label, at, occupied in states} == newest
    await assert_figures(broker.url, ask)

    await publish(broker.url, messages)
    sums = await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= 2 * len(messages))
    assert sums["stored"] == len(set(events)) == await ask("SELECT count(*) FROM parking_event")
    assert sums["duplicate"] == 2 * len(messages) - len(set(events))
    audit = await run_command("audit", settings=running.settings)
    assert audit.returncode == 0, audit.stdout


async def test_counters_make_the_figure_of_their_car_park(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """Each of free, total and status counts by its own newest time; raw numbers are stored as they came."""
    at = (NOW - timedelta(minutes=1)).isoformat()
    later = NOW.isoformat()
    topic = "city/parking/COME/count"

    await publish(
        broker.url,
        [
            (topic, json.dumps({"free": 700, "total": 774, "status": "Open", "time": at}).encode()),
            (topic, json.dumps({"free": 163, "time": later}).encode()),
            (topic, json.dumps({"free": 12, "status": "FULL", "time": at}).encode()),
        ],
    )
    figure = await eventually(
        lambda: retained(broker.url, "city/live/parking/COME"),
        lambda seen: seen.get("city/live/parking/COME", {}).get("free") == 163,
    )

    come = figure["city/live/parking/COME"]
    assert (come["capacity"], come["occupied"], come["unknown"], come["status"]) == (774, 611, 0, "open")
    assert "capacity_changed" in come["quality"]
    rows = await ask("SELECT free, total, status FROM parking_count ORDER BY free")
    assert rows == [(12, 0, "full"), (163, 0, ""), (700, 774, "open")]
    assert running.metric("arceaux_car_park_free", car_park="COME") == 163


async def test_a_foreign_figure_is_answered_by_the_right_one(running: Service, broker: Mosquitto) -> None:
    """What somebody else retains on a live topic does not stay: the right figure, or nothing for no car park."""
    before = await eventually(lambda: retained(broker.url, "city/live/#"), lambda seen: len(seen) == 5)
    right = before["city/live/parking/ANTI"]

    await publish_retained(broker.url, "city/live/parking/ANTI", b'{"free": 1000}')
    await publish_retained(broker.url, "city/live/parking/NOWHERE", b'{"free": 1000}')

    after = await eventually(
        lambda: retained(broker.url, "city/live/#"),
        lambda seen: seen.get("city/live/parking/ANTI") == right and "city/live/parking/NOWHERE" not in seen,
    )
    assert after == before
    assert running.metric("arceaux_publications_total") >= 5


async def test_the_status_topic_tells_online_and_offline(service: Service, broker: Mosquitto) -> None:
    """The service says that it is online, that it left, and its Will says so where it could not."""
    topic = "city/status/arceaux"

    async def state() -> object:
        return (await retained(broker.url, topic)).get(topic, {}).get("state")

    await service.start_ready()
    await eventually(state, lambda seen: seen == "online")
    assert await service.stop() == 0
    await eventually(state, lambda seen: seen == "offline")
    await service.start_ready()
    await eventually(state, lambda seen: seen == "online")
    await service.stop(9)
    await eventually(state, lambda seen: seen == "offline")


async def test_the_largest_total_does_not_stop_the_city(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """What one counter may tell, the sums of the city must hold."""
    payload = json.dumps({"free": 2, "total": 2**31 - 1, "time": NOW.isoformat()}).encode()
    await publish(broker.url, [("city/parking/COME/count", payload)])
    figures = await eventually(
        lambda: retained(broker.url, "city/live/#"),
        lambda seen: seen.get("city/live/parking", {}).get("capacity", 0) > 2**31,
    )

    assert figures["city/live/parking"]["capacity"] == 2**31 - 1 + 40 + 60
    assert await ask("SELECT count(*) FROM dead_letter") == 0
    assert running.process is not None
    assert running.process.poll() is None


async def test_the_last_figures_are_published_before_the_service_ends(
    service: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """What SIGTERM finds on its way is committed, acknowledged and published."""
    await service.start_ready()
    for number in range(1, 40):
        await publish(broker.url, [spot_message("ANTI", f"P-{number:03d}", occupied=True, time=NOW)])
    assert await service.stop() == 0, service.log

    # The broker may still hold the last ones, which then come at the next start.
    occupied = "SELECT occupied FROM availability JOIN car_park c ON c.id = car_park_id WHERE code = 'ANTI'"
    assert await ask(occupied) == await ask("SELECT count(*) FROM parking_event") > 0
    await assert_figures(broker.url, ask)


async def test_another_name_is_another_revision(
    service: Service, broker: Mosquitto, registry_path: Path, ask: Callable[..., Any]
) -> None:
    """A figure whose text changed by the registry is newer than the one that apps have seen."""
    topic = "city/live/parking/COME"

    async def figure() -> dict[str, Any]:
        return dict((await retained(broker.url, topic)).get(topic, {}))

    await service.start_ready()
    before = await eventually(figure)
    await service.stop()
    text = await asyncio.to_thread(registry_path.read_text)
    await asyncio.to_thread(registry_path.write_text, text.replace("Comédie", "Place de la Comédie"))
    await service.start_ready()
    after = await eventually(figure, lambda seen: seen.get("name") == "Place de la Comédie")

    assert after["revision"] > before["revision"]
    await service.stop()
    await assert_figures(broker.url, ask)
