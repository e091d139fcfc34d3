"""Drivers, arrivals, car parks and the calendar of the parking model, against what they stand for."""

import math
import random
import statistics
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from schemas.registry import CarPark
from simulators.parking.arrivals import Timetable
from simulators.parking.calendar import Calendar, day_of, easter, is_holiday
from simulators.parking.closures import Hours
from simulators.parking.counters import Cars, Drift
from simulators.parking.drivers import Group, Stay, Wave, arrivals_of_day
from simulators.parking.events import events_at, events_of
from simulators.parking.profiles import BAYS, PARKS, kind_of

PARIS = ZoneInfo("Europe/Paris")
MONDAY = datetime(2026, 11, 15, 23, 0, tzinfo=UTC)
"""Midnight in Paris."""
DAY, HOUR = 86_400, 3_600
COMMUTERS = Group("commuters", (0.5, 0.4, 0.1, 0.0), (Wave(8, 1),), Stay(8, 0.2))
VISITORS = Group("visitors", (2.0, 2.0, 3.0, 1.0), (Wave(11, 1.5), Wave(16, 2)), Stay(1.5, 0.6))


def timetable(*groups: Group, begin: datetime = MONDAY) -> Timetable:
    """Make one without events."""
    return Timetable(groups, Calendar(begin, PARIS), seed=1)


def park(**fields: object) -> CarPark:
    """Make a car park by count."""
    return CarPark.model_validate({"code": "X", "name": "X", "capacity": 100, "basis": "count"} | fields)


def arrivals(table: Timetable, places: float, days: float, seed: int) -> list[tuple[float, float]]:
    """Let cars arrive for some days."""
    rng, at = random.Random(seed), 0.0
    found: list[tuple[float, float]] = []
    while True:
        at, stay = table.arrive(at, places, rng)
        if at >= days * DAY:
            return found
        found.append((at, stay))


