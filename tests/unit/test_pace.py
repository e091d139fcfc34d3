"""When messages are due, and what the sensors' clocks show then."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from simulators.fleet import Fleet, SensorMessage
from simulators.runs.pace import Issued, Pace, issue, parse_rate, parse_speed

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class Ticking:
    """A device that speaks at even distances, and says what its clock shows."""

    name: str
    every: float
    due: float = 0.0

    def speak(self, now: datetime) -> SensorMessage:
        """Say the time."""
        sequence = round(self.due / self.every)
        self.due += self.every
        return SensorMessage(f"at/{self.name}", now.isoformat().encode(), self.name, sequence, ())


def issued(pace: Pace, duration: float = 60) -> list[Issued]:
    """Let two devices speak, every 10 and every 25 seconds."""
    return list(issue(Fleet([Ticking("a", 10), Ticking("b", 25)]), pace, timedelta(seconds=duration)))


@pytest.mark.parametrize(
    ("speed", "due"), [(1.0, [0, 0, 10, 20, 25, 30, 40, 50, 50]), (5.0, [0, 0, 2, 4, 5, 6, 8, 10, 10])]
)
def test_a_speed_makes_the_fleet_faster_and_leaves_its_times(speed: float, due: list[float]) -> None:
    """Clocks show the fleet's own time, at whatever speed it passes; messages come in its order."""
    told = issued(Pace(BEGIN, speed))
    assert [one.due for one in told] == due
    assert [(one.shown - BEGIN).total_seconds() for one in told] == [0, 0, 10, 20, 25, 30, 40, 50, 50]
    assert [one.message.device for one in told] == [*"abaabaa", "a", "b"]
    assert all(one.payload.decode() == one.shown.isoformat() for one in told)


def test_at_once_is_due_at_once() -> None:
    """The clocks show the fleet's own time then, too."""
    told = issued(Pace(BEGIN, None))
    assert {one.due for one in told} == {0.0}
    assert told[-1].shown == BEGIN + timedelta(seconds=50)


def test_a_rate_spaces_messages_evenly_and_shows_when_they_are_due() -> None:
    """Four a second for three seconds are twelve, whatever the fleet's own time; the first states come at 200."""
    told = issued(Pace(BEGIN, None, 4.0), 3)
    assert [one.due for one in told] == [0.0, 0.005, *(0.01 + n / 4 for n in range(12))]
    assert [(one.shown - BEGIN).total_seconds() for one in told] == [one.due for one in told]


def test_a_high_rate_is_that_of_the_first_states_too() -> None:
    told = issued(Pace(BEGIN, None, 1000.0), 0.01)
    assert [one.due for one in told] == pytest.approx([n / 1000 for n in range(10)])


def test_a_fleet_of_nobody_issues_nothing() -> None:
    assert list(issue(Fleet([]), Pace(BEGIN), None)) == []


@pytest.mark.parametrize("parse", [parse_speed, parse_rate])
def test_paces_are_read(parse: Callable[[str], float | None]) -> None:
    """A number, or max for as fast as it goes; anything else is told what is expected."""
    assert parse("2.5") == 2.5
    assert parse("max") is None
    for text in ("0", "-1", "nan", "inf", "1e7", "", "fast"):
        with pytest.raises(ValueError, match=r"from 0\.001 to 1000000, or max"):
            parse(text)
