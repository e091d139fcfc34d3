"""The consumer: keeps one MQTT 5 session alive for ever, takes deliveries in and acknowledges them after commit.

    Consumer --connects--> Connection --packets--> Consumer.on_publish --> Inbox --> pipeline
    pipeline --acknowledge, after COMMIT--> Window --identifiers--> Connection

Why not a ready-made client: docs/decisions/0001-consumer.md.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import mqtt5
import structlog

from ingest.backoff import Backoff
from ingest.connection import Connection, ConnectionFailedError
from ingest.inbox import Inbox
from ingest.metrics import Metrics
from ingest.window import Window
from schemas.delivery import Delivery
from schemas.settings import BrokerAddress

SESSION_EXPIRY: Final = 7 * 24 * 3600
KEEP_ALIVE: Final = 6
"""Short, so that a connection which died without a word is noticed soon: figures and acknowledgements wait for it."""
MAX_PACKET_SIZE: Final = 8 * 1024 * 1024
"""A broker drops what is larger without a word, so its own limit has to be below this (deploy/mosquitto.conf)."""
_OWN_PACKET_ID: Final = 1
"""Of SUBSCRIBE, UNSUBSCRIBE and our own PUBLISH, which are sent one at a time."""

log = structlog.get_logger()


class SessionMemory(Protocol):
    """What outlives a connection: whether we are still the worker, and what the session is subscribed to."""

    async def before_connect(self) -> Sequence[str]:
        """Give the filters of the session; raise LeaseLostError where another process took over."""

    async def remember(self, filters: Sequence[str]) -> None:
        """Keep the filters of the session."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are at the broker. `status` gives the payload of the status topic for a state."""

    client_id: str
    control_filters: tuple[str, ...]
    data_filters: tuple[str, ...]
    status_topic: str
    status: Callable[[str], bytes]

    @property
    def filters(self) -> tuple[str, ...]:
        """All topic filters of the session."""
        return (*self.control_filters, *self.data_filters)


