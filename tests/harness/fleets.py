"""A small city whose fleet runs with faults, as `arceaux simulate --run` does it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.city import PARKING
from harness.homes import HOME
from schemas.registry import load_registry
from schemas.settings import BrokerAddress
from simulators.runs.ranges import Ranges
from simulators.runs.run_file import Mark, RunFile
from simulators.runs.stream import Plan, digest, stream
from simulators.sending.sender import Sender

FAULTS = (
    "all,duplicate=0.05,delay=0.05,reorder=0.04,time_missing=0.03,wrong_epoch_unit=0.05,flapping=0.08,corrupt=0.03,hostile=0.08,"
    "retained_replay=0.03,clock_skew=0.1,burst=0.06,stuck=0.1,counter_reset=0.1"
)
"""More of the rare ones, so that a short run has them all."""
_MARK_EVERY = 0.2


def write_city(path: Path) -> None:
    """Write a registry of car parks and homes, one of which does not consent."""
    homes = [HOME.format(id=f"hut-{number:02d}", consent=str(number != 3).lower()) for number in range(1, 7)]
    path.write_text(PARKING + "".join(homes), encoding="utf-8")


def plan_of(registry: Path, seed: int, hours: float, *, faults: str = FAULTS, rate: float | None = None) -> Plan:
    """Plan a run that ends now, sent at once; or one of so many messages a second, that begins now."""
    seconds = hours * 3600
    begin = datetime.now(UTC) - timedelta(seconds=seconds if rate is None else 0)
    return Plan(
        kind="city",
        seed=seed,
        begin=begin.replace(microsecond=begin.microsecond // 1000 * 1000),
        duration=seconds,
        speed=None,
        rate=rate,
        registry=registry,
        registry_digest=digest(registry),
        faults=faults,
    )


async def run_fleet(url: str, plan: Plan, file: Path) -> int:
    """Send a plan to its end, noting in a file what is acknowledged; give how many messages that was."""
    acknowledged = Ranges()
    sender = Sender(BrokerAddress(url), "fleet", on_acknowledged=acknowledged.add)
    run = RunFile(file, plan)

    def mark(*, ended: bool = False) -> None:
        pairs = list(acknowledged.pairs())
        run.mark(Mark(process=0, at=datetime.now(UTC), sent=sender.traffic.sent, acknowledged=pairs, ended=ended))

    mark()
    sending = asyncio.create_task(sender.run(stream(plan, load_registry(plan.registry))))
    while not sending.done():
        await asyncio.wait([sending], timeout=_MARK_EVERY)
        mark()
    await sending
    mark(ended=True)
    run.close()
    return sender.traffic.acknowledged
