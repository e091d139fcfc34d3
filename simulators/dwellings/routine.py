"""A person's day, hour by hour: what is done when, on a working day at the office or at home, and at the weekend.

Hours count from the local midnight of the day and run past 24 into the night. No I/O and no clock.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

_SPREAD = 0.2
"""Standard deviation of how long something takes, as a share of it."""
_LEAST_MINUTES = 0.5
_LEISURE = {"read": 4.0, "television": 4.0, "tea": 0.9, "toilet": 1.5}
_LEISURE_BY_DAY = {"read": 5.0, "talk": 2.0, "tea": 0.9, "toilet": 1.5}
_MINUTES = {"read": 35.0, "television": 45.0, "talk": 25.0, "tea": 6.0, "toilet": 3.0}
_EVENING_BEGINS = 18.5
_EARLIEST, _LATEST_BED = 5.8, 24.75
"""Hours of the first getting up and the last going to bed."""
_WAKES_AT_NIGHT, _BACK_IN_BED_BY = 0.35, 29.0
_GUESTS_ON_SATURDAYS, _GUESTS, _GOES_OUT, _CLEANS_IN_THE_WEEK = 0.35, 0.04, 0.7, 0.15
_NIGHT = 28.0
_RESTS = 0.3


class Step(NamedTuple):
    """What a person does from a time on, in hours of the day or in seconds since 1970."""

    at: float
    activity: str


@dataclass(frozen=True, slots=True)
class Habits:
    """What makes one person differ: hours that he gets up later, whether he showers at night, works at home at odds."""

    shift: float
    showers_at_night: bool
    works_at_home: float


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the people of a home agree upon for a day, in hours; who cooks, does the dishes and cleans, by number."""

    is_weekend: bool
    lunch: float
    dinner: float
    cook: int
    dishwasher: int
    cleaner: int | None
    outing: tuple[float, float] | None
    guests: tuple[float, float] | None


def agree(rng: random.Random, people: int, *, is_weekend: bool, is_saturday: bool) -> Agreed:
    """Draw the plan of a day."""
    outing = rng.gauss(14.6, 0.4)
    has_guests = rng.random() < (_GUESTS_ON_SATURDAYS if is_saturday else _GUESTS)
    dinner = rng.gauss(20.2 if has_guests else 19.7, 0.2)
    cook = rng.randrange(people)
    cleans = is_weekend or rng.random() < _CLEANS_IN_THE_WEEK
    goes_out = is_weekend and rng.random() < _GOES_OUT
    return Agreed(
        is_weekend=is_weekend,
        lunch=rng.gauss(12.7, 0.15),
        dinner=dinner,
        cook=cook,
        dishwasher=(cook + 1) % people,
        cleaner=rng.randrange(people) if cleans else None,
        outing=(outing, outing + rng.uniform(1.5, 3.2)) if goes_out else None,
        guests=(dinner - rng.uniform(0.2, 0.5), dinner + rng.uniform(2.6, 3.4)) if has_guests else None,
    )


class _Day:
    """A day that is being written, from its present hour on."""

    def __init__(self, rng: random.Random, hour: float) -> None:
        self._rng = rng
        self.hour = hour
        self.steps: list[Step] = []

    def do(self, activity: str, minutes: float) -> None:
        """Do something for about so long."""
        self.steps.append(Step(self.hour, activity))
        self.hour += max(_LEAST_MINUTES, self._rng.gauss(minutes, _SPREAD * minutes)) / 60

    def stay(self, activity: str, until: float) -> None:
        """Do something until an hour, if that is to come."""
        if until > self.hour:
            self.steps.append(Step(self.hour, activity))
            self.hour = until

    def be_at_leisure(self, until: float) -> None:
        """Do this and that until an hour."""
        while self.hour < until:
            odds = _LEISURE if self.hour >= _EVENING_BEGINS else _LEISURE_BY_DAY
            (activity,) = self._rng.choices(list(odds), list(odds.values()))
            end = self.hour + self._rng.gauss(1, _SPREAD) * _MINUTES[activity] / 60
            self.stay(activity, min(until, max(end, self.hour + _LEAST_MINUTES / 60)))


