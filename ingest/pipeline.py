"""The way of one batch, from the inbox to the acknowledgement.

    gather -> decode ~> reduce -> commit -> adopt -> acknowledge

While one batch commits, the next one gathers and decodes; its reduce waits for the adopt before it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import structlog

from ingest.backlog import Backlog
from ingest.errors import OutdatedBatchError, SlowBatchError
from ingest.inbox import Inbox
from ingest.metrics import OUTCOMES, Metrics
from ingest.mqtt import Consumer
from ingest.poison import PoisonError
from ingest.store import Start, Store
from ingest.transaction import Batch, Outcome
from ingest.window import Window
from processors.dead_letters import dead_letters
from processors.decode import Decoded, decode
from processors.gate import Gap, Gate
from processors.layout import Layout
from processors.privacy import Privacy
from processors.reduce import Reduced, reduce
from processors.rejects import Limits
from processors.times import to_datetime
from schemas.delivery import Delivery
from schemas.registry import Registry

TICK: Final = 1.0
"""Seconds after which an empty batch is made, so that silence expires without messages."""
_HALF_WINDOW: Final = 0.5


log = structlog.get_logger()


class Gathered(NamedTuple):
    """A batch on its way to the database, empty on a tick: decoded by that layout, behind the gate as it was before."""

    deliveries: Sequence[Delivery]
    layout: Layout
    gate: Gate
    gap: Gap
    decoded: Decoded


class Pipeline:
    """Moves batches. Its two loops are tasks of the service; see the module."""

    def __init__(  # noqa: PLR0913 - the parts it connects
        self,
        *,
        start: Start,
        inbox: Inbox,
        window: Window,
        consumer: Consumer,
        store: Store,
        backlog: Backlog,
        metrics: Metrics,
        limits: Limits,
        max_delay: float,
        on_change: Callable[[], None],
        on_registry: Callable[[Registry], None],
    ) -> None:
        self._layout, self._world, self._gate = start.layout, start.world, start.gate
        self._gate_ahead = start.gate
        self._inbox, self._window, self._consumer, self._store = inbox, window, consumer, store
        self._backlog, self._metrics, self._limits = backlog, metrics, limits
        self._max_delay = max_delay
        self._on_change, self._on_registry = on_change, on_registry
        self._decoded: asyncio.Queue[Gathered] = asyncio.Queue(maxsize=1)
        self._decoding = asyncio.Lock()
        self._new_registry: tuple[Registry, Privacy] | None = None
        self._is_stopping = False
        self.has_committed = False

    async def gather_and_decode(self) -> None:
        """Make batches until stopped and the inbox is empty."""
        while not (self._is_stopping and not len(self._inbox)):
            await self._gather()
            deliveries = self._inbox.take()
            self._consumer.regulate()
            gathered = await self._decode(deliveries, self._gate_ahead, self._backlog.gap)
            self._gate_ahead = gathered.decoded.homes.gate
            await self._decoded.put(gathered)

    async def settle_batches(self) -> None:
        """Settle what was decoded, one batch after the other; cancelled by the service once `drained`."""
        while True:
            gathered = await self._decoded.get()
            await self._settle(gathered)
            self._decoded.task_done()

    def take_up(self, registry: Registry, privacy: Privacy) -> None:
        """Go on with another registry: from the next batch on, and for batches that are not written yet."""
        self._new_registry = (registry, privacy)
        self._inbox.wake()

    def stop(self) -> None:
        """Take what the inbox holds and no more."""
        self._is_stopping = True
        self._inbox.wake()

    async def drained(self) -> None:
        """Wait until every batch made so far is settled."""
        await self._decoded.join()

    async def _gather(self) -> None:
        """Wait until a batch is worth taking: full, old, urgent for the window, or a tick without messages."""
        if not len(self._inbox):
            await self._inbox.wait(TICK)
        deadline = time.monotonic() + self._max_delay
        while len(self._inbox) and not self._is_stopping:
            left = deadline - time.monotonic()
            if left <= 0 or self._inbox.has_batch or self._window.ratio >= _HALF_WINDOW:
                return
            await self._inbox.wait(left)

    async def _decode(self, deliveries: Sequence[Delivery], gate: Gate, gap: Gap) -> Gathered:
        """Decode a batch, and register the sensors it brings."""
        async with self._decoding:
            layout = self._layout
            decoded = decode(deliveries, layout, self._limits, gate, gap)
            if decoded.homes.newcomers:
                await self._store.register(decoded.homes.newcomers)
        return Gathered(deliveries, layout, gate, gap, decoded)

    async def _settle(self, gathered: Gathered) -> None:
        """Settle a batch by the registry in force, however often that changes meanwhile."""
        while True:
            if self._new_registry is not None:
                await self._change_registry(*self._new_registry)
            # Decoded ahead, by a registry that changed since, or after presses of a batch that was dropped.
            if gathered.layout is not self._layout or gathered.gate != self._gate:
                gathered = await self._decode(gathered.deliveries, self._gate, gathered.gap)
                self._gate_ahead = gathered.decoded.homes.gate
            try:
                await self._settle_once(gathered)
            except OutdatedBatchError:
                continue
            return

    async def _change_registry(self, registry: Registry, privacy: Privacy) -> None:
        self._new_registry = None
        self._layout, self._world = await self._store.take_up(registry, privacy, self._gate)
        self._metrics.forget_figures()
        log.info("registry_taken_up", car_parks=len(registry.car_park), dwellings=len(registry.dwelling))
        self._on_registry(registry)

    async def _settle_once(self, gathered: Gathered) -> None:
        """Reduce, commit, adopt, acknowledge."""
        deliveries, decoded = gathered.deliveries, gathered.decoded
        if deliveries and self._window.will_return(deliveries[0].epoch):
            self._gate_ahead = self._gate
            return
        moment = self._backlog.judge(time.time_ns() // 1000, self._window.ratio)
        reduced = reduce(self._world, self._layout, decoded, moment)
        if not (reduced.is_empty and self.has_committed):
            began = time.monotonic()
            try:
                reduced, outcome = await self._commit(reduced, deliveries)
            except SlowBatchError:
                await self._settle_halves(gathered)
                return
            self._observe(outcome, deliveries, time.monotonic() - began)
        self._world = reduced.world
        self._gate = decoded.homes.gate
        self._consumer.acknowledge(deliveries)
        self._backlog.settled(deliveries[-1].received_at if deliveries else moment.now)
        if not deliveries:
            self._gate = self._gate.since(moment.now - self._limits.max_lateness)
        self._metrics.unacknowledged.set(self._window.unacknowledged)
        self._metrics.window_ratio.set(self._window.ratio)
        self._metrics.show_figures(self._layout.codes, self._world.figures)
        if len(reduced.changed_figures):
            self._on_change()

    async def _settle_halves(self, gathered: Gathered) -> None:
        deliveries = gathered.deliveries
        middle = len(deliveries) // 2
        log.warning("batch_halved", messages=len(deliveries))
        for part in (deliveries[:middle], deliveries[middle:]):
            await self._settle(await self._decode(part, self._gate, gathered.gap))

    async def _commit(self, reduced: Reduced, deliveries: Sequence[Delivery]) -> tuple[Reduced, Outcome]:
        """Commit; where the database refuses single readings, dead-letter those and commit the rest."""
        batch = self._batch(reduced, deliveries)
        try:
            return reduced, await self._store.commit(batch, self._is_outdated)
        except PoisonError:
            poison = await self._store.find_poison(batch)
        moment = self._backlog.judge(time.time_ns() // 1000, self._window.ratio)
        decoded = reduced.decoded.without(poison)
        reduced = reduce(self._world, self._layout, decoded, moment)
        return reduced, await self._store.commit(self._batch(reduced, deliveries), self._is_outdated)

    def _is_outdated(self) -> bool:
        return self._new_registry is not None

    def _batch(self, reduced: Reduced, deliveries: Sequence[Delivery]) -> Batch:
        letters = dead_letters(reduced.decoded.rejects, deliveries, self._layout.privacy)
        return Batch(self._layout, reduced, letters, to_datetime(time.time_ns() // 1000))

    def _observe(self, outcome: Outcome, deliveries: Sequence[Delivery], seconds: float) -> None:
        self.has_committed = True
        metrics, now = self._metrics, time.time()
        metrics.last_commit.set(now)
        metrics.commit_seconds.observe(seconds)
        if deliveries:
            metrics.batch_readings.observe(sum(tally.readings for tally in outcome.tallies.values()))
            metrics.receive_to_commit.observe(now - deliveries[0].received_at / 1e6)
        for route, tally in outcome.tallies.items():
            metrics.messages.labels(route).inc(tally.messages)
            for name in OUTCOMES:
                metrics.readings.labels(route, name).inc(getattr(tally, name))
        for reason, count in outcome.dead_letters.items():
            metrics.dead_letters.labels(reason).inc(count)
