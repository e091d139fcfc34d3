"""What a fleet of sensors is to whoever sends its messages. No I/O and no clock."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SensorMessage:
    """What a sensor publishes, QoS 1, not retained."""

    topic: str
    payload: bytes


class Fleet(Protocol):
    """Sensors that speak one after the other; the caller decides how fast, by how often it asks."""

    def __len__(self) -> int:
        """How many speakers there are."""

    @property
    def announcing(self) -> bool:
        """Whether some have not told their first state yet; they do so before anything else."""

    @property
    def due(self) -> float:
        """The minutes in the fleet's own time until which it has lived when it speaks next; infinite when empty."""

    def next_message(self, now: datetime) -> SensorMessage:
        """Give the next message, as of `now`. Raises IndexError where there are no sensors."""


class Rota:
    """Speakers that report in turn, each once in so many minutes of the fleet's own time."""

    def __init__(self, speakers: Sequence[Callable[[datetime], SensorMessage]], minutes: float) -> None:
        self._speakers = speakers
        self._minutes = minutes
        self._told = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._speakers)

    @property
    def announcing(self) -> bool:
        """Whether some have not reported yet."""
        return self._told < len(self)

    @property
    def due(self) -> float:
        """The minutes, in the fleet's own time, at which the next one reports."""
        return self._told * self._minutes / len(self) if len(self) else math.inf

    def next_message(self, now: datetime) -> SensorMessage:
        """Give the report, as of `now`, of the one whose turn it is. Raises IndexError where there is none."""
        if not self._speakers:
            raise IndexError("the registry has no dwellings")
        speaker = self._speakers[self._told % len(self)]
        self._told += 1
        return speaker(now)


class City:
    """Fleets that live side by side, interleaved by their own times: the one that is due first speaks."""

    def __init__(self, fleets: Sequence[Fleet]) -> None:
        self._fleets = fleets

    def __len__(self) -> int:
        """How many speakers all fleets have."""
        return sum(len(fleet) for fleet in self._fleets)

    @property
    def announcing(self) -> bool:
        """Whether some fleet is still telling its first states; nothing else is told before."""
        return any(fleet.announcing for fleet in self._fleets)

    @property
    def due(self) -> float:
        """The minutes at which the next one speaks."""
        return min((fleet.due for fleet in self._fleets), default=math.inf)

    def next_message(self, now: datetime) -> SensorMessage:
        """Give the next message of the fleet whose turn it is. Raises IndexError where there are no sensors."""
        for fleet in self._fleets:
            if fleet.announcing:
                return fleet.next_message(now)
        if not len(self):
            raise IndexError("a city without sensors")
        return min(self._fleets, key=lambda fleet: fleet.due).next_message(now)
