"""The life of a flat as a stream of changes: who does what, what runs, what is opened, who is seen. No I/O, no clock.

It is planned day by day and follows from the randomness alone: not from the air, nor from when sensors are asked.
"""

import heapq
import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from simulators.dwellings.activities import ACTIVITIES, AWAY_ROOM, HALL, OWN_ROOM
from simulators.dwellings.booking import Booking, Change, Part
from simulators.dwellings.programs import FRIDGE, cool
from simulators.dwellings.routine import Habits, Step, agree, write_day, write_visit

ZONE: Final = ZoneInfo("Europe/Paris")
GUESTS: Final = 2
_SATURDAY = 5
_PLANNED_UNTIL = 20.0
"""The hour up to which a day's changes are complete; what follows waits for the next day's plan."""
_LEAST_SECONDS, _PASSING = 20.0, (4.0, 9.0)


class Household:
    """The people of a flat, residents first, then guests, and what they set going.

    `bedrooms` are theirs; two share the first.
    """

    def __init__(self, rng: random.Random, people: int) -> None:
        self._rng = rng
        self.residents = people
        self.bedrooms = ("bedroom1", "bedroom1", "bedroom2")[:people] + (AWAY_ROOM,) * GUESTS
        self._habits = [
            Habits(n * 0.4 + rng.gauss(0, 0.2), showers_at_night=n % 2 == 1, works_at_home=rng.choice((0.2, 0.6)))
            for n in range(people)
        ]

    def changes(self, first: date) -> Iterator[Change]:
        """Give all changes from the begin of a day on, when everybody is in bed, in order, for ever."""
        begin = _seconds(first, 0)
        last = [Step(begin, "away" if n >= self.residents else "sleep") for n in range(len(self.bedrooms))]
        fridge_at = begin + self._rng.uniform(0, 45) * 60
        pending: list[Change] = []
        day = first
        while True:
            booking = Booking(self._rng)
            for person, steps in enumerate(self._write(day)):
                last[person] = self._follow(booking, person, last[person], steps)
            while fridge_at < _seconds(day, 24 + _PLANNED_UNTIL):
                fridge_at = booking.run(Part.LOAD, FRIDGE, fridge_at, cool(self._rng))
            for change in booking.changes:
                heapq.heappush(pending, change)
            while pending[0].at < _seconds(day, _PLANNED_UNTIL):
                yield heapq.heappop(pending)
            day += timedelta(days=1)

    def room_of(self, person: int, doing: str) -> str:
        """Give the room in which somebody does something."""
        room = ACTIVITIES[doing].room
        return self.bedrooms[person] if room == OWN_ROOM else room

    def _write(self, day: date) -> list[list[Step]]:
        """Give everybody's steps of a day, their times in seconds since 1970."""
        weekday = day.weekday()
        agreed = agree(self._rng, self.residents, is_weekend=weekday >= _SATURDAY, is_saturday=weekday == _SATURDAY)
        days = [write_day(self._rng, person, habits, agreed) for person, habits in enumerate(self._habits)]
        days += [write_visit(agreed)] * GUESTS
        return [sorted(Step(_seconds(day, step.at), step.activity) for step in steps) for steps in days]

    def _follow(self, booking: Booking, person: int, last: Step, steps: Sequence[Step]) -> Step:
        """Note all that comes of a person's steps; give the last one, whose end is not known yet."""
        place = self.room_of(person, last.activity)
        for step, following in zip([last, *steps], steps, strict=False):
            if following.at - step.at < _LEAST_SECONDS:
                continue
            room, begin = self.room_of(person, step.activity), step.at
            if room != place and {HALL, AWAY_ROOM}.isdisjoint({room, place}):
                begin += self._rng.uniform(*_PASSING)
                self._do(booking, person, Step(step.at, "pass"), begin)
            self._do(booking, person, Step(begin, step.activity), following.at)
            place = room
        return steps[-1]

    def _do(self, booking: Booking, person: int, step: Step, end: float) -> None:
        room = self.room_of(person, step.activity)
        booking.note(step.at, Part.PERSON, str(person), step.activity)
        if room != AWAY_ROOM:
            booking.see(room, ACTIVITIES[step.activity].moves, step.at, end)
            booking.use(step.activity, room, step.at, end)


def _seconds(day: date, hour: float) -> float:
    """Give the time of an hour of a local day, by the clock on the wall, in seconds since 1970."""
    return (datetime.combine(day, time(0), ZONE) + timedelta(hours=hour)).timestamp()
