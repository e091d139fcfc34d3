"""The sender: publishes messages at QoS 1 when they are due, holding a window in flight as devices do.

A broker that is away is waited for, and what it has not acknowledged is sent again, in the same order. Then what is
late is sent at once.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

import mqtt5
import structlog

from schemas.settings import BrokerAddress
from simulators.sending.connection import BrokenError, Connection, RefusedError, connect
from simulators.sending.traffic import Traffic

IN_FLIGHT = 1_000
"""At most so many; a broker that announces a smaller Receive Maximum is given no more than that."""
_PACKET_IDS = 65_535
_TAKEN = (mqtt5.PubAckReasonCode.SUCCESS, mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)
_MOST_AT_ONCE = 256 * 1024
"""Bytes that are handed over before acknowledgements are looked at again."""
_SHORTEST_WAIT = 0.0005
_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 0.25, 5.0

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
        """What; asked for when it is sent first."""

    @property
    def retain(self) -> bool:
        """Whether the broker is to keep it."""

    @property
    def expiry(self) -> int | None:
        """After how many seconds the broker may forget it; None for never."""


class _Flight:
    """A message that waits for its acknowledgement: its number, its packet's content, when it was last sent."""

    __slots__ = ("expiry", "number", "payload", "retain", "sent_at", "topic")

    def __init__(self, number: int, message: Outgoing) -> None:
        self.number = number
        self.topic = message.topic
        self.payload = message.payload
        self.retain = message.retain
        self.expiry = message.expiry
        self.sent_at = 0.0


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
        self._most_in_flight = in_flight
        self._on_acknowledged = on_acknowledged
        self._flights: dict[int, _Flight] = {}
        self._again: deque[_Flight] = deque()
        self._next_id = 1
        self._next: Outgoing | None = None
        self._wake = asyncio.Event()
        self._waits_for_room = False
        self._refusal = ""
        self._failures = 0
        self.traffic = Traffic()

    async def run(self, messages: Iterable[Outgoing]) -> None:
        """Send everything, and return when all is acknowledged. Raises RefusedError where the broker refuses it.

        The clock starts with the first connection, so that a broker that is waited for makes nothing late.
        """
        source = iter(messages)
        while True:
            try:
                await self._converse(source)
            except BrokenError as error:
                await self._back_off(str(error))
            else:
                return

    async def _back_off(self, reason: str) -> None:
        pause = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1)
        self._failures += 1
        log.warning("broker_lost", reason=reason, retry_in=round(pause, 2))
        await asyncio.sleep(pause)

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
        if self._refusal:
            raise RefusedError(self._refusal)
        if connection.lost.done():
            raise BrokenError(connection.lost.result())
        if wait is None and not self._flights:
            return False
        await connection.drain()
        # An acknowledgement hastens nothing while the next message is not due.
        self._waits_for_room = wait is None or not self._room(connection)
        if wait is None or self._waits_for_room:
            await self._wake.wait()
        elif wait > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wait, _SHORTEST_WAIT)):
                    await self._wake.wait()
        else:
            await asyncio.sleep(0)
        return True

    def _room(self, connection: Connection) -> int:
        return min(self._most_in_flight, connection.receive_maximum) - len(self._flights)

    def _send_due(self, connection: Connection, source: Iterator[Outgoing]) -> float | None:
        """Write what is due, as far as there is room; give the seconds to the next, None where there is none."""
        packets: list[bytes] = []
        now, size = time.monotonic(), 0
        while True:
            wait = self._wait_for_next(source, now)
            if wait is None or wait > 0 or size > _MOST_AT_ONCE or not self._room(connection):
                break
            packets.append(self._take_off(connection, self._next_flight(-wait), now))
            size += len(packets[-1])
        if packets:
            connection.write(b"".join(packets))
        self.traffic.in_flight = len(self._flights)
        return wait

    def _wait_for_next(self, source: Iterator[Outgoing], now: float) -> float | None:
        if self._again:
            return 0.0
        self._next = self._next or next(source, None)
        return None if self._next is None else self.traffic.started + self._next.due - now

    def _next_flight(self, late: float) -> _Flight:
        """Give the message whose turn it is; raises RuntimeError where there is none."""
        if self._again:
            return self._again.popleft()
        if self._next is None:
            raise RuntimeError("no message is due")
        flight = _Flight(self.traffic.sent, self._next)
        self._next = None
        self.traffic.sent += 1
        self.traffic.late.add(late)
        return flight

    def _take_off(self, connection: Connection, flight: _Flight, now: float) -> bytes:
        while self._next_id in self._flights:
            self._next_id = self._next_id % _PACKET_IDS + 1
        number = self._next_id
        packet = mqtt5.PublishPacket(
            flight.topic,
            flight.payload,
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            packet_id=number,
            retain=flight.retain,
            message_expiry_interval=flight.expiry,
        ).write()
        if len(packet) > connection.maximum_packet_size:
            raise RefusedError(
                f"a message to {flight.topic} of {len(packet)} bytes is larger than the broker takes "
                f"({connection.maximum_packet_size}): see its limit of packet sizes"
            )
        flight.sent_at = now
        self._flights[number] = flight
        self._next_id = number % _PACKET_IDS + 1
        return packet

    def _take(self, packet: mqtt5.Packet) -> None:
        if not isinstance(packet, mqtt5.PubAckPacket):
            return
        flight = self._flights.pop(packet.packet_id, None)
        if flight is None:
            return
        if packet.reason_code not in _TAKEN:
            self._refusal = (
                f"the broker refuses what is published to {flight.topic} ({packet.reason_code.name}): let the account "
                "of ARCEAUX_BROKER_URL write to the sensors' topics, or use another one"
            )
        else:
            self._failures = 0
            self.traffic.acknowledged += 1
            self.traffic.in_flight = len(self._flights)
            self.traffic.latency.add(time.monotonic() - flight.sent_at)
            self._on_acknowledged(flight.number)
        if self._waits_for_room or self._refusal:
            self._wake.set()
