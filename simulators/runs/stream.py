"""What a run issues: a pure function of its plan and the registry, so that it can be made again to be verified."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.topics import Topics
from simulators.dwellings.model import homes
from simulators.faults.inject import Injector
from simulators.faults.kinds import Fault, parse_faults
from simulators.fleet import Device, Fleet
from simulators.parking.model import bays_and_counters
from simulators.runs.pace import Issued, Pace, issue

FleetKind = Literal["parking", "dwellings", "city"]

_MISSING: dict[FleetKind, str] = {
    "parking": "neither bays nor counters: add a [[car_park]]",
    "dwellings": "no dwellings: add a [[dwelling]]",
    "city": "neither car parks nor dwellings: add some",
}


def _checked_faults(text: str) -> str:
    parse_faults(text)
    return text


class Plan(BaseModel):
    """All that decides what a run issues. `duration` is in seconds by the sensors' clocks, None for ever.

    `speed` and `rate` are those of `Pace`. Each of `processes` has its share of the devices, and of the rate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FleetKind
    seed: int
    begin: AwareDatetime
    duration: float | None = Field(None, gt=0)
    speed: float | None = 1.0
    rate: float | None = None
    processes: int = Field(1, ge=1)
    topic_root: str = "city"
    registry: Path
    registry_digest: str
    faults: Annotated[str, AfterValidator(_checked_faults)] = ""

    @property
    def limit(self) -> timedelta | None:
        """How long it lasts by the sensors' clocks."""
        return None if self.duration is None else timedelta(seconds=self.duration)

    @property
    def is_paced(self) -> bool:
        """Whether messages have a time at which they are due, and do not just follow each other."""
        return self.speed is not None or self.rate is not None

    @property
    def seconds(self) -> float | None:
        """How long it takes by our clock; None where it has no end, or only the broker sets the pace."""
        if self.duration is None or self.rate is not None:
            return self.duration
        return None if self.speed is None else self.duration / self.speed


def make_devices(kind: FleetKind, registry: Registry, topics: Topics, seed: int, begin: datetime) -> list[Device]:
    """Make the devices that a registry has of a kind, as they are at `begin`; a city has all of them.

    A seed's car parks and homes are the same in the city as alone. Raises ConfigurationError where the registry has
    none.
    """
    devices: list[Device] = []
    if kind != "dwellings":
        devices += bays_and_counters(registry, topics, seed, begin)
    if kind != "parking":
        devices += homes(registry, topics, seed, begin)
    if not devices:
        raise ConfigurationError(f"the registry has {_MISSING[kind]}, or name another file in ARCEAUX_REGISTRY")
    return devices


def stream(
    plan: Plan, registry: Registry, process: int = 0, on_lost: Callable[[Fault], None] = lambda _: None
) -> Iterator[Issued]:
    """Give what one process of a run issues, in its order; `on_lost` is told of what a fault keeps from being sent."""
    topics = Topics(plan.topic_root)
    devices = make_devices(plan.kind, registry, topics, plan.seed, plan.begin)
    own = devices[process :: plan.processes]
    rate = None if plan.rate is None else plan.rate * len(own) / len(devices)
    issued = issue(Fleet(own), Pace(plan.begin, plan.speed, rate), plan.limit)
    faults = parse_faults(plan.faults)
    return Injector(faults, plan.seed, plan.begin, topics, on_lost).inject(issued) if faults else issued


def digest(registry: Path) -> str:
    """Give the SHA-256 of a registry's file, in hexadecimal: another registry makes another city."""
    return hashlib.sha256(registry.read_bytes()).hexdigest()
