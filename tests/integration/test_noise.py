"""Noisy sources above capacity, named where people look: on a real database, by a clock that the test moves.

Five seconds of a window in use and ten of counting would be long to wait for.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from harness.judge import ledger
from prometheus_client import generate_latest

from ingest.backlog import Backlog
from ingest.database import connect
from ingest.keys import privacy_of
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.settle import Settler
from ingest.store import Store
from processors.columns import NEVER
from schemas.delivery import Delivery
from schemas.registry import load_registry
from schemas.settings import load_settings
from schemas.topics import Topics

pytestmark = pytest.mark.one_server

SECOND = 1_000_000
BEGIN = 1_795_298_400 * SECOND
LOUD, LOUD_COUNTER, CALM = ("city/parking/FOCH/spots/A-01", "city/parking/ANTI/count", "city/parking/ANTI/spots/P-001")
LOUD_HOME = ("city/dwellings/hut-01/senml", "city/dwellings/hut-01/pause", "v3/rooms@ttn/devices/fridge-7/up")
LOUD_UPLINK = "application/1/device/70B3D57ED0000001/event/up"
MORE = """
[[car_park]]
code = "QUAY"
name = "Quay"
capacity = 1
basis = "spots"
spot = [{ label = "Q-1", dev_eui = "70b3d57ed0000001" }]

