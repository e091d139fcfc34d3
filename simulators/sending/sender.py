"""The sender: publishes messages at QoS 1 when they are due, holding a window in flight as devices do.

A broker that is away is waited for, and what it has not acknowledged is sent again, in the same order. Then what is
late is sent at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

import mqtt5
import structlog

from schemas.settings import BrokerAddress
from simulators.sending.backoff import Backoff
from simulators.sending.connection import BrokenError, Connection, RefusedError, connect
from simulators.sending.traffic import Traffic

IN_FLIGHT = 1_000
"""At most so many; a broker that announces a smaller Receive Maximum is given no more than that."""
MOST_IN_FLIGHT = 65_535
"""What packet identifiers can tell apart."""
_TAKEN = (mqtt5.PubAckReasonCode.SUCCESS, mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)
_LONGEST_TURN, _MOST_BYTES_AT_ONCE = 0.001, 256 * 1024
"""Seconds of making messages, and about their bytes, before they are handed over and acknowledgements looked at."""
_SHORTEST_WAIT = 0.001
"""In seconds: the event loop counts no shorter ones, and would spin."""

log = structlog.get_logger("simulators.sender")


class Outgoing(Protocol):
    """A message to be sent, `due` in seconds after the start."""

    @property
    def due(self) -> float:
        """When; never before the one before it, or it is sent as late as that."""

    @property
    def topic(self) -> str:
        """Where to."""

    @property
    def payload(self) -> bytes:
        """What; asked for once, when it is sent first."""

    @property
    def retain(self) -> bool:
        """Whether the broker is to keep it."""

    @property
    def expiry(self) -> int | None:
        """After how many seconds the broker may forget it; None for never."""


class _Flight:
    """A message on its way: its number, its packet and the identifier in it, when it is due and was first sent."""

    __slots__ = ("due", "number", "packet", "packet_id", "sent_at")

    def __init__(self, number: int, packet_id: int, packet: bytes, due: float) -> None:
        self.number = number
        self.packet_id = packet_id
        self.packet = packet
        self.due = due
        self.sent_at: float | None = None


class Sender:
    """Sends messages in their order, over one connection after the other. `traffic` tells how it goes."""

    def __init__(
        self,
        address: BrokerAddress,
        role: str,
        *,
        in_flight: int = IN_FLIGHT,
        on_acknowledged: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_acknowledged` is told the number, from 0 in the order of sending, of each message that is."""
        self._address = address
        self._role = role
        self._most_in_flight = min(in_flight, MOST_IN_FLIGHT)
        self._on_acknowledged = on_acknowledged
        self._flights: dict[int, _Flight] = {}
        self._again: deque[_Flight] = deque()
        self._last_id = 0
        self._next: Outgoing | None = None
        self._wake = asyncio.Event()
        self._waits_for_room = False
        self._stopping = asyncio.Event()
        self._refusal = ""
        self._backoff = Backoff()
        self.traffic = Traffic()

    async def run(self, messages: Iterable[Outgoing]) -> None:
        """Send everything, and return when all is acknowledged. Raises RefusedError where the broker refuses it.

        The clock starts with the first connection, so that a broker that is waited for makes nothing late, unless
        `traffic.begin` has started it before.
        """
        source = iter(messages)
        while not self._stopping.is_set():
            try:
                await self._converse(source)
            except BrokenError as error:
                await self._back_off(str(error))
            else:
                return

    def stop(self) -> None:
        """Let `run` return as soon as what is in flight is acknowledged, and at once where the broker is away."""
        self._stopping.set()
        self._wake.set()

    async def _back_off(self, reason: str) -> None:
        pause = self._backoff.wait()
        log.warning("broker_lost", reason=reason, retry_in=round(pause, 2))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()

    async def _converse(self, source: Iterator[Outgoing]) -> None:
        """Connect and send until all is acknowledged. Raises BrokenError where the connection ends before."""
        connection = await connect(self._address, self._role, self._take)
        log.info("broker_connected", host=self._address.host, port=self._address.port)
        connection.lost.add_done_callback(lambda _: self._wake.set())
        alive = asyncio.create_task(connection.keep_alive())
        try:
            self.traffic.begin(time.monotonic())
            # The broker has forgotten what it did not acknowledge, and the devices have not.
            self._again.extendleft(reversed(self._flights.values()))
            self._flights.clear()
            while await self._step(connection, source):
                pass
            await connection.close()
        finally:
            connection.abort("closed")
            alive.cancel()
            with suppress(asyncio.CancelledError, BrokenError):
                await alive

    async def _step(self, connection: Connection, source: Iterator[Outgoing]) -> bool:
        """Send what is due and has room, and wait until there is more to do; tell whether there will be."""
        self._wake.clear()
        wait = self._send_due(connection, source)
        await connection.drain()
        if self._refusal:
            raise RefusedError(self._refusal)
        if connection.lost.done():
            raise BrokenError(connection.lost.result())
        if wait is None and not self._flights:
            return False
        await self._wait(wait, has_room=self._room(connection) > 0)
        return True

    async def _wait(self, seconds: float | None, *, has_room: bool) -> None:
        """Wait until the next message is due and there is room for it."""
        # An acknowledgement hastens nothing while the next message is not due.
        self._waits_for_room = seconds is None or not has_room
        if seconds is None or not has_room:
            await self._wake.wait()
        elif seconds > 0:
            timer = asyncio.get_running_loop().call_later(max(seconds, _SHORTEST_WAIT), self._wake.set)
            await self._wake.wait()
            timer.cancel()
        else:
            await asyncio.sleep(0)

    def _room(self, connection: Connection) -> int:
        return min(self._most_in_flight, connection.receive_maximum) - len(self._flights)

    def _send_due(self, connection: Connection, source: Iterator[Outgoing]) -> float | None:
        """Write what is due, as far as there is room; give the seconds to the next, None where there is none."""
        flights: list[_Flight] = []
        room, size = self._room(connection), 0
        began = now = time.monotonic() - self.traffic.started
        due = self._next_due(source)
        while due is not None and due <= now and len(flights) < room:
            flight = self._next_flight()
            self._check_size(flight, connection.maximum_packet_size)
            self._flights[flight.packet_id] = flight
            flights.append(flight)
            size += len(flight.packet)
            due = self._next_due(source)
            now = time.monotonic() - self.traffic.started
            if now > began + _LONGEST_TURN or size > _MOST_BYTES_AT_ONCE:
                break
        if flights:
            connection.write(b"".join([flight.packet for flight in flights]))
            self._count(flights, size)
        return None if due is None else due - now

    def _next_due(self, source: Iterator[Outgoing]) -> float | None:
        if self._again:
            return 0.0
        if self._stopping.is_set():
            return None
        if self._next is None:
            self._next = next(source, None)
        return None if self._next is None else self._next.due

    def _next_flight(self) -> _Flight:
        """Give the message whose turn it is; raises RuntimeError where there is none."""
        if self._again:
            return self._again.popleft()
        if self._next is None:
            raise RuntimeError("no message is due")
        message, self._next = self._next, None
        self._last_id = self._last_id % MOST_IN_FLIGHT + 1
        while self._last_id in self._flights:
            self._last_id = self._last_id % MOST_IN_FLIGHT + 1
        packet = mqtt5.PublishPacket(
            message.topic,
            message.payload,
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            packet_id=self._last_id,
            retain=message.retain,
            message_expiry_interval=message.expiry,
        ).write()
        self.traffic.sent += 1
        return _Flight(self.traffic.sent - 1, self._last_id, packet, message.due)

    def _check_size(self, flight: _Flight, most: int) -> None:
        if len(flight.packet) > most:
            raise RefusedError(
                f"a message to {_topic(flight)} of {len(flight.packet)} bytes is larger than the broker takes "
                f"({most}): see its limit of packet sizes"
            )

    def _count(self, flights: list[_Flight], size: int) -> None:
        """Note when these were handed over: now, and not before each was made."""
        now = time.monotonic()
        traffic = self.traffic
        for flight in flights:
            if flight.sent_at is None:
                flight.sent_at = now
                traffic.late.add(now - traffic.started - flight.due)
        traffic.written += size
        traffic.in_flight = len(self._flights)

    def _take(self, packet: mqtt5.Packet) -> None:
        if not isinstance(packet, mqtt5.PubAckPacket):
            return
        flight = self._flights.pop(packet.packet_id, None)
        if flight is None or flight.sent_at is None:
            return
        if packet.reason_code not in _TAKEN:
            self._refusal = (
                f"the broker refuses what is published to {_topic(flight)} ({packet.reason_code.name}): let the "
                "account of ARCEAUX_BROKER_URL write to the sensors' topics, or use another one"
            )
        else:
            self._backoff.reset()
            self.traffic.acknowledged += 1
            self.traffic.in_flight = len(self._flights)
            self.traffic.latency.add(time.monotonic() - flight.sent_at)
            self._on_acknowledged(flight.number)
        if self._waits_for_room or self._refusal:
            self._wake.set()


def _topic(flight: _Flight) -> str:
    packet, _ = mqtt5.read(memoryview(flight.packet))
    return packet.topic if isinstance(packet, mqtt5.PublishPacket) else ""
