"""Faults under load: one reading of a large batch that the database refuses, and a long absence of the database."""

import asyncio

from harness.rig import Rig
from harness.waiting import eventually

from chaos.scenario import Scale

_BATCH = 10_000
_MOST_HELD = 64 * 1024 * 1024
"""What waits undecoded at the most, by docs/architecture.md; the window of 20,000 small messages needs less."""


async def poison(rig: Rig, scale: Scale) -> None:  # noqa: ARG001 - as its siblings
    """Put one reading that the database refuses into a batch of 10,000, made by a backlog."""
    assert await rig.service.stop() == 0
    messages = await rig.devices.publish(_BATCH)
    poison = next(message for message in reversed(messages) if "/spots/" in message.topic)
    [(source, at, _)] = poison.facts
    code, label = source.split("/")
    await rig.ask(
        "ALTER TABLE parking_event ADD CHECK (NOT (spot_id = "
        f"{await _spot_id(rig, code, label)} AND time = to_timestamp({at} / 1e6)))"
    )
    rig.fault_ended()
    await rig.service.start_ready()
    assert await rig.recovered() is not None
    assert rig.service.metric("arceaux_batch_readings_sum") / rig.service.metric("arceaux_batch_readings_count") > 1000
    letters = await rig.ask("SELECT topic, reason FROM dead_letter")
    assert letters == [(poison.topic, "database_rejected")]


async def outage(rig: Rig, scale: Scale) -> None:
    """Take the database away under load, for so many seconds: memory stays in bounds, and the backlog drains."""
    async with rig.stream(scale.rate):
        before = peak = rig.service.resident
        await asyncio.to_thread(rig.server.stop)
        began = asyncio.get_running_loop().time()
        while (gone := asyncio.get_running_loop().time() - began) < scale.seconds:
            rig.tell(f"is away for {gone:.0f} s; the service holds {rig.service.resident / 1e6:.0f} MB")
            await asyncio.sleep(min(1, scale.seconds))  # the fault is a duration
            peak = max(peak, rig.service.resident)
        await asyncio.to_thread(rig.server.start_again)
        rig.fault_ended()
        await eventually(rig.missing, lambda count: count is not None and count < scale.rate, seconds=300)
        peak = max(peak, rig.service.resident)
    rig.remark = f"{(peak - before) / 1e6:.0f} MB more at the peak"
    assert peak - before < _MOST_HELD, f"{(peak - before) / 1e6:.0f} MB more than before the outage"


async def _spot_id(rig: Rig, code: str, label: str) -> int:
    query = "SELECT spot.id FROM spot JOIN car_park c ON c.id = car_park_id WHERE code = %s AND label = %s"
    return int(await rig.ask(query, code, label))