def write_day(rng: random.Random, person: int, habits: Habits, agreed: Agreed) -> list[Step]:
    """Write a person's day, from getting up to the middle of the night."""
    wake = (8.4 if agreed.is_weekend else 6.7) + habits.shift
    day = _Day(rng, max(_EARLIEST, rng.gauss(wake, 0.15)))
    _get_up(day, habits, is_weekend=agreed.is_weekend)
    if agreed.is_weekend:
        _have_a_free_day(day, person, agreed)
    elif rng.random() < habits.works_at_home:
        _work_at_home(day, rng, agreed.lunch)
    else:
        _go_to_work(day, rng)
    _spend_the_evening(day, rng, person, habits, agreed)
    _sleep(day, rng)
    return day.steps


def write_visit(agreed: Agreed) -> list[Step]:
    """Write the day of a guest, who is away most of it, and all night."""
    steps = [Step(_NIGHT, "away")]
    if agreed.guests is not None:
        begin, end = agreed.guests
        steps += [Step(begin, "come"), Step(begin + 1 / 30, "talk"), Step(agreed.dinner, "dine")]
        steps += [Step(agreed.dinner + 0.9, "talk"), Step(end, "go"), Step(end + 1 / 30, "away")]
    return steps


def _get_up(day: _Day, habits: Habits, *, is_weekend: bool) -> None:
    day.do("stand up", 1)
    day.do("toilet", 3)
    if not habits.showers_at_night:
        day.do("shower", 8)
    day.do("dress", 7)
    day.do("breakfast", 30 if is_weekend else 16)
    day.do("wash", 4)


def _go_to_work(day: _Day, rng: random.Random) -> None:
    day.do("go", 1.5)
    day.stay("away", rng.gauss(17.6, 0.4))
    day.do("come", 1.5)
    day.do("wash", 2)


def _work_at_home(day: _Day, rng: random.Random, lunch: float) -> None:
    for end in (lunch, rng.gauss(17.5, 0.3)):
        while day.hour < end:
            day.stay("work", min(end, day.hour + rng.uniform(0.7, 1.7)))
            day.do("toilet" if rng.random() < 1 / 2 else "tea", 4)
        if end == lunch:
            day.do("cook", 14)
            day.do("lunch", 25)
            if rng.random() < _RESTS:
                day.do("rest", 20)


def _have_a_free_day(day: _Day, person: int, agreed: Agreed) -> None:
    if person == agreed.cleaner:
        day.do("load washer", 5)
        day.do("clean", 35)
    day.be_at_leisure(agreed.lunch - 0.6)
    if person == agreed.cook:
        day.stay("cook", agreed.lunch)
    day.be_at_leisure(agreed.lunch)
    day.do("lunch", 40)
    if agreed.outing is not None:
        begin, end = agreed.outing
        day.be_at_leisure(begin)
        day.do("go", 1.5)
        day.stay("away", end)
        day.do("come", 1.5)


def _spend_the_evening(day: _Day, rng: random.Random, person: int, habits: Habits, agreed: Agreed) -> None:
    if not agreed.is_weekend and person == agreed.cleaner:
        day.do("load washer", 5)
    day.be_at_leisure(agreed.dinner - 0.7)
    if person == agreed.cook:
        day.stay("cook", agreed.dinner)
    day.be_at_leisure(agreed.dinner)
    day.do("dine", 32)
    if person == agreed.dishwasher:
        day.do("dishes", 12)
    if agreed.guests is not None:
        day.stay("talk", agreed.guests[1] + 0.1)
    bed = rng.gauss(23.2 if agreed.is_weekend else 22.7, 0.3) + habits.shift / 2
    day.be_at_leisure(min(bed, _LATEST_BED) - (0.6 if habits.showers_at_night else 0.4))
    if habits.showers_at_night:
        day.do("shower", 8)
    day.do("wash", 4)


def _sleep(day: _Day, rng: random.Random) -> None:
    day.do("dress", 4)
    day.do("stand up", 0.6)
    day.do("read in bed", 18)
    fell_asleep = day.hour
    day.do("sleep", 1)
    visit = fell_asleep + rng.uniform(2, 4)
    if rng.random() < _WAKES_AT_NIGHT and visit < _BACK_IN_BED_BY:
        day.hour = visit
        for activity, minutes in (("stand up", 0.6), ("toilet", 3), ("stand up", 0.6), ("sleep", 1)):
            day.do(activity, minutes)
