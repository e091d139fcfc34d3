"""Arrivals by a non-homogeneous Poisson process, by thinning; and who stands there already when a fleet begins.

Thinning: Lewis and Shedler, Simulation of nonhomogeneous Poisson processes by thinning, Naval Research Logistics
Quarterly 26, 1979.
"""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from simulators.parking.calendar import HALF_HOUR, HALF_HOURS_A_WEEK, HOUR, WEEK, Calendar, day_of, is_holiday
from simulators.parking.drivers import Group, Stay, arrivals_of_day
from simulators.parking.events import NOTHING, EventName, events_of

_BLOCK = 3 * HOUR
"""Seconds of the local time for which candidates are drawn at one rate, the highest in them. Where the clocks change
within one, what the rate is above that of its block is lost."""
_LEAST_STEP, _LEAST_RATE = 1e-3, 1e-9
_SUNDAY = 6
_LONGEST_EVENT = 8 * HOUR
_TAIL = 3.0
"""How far back cars are looked for that still stand when a fleet begins: longer than who is so many standard
deviations of the logarithm from the median stays one in 740."""


class _Week(NamedTuple):
    """Arrivals an hour for each place: of each half hour those of all groups up to each one, of each block the most."""

    cumulative: tuple[tuple[float, ...], ...]
    most: tuple[float, ...]
    stays: tuple[Stay, ...]


class Timetable:
    """How many come when: arrivals an hour for each place, of groups of drivers and of what happens in the city."""

    def __init__(
        self,
        groups: Sequence[Group],
        calendar: Calendar,
        seed: int,
        events: frozenset[EventName] = frozenset(),
        draw: float = 1.0,
    ) -> None:
        """`events` are those that draw drivers here, with `draw` times the arrivals that they bring to a place."""
        self._groups = groups
        self._calendar = calendar
        self._seed = seed
        self._events = events
        self._draw = draw
        self._days = [[arrivals_of_day(group, day) for group in groups] for day in range(7)]
        self._weeks: dict[float, _Week] = {}

    def arrive(self, after: float, places: float, rng: random.Random) -> tuple[float, float]:
        """Give when the next car arrives, in seconds of the fleet's own time, and how long it wants to stay."""
        draw, local = rng.random, self._calendar.local
        while True:
            week, second = divmod(local(after), WEEK)
            made = self._weeks.get(week) or self._make(int(week))
            most = made.most[int(second // _BLOCK)]
            left = _BLOCK - second % _BLOCK
            pause = -math.log(1.0 - draw()) * HOUR / (most * places)
            if pause >= left:
                after += max(left, _LEAST_STEP)
                continue
            after += pause
            drawn = draw() * most
            # A sum that is rounded up to the end of the week is still in its last half hour.
            row = made.cumulative[min(int((second + pause) // HALF_HOUR), HALF_HOURS_A_WEEK - 1)]
            if drawn < row[-1]:
                return after, next(stay for upto, stay in zip(row, made.stays, strict=True) if drawn < upto).draw(rng)

    def rate(self, own: float) -> float:
        """Give the arrivals an hour for each place at a time."""
        week, second = divmod(self._calendar.local(own), WEEK)
        return (self._weeks.get(week) or self._make(int(week))).cumulative[int(second // HALF_HOUR)][-1]

    def standing(self, places: float, rng: random.Random) -> list[float]:
        """Draw the cars that came before the fleet's begin and still stand there: when they leave, unordered.

        Where nobody is turned away, that is the stationary state of that weekday and hour.
        """
        alone = [Timetable((group,), self._calendar, self._seed) for group in self._groups]
        back = [group.stay.longest(_TAIL) for group in self._groups]
        if self._events:
            alone.append(Timetable((), self._calendar, self._seed, self._events, self._draw))
            back.append(_LONGEST_EVENT)
        parts = zip(alone, back, strict=True)
        return [leaves for one, since in parts for leaves in one.standing_since(since, places, rng)]

    def standing_since(self, seconds: float, places: float, rng: random.Random) -> Iterator[float]:
        """Draw the cars that came within so many seconds before the fleet's begin and still stand there."""
        at = -seconds
        while True:
            at, stay = self.arrive(at, places, rng)
            if at >= 0:
                return
            if at + stay > 0:
                yield at + stay

    def _make(self, week: int) -> _Week:
        columns: list[list[float]] = [[] for _ in self._groups]
        for weekday in range(7):
            kind = _SUNDAY if is_holiday(day_of(7 * week + weekday)) else weekday
            for column, rates in zip(columns, self._days[kind], strict=True):
                column.extend(rates)
        stays = [group.stay for group in self._groups]
        happening = events_of(self._seed, week)
        for name in sorted(self._events):
            event = happening.get(name, NOTHING)
            columns.append([self._draw * rate for rate in event.rates()])
            stays.append(event.stay)
        rows = tuple(tuple(accumulate(row)) for row in zip(*columns, strict=True))
        step = int(_BLOCK // HALF_HOUR)
        most = (max(row[-1] for row in rows[at : at + step]) for at in range(0, HALF_HOURS_A_WEEK, step))
        made = self._weeks[week] = _Week(rows, tuple(max(rate, _LEAST_RATE) for rate in most), tuple(stays))
        return made
