"""A fleet of simulated sensors: devices that speak when they are due, and the facts in what they say. No I/O, no clock.

A device's messages are a pure function of the seed, the fleet's begin and the device's name: each has randomness of
its own, so that what one does, or whether it is there, changes nothing in another.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

ARRIVAL = -1
"""The time of a fact whose message tells none: that of its arrival, which nobody knows beforehand."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANNOUNCED_A_SECOND, _ANNOUNCING_SECONDS = 200.0, 30.0


class Fact(NamedTuple):
    """One reading, as it has to stand in the tables.

    `source` is `parking/{car_park}/{bay}`, `parking/{car_park}` for its counter, or `dwellings/{home}/{sensor}` with
    the sensor's name as it is stored. `time` is microseconds since 1970, or ARRIVAL. `values` are (occupied as 0 or 1,)
    of a bay, (free, total or 0, status or "") of a counter, (value in the unit that is stored,) of a home's sensor.
    """

    source: str
    time: int
    values: tuple[float | str, ...]


@dataclass(frozen=True, slots=True)
class SensorMessage:
    """What a device publishes, QoS 1, not retained: its `sequence`-th message, from 0, and the facts that it tells."""

    topic: str
    payload: bytes
    device: str
    sequence: int
    facts: tuple[Fact, ...]


class Device(Protocol):
    """Something that publishes: a bay's sensor, a counter, a home with its gateway."""

    @property
    def name(self) -> str:
        """What it is called in the whole fleet."""

    @property
    def due(self) -> float:
        """When it speaks next, in seconds of the fleet's own time since its begin. Its first message is its state."""

    def speak(self, now: datetime) -> SensorMessage:
        """Give the message that is due; `now` is what its clock shows, which may run slower than the fleet's time."""


class Fleet:
    """Devices in the order in which they are due; at equal times in the order in which they are given."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = devices
        self._due = [(device.due, number) for number, device in enumerate(devices)]
        heapq.heapify(self._due)
        self._silent = len(devices)

    def __len__(self) -> int:
        """How many devices there are."""
        return len(self._devices)

    @property
    def is_announcing(self) -> bool:
        """Whether some device has not spoken yet."""
        return self._silent > 0

    @property
    def due(self) -> float:
        """When the next one speaks, in seconds of the fleet's own time. Raises IndexError where there is no device."""
        return self._due[0][0]

    def next_message(self, now: datetime) -> SensorMessage:
        """Let the device whose turn it is speak. Raises IndexError where there is none."""
        _, number = self._due[0]
        device = self._devices[number]
        message = device.speak(now)
        self._silent -= message.sequence == 0
        heapq.heapreplace(self._due, (device.due, number))
        return message


def device_random(seed: int, name: str) -> random.Random:
    """Give a device's own randomness, the same on every machine and in every process."""
    return random.Random(f"{seed}/{name}")


def announcement(number: int, count: int) -> float:
    """Tell when the device of this number, of so many, tells its first state: evenly, within half a minute."""
    return number / max(_ANNOUNCED_A_SECOND, count / _ANNOUNCING_SECONDS)


def micros(time: datetime) -> int:
    """Give a time in microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def to_the_millisecond(time: datetime) -> datetime:
    """Cut a time, as devices do that tell three digits."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
