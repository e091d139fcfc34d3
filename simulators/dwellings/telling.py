"""How a home's sensors come to be told: who tells, when, and what is stored of it. No I/O and no clock."""

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple, Protocol

from schemas.registry import Dwelling
from schemas.units import conversion, kind_of, scale
from simulators.fleet import Fact


class Told(NamedTuple):
    """A message, and the facts in it."""

    topic: str
    payload: bytes
    facts: tuple[Fact, ...]


class Reporter(Protocol):
    """A gateway, or a device behind a bridge. `due` is when it speaks of itself, in seconds since 1970."""

    @property
    def due(self) -> float:
        """When it speaks next, whether or not anything has changed."""

    @property
    def names(self) -> AbstractSet[str]:
        """The sensors that it tells of."""

    def tell(self, at: float, changed: AbstractSet[str], now: datetime) -> Told:
        """Speak, at a time of the flat's; `changed` are sensors that tell at once, `now` is what its clock shows."""


class Storage(NamedTuple):
    """How a value is stored: the fact's source, and value * factor + offset in the unit that is stored."""

    source: str
    factor: float
    offset: float

    @classmethod
    def of(cls, home: Dwelling, name: str, unit: str) -> "Storage":
        """Find how a sensor's values are stored: in the registry's unit, else that of its kind, else the primary."""
        primary = scale(unit).primary if unit else ""
        listed = [one.stored_unit for one in home.sensor if one.name == name]
        into = listed[0] if listed else kind_of(name, primary)[1]
        return cls(f"dwellings/{home.id}/{name}", *conversion(unit or into, into))

    def fact(self, time: int, value: float) -> Fact:
        """Give the fact of a value told; true is 1."""
        return Fact(self.source, time, (value * self.factor + self.offset,))
