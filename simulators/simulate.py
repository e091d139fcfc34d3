"""A run: what a plan issues, published to the broker."""

from datetime import datetime, timedelta
from pathlib import Path

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.settings import BrokerAddress
from simulators.fleet import to_the_millisecond
from simulators.pace import parse_rate
from simulators.sending.sender import Sender
from simulators.stopping import stop_on_signals, until_stopped
from simulators.stream import FleetKind, Plan, digest, stream


def make_plan(  # noqa: PLR0913 - what a user may say
    kind: FleetKind,
    registry: Path,
    topic_root: str,
    *,
    seed: int,
    rate: str | None,
    speed: float,
    duration: timedelta | None,
    now: datetime,
) -> Plan:
    """Make the plan of a run that begins now, or as long before as its sensors' clocks run ahead of ours.

    Raises ConfigurationError for what makes no sense together.
    """
    try:
        parsed = None if rate is None else parse_rate(rate)
    except ValueError as error:
        raise ConfigurationError(f"--rate: {error}") from None
    at_once = rate is not None and parsed is None
    if duration is None and (at_once or (rate is None and speed > 1)):
        raise ConfigurationError(
            "--duration: say how much of the fleet's time, or its clocks run ahead of ours for ever"
        )
    ahead = timedelta(0)
    if duration is not None and rate is None and speed > 1:
        ahead = duration * (1 - 1 / speed)
    elif duration is not None and at_once:
        ahead = duration
    return Plan(
        kind=kind,
        seed=seed,
        begin=to_the_millisecond(now - ahead),
        duration=None if duration is None else duration.total_seconds(),
        speed=speed if rate is None else None,
        rate=parsed,
        topic_root=topic_root,
        registry=registry,
        registry_digest=digest(registry),
    )


async def run_fleet(broker_url: str, plan: Plan, registry: Registry) -> int:
    """Publish what a plan issues, to its end or until SIGINT or SIGTERM; return how many the broker acknowledged.

    A broker that is away is waited for. Raises RefusedError where the broker refuses a message.
    """
    sender = Sender(BrokerAddress(broker_url), "simulator")
    with stop_on_signals() as stop:
        await until_stopped(stop, sender.run(stream(plan, registry)))
    return sender.traffic.acknowledged
