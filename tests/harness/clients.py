"""MQTT clients as sensors and downstream apps have them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiomqtt

AT_LEAST_ONCE = 1
_IN_FLIGHT = 200


@asynccontextmanager
async def client(
    url: str, version: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5
) -> AsyncIterator[aiomqtt.Client]:
    """Connect a client."""
    address = urlsplit(url)
    connecting = aiomqtt.Client(
        address.hostname or "",
        address.port or 1883,
        protocol=version,
        username=address.username,
        password=address.password,
        max_concurrent_outgoing_calls=_IN_FLIGHT,
        timeout=60,
    )
    # aiomqtt warns from ten publications in flight on; here that is what is wanted.
    connecting.pending_calls_threshold = 2 * _IN_FLIGHT
    async with connecting as connected:
        yield connected


async def publish(url: str, messages: Sequence[tuple[str, bytes]]) -> None:
    """Publish at QoS 1, in order, and return when the broker has acknowledged all."""
    async with client(url) as connected:
        await asyncio.gather(*(connected.publish(topic, payload, qos=AT_LEAST_ONCE) for topic, payload in messages))


async def publish_retained(url: str, topic: str, payload: bytes) -> None:
    """Retain something at the broker."""
    async with client(url) as connected:
        await connected.publish(topic, payload, qos=AT_LEAST_ONCE, retain=True)


async def retained(
    url: str, topic_filter: str, version: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5
) -> dict[str, Any]:
    """Give what is retained now: JSON payloads by topic."""
    return {topic: json.loads(payload) for topic, payload in (await all_retained(url, topic_filter, version)).items()}


async def all_retained(
    url: str, topic_filter: str = "#", version: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5
) -> dict[str, bytes]:
    """Give what is retained now: payloads by topic.

    The end is known by a message of our own, which the broker sends after the retained ones.
    """
    found: dict[str, bytes] = {}
    async with client(url, version) as connected:
        end = f"end-of-retained/{id(connected)}"
        await connected.subscribe(topic_filter, qos=AT_LEAST_ONCE)
        await connected.subscribe(end, qos=AT_LEAST_ONCE)
        await connected.publish(end, b"", qos=AT_LEAST_ONCE)
        async for message in connected.messages:
            if str(message.topic) == end:
                return found
            if message.retain and message.payload:
                found[str(message.topic)] = bytes(message.payload)
    return found