class Consumer:
    """Holds the session; see the module."""

    def __init__(
        self, address: BrokerAddress, identity: Identity, inbox: Inbox, window: Window, metrics: Metrics
    ) -> None:
        self._address = address
        self._identity = identity
        self._inbox = inbox
        self._window = window
        self._metrics = metrics
        self._connection: Connection | None = None
        self._stopping = asyncio.Event()
        self.on_connected: Callable[[bool], None] = lambda _: None
        self.on_lost: Callable[[float], None] = lambda _: None
        self.is_subscribed = False
        self._was_subscribed = False
        self._last_arrival = 0

    async def run(self, memory: SessionMemory) -> None:
        """Connect, and connect again, until `stop`. Raises LeaseLostError when another process took over."""
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                reason = await self._serve_connection(memory, backoff)
            except (ConnectionFailedError, OSError) as error:
                reason = str(error)
            if not self._stopping.is_set():
                wait = backoff.wait()
                log.warning("broker_waiting", broker=self._address.host, reason=reason, wait=round(wait, 1))
                await self._wait(wait)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Send PUBACK for what has been committed, in arrival order, as far as it is of this connection."""
        identifiers = self._window.acknowledge(deliveries)
        if identifiers and self._connection:
            self._connection.write(b"".join([mqtt5.PubAckPacket(identifier).write() for identifier in identifiers]))
        self.regulate()

    def regulate(self) -> None:
        """Read on where the inbox has room again."""
        if self._connection:
            self._connection.regulate()

    def stop_intake(self) -> None:
        """Read nothing more, so that what was received can be committed and acknowledged."""
        self._stopping.set()
        self.regulate()

    async def close(self) -> None:
        """Say that we are offline and disconnect, keeping the session."""
        connection = self._connection
        if connection is None or connection.lost.done():
            return
        connection.write(self._status_packet("offline"))
        connection.write(mqtt5.DisconnectPacket().write())
        await connection.close()

    def on_connack(self, packet: mqtt5.ConnAckPacket) -> None:
        """Begin the epoch, before any publication of the same read is taken."""
        if packet.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
            return
        self._window.open(session_present=packet.session_present)
        self._inbox.drop(self._window.will_return)
        self.on_connected(packet.session_present)

    def on_publish(self, packets: list[mqtt5.PublishPacket]) -> None:
        """Take deliveries in, unparsed."""
        epoch = self._window.epoch
        # Never twice the same microsecond: messages without a time of their own keep their order by it.
        first = max(time.time_ns() // 1000, self._last_arrival + 1)
        deliveries = [
            Delivery(epoch, p.packet_id, p.topic, p.payload, p.retain, at, p.duplicate)
            for at, p in enumerate(packets, first)
        ]
        self._last_arrival = deliveries[-1].received_at
        for packet in packets:
            self._window.received(packet.packet_id)
        self._inbox.put(deliveries)

    async def _serve_connection(self, memory: SessionMemory, backoff: Backoff) -> str:
        """Open one connection and stay until it ends; give the reason."""
        old_filters = await memory.before_connect()
        self._connection = connection = await self._open()
        try:
            session_present = await self._greet(connection)
            if old_filters and not session_present:
                self._metrics.sessions_lost.inc()
                log.warning("session_lost", remedy="see docs/delivery.md, what the broker has to keep")
            await self._subscribe(connection, old_filters)
            if set(old_filters) != set(self._identity.filters):
                await memory.remember(self._identity.filters)
            connection.write(self._status_packet("online"))
            self._set_subscribed()
            # A batch is made now and not a tick later: the first one makes us ready.
            self._inbox.wake()
            log.info("broker_connected", broker=self._address.host, session_present=session_present)
            backoff.reset()
            await connection.keep_alive(KEEP_ALIVE)
            return connection.lost.result()
        finally:
            if self.is_subscribed:
                self.on_lost(connection.silent_seconds)
            self.is_subscribed = False
            self._metrics.broker_connected.set(0)
            self._window.close()
            connection.abort("closed")

    async def _open(self) -> Connection:
        """Connect the socket."""
        context = ssl.create_default_context() if self._address.tls else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(10):
                _, connection = await loop.create_connection(
                    lambda: Connection(self, self._is_held), self._address.host, self._address.port, ssl=context
                )
        except TimeoutError:
            raise ConnectionFailedError("no connection within 10 s") from None
        return connection

    def _is_held(self) -> bool:
        return self._inbox.is_full or self._stopping.is_set()

    async def _greet(self, connection: Connection) -> bool:
        """CONNECT; give whether the broker still had our session.

        Clean Start is 0 on the first connect too: a clean one would purge the backlog, and mosquitto keeps over a
        restart only sessions opened without it.
        """
        packet = mqtt5.ConnectPacket(
            self._identity.client_id,
            username=self._address.username,
            password=self._address.password.encode() if self._address.password else None,
            clean_start=False,
            will=mqtt5.Will(
                self._identity.status_topic,
                payload=self._identity.status("offline"),
                qos=mqtt5.QoS.AT_LEAST_ONCE,
                retain=True,
            ),
            keep_alive=KEEP_ALIVE,
            session_expiry_interval=SESSION_EXPIRY,
            receive_max=self._window.receive_maximum,
            max_packet_size=MAX_PACKET_SIZE,
        )
        self._window.connecting()
        answer = await connection.request(packet.write(), mqtt5.ConnAckPacket)
        if answer.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
            raise ConnectionFailedError(f"the broker refused us: {answer.reason_code.name} {answer.reason_str or ''}")
        return answer.session_present

    async def _subscribe(self, connection: Connection, old_filters: Sequence[str]) -> None:
        """Unsubscribe what is no longer wanted, then subscribe: the red buttons first, so that nothing overtakes them.

        Of those the retained ones are sent at every connect; of data none are, since they are of unknown age.
        """
        if unwanted := sorted(set(old_filters) - set(self._identity.filters)):
            unsubscribe = mqtt5.UnsubscribePacket(_OWN_PACKET_ID, unwanted)
            await connection.request(unsubscribe.write(), mqtt5.UnsubAckPacket, _OWN_PACKET_ID)
        await _subscribe_at_least_once(connection, self._identity.control_filters, mqtt5.RetainHandling.SEND_ALWAYS)
        await _subscribe_at_least_once(connection, self._identity.data_filters, mqtt5.RetainHandling.SEND_NEVER)

    def _set_subscribed(self) -> None:
        if self._was_subscribed:
            self._metrics.reconnects.inc()
        self._was_subscribed = self.is_subscribed = True
        self._metrics.broker_connected.set(1)

    def _status_packet(self, state: str) -> bytes:
        return mqtt5.PublishPacket(
            self._identity.status_topic,
            self._identity.status(state),
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain=True,
            packet_id=_OWN_PACKET_ID,
        ).write()

    async def _wait(self, seconds: float) -> None:
        """Wait so long, or until stopping."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


async def _subscribe_at_least_once(
    connection: Connection, patterns: Sequence[str], retain_handling: mqtt5.RetainHandling
) -> None:
    """Subscribe at QoS 1. Raises ConnectionFailedError where the broker grants less."""
    filters = [
        mqtt5.TopicFilter(
            pattern,
            max_qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain_as_published=False,
            retain_handling=retain_handling,
        )
        for pattern in patterns
    ]
    subscribe = mqtt5.SubscribePacket(_OWN_PACKET_ID, filters)
    answer = await connection.request(subscribe.write(), mqtt5.SubAckPacket, _OWN_PACKET_ID)
    for pattern, code in zip(patterns, answer.reason_codes, strict=True):
        if code is not mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE:
            raise ConnectionFailedError(f"{pattern} was granted as {code.name}: allow it at QoS 1 at the broker")
