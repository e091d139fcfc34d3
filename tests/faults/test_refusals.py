"""A broker whose access list is wrong: what it refuses is not taken for published."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import publish, retained
from harness.facts import NOW, spot_message
from harness.judge import assert_figures
from harness.proxy import Origin, Proxy, proxy_to
from harness.rig import PUBLISHER
from harness.service import Service
from harness.waiting import eventually

ALLOWED = """
topic readwrite city/parking/#
topic readwrite city/dwellings/#
topic readwrite city/status/#
topic readwrite end-of-retained/#
topic read city/live/#
topic write city/live/health
topic write city/live/parking
topic write city/live/parking/ANTI
topic write city/live/parking/FOCH
"""
COUNTER = "city/live/parking/COME"
RETRY_SECONDS = 10


@pytest.fixture
def access(tmp_path: Path) -> Path:
    """Write an access list that forgets one car park."""
    path = tmp_path / "access"
    path.write_text(ALLOWED, encoding="utf-8")
    return path


@pytest.fixture
def broker(tmp_path: Path, access: Path) -> Iterator[Mosquitto]:
    """Start a mosquitto that goes by the access list."""
    mosquitto = Mosquitto(tmp_path / "mosquitto", options=(f"acl_file {access}",))
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture
async def proxy(broker: Mosquitto, service_settings: dict[str, str]) -> AsyncIterator[Proxy]:
    """Let the service reach the broker through a proxy, which counts."""
    async with proxy_to(broker.url) as made:
        service_settings["ARCEAUX_BROKER_URL"] = made.through
        yield made


async def occupied(broker: Mosquitto) -> int:
    """Give how many bays of a car park that may be published are occupied."""
    topic = "city/live/parking/ANTI"
    figure = (await retained(broker.url, topic)).get(topic, {})
    return int(figure.get("occupied", 0))


async def test_a_refused_figure_is_not_recorded_and_is_tried_again(
    proxy: Proxy, running: Service, broker: Mosquitto, access: Path, ask: Callable[..., Any]
) -> None:
    """It is told once, the others are published, and it follows by itself when the broker lets it."""
    began = time.monotonic()
    for free in range(5):
        figures = {"free": free, "time": NOW.isoformat()}
        await publish(
            broker.url,
            [
                ("city/parking/COME/count", json.dumps(figures).encode()),
                spot_message("ANTI", f"P-{free + 1:03d}", occupied=True, time=NOW),
            ],
        )
        await eventually(lambda: occupied(broker), (free + 1).__eq__)
    tries = proxy.forwarded[PUBLISHER, Origin.CLIENT, "PUBLISH"] - running.metric("arceaux_publications_total")
    assert 1 <= tries <= 1 + (time.monotonic() - began) // RETRY_SECONDS
    assert COUNTER not in await retained(broker.url, "city/live/#")
    assert await ask("SELECT count(*) FROM publication WHERE topic = %s", COUNTER) == 0
    assert running.log.count("figure_refused") == 1
    assert "Not authorized" in running.log

    await asyncio.to_thread(access.write_text, f"{ALLOWED}topic write {COUNTER}\n", "utf-8")
    broker.reload()
    await assert_figures(broker.url, ask)
    assert running.log.count("publisher_ready") == 1, "on the same connection"


async def test_a_refused_figure_does_not_keep_the_service_from_ending(
    proxy: Proxy, running: Service, ask: Callable[..., Any]
) -> None:
    """SIGTERM publishes what the broker takes, and ends with 0."""
    await eventually(lambda: asyncio.to_thread(lambda: running.log), lambda log: "figure_refused" in log)
    assert await running.stop() == 0
    assert await ask("SELECT count(*) FROM publication") == 4
    assert proxy.forwarded[PUBLISHER, Origin.CLIENT, "DISCONNECT"] == 1
