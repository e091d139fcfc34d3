"""The recorder: holds one MQTT session and acknowledges each message when it is on the disk.

    broker --> Intake --> CaptureFile --> PUBACK

What was not acknowledged comes again, also to another process that goes on under the same client id. So nothing is
lost; what was written and whose acknowledgement did not arrive comes twice.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import mqtt5
import structlog

from schemas.settings import BrokerAddress
from simulators.captures.capture_file import CaptureFile
from simulators.captures.homes import Owners, Whose
from simulators.captures.intake import TICK, Intake
from simulators.captures.lines import Captured, Recording
from simulators.sending.backoff import Backoff
from simulators.sending.connection import BrokenError, Connection, connect, subscribe

SESSION_SECONDS = 7 * 24 * 3600
"""How long the broker keeps messages for a recorder that is away."""
RECEIVE_MAXIMUM = 8_000
"""Messages in flight to us; not 65535, which the codec leaves unsaid, and mosquitto then takes 20."""
_MOST_HELD = 32 * 1024 * 1024
"""Bytes that wait to be written, before nothing more is read: the broker keeps the rest."""
_MOST_TOPICS = 100_000

ResultT = TypeVar("ResultT")

log = structlog.get_logger("simulators.record")


@dataclass
class Tally:
    """What was recorded. `bytes` are those of payloads; of topics no more than 100,000 are told apart."""

    messages: int = 0
    bytes: int = 0
    retained: int = 0
    left_out: Counter[Whose] = field(default_factory=Counter)
    topics: set[str] = field(default_factory=set)

    def add(self, message: Captured) -> None:
        """Count a message that was written."""
        self.messages += 1
        self.bytes += len(message.payload)
        self.retained += message.retain
        if len(self.topics) < _MOST_TOPICS:
            self.topics.add(message.topic)


class Recorder:
    """Records until it is told to stop. `has_ended_session` tells whether the broker keeps nothing more for it."""

    def __init__(
        self,
        address: BrokerAddress,
        recording: Recording,
        file: CaptureFile,
        owners: Owners,
        duration: float | None = None,
    ) -> None:
        """`duration` is in seconds since the first subscription."""
        self._address = address
        self._recording = recording
        self._file = file
        self._owners = owners
        self._duration = duration
        self._connection: Connection | None = None
        self._intake = Intake(RECEIVE_MAXIMUM // 2)
        self._unwritten = self._intake
        self._wake = asyncio.Event()
        self._last_at = 0
        self._backoff = Backoff()
        self.started: float | None = None
        self.tally = Tally()
        self.has_ended_session = False

    @property
    def held(self) -> int:
        """Bytes that wait to be written, beside those that are just being written."""
        return self._intake.size

    async def run(self, stop: asyncio.Event) -> None:
        """Record, waiting for a broker that is away. Raises RefusedError, WriteError."""
        while not stop.is_set():
            try:
                await self._converse(stop)
            except BrokenError as error:
                await self._back_off(str(error), stop)
        await self._write(self._unwritten.without_repeats(session_present=False))

    async def _back_off(self, reason: str, stop: asyncio.Event) -> None:
        pause = self._backoff.wait()
        log.warning("broker_lost", reason=reason, retry_in=round(pause, 2))
        await _unless(stop, asyncio.sleep(pause))

    async def _converse(self, stop: asyncio.Event) -> None:
        """Connect and record until told to stop. Raises BrokenError where the connection ends before."""
        self._intake = Intake(RECEIVE_MAXIMUM // 2)
        self._connection = connection = await _unless(stop, self._connect())
        if connection is None:
            return
        alive = asyncio.create_task(connection.keep_alive())
        try:
            unwritten, self._unwritten = self._unwritten, self._intake
            await self._write(unwritten.without_repeats(session_present=connection.session_present))
            await self._subscribe(connection, stop)
            await self._record(connection, stop)
            await connection.close(end_session=True)
            self.has_ended_session = True
        finally:
            connection.abort("closed")
            alive.cancel()
            with suppress(asyncio.CancelledError, BrokenError):
                await alive

    async def _connect(self) -> Connection:
        connection = await connect(
            self._address,
            "record",
            self._take,
            session_seconds=SESSION_SECONDS,
            client_id=self._recording.client_id,
            receive_maximum=RECEIVE_MAXIMUM,
        )
        connection.lost.add_done_callback(lambda _: self._wake.set())
        log.info("broker_connected", host=self._address.host, session_present=connection.session_present)
        return connection

    async def _subscribe(self, connection: Connection, stop: asyncio.Event) -> None:
        """Subscribe; what the broker has kept comes once, and flagged, since nobody knows how old it is."""
        await subscribe(
            connection,
            self._recording.topics,
            retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
            retain_as_published=False,
        )
        log.info("recording", topics=list(self._recording.topics))
        if self.started is None:
            self.started = time.monotonic()
            if self._duration is not None:
                asyncio.get_running_loop().call_later(self._duration, stop.set)

    async def _record(self, connection: Connection, stop: asyncio.Event) -> None:
        """Write what arrives, and acknowledge it, until told to stop."""
        while True:
            is_last = stop.is_set()
            if is_last or self._intake.is_ripe(time.monotonic()):
                messages, packet_ids = self._intake.take()
                connection.release()
                await self._write(messages)
                connection.acknowledge(packet_ids)
                self._backoff.reset()
            if connection.lost.done():
                raise BrokenError(connection.lost.result())
            if is_last:
                return
            if not self._intake.is_full:
                await self._tick()

    async def _tick(self) -> None:
        """Wait until it is time to look again, or until there is enough to write."""
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK):
                await self._wake.wait()

    async def _write(self, messages: list[Captured]) -> None:
        if messages:
            await asyncio.to_thread(self._file.append, messages)
            for message in messages:
                self.tally.add(message)

    def _take(self, packet: mqtt5.Packet) -> None:
        if not isinstance(packet, mqtt5.PublishPacket):
            return
        # Times never run back within a recording, whatever our clock does.
        self._last_at = max(time.time_ns() // 1000, self._last_at)
        whose = self._owners.whose(packet.topic)
        message = None
        if whose is Whose.PUBLIC or self._recording.with_dwellings:
            message = Captured(self._last_at, packet.topic, packet.payload, packet.retain)
        else:
            self.tally.left_out[whose] += 1
        self._intake.add(message, packet.packet_id or 0, time.monotonic())
        if self._intake.is_full:
            self._wake.set()
        if self._intake.size > _MOST_HELD and self._connection is not None:
            self._connection.hold()


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, ResultT]) -> ResultT | None:
    """Do the work, or give it up where we are told to stop before it is done."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    return None
