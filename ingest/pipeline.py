"""The way of one batch, from the inbox to the acknowledgement.

    gather -> decode ~> reduce -> commit -> adopt -> acknowledge

While one batch commits, the next one gathers and decodes; its reduce waits for the adopt before it. The steps from
reduce to adopt are the settler's (ingest/settle.py).
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from ingest.backlog import Backlog
from ingest.inbox import Inbox
from ingest.metrics import Metrics
from ingest.mqtt import Consumer
from ingest.settle import Gathered, Settler
from ingest.window import Window
from processors.privacy import Privacy
from schemas.delivery import Delivery
from schemas.registry import Registry

TICK: Final = 1.0
"""Seconds after which an empty batch is made, so that silence expires without messages."""
_LOOK_FOR_REPLAYS: Final = 1.0
_HALF_WINDOW: Final = 0.5
_BUSY_FOR: Final = 1.0
"""Seconds for which a full batch tells that the stream has more to do."""


class Pipeline:
    """Moves batches. Its two loops are tasks of the service; see the module."""

    def __init__(  # noqa: PLR0913 - the parts it connects
        self,
        *,
        inbox: Inbox,
        window: Window,
        consumer: Consumer,
        settler: Settler,
        backlog: Backlog,
        metrics: Metrics,
        max_delay: float,
    ) -> None:
        self._inbox, self._window, self._consumer, self._settler = inbox, window, consumer, settler
        self._backlog, self._metrics, self._max_delay = backlog, metrics, max_delay
        self._gate_ahead = settler.gate
        self._decoded: asyncio.Queue[Gathered] = asyncio.Queue(maxsize=1)
        self._full_at = float("-inf")
        self._is_stopping = False

    @property
    def is_busy(self) -> bool:
        """Tell whether batches are full: what can wait had better."""
        return time.monotonic() - self._full_at < _BUSY_FOR

    async def gather_and_decode(self) -> None:
        """Make batches until stopped and the inbox is empty."""
        while not (self._is_stopping and not len(self._inbox)):
            await self._gather()
            deliveries = self._inbox.take()
            self._consumer.regulate()
            gathered = await self._settler.decode(deliveries, self._gate_ahead, self._backlog.gap)
            self._gate_ahead = gathered.decoded.homes.gate
            await self._decoded.put(gathered)

    async def settle_batches(self) -> None:
        """Settle what was decoded, one batch after the other; cancelled by the service once `drained`."""
        looked_at = time.monotonic()
        while True:
            gathered = await self._decoded.get()
            await self._settle(gathered)
            if time.monotonic() - looked_at >= _LOOK_FOR_REPLAYS:
                while not self._is_stopping and await self._settler.replay() and self._decoded.empty():
                    pass  # the stream comes first, but while it has nothing more come
                looked_at = time.monotonic()
            self._decoded.task_done()

    def take_up(self, registry: Registry, privacy: Privacy) -> None:
        """Go on with another registry: from the next batch on, and for batches that are not written yet."""
        self._settler.take_up(registry, privacy)
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
            now = time.monotonic()
            if self._inbox.has_batch or self._window.ratio >= _HALF_WINDOW:
                self._full_at = now
                return
            if now >= deadline:
                return
            await self._inbox.wait(deadline - now)

    async def _settle(self, gathered: Gathered) -> None:
        """Settle a batch and acknowledge it; or drop it, where the broker sends all of it again."""
        deliveries = gathered.deliveries
        if deliveries and self._window.will_return(deliveries[0].epoch):
            self._gate_ahead = self._settler.gate
            return
        self._settler.listen(deliveries)
        settled = await self._settler.settle(gathered)
        if settled is not gathered:
            self._gate_ahead = settled.decoded.homes.gate
        self._consumer.acknowledge(deliveries)
        self._observe(deliveries)

    def _observe(self, deliveries: Sequence[Delivery]) -> None:
        now = time.time_ns() // 1000
        self._backlog.settled(deliveries[-1].received_at if deliveries else now)
        if deliveries:
            self._metrics.receive_to_commit.observe((now - deliveries[0].received_at) / 1e6)
        self._metrics.unacknowledged.set(self._window.unacknowledged)
        self._metrics.window_ratio.set(self._window.ratio)
