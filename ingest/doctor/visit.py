"""The doctor's visits to the broker, each under a client id of its own: the service's session is never touched."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import mqtt5

from ingest.connection import Connection, ConnectionFailedError
from ingest.mqtt import KEEP_ALIVE, MAX_PACKET_SIZE
from schemas.settings import BrokerAddress

UNREACHED: Final = (ConnectionFailedError, OSError, TimeoutError)
"""What a visit raises where the broker is away or does not answer."""
_PATIENCE: Final = 5.0
"""Seconds for a connection and for an answer."""

_RECEIVE_MAXIMUM: Final = 20_000
"""All that the queue probe sends, and more: the broker need not wait for our acknowledgements."""

Heard = Callable[[mqtt5.PublishPacket], None]


class RefusedVisitError(Exception):
    """The broker did not let us in."""

    def __init__(self, code: mqtt5.ConnAckReasonCode) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(slots=True)
class Visitor:
    """One connection: what it hears is acknowledged and passed on."""

    heard: Heard
    connection: Connection = field(init=False)
    connack: mqtt5.ConnAckPacket = field(init=False)

    def on_connack(self, packet: mqtt5.ConnAckPacket) -> None:
        """Keep the broker's answer to CONNECT (the connection calls this)."""
        self.connack = packet

    def on_publish(self, packets: list[mqtt5.PublishPacket]) -> None:
        """Acknowledge and pass on (the connection calls this)."""
        identifiers = [packet.packet_id for packet in packets if packet.packet_id is not None]
        if identifiers:
            self.connection.write(b"".join([mqtt5.PubAckPacket(identifier).write() for identifier in identifiers]))
        for packet in packets:
            self.heard(packet)

    async def subscribe(self, patterns: Sequence[str], qos: mqtt5.QoS) -> list[mqtt5.SubAckReasonCode]:
        """Subscribe without what is retained, but for $SYS; give the broker's answers."""
        filters = [
            mqtt5.TopicFilter(pattern, max_qos=qos, retain_handling=_retain_handling(pattern)) for pattern in patterns
        ]
        packet = mqtt5.SubscribePacket(1, filters)
        async with asyncio.timeout(_PATIENCE):
            return (await self.connection.request(packet.write(), mqtt5.SubAckPacket, 1)).reason_codes

    async def publish(self, topic: str, packet_id: int = 1) -> mqtt5.PubAckReasonCode:
        """Publish nothing, not retained, at QoS 1; give the broker's answer."""
        packet = mqtt5.PublishPacket(topic, b"", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id)
        async with asyncio.timeout(_PATIENCE):
            return (await self.connection.request(packet.write(), mqtt5.PubAckPacket, packet_id)).reason_code


@dataclass(frozen=True, slots=True)
class Visit:
    """How to connect: the session expires so many seconds after its connection, if it is not ended before."""

    client_id: str
    expiry: int = 0
    clean_start: bool = True
    keeps_session: bool = False

    @classmethod
    def of(cls, name: str, *, expiry: int = 0, keeps_session: bool = False) -> "Visit":
        """Visit under a client id that nobody has."""
        return cls(f"{name}-{secrets.token_hex(4)}", expiry, keeps_session=keeps_session)

    @asynccontextmanager
    async def to(self, address: BrokerAddress, heard: Heard = lambda _: None) -> AsyncIterator[Visitor]:
        """Connect, and take leave in the end. Raises RefusedVisitError, or one of UNREACHED."""
        visitor = Visitor(heard)
        context = ssl.create_default_context() if address.tls else None
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_PATIENCE):
            _, visitor.connection = await loop.create_connection(
                lambda: Connection(visitor, lambda: False), address.host, address.port, ssl=context
            )
        try:
            await self._greet(visitor.connection, address)
            yield visitor
            leave = mqtt5.DisconnectPacket(session_expiry_interval=None if self.keeps_session else 0)
            visitor.connection.write(leave.write())
            await visitor.connection.close()
        finally:
            visitor.connection.abort("the visit is over")

    async def _greet(self, connection: Connection, address: BrokerAddress) -> None:
        packet = mqtt5.ConnectPacket(
            self.client_id,
            username=address.username,
            password=address.password.encode() if address.password else None,
            clean_start=self.clean_start,
            keep_alive=KEEP_ALIVE,
            session_expiry_interval=self.expiry,
            receive_max=_RECEIVE_MAXIMUM,
            max_packet_size=MAX_PACKET_SIZE,
        )
        async with asyncio.timeout(_PATIENCE):
            answer = await connection.request(packet.write(), mqtt5.ConnAckPacket)
        if answer.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
            raise RefusedVisitError(answer.reason_code)


def _retain_handling(pattern: str) -> mqtt5.RetainHandling:
    return mqtt5.RetainHandling.SEND_ALWAYS if pattern.startswith("$SYS") else mqtt5.RetainHandling.SEND_NEVER
