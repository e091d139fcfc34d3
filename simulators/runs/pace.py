"""When a fleet's messages are due, and what the sensors' clocks show then. No I/O and no clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulators.fleet import Fact, Fleet, SensorMessage

MAX = "max"
"""The pace that is as fast as the broker acknowledges."""
_ANNOUNCE_RATE = 200.0
"""First states a second, at least: the fleet is seen at once."""
_SLOWEST, _FASTEST = 1e-3, 1e6


@dataclass(frozen=True, slots=True)
class Pace:
    """One of three: `speed` times as fast as the fleet's own time, `rate` messages a second, or neither: at once.

    At a speed and at once the sensors' clocks show the fleet's own time since `begin`; at a rate they show when the
    message is due, however much of the fleet's own time lies between two, so that a small fleet can be made to say
    much.
    """

    begin: datetime
    speed: float | None = 1.0
    rate: float | None = None

    def due(self, number: int, own: float, first: int = 0) -> float:
        """Give the seconds after the start at which a message is due: the `number`-th, `own` seconds after begin.

        At a rate the `first` messages come at 200 a second, or more.
        """
        if self.rate is not None:
            quick = min(number, first)
            return quick / max(self.rate, _ANNOUNCE_RATE) + (number - quick) / self.rate
        return own / self.speed if self.speed is not None else 0.0

    def shown(self, due: float, own: float) -> datetime:
        """Give what the sensor's clock shows when a message is due."""
        return self.begin + timedelta(seconds=own if self.rate is None else due)


@dataclass(frozen=True, slots=True)
class Issued:
    """A message on its way to the broker.

    `due` is in seconds after the start, `shown` what the sensor's clock says. `facts` have to be stored, each once,
    where the broker acknowledges it; `letters` are the reasons of the dead letters that have to be held instead.
    `expiry` is after how many seconds the broker may forget it.
    """

    due: float
    shown: datetime
    message: SensorMessage
    facts: tuple[Fact, ...]
    letters: tuple[str, ...] = ()
    fault: str = ""
    retain: bool = False
    expiry: int | None = None

    @property
    def topic(self) -> str:
        """Where it goes."""
        return self.message.topic

    @property
    def payload(self) -> bytes:
        """What it says."""
        return self.message.payload


def issue(fleet: Fleet, pace: Pace, duration: timedelta | None) -> Iterator[Issued]:
    """Let a fleet speak for so long by its sensors' clocks, or for ever."""
    number = first = 0
    while len(fleet):
        own = fleet.due
        if fleet.is_announcing:
            first = number + 1
        due = pace.due(number, own, first)
        shown = pace.shown(due, own)
        if duration is not None and shown - pace.begin >= duration:
            return
        message = fleet.next_message(shown)
        yield Issued(due, shown, message, message.facts)
        number += 1


def parse_speed(text: str) -> float | None:
    """Read a speed: a factor such as 60, or `max` as None. Raises ValueError."""
    return _parse(text, f"expected a factor from 0.001 to 1000000, or {MAX}")


def parse_rate(text: str) -> float | None:
    """Read messages a second, or `max` as None. Raises ValueError."""
    return _parse(text, f"expected messages a second from 0.001 to 1000000, or {MAX}")


def _parse(text: str, expected: str) -> float | None:
    if text == MAX:
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not _SLOWEST <= number <= _FASTEST:
        raise ValueError(expected)
    return number
