"""Deliveries that wait to be batched, bounded by count and by bytes."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from schemas.delivery import Delivery

MAX_BYTES: Final = 64 * 1024 * 1024
"""Undecoded payload held at the most; beyond it reading stops and the broker keeps the rest."""
BATCH_BYTES: Final = 16 * 1024 * 1024
_RECORD_BYTES: Final = 48
"""Of a SenML record, about."""


class Inbox:
    """A queue with a size. It never refuses: its owner stops reading while it `is_full`."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._waiting: deque[Delivery] = deque()
        self._bytes = 0
        self._readings = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Two batches wait, or too many bytes."""
        return self._readings >= 2 * self._batch_size or self._bytes >= MAX_BYTES

    @property
    def has_batch(self) -> bool:
        """A whole batch waits, by count or by bytes."""
        return self._readings >= self._batch_size or self._bytes >= BATCH_BYTES

    def put(self, deliveries: list[Delivery]) -> None:
        """Add deliveries in arrival order."""
        self._waiting.extend(deliveries)
        self._bytes += sum(len(delivery.payload) for delivery in deliveries)
        self._readings += sum(map(_readings, deliveries))
        self._changed.set()

    def take(self) -> list[Delivery]:
        """Take a batch: the oldest deliveries, all of one connection."""
        batch: list[Delivery] = []
        size = readings = 0
        while self._waiting and readings < self._batch_size and size < BATCH_BYTES:
            if batch and self._waiting[0].epoch != batch[0].epoch:
                break
            delivery = self._waiting.popleft()
            size += len(delivery.payload)
            readings += _readings(delivery)
            batch.append(delivery)
        self._bytes -= size
        self._readings -= readings
        return batch

    def drop(self, will_return: Callable[[int], bool]) -> None:
        """Drop what will come again, judged by its epoch; the rest is only here, and is kept."""
        self._waiting = deque(delivery for delivery in self._waiting if not will_return(delivery.epoch))
        self._bytes = sum(len(delivery.payload) for delivery in self._waiting)
        self._readings = sum(map(_readings, self._waiting))

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Wait until something is put, or so long."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return


def _readings(delivery: Delivery) -> int:
    """Guess, without looking, how many readings a message holds."""
    return 1 + len(delivery.payload) // _RECORD_BYTES
