"""A car park behind barriers: cars come and leave, and a counter that may drift tells how many places are free."""

import heapq
import random
from datetime import datetime

from schemas.registry import CarPark
from simulators.fleet import SensorMessage
from simulators.parking.arrivals import Timetable
from simulators.parking.bays import QUIET
from simulators.parking.calendar import HALF_HOURS_A_DAY, Calendar
from simulators.parking.closures import Hours, hours_of
from simulators.parking.count_formats import Count, form_of
from simulators.parking.profiles import kind_of
from simulators.parking.times import in_utc

_REPORT_EVERY = (90.0, 150.0)
"""Seconds between two reports, changed or not."""
_BUSYNESS = 0.2
"""Deviation of the logarithm of how many more drivers come to one car park than to another of its kind."""
_DRIFTING = 0.3
"""The share of counters that miss cars."""
_MISSED = (0.002, 0.012)
"""The share of the cars that such a counter misses, all of them on the way in or all on the way out."""
_CORRECTED_AT = 8
"""The half hour of the day at which somebody sets a counter right: 04:00."""


class Cars:
    """The cars in a car park; who comes when it is full or closed is turned away."""

    def __init__(self, capacity: int, timetable: Timetable, hours: Hours, rng: random.Random) -> None:
        self.capacity = capacity
        self._timetable = timetable
        self._hours = hours
        self._rng = rng
        self._places = capacity * rng.lognormvariate(0, _BUSYNESS)
        standing = timetable.standing(self._places, rng)
        self._leave = rng.sample(standing, min(len(standing), capacity))
        heapq.heapify(self._leave)
        self._next = timetable.arrive(0.0, self._places, rng)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._leave)

    def is_closed(self, own: float) -> bool:
        """Whether nobody is let in."""
        return self._hours.is_closed(own)

    def pass_time(self, until: float) -> tuple[int, int]:
        """Let cars come and leave; give how many came in and how many left."""
        came = left = 0
        while self._next[0] <= until:
            at, stay = self._next
            left += self._let_leave(at)
            if len(self._leave) < self.capacity and not self.is_closed(at):
                heapq.heappush(self._leave, at + stay)
                came += 1
            self._next = self._timetable.arrive(at, self._places, self._rng)
        return came, left + self._let_leave(until)

    def _let_leave(self, until: float) -> int:
        left = 0
        while self._leave and self._leave[0] <= until:
            heapq.heappop(self._leave)
            left += 1
        return left


class Drift:
    """What a counter is wrong by: `cars` that it believes to be there, less those that are."""

    def __init__(self, calendar: Calendar, rng: random.Random) -> None:
        self._calendar = calendar
        self._rng = rng
        drifts, missed, going_in = rng.random() < _DRIFTING, rng.uniform(*_MISSED), rng.random() < 0.5  # noqa: PLR2004 - one of two
        self._misses_in = missed if drifts and going_in else 0.0
        self._misses_out = missed if drifts and not going_in else 0.0
        self._day = self._day_of(0.0)
        self.cars = 0

    def count(self, came: int, left: int, own: float) -> None:
        """Count cars, wrongly now and then; every night somebody sets it right."""
        self.cars += self._missed(left, self._misses_out) - self._missed(came, self._misses_in)
        day = self._day_of(own)
        if day != self._day:
            self._day, self.cars = day, 0

    def _day_of(self, own: float) -> int:
        return (self._calendar.half_hour(own) - _CORRECTED_AT) // HALF_HOURS_A_DAY

    def _missed(self, cars: int, share: float) -> int:
        return sum(self._rng.random() < share for _ in range(cars)) if share else 0


class Counter:
    """The counter of a car park; its first report is due `first` seconds after the fleet's begin."""

    def __init__(
        self, park: CarPark, topic: str, timetable: Timetable, calendar: Calendar, first: float, rng: random.Random
    ) -> None:
        self.name = f"parking/{park.code}"
        self.due = first
        self._topic = topic
        self._rng = rng
        self._form = form_of(park, rng)
        self._drift = Drift(calendar, rng)
        self._cars = Cars(park.capacity, timetable, hours_of(kind_of(park), calendar, rng), rng)
        self._sequence = 0

    def speak(self, now: datetime) -> SensorMessage:
        """Tell how many places are free, and settle when to report next."""
        number, own = self._sequence, self.due
        self._sequence = number + 1
        self._drift.count(*self._cars.pass_time(own), own)
        capacity = self._cars.capacity
        free = capacity - len(self._cars) - self._drift.cars
        status = "closed" if self._cars.is_closed(own) else "open" if free > 0 else "full"
        payload, fact = self._form.say(self.name, Count(free, capacity, status), in_utc(now))
        # As with bays, the second report comes when every sensor has made its first.
        self.due = max(own, QUIET) + self._rng.uniform(*_REPORT_EVERY)
        return SensorMessage(self._topic, payload, self.name, number, (fact,))
