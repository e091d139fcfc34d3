"""Publishing a script: each message when it is due, over as many connections as it takes."""

import asyncio
import time
from datetime import UTC, datetime

import aiomqtt

from schemas.settings import BrokerAddress
from simulators.connection import Client, Connections, RefusedError
from simulators.progress import Standing
from simulators.replay_plan import Message, Progress, Timeline, payload

_IN_FLIGHT = 40
"""Twice what paho lets be under way, 20, which is also what mosquitto takes by default: so a next one is ready."""


class Player:
    """Publishes messages, of which there is at least one, at QoS 1 and in their order.

    `speed` is a factor of their own pace, None for as fast as the broker acknowledges. `shift_to_now` adds one
    constant to their times, so that the last one's is when it is due.
    """

    def __init__(
        self, address: BrokerAddress, messages: list[Message], *, speed: float | None, shift_to_now: bool
    ) -> None:
        self._connections = Connections(address, "replay", in_flight=_IN_FLIGHT)
        self._messages = messages
        self._speed = speed
        self._shift_to_now = shift_to_now
        self._timeline: Timeline | None = None
        self._started = 0.0
        self._newest: datetime | None = None
        self.progress = Progress(len(messages))

    async def run(self) -> None:
        """Send to the end; a broker that is away is waited for, what it did not acknowledge is sent again.

        Raises RefusedError where the broker refuses a message.
        """
        await self._connections.run(self._play)

    def look(self) -> Standing:
        """Tell how far it is; another thread may ask."""
        elapsed = time.monotonic() - self._started if self._timeline else 0.0
        paced = self._timeline is not None and self._speed is not None
        last_due = self._timeline.due(self._timeline.last) if self._timeline and paced else None
        return Standing(self.progress.acknowledged, self.progress.total, elapsed, last_due, self._newest)

    def _start(self) -> Timeline:
        self._started = time.monotonic()
        first, last = self._messages[0].record.time, self._messages[-1].record.time
        return Timeline(first, last, datetime.now(UTC), self._speed, self._shift_to_now)

    async def _play(self, client: Client) -> None:
        # From the first connection on, so that a broker that is waited for at the start makes nothing late.
        self._timeline = self._timeline or self._start()
        try:
            await self._send_all(client, self._timeline)
        except BaseExceptionGroup as errors:
            refused, others = errors.split(RefusedError)
            if refused is not None:
                raise RefusedError(*refused.exceptions[0].args) from None
            lost, others = errors.split(aiomqtt.MqttError)
            if lost is None or others is not None:
                raise
            if not self.progress.is_complete:
                raise aiomqtt.MqttError(str(lost.exceptions[0])) from None

    async def _send_all(self, client: Client, timeline: Timeline) -> None:
        slots = asyncio.Semaphore(_IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_until_lost(client))
            for place in self.progress.turns():
                await slots.acquire()
                await self._until_due(timeline.due(self._messages[place].record.time))
                # Tasks start in the order in which they are made, and each hands its message over as it starts: so
                # the order is kept.
                group.create_task(self._send(client, place, timeline, slots))
            for _ in range(_IN_FLIGHT):
                await slots.acquire()
            watch.cancel()

    async def _until_due(self, due: float) -> None:
        wait = self._started + due - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)

    async def _send(self, client: Client, place: int, timeline: Timeline, slots: asyncio.Semaphore) -> None:
        message = self._messages[place]
        await client.send(message.topic, payload(message.record, timeline.shift))
        self._connections.proved()
        self.progress.acknowledge(place)
        self._newest = message.record.time
        slots.release()


async def _until_lost(client: Client) -> None:
    """Wait until the connection breaks, and raise MqttError at once; a publication only runs into its time-out."""
    async for _ in client.messages:
        pass