[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
device = [{ label = "fridge", tts_device_id = "fridge-7" }]
"""
PAYLOADS = {
    LOUD: b'{"occupied": true}',
    CALM: b'{"occupied": false}',
    LOUD_COUNTER: b'{"free": 3}',
    LOUD_HOME[0]: b'[{"n": "kitchen/temperature", "u": "Cel", "v": 21.5}]',
    LOUD_HOME[1]: b"off",
    LOUD_HOME[2]: b'{"uplink_message": {"decoded_payload": {"temperature": 6.5}}}',
    LOUD_UPLINK: b'{"object": {"occupied": true}}',
}


class Stream:
    """Batches for a settler, a second after each other; `fullness` is the part of the window in use."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, database_url: str, registry: Path, key: Path) -> None:
        for name, value in (("DATABASE_URL", database_url), ("REGISTRY", registry), ("PSEUDONYM_KEY_FILE", key)):
            monkeypatch.setenv(f"ARCEAUX_{name}", str(value))
        self.now, self.fullness = BEGIN, 0.9
        monkeypatch.setattr("ingest.settle._now", lambda: self.now)
        self.settings = load_settings()
        self.metrics = Metrics()
        self.store = Store(database_url, self.settings.client_id, self.metrics)

    async def open(self) -> None:
        """Register, load, and be ready to settle."""
        registry = load_registry(self.settings.registry)
        self.backlog = Backlog(NEVER)
        self.settler = Settler(
            start=await self.store.open(registry, privacy_of(self.settings, registry)),
            store=self.store,
            backlog=self.backlog,
            metrics=self.metrics,
            settings=self.settings,
            window_ratio=lambda: self.fullness,
            on_change=lambda: None,
            on_registry=lambda _: None,
        )

    async def settle(self, topics: Sequence[str], seconds: int) -> None:
        """Let the same arrive every second."""
        for _ in range(seconds):
            self.now += SECOND
            batch = [Delivery(1, 1, topic, PAYLOADS[topic], retain=False, received_at=self.now) for topic in topics]
            self.settler.listen(batch)
            await self.settler.settle(await self.settler.decode(batch, self.settler.gate, self.backlog.gap))

    async def take_up(self, registry: str) -> None:
        """Change the registry."""
        await asyncio.to_thread(self.settings.registry.write_text, registry, encoding="utf-8")
        changed = load_registry(self.settings.registry)
        self.settler.take_up(changed, privacy_of(self.settings, changed))
        await self.settle([], 1)

    async def figure(self) -> dict[str, Any]:
        """Give what the health topic tells."""
        async with await connect(self.settings.database_url, "test") as connection:
            topics = Topics(self.settings.topic_root)
            sent = {figure.topic: figure.payload for figure in await Outbox(connection, topics, ()).load()}
        return dict(json.loads(sent[topics.live_health]))

    async def named(self) -> set[str]:
        """Give who the health topic says is noisy."""
        return {row["asset"] for row in (await self.figure())["attention"] if row["state"] == "noisy"}

    def rates(self) -> dict[str, float]:
        """Give the metric's samples, by source."""
        (family,) = self.metrics.noisy.collect()
        return {sample.labels["source"]: sample.value for sample in family.samples}


@pytest.fixture
async def stream(
    monkeypatch: pytest.MonkeyPatch, database_url: str, registry_path: Path, tmp_path: Path
) -> AsyncIterator[Stream]:
    """Open a stream that keeps the window nearly full."""
    key = tmp_path / "pseudonym.key"
    key.write_text("0123456789abcdef" * 4)
    registry = await asyncio.to_thread(registry_path.read_text, encoding="utf-8")
    await asyncio.to_thread(registry_path.write_text, registry + MORE, encoding="utf-8")
    made = Stream(monkeypatch, database_url, registry_path, key)
    await made.open()
    yield made
    await made.store.close()


ALL = (
    [LOUD] * 200
    + [LOUD_COUNTER] * 150
    + [LOUD_UPLINK] * 120
    + [CALM]
    + [topic for topic in LOUD_HOME for _ in range(100)]
)


async def test_above_capacity_noisy_sources_are_named_and_homes_counted(
    stream: Stream, ask: Callable[..., Any]
) -> None:
    """In topic, table, metric and log, with nothing dropped; and no more once the stream is within capacity."""
    await stream.settle(ALL, 5)
    with structlog.testing.capture_logs() as logs:
        await stream.settle(ALL, 9)
        assert await stream.named() == set()
        await stream.settle(ALL, 3)
    (logged,) = [record for record in logs if record["event"] == "sources_noisy"]
    assert logged["log_level"] == "warning"
    assert await stream.named() == {"FOCH/A-01", "ANTI", "QUAY/Q-1"}
    figure = await stream.figure()
    assert figure["dwellings"]["noisy"] == 1
    assert figure["sensors"]["noisy"] == 4
    assert stream.rates() == pytest.approx({"FOCH/A-01": 200, "ANTI": 150, "QUAY/Q-1": 120, "dwellings": 300}, rel=0.2)
    told = json.dumps(figure) + str(logs) + generate_latest(stream.metrics.registry).decode()
    assert [name for name in ("hut-01", "kitchen", "fridge") if name in told] == []
    assert (await ledger(ask))["messages"] == 17 * len(ALL)
    assert (await ledger(ask))["dead_lettered"] == 0

    stream.fullness = 0.0
    await stream.settle(ALL, 20)
    assert await stream.named() == set()
    assert stream.rates() == {}
    assert (await stream.figure())["dwellings"]["noisy"] == 0


async def test_within_capacity_nobody_is_noisy(stream: Stream) -> None:
    """However loud."""
    stream.fullness = 0.4
    await stream.settle(ALL, 20)
    assert await stream.named() == set()
    assert stream.rates() == {}


async def test_who_left_the_registry_is_no_noisy_home(stream: Stream) -> None:
    """A topic that leads nowhere any more is neither named nor counted; the rest is judged anew."""
    await stream.settle(ALL, 17)
    assert await stream.named() == {"FOCH/A-01", "ANTI", "QUAY/Q-1"}
    before, _, _ = stream.settings.registry.read_text(encoding="utf-8").partition('[[car_park]]\ncode = "FOCH"')
    await stream.take_up(before)
    assert stream.rates() == {}
    assert (await stream.figure())["sensors"]["noisy"] == 0
    await stream.settle(ALL, 12)
    assert await stream.named() == {"ANTI"}
    assert stream.rates().keys() == {"ANTI"}
