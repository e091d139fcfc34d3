"""Faults of the broker: restarted with and without what it keeps, killed, half-open, taken over by a stranger."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import mqtt5
from harness.proxy import Origin
from harness.rig import CONSUMER, WRITER, Rig
from harness.waiting import eventually

from chaos.scenario import Scale

_SESSION_SECONDS = 3600


async def restarted(rig: Rig, scale: Scale) -> None:
    """Restart a broker that keeps sessions and queues, in mid-stream."""
    for number in range(scale.times):
        rig.tell(f"restarts, {number + 1} of {scale.times}")
        async with rig.stream(scale.rate):
            await asyncio.to_thread(rig.broker.stop)
            await asyncio.sleep(scale.seconds)  # the fault is a duration
            await asyncio.to_thread(rig.broker.start)
            rig.fault_ended()
            await rig.logged("broker_connected", number + 2)


async def killed(rig: Rig, scale: Scale) -> None:
    """Kill a broker that keeps sessions, between two streams: it may lose what it acknowledged since it last saved."""
    for number in range(scale.times):
        rig.tell(f"is killed, {number + 1} of {scale.times}")
        async with rig.stream(scale.rate):
            pass
        await rig.recovered()
        await asyncio.to_thread(rig.broker.stop, signal.SIGKILL)
        await asyncio.to_thread(rig.broker.start)
        rig.fault_ended()
        await rig.logged("broker_connected", number + 2)
    async with rig.stream(scale.rate):
        pass


async def restarted_without_memory(rig: Rig, scale: Scale) -> None:
    """Restart a broker that keeps nothing, while the service holds messages that it could not commit yet.

    Nobody sends those again, and the retained figures are gone: both have to be healed by the service alone.
    """
    rig.broker.persistence = False
    await asyncio.to_thread(rig.broker.stop)
    await asyncio.to_thread(rig.broker.start)
    await rig.logged("broker_connected", 2)
    for number in range(scale.times):
        async with rig.stream(scale.rate):
            pass
        await rig.recovered()
        await _forget_while_held(rig, scale.rate, number + 2)
    assert rig.service.log.count("session_lost") == scale.times + 1


async def half_open(rig: Rig, scale: Scale) -> None:
    """Freeze the connections on the way: nothing goes through and nothing tells so; new ones are let through."""
    for number in range(scale.times):
        rig.tell(f"is half-open, {number + 1} of {scale.times}")
        async with rig.stream(scale.rate):
            rig.to_broker.freeze()
            rig.to_broker.admit()
            rig.fault_ended()
            await rig.logged("broker_connected", number + 2, seconds=60)


async def taken_over(rig: Rig, scale: Scale) -> None:
    """Let a stranger connect with the service's client id; the lease is still ours, so the service comes back."""
    async with rig.stream(scale.rate):
        for number in range(scale.times):
            rig.tell(f"is taken over, {number + 1} of {scale.times}")
            await _impersonate(rig.broker.url)
            rig.fault_ended()
            await rig.logged("broker_connected", number + 2)


async def _forget_while_held(rig: Rig, messages: int, connections: int) -> None:
    held = rig.to_database.stop_at(WRITER, Origin.CLIENT, "Q", b"COMMIT\0")
    before = rig.to_broker.forwarded[CONSUMER, Origin.SERVER, "PUBLISH"]
    await rig.devices.publish(messages)
    received: Callable[[], Awaitable[int]] = lambda: asyncio.sleep(  # noqa: E731
        0, rig.to_broker.forwarded[CONSUMER, Origin.SERVER, "PUBLISH"] - before
    )
    await eventually(received, lambda count: count >= messages)
    await held.reached()
    await asyncio.to_thread(rig.broker.stop)
    await asyncio.to_thread(rig.broker.start)
    await rig.logged("broker_connected", connections + 1)
    held.release()
    rig.fault_ended()


async def _impersonate(url: str) -> None:
    """Connect as the consumer, acknowledge nothing, and stay until the service has come back."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    connect = mqtt5.ConnectPacket(CONSUMER, clean_start=False, session_expiry_interval=_SESSION_SECONDS)
    writer.write(connect.write())
    async with asyncio.timeout(20):
        while await reader.read(65536):
            pass
    writer.transport.abort()
