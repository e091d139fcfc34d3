"""The retained live figures of car parks, as a subscriber sees them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import mqtt5

from schemas.settings import BrokerAddress
from simulators.sending.connection import BrokenError, Connection, connect, subscribe

_GRACE = 2.0
"""Seconds in which what is retained arrives."""


class Watch:
    """Keeps the newest figure of each topic. `figures` are what was published, by topic."""

    def __init__(self) -> None:
        self.figures: dict[str, Mapping[str, Any]] = {}
        self._connection: Connection | None = None
        self._heard = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, broker: BrokerAddress, topic_filter: str) -> "AsyncIterator[Watch]":
        """Subscribe while the context lasts. Raises BrokenError, RefusedError."""
        watch = cls()
        connection = watch._connection = await connect(broker, "oracle", watch._take)
        alive = asyncio.create_task(connection.keep_alive())
        try:
            await subscribe(connection, [topic_filter])
            yield watch
            await connection.close()
        finally:
            connection.abort("closed")
            alive.cancel()
            with suppress(asyncio.CancelledError, BrokenError):
                await alive

    async def wait_for(self, topics: frozenset[str]) -> None:
        """Wait until all of these topics have been heard, or for as long as what is retained takes to arrive."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                while not topics <= self.figures.keys():
                    self._heard.clear()
                    await self._heard.wait()

    def check(self) -> None:
        """Raise BrokenError where the connection has ended."""
        if self._connection is not None and self._connection.lost.done():
            raise BrokenError(self._connection.lost.result())

    def _take(self, packet: mqtt5.Packet) -> None:
        if not isinstance(packet, mqtt5.PublishPacket):
            return
        if packet.packet_id is not None and self._connection is not None:
            self._connection.write(mqtt5.PubAckPacket(packet.packet_id).write())
        if packet.payload:
            try:
                figure = json.loads(packet.payload)
            except ValueError:
                figure = None
            self.figures[packet.topic] = figure if isinstance(figure, dict) else {}
        else:
            self.figures.pop(packet.topic, None)
        self._heard.set()
