"""The people of a home: where each of them is, by habits of the hour. No I/O and no clock."""

import math
import random
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

AWAY = ""
"""The place of one who is not at home."""
_OWN = "own bedroom"
_ZONE = ZoneInfo("Europe/Paris")


class _Habit(NamedTuple):
    """Where people go until an hour of the day: odds by place."""

    until: float
    odds: dict[str, float]
    sleeps: bool = False


_NIGHT = {_OWN: 14.0, "bathroom": 0.5}
_WORK = {AWAY: 7.0, "living": 2.0, _OWN: 1.5, "kitchen": 0.7, "bathroom": 0.7}
_HABITS = (
    _Habit(6.5, _NIGHT, sleeps=True),
    _Habit(8.5, {"bathroom": 4.0, "kitchen": 4.0, _OWN: 2.0, AWAY: 1.5}),
    _Habit(12.0, _WORK),
    _Habit(14.0, {AWAY: 4.0, "kitchen": 3.0, "living": 2.0, "bathroom": 0.5}),
    _Habit(18.0, _WORK),
    _Habit(20.5, {"kitchen": 5.0, "living": 3.0, "bathroom": 1.0, _OWN: 1.0, AWAY: 1.0}),
    _Habit(23.0, {"living": 6.0, _OWN: 2.0, "bathroom": 1.0, "kitchen": 1.0, AWAY: 0.5}),
    _Habit(24.0, _NIGHT, sleeps=True),
)
_STAY = {AWAY: 130.0, "living": 50.0, "kitchen": 22.0, "bathroom": 9.0, _OWN: 45.0}
"""Minutes, in the middle of a distribution."""
_STAY_SPREAD = 0.5
_SHIFT = 0.6
"""Hours by which people are early or late, one standard deviation."""


class Resident:
    """One who lives in a home; moves from place to place as time passes."""

    def __init__(self, bedroom: str, rng: random.Random) -> None:
        self._bedroom = bedroom
        self._rng = rng
        self._shift = rng.gauss(0, _SHIFT)
        self._until: datetime | None = None
        self.place = AWAY
        self.asleep = False
        self.moved_at: datetime | None = None
        self.passed_door_at: datetime | None = None

    def live(self, now: datetime) -> None:
        """Let time pass until `now`."""
        if self._until is None:
            self._settle(now)
        while self._until is not None and self._until <= now:
            self._move(self._until)

    def _move(self, at: datetime) -> None:
        before = self.place
        self._settle(at)
        if self.place != before:
            self.moved_at = at
            if AWAY in {before, self.place}:
                self.passed_door_at = at

    def _settle(self, at: datetime) -> None:
        hour = (local_hour(at) + self._shift) % 24
        habit = next(habit for habit in _HABITS if hour < habit.until)
        (place,) = self._rng.choices(list(habit.odds), list(habit.odds.values()))
        if self.asleep and not habit.sleeps:
            place = "bathroom"  # where everybody's day begins
        self.place = self._bedroom if place == _OWN else place
        self.asleep = habit.sleeps and place == _OWN
        minutes = self._rng.lognormvariate(math.log(_STAY[place]), _STAY_SPREAD)
        self._until = at + timedelta(minutes=minutes)


def local_hour(now: datetime) -> float:
    """Give the hour of the day in Montpellier, with its fraction."""
    local = now.astimezone(_ZONE)
    return local.hour + local.minute / 60 + local.second / 3600
