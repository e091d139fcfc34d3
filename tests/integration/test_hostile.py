"""The corpus of hostile payloads and topics, through real brokers to the real service."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil
import pytest
from harness.broker import Mosquitto
from harness.clients import publish
from harness.databases import TestServer
from harness.facts import NOW, spot_message
from harness.judge import ledger
from harness.raw_client import publish_apart
from harness.service import Service, run_command
from harness.waiting import eventually
from unit.hostile import CORPUS, STRANGE_TOPICS, VALID

from schemas.topics import Topics
from simulators.embedded.broker import EmbeddedBroker
from simulators.embedded.ports import free_port

TOPICS = Topics("city")
KINDS = (TOPICS.spot("ANTI", "P-001"), TOPICS.count("COME"), TOPICS.senml("hut-01"), TOPICS.pause("hut-01"))
"""A topic of every kind that the registry lists."""
GOOD = b'{"occupied":true,"free":1}'
WARM_UP, MORE = len(KINDS), 2 * len(KINDS)
"""Rounds before memory is looked at, and rounds after that; each brings the corpus on one kind of topic."""
FLAT = 8 * 2**20
"""How much a process may grow over those. Seen were two MiB, of the allocator; a service that kept the topics of
strangers would grow by over 30, and one that kept payloads by over 40."""

Message = tuple[str, bytes]


@pytest.fixture
def server(server_of: Callable[[str], TestServer]) -> TestServer:
    """Give one kind of server: what is hostile here never reaches one."""
    return server_of("timescaledb")


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add a home to the small registry."""
    with registry_path.open("a", encoding="utf-8") as file:
        file.write('[[dwelling]]\nid = "hut-01"\ndistrict = "antigone"\nconsent = true\nmax_sensors = 5\n')
    return registry_path


def strangers(number: int) -> Iterator[str]:
    """Give topics of 60 KB that no other round has, of assets that are not registered and of no asset at all."""
    for name in (f"{number}-{index}-{'x' * 60_000}" for index in range(16)):
        yield from (TOPICS.count(name), TOPICS.spot("ANTI", name), TOPICS.senml(name), f"city/parking/{name}")


def is_subscribed(topic: str) -> bool:
    """Tell whether a topic is one of those that the service stores."""
    return topic.split("/")[:2] in (["city", "parking"], ["city", "dwellings"])


async def assert_accounted(ask: Callable[..., Any], sent: Iterable[Message]) -> None:
    """Wait until every message is in the ledger, on its own route, and check that it came to readings or a press."""
    wanted = Counter(str(TOPICS.parse(topic).route) for topic, _ in sent)
    presses = wanted.pop("control", 0)

    async def routes() -> dict[str, tuple[int, int]]:
        rows = await ask("SELECT route, sum(messages)::bigint, sum(readings)::bigint FROM ledger GROUP BY route")
        return {route: (messages, readings) for route, messages, readings in rows}

    # Two filters match a button, and a broker may send what is pressed for each.
    seen = await eventually(
        routes,
        lambda seen: (
            {route: messages for route, (messages, _) in seen.items() if route != "control"} == wanted
            and seen.get("control", (0, 0))[0] >= presses
        ),
    )
    assert all(readings >= messages for route, (messages, readings) in seen.items() if route != "control")


async def assert_well(service: Service, url: str, ask: Callable[..., Any]) -> None:
    """Check that the service is still the one that was started, and ready, and stores the next good message."""
    stored = (await ledger(ask))["stored"]
    await publish(url, [spot_message("FOCH", "A-01", occupied=True, time=NOW)])
    await eventually(lambda: ledger(ask), lambda sums: sums["stored"] == stored + 1)
    assert service.process is not None
    assert service.process.poll() is None, service.log
    await service.ready()
    await eventually(lambda: asyncio.to_thread(service.metric, "arceaux_unacknowledged"), lambda count: count == 0)
    audit = await run_command("audit", settings=service.settings)
    assert audit.returncode == 0, audit.stdout


async def test_the_whole_corpus_is_accounted_for_and_leaves_nothing_in_memory(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """Dead-lettered, stored, refused or a duplicate, round after round; memory stays flat and the stream goes on."""
    sent = await publish_apart(broker.url, [(topic, GOOD) for topic in STRANGE_TOPICS.values()])
    sent = [(topic, payload) for topic, payload in sent if is_subscribed(topic)]
    assert running.process is not None
    process = psutil.Process(running.process.pid)
    sizes = []
    for number, topic in zip(range(WARM_UP + MORE), cycle(KINDS), strict=False):
        messages = [
            *((topic, payload) for payload in (*CORPUS.values(), *VALID)),
            *((name, GOOD) for name in strangers(number)),
        ]
        await publish(broker.url, messages)
        sent += messages
        await assert_accounted(ask, sent)
        sizes.append(process.memory_info().rss)
    assert max(sizes[WARM_UP:]) < sizes[WARM_UP - 1] + FLAT, [size >> 20 for size in sizes]
    await assert_well(running, broker.url, ask)


async def test_topics_that_a_lax_broker_lets_pass_are_accounted_for(
    service: Service, ask: Callable[..., Any], tmp_path: Path
) -> None:
    """Control characters, a NUL, wildcards: mosquitto refuses them, other brokers do not."""
    with EmbeddedBroker(tmp_path / "broker", free_port()) as broker:
        service.settings["ARCEAUX_BROKER_URL"] = broker.url
        await service.start_ready()
        sent = await publish_apart(broker.url, [(topic, GOOD) for topic in STRANGE_TOPICS.values()])
        assert len(sent) == len(STRANGE_TOPICS)
        await assert_accounted(ask, [(topic, payload) for topic, payload in sent if is_subscribed(topic)])
        await assert_well(service, broker.url, ask)
        assert await service.stop() == 0
