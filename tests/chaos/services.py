"""Faults of the service: killed at a named point, killed at any moment, frozen until its successor has taken over."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from harness.clients import retained
from harness.proxy import Breakpoint, Origin
from harness.rig import CONSUMER, PUBLISHER, WRITER, Rig
from harness.waiting import eventually

from chaos.scenario import Scale

_IN_ITS_START = 0.5
_LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND datname = current_database()
  AND classid::bigint << 32 | objid::bigint = hashtextextended('arceaux.publisher', 0)
"""
_LOCK_SECONDS = 20
"""After which a frozen publisher has certainly lost its lock."""


def after_receive(rig: Rig) -> Breakpoint:
    """Stop when a message has come to the service."""
    return rig.to_broker.stop_at(CONSUMER, Origin.SERVER, "PUBLISH", passing=1)


def before_commit(rig: Rig) -> Breakpoint:
    """Stop when the service wants to commit; the COMMIT is withheld."""
    return rig.to_database.stop_at(WRITER, Origin.CLIENT, "Q", b"COMMIT\0")


def after_commit(rig: Rig) -> Breakpoint:
    """Stop when the database has committed; its answer is withheld."""
    return rig.to_database.stop_at(WRITER, Origin.SERVER, "C", b"COMMIT\0")


def after_acknowledgement(rig: Rig) -> Breakpoint:
    """Stop when the service has acknowledged a message, with no figure published meanwhile."""
    rig.to_broker.stop_at(PUBLISHER, Origin.CLIENT, "PUBLISH")
    return rig.to_broker.stop_at(CONSUMER, Origin.CLIENT, "PUBACK", passing=1)


def killed_at(point: Callable[[Rig], Breakpoint]) -> Callable[[Rig, Scale], Awaitable[None]]:
    """Make a run that kills the service whenever it comes to a point, found from outside by what goes over the wire."""

    async def harm(rig: Rig, scale: Scale) -> None:
        async with rig.stream(scale.rate):
            for number in range(scale.times):
                rig.tell(f"is killed, {number + 1} of {scale.times}")
                reached = point(rig)
                await reached.reached()
                await _kill_and_start(rig)

    return harm


async def killed_at_any_moment(rig: Rig, scale: Scale) -> None:
    """Kill the service after a random number of messages or somewhere in its start, again and again."""
    rng = random.Random(rig.seed)
    async with rig.stream(scale.rate):
        for number in range(scale.times):
            rig.tell(f"is killed, {number + 1} of {scale.times}")
            if rng.random() < _IN_ITS_START:
                await asyncio.sleep(rng.random())  # the moment is a random one
            else:
                await rig.stored_more(rng.randrange(scale.rate // 4))
            await _kill_and_start(rig)


async def frozen_and_replaced(rig: Rig, scale: Scale) -> None:
    """Freeze the service in mid-transaction until a successor publishes in its name, then let it wake: it ends."""
    frozen, successor = rig.service, rig.another_service()
    async with rig.stream(scale.rate):
        committing = before_commit(rig)
        await committing.reached()
        frozen.freeze()
        await successor.start_ready()
        rig.service = successor
        rig.tell("waits for the frozen publisher's lock")
        await rig.logged("publisher_ready")
        before = await _newest_revision(rig)
        await eventually(lambda: _newest_revision(rig), lambda revision: revision > before)
        rig.tell("wakes up")
        committing.release()
        frozen.thaw()
        assert await frozen.wait() == 1
        assert "took over" in frozen.log.splitlines()[-1]
        rig.fault_ended()


async def frozen_alone(rig: Rig, scale: Scale) -> None:
    """Freeze the whole service for a while, with nobody to replace it: once awake it goes on by itself.

    After a while the database has taken the publisher's lock from it, so that another worker could publish.
    """
    async with rig.stream(scale.rate):
        rig.tell(f"is frozen for {scale.seconds:.0f} s")
        rig.service.freeze()
        await asyncio.sleep(scale.seconds)  # the fault is a duration
        assert await rig.ask(_LOCKS) == int(scale.seconds < _LOCK_SECONDS)
        rig.service.thaw()
        rig.fault_ended()


async def _kill_and_start(rig: Rig) -> None:
    rig.service.kill()
    rig.to_broker.cut()
    rig.to_database.cut()
    rig.service.start()
    rig.fault_ended()


async def _newest_revision(rig: Rig) -> int:
    figures = await retained(rig.broker.url, "city/live/parking/#")
    return max(int(figure["revision"]) for figure in figures.values())