def test_thinning_gives_as_many_as_the_rate_says() -> None:
    """Hour by hour of a week the arrivals are Poisson around the integral of the rate."""
    table = timetable(COMMUTERS, VISITORS)
    places = 400
    seen = Counter(int(at // HOUR) for at, _ in arrivals(table, places, 7, seed=5))
    expected = [places * (table.rate(hour * HOUR) + table.rate((hour + 0.5) * HOUR)) / 2 for hour in range(168)]
    assert sum(expected) == pytest.approx(places * (4 * 2.5 + 2.4 + 3.1 + 1.0), rel=1e-6)
    assert seen.total() == pytest.approx(sum(expected), abs=4 * math.sqrt(sum(expected)))
    chi = sum((seen[hour] - mean) ** 2 / mean for hour, mean in enumerate(expected) if mean > 5)
    hours = sum(mean > 5 for mean in expected)
    assert abs(chi - hours) < 5 * math.sqrt(2 * hours)


def test_arrivals_follow_the_local_hour_through_a_change_of_the_clocks() -> None:
    """Commuters come around 8 by the clock on the wall, before and after it changes."""
    saturday = datetime(2026, 10, 22, 22, 0, tzinfo=UTC)
    table = timetable(COMMUTERS, begin=saturday)
    for days in (0, 4):
        since = (datetime(2026, 10, 23, 8, tzinfo=PARIS) + timedelta(days=days) - saturday).total_seconds()
        assert table.rate(since) > 50 * table.rate(since - 4 * HOUR)
        peak = max(range(48), key=lambda half: table.rate(since - 8 * HOUR + half * HOUR / 2))
        assert peak in (15, 16)


def test_stays_are_lognormal() -> None:
    """Half stay longer than the median, a sixth longer than a deviation above it, and nobody for a moment."""
    rng = random.Random(3)
    stays = [Stay(2, 0.6).draw(rng) / HOUR for _ in range(20_000)]
    assert statistics.median(stays) == pytest.approx(2, rel=0.03)
    assert statistics.stdev(map(math.log, stays)) == pytest.approx(0.6, rel=0.03)
    assert min(Stay(0.01, 2).draw(rng) for _ in range(1000)) == 120


def test_each_group_stays_as_it_does() -> None:
    """Who arrives at 8 is mostly a commuter and stays for the day; at 16 nobody is."""
    told = arrivals(timetable(COMMUTERS, VISITORS), 400, 4, seed=2)
    morning = [stay / HOUR for at, stay in told if 6.5 < at % DAY / HOUR < 7.5]
    afternoon = [stay / HOUR for at, stay in told if 15.5 < at % DAY / HOUR < 16.5]
    assert statistics.median(morning) > 5
    assert 1.2 < statistics.median(afternoon) < 1.8


def test_a_fleet_begins_in_the_stationary_state() -> None:
    """As many cars stand at a Wednesday's noon when it begins then as when it began two days before."""
    noon = MONDAY + timedelta(days=2, hours=12)
    rng, runs, places = random.Random(1), 15, 300
    at_once = [len(timetable(COMMUTERS, VISITORS, begin=noon).standing(places, rng)) for _ in range(runs)]
    lived = []
    for seed in range(runs):
        came = arrivals(timetable(COMMUTERS, VISITORS), places, 2.5, seed)
        lived.append(sum(at + stay > 2.5 * DAY for at, stay in came))
    assert statistics.mean(at_once) > 100
    error = math.sqrt((statistics.variance(at_once) + statistics.variance(lived)) / runs)
    assert abs(statistics.mean(at_once) - statistics.mean(lived)) < 4 * error


def test_a_full_car_park_turns_cars_away_and_a_closed_one_too() -> None:
    """There are never more cars than places, and who is in may leave a closed car park."""
    calendar = Calendar(MONDAY, PARIS)
    crowd = Group("crowd", (30, 30, 30, 30), (Wave(12, 4),), Stay(2, 0.3))
    cars = Cars(50, timetable(crowd), Hours(calendar), random.Random(1))
    most = 0
    for minute in range(0, 24 * 60, 5):
        cars.pass_time(minute * 60)
        most = max(most, len(cars))
    assert most == 50
    shut = Cars(50, timetable(crowd), Hours(calendar, closed=(20, 48)), random.Random(1))
    shut.pass_time(9.9 * HOUR)
    assert len(shut) > 40
    came, left = shut.pass_time(23 * HOUR)
    assert (shut.is_closed(23 * HOUR), shut.is_closed(9.9 * HOUR)) == (True, False)
    assert (came < 50, left > 40, len(shut)) == (True, True, 0)


def test_closures_are_by_the_half_hour_and_by_the_holiday() -> None:
    """Some are shut at night, some on Christmas Day."""
    begin = datetime(2026, 12, 23, 23, 0, tzinfo=UTC)
    calendar = Calendar(begin, PARIS)
    night = Hours(calendar, closed=(2, 9))
    assert [night.is_closed(half * HOUR / 2) for half in (1, 2, 8, 9)] == [False, True, True, False]
    christmas = Hours(calendar, on_holidays=True)
    assert [christmas.is_closed(day * DAY + HOUR) for day in range(3)] == [False, True, False]


def test_some_counters_drift_and_are_set_right_at_night() -> None:
    """About a third miss cars, each on one side only, and none is wrong after four in the morning."""
    drifting = []
    for seed in range(300):
        drift = Drift(Calendar(MONDAY, PARIS), random.Random(seed))
        for hour in range(5, 24):
            drift.count(200, 200, hour * HOUR)
        if drift.cars:
            drifting.append(drift.cars)
            drift.count(0, 0, 27.9 * HOUR)
            assert drift.cars == drifting[-1]
            drift.count(0, 0, 28.1 * HOUR)
            assert drift.cars == 0
    assert 60 < len(drifting) < 120
    assert min(drifting) < 0 < max(drifting)
    assert all(abs(cars) < 0.02 * 19 * 200 for cars in drifting)


def test_events_are_a_function_of_seed_and_week() -> None:
    """The same in every process; a match every other week or so, a market on one of its days."""
    assert events_of(3, 2900) == events_of(3, 2900)
    weeks = [events_of(seed, week) for seed in range(10) for week in range(2900, 2920)]
    assert 70 < sum("match" in week for week in weeks) < 130
    assert {int(week["market"].hour // 24) for week in weeks} == {1, 5}
    assert len({week["market"].arrivals for week in weeks}) == len(weeks)


def test_an_event_draws_drivers_where_it_is() -> None:
    """A match fills the car parks near the stadium before it begins, and no other."""
    mosson = park(zone="park-and-ride", latitude=43.61623716, longitude=3.81966554)
    sabines = park(zone="park-and-ride", latitude=43.58383263, longitude=3.8602246)
    assert events_at(mosson) == {"match", "flea market"}
    assert events_at(sabines) == set()
    assert events_at(park(zone="Centre")) == {"market"}
    calendar = Calendar(MONDAY, PARIS)
    week = calendar.half_hour(0) // 336
    seed = next(seed for seed in range(100) if "match" in events_of(seed, week))
    at = events_of(seed, week)["match"].hour * HOUR
    near, far = (Timetable(PARKS[kind_of(one)], calendar, seed, events_at(one)) for one in (mosson, sabines))
    assert near.rate(at) > far.rate(at) + 0.4
    assert near.rate(at - 12 * HOUR) == pytest.approx(far.rate(at - 12 * HOUR))


def test_the_kind_of_a_car_park_is_told_by_its_zone_or_its_name() -> None:
    """The zone counts first; what tells nothing is in the centre."""
    told = [
        ("park-and-ride", "Gare"),
        ("", "Gare Saint-Roch"),
        ("odysseum", "X"),
        ("castelnau", "X"),
        ("", "Hôpital Y"),
    ]
    kinds = [kind_of(park(zone=zone, name=name)) for zone, name in [*told, ("", "Garcia")]]
    assert kinds == ["park-and-ride", "station", "leisure", "suburb", "hospital", "centre"]


def test_every_group_can_be_drawn_from() -> None:
    """Its waves cover the day: as many arrive as are told, whatever the day."""
    for groups in (*PARKS.values(), *BAYS.values()):
        for group in groups:
            for weekday, kind in ((0, 0), (3, 0), (4, 1), (5, 2), (6, 3)):
                assert sum(arrivals_of_day(group, weekday)) / 2 == pytest.approx(group.arrivals[kind]), group.name


def test_holidays_are_those_of_france() -> None:
    """Fixed ones and those after Easter, whose dates are known."""
    assert [easter(year) for year in (2023, 2024, 2025, 2026, 2038)] == [
        date(2023, 4, 9),
        date(2024, 3, 31),
        date(2025, 4, 20),
        date(2026, 4, 5),
        date(2038, 4, 25),
    ]
    days = (date(2026, 1, 1) + timedelta(days=day) for day in range(365))
    found = [f"{day:%m-%d}" for day in days if is_holiday(day)]
    assert found == ["01-01", "04-06", "05-01", "05-08", "05-14", "05-25", "07-14", "08-15", "11-01", "11-11", "12-25"]


def test_a_holiday_is_a_sunday() -> None:
    """Nobody commutes on Armistice Day, a Wednesday."""
    table = timetable(COMMUTERS, begin=datetime(2026, 11, 8, 23, 0, tzinfo=UTC))
    assert table.rate(2 * DAY + 8 * HOUR) == 0 < table.rate(1 * DAY + 8 * HOUR)


def test_the_calendar_knows_the_local_time() -> None:
    """Half hours count from a Monday's midnight, and one hour comes twice in October."""
    calendar = Calendar(datetime(2026, 10, 24, 22, 0, tzinfo=UTC), PARIS)
    halves = [calendar.half_hour(hour * HOUR) % 48 for hour in range(5)]
    assert halves == [0, 2, 4, 4, 6]
    assert day_of(calendar.half_hour(0) // 48) == date(2026, 10, 25)
