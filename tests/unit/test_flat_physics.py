"""A simulated flat is one world: what its sensors tell of the same thing agrees, seen from the facts they issue."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from unit.simulated_homes import MINUTE, REGISTRY, Series, messages, told

from simulators.dwellings.booking import HOLD
from simulators.dwellings.model import make_flat
from simulators.dwellings.supply import NOTICED_WATTS

SEED = 2
BEGIN = datetime(2026, 1, 10, 23, tzinfo=UTC)
"""A winter's Sunday and Monday by local time."""
DAYS = 2
ROOMS = ("living", "kitchen", "bathroom", "bedroom1", "bedroom2")
CO2_ROOMS = ("living", "kitchen", "bedroom1", "bedroom2")
PLUGS = (
    *(f"kitchen/{name}" for name in ("fridge", "kettle", "hob", "oven", "dishwasher")),
    *("bathroom/washer", "living/television", "living/lamp", "bedroom1/lamp", "bedroom2/computer", "hall/router"),
)
TAPS = ("kitchen/tap", "kitchen/dishwasher", "bathroom/basin", "bathroom/shower", "bathroom/toilet", "bathroom/washer")
Home = dict[str, Series]


@pytest.fixture(scope="module")
def home() -> Home:
    """Give two winter days of the flat of the HUT kind."""
    return told(messages(SEED, BEGIN, 24 * DAYS))["hut-01"]


def packs(home: Home) -> list[int]:
    """Give the times of the full packs."""
    return home["meter/water"].times


def airings(home: Home, room: str) -> Iterator[tuple[int, int]]:
    """Give from when to when a window stood open, where that was five minutes to half an hour."""
    for begin, end in home[f"{room}/window/contact"].spans(0, 0):
        if 5 * MINUTE <= end - begin < 30 * MINUTE:
            yield begin, end


def test_an_open_window_cools_the_room_and_drops_its_co2(home: Home) -> None:
    """In winter, every airing of minutes leaves the room colder than it found it, and stale air fresher."""
    found = 0
    for room in ROOMS:
        for begin, end in airings(home, room):
            found += 1
            assert home[f"{room}/temperature"].after(end) < home[f"{room}/temperature"].at(begin) - 0.3, room
            if room in CO2_ROOMS and home[f"{room}/co2"].at(begin) > 900:
                assert home[f"{room}/co2"].after(end) < home[f"{room}/co2"].at(begin) - 100, room
    assert found > 5


def test_sleepers_make_the_air_stale_and_damp(home: Home) -> None:
    """Over the hours in which both lie in bed CO2 and humidity rise; where nobody is, CO2 falls to the street's."""
    nights = [span for span in home["bedroom1/bed"].spans(1) if span[1] - span[0] > 6 * 60 * MINUTE]
    assert nights
    for begin, _ in nights:
        later = begin + 5 * 60 * MINUTE
        assert home["bedroom1/co2"].at(later) > home["bedroom1/co2"].at(begin) + 300
        assert home["bedroom1/co2"].at(later) > home["living/co2"].at(later) + 500
        assert home["bedroom1/humidity"].at(later) > home["living/humidity"].at(later) + 5
    assert min(home["living/co2"].values) == pytest.approx(425, abs=25)


def test_a_shower_steams(home: Home) -> None:
    """Where the meter of the shower has counted 20 litres or more, the bathroom is damper by ten per cent at least."""
    water, humidity = home["bathroom/shower/water"], home["bathroom/humidity"]
    showers = 0
    for (begin, before), (end, after) in pairwise(zip(water.times[::3], water.values[::3], strict=True)):
        if after - before > 0.02 and all(contact == 1 for contact in (home["bathroom/window/contact"].at(end),)):
            showers += 1
            damp = max(value for time, value in humidity.pairs() if begin < time <= end + 5 * MINUTE)
            assert damp > humidity.at(begin) + 10
    assert showers >= 1


def test_cooking_warms_the_kitchen(home: Home) -> None:
    """While the hob is on, the kitchen gets warmer by a degree at least, and damper."""
    meals = [span for span in home["kitchen/hob/power"].spans(300) if span[1] - span[0] > 15 * MINUTE]
    assert len(meals) >= DAYS
    for begin, end in meals:
        if home["kitchen/window/contact"].at(end):
            assert home["kitchen/temperature"].at(end) > home["kitchen/temperature"].at(begin) + 1
            assert home["kitchen/humidity"].at(end) > home["kitchen/humidity"].at(begin)


def test_a_kettle_shows_at_its_plug_and_in_the_meter(home: Home) -> None:
    """For two or three minutes about 2 kW; the meter jumps by as much at the same time, and somebody is there."""
    boils = list(home["kitchen/kettle/power"].spans(100))
    assert len(boils) >= 2 * DAYS
    for begin, end in boils:
        watts = home["kitchen/kettle/power"].at(begin)
        assert 1900 < watts < 2100
        assert 2 * MINUTE <= end - begin <= 3 * MINUTE
        step = home["meter/power"].at(begin) - home["meter/power"].at(begin - 1)
        assert step == pytest.approx(watts, abs=60)
        assert home["kitchen/motion"].at(begin) == 1
        joules = home["kitchen/kettle/energy"].at(end) - home["kitchen/kettle/energy"].at(begin)
        assert joules == pytest.approx(watts * (end - begin) / 1e6, rel=0.02)


def test_the_meter_has_what_all_plugs_draw_and_more(home: Home) -> None:
    """In every pack, and whenever it tells a change: the sum of the plugs is less than what the meter says."""
    for time, watts in home["meter/power"].pairs():
        plugs = sum(home[f"{name}/power"].at(time) for name in PLUGS)
        assert plugs < watts < plugs + 1200
    energy = home["meter/energy"]
    drawn = sum(home[f"{name}/energy"].values[-1] - home[f"{name}/energy"].values[0] for name in PLUGS)
    assert drawn / 3600 < energy.values[-1] - energy.values[0]


@pytest.mark.parametrize("name", [*PLUGS, "meter"])
def test_energy_is_the_integral_of_power(home: Home, name: str) -> None:
    """Power is held from one fact to the next, and changes of 5 W are told at once, so the two agree to that."""
    energy, power = home[f"{name}/energy"], home[f"{name}/power"]
    begin, end = energy.times[0], energy.times[-1]
    counted = energy.values[-1] - energy.values[0]
    counted /= 1 if name == "meter" else 3600  # the registry lists the meter in Wh, others are stored in J
    assert counted == pytest.approx(power.integral(begin, end), rel=0.01, abs=NOTICED_WATTS)
    assert all(before <= after for before, after in pairwise(energy.values))


def test_the_water_meter_has_what_all_taps_take(home: Home) -> None:
    """In every pack; nothing runs back, and every tap is used."""
    litres = home["meter/water"]
    for time, total in litres.pairs():
        taps = sum(home[f"{name}/water"].at(time) * 1000 for name in TAPS)
        assert total == pytest.approx(taps, abs=0.5)
    for name in TAPS[2:5]:
        assert home[f"{name}/water"].values[-1] > home[f"{name}/water"].values[0]
    assert 50 * DAYS < litres.values[-1] - litres.values[0] < 600 * DAYS


def test_a_washing_machine_takes_current_and_water() -> None:
    """Wherever it heats, it has taken water in before."""
    home = told(messages(SEED, datetime(2026, 1, 17, 7, tzinfo=UTC), 6))["hut-01"]
    heated = list(home["bathroom/washer/power"].spans(1500))
    assert heated
    for begin, end in heated:
        water = home["bathroom/washer/water"]
        assert water.at(end) > water.at(begin - 10 * MINUTE) + 0.005


def test_detectors_beds_and_mats_tell_of_people_who_are_there(home: Home) -> None:
    """By the life of the flat: where a detector begins to tell, somebody is in the room; so with mats and beds."""
    flat = make_flat(REGISTRY.dwelling[0], 0, SEED, BEGIN)
    names = [name for name in home if name.endswith(("/motion", "/bed", "/floor_pressure"))]
    facts = sorted((time, name, value) for name in names for time, value in home[name].pairs())
    counted = dict.fromkeys(("motion", "bed", "floor_pressure"), 0)
    for (time, name, value), begins in zip(facts, _begins(home, facts), strict=True):
        flat.live(time / 1e6 + 0.001)
        room, _, kind = name.partition("/")[0], "", name.rpartition("/")[2]
        there = flat.presence.activities[room]
        counted[kind] += begins
        if kind == "motion" and begins:
            assert there, (name, time)
        if kind == "bed":
            assert (value == 1) is any(activity.is_lying for activity in there), (name, time)
        if kind == "floor_pressure":
            mat = name.rpartition("/")[0]
            assert (value > 1000) is any(activity.mat == mat for activity in there), (name, time)
    assert min(counted.values()) >= DAYS


def _begins(home: Home, facts: list[tuple[int, str, float]]) -> Iterator[bool]:
    for time, name, value in facts:
        yield value > 0.5 > home[name].at(time - 1)


def test_nobody_is_seen_in_a_flat_that_was_left(home: Home) -> None:
    """From a minute after the last one has left until the door opens again, nothing tells of people."""
    flat = make_flat(REGISTRY.dwelling[0], 0, SEED, BEGIN)
    left = []
    for (_, shut), (opened, _) in pairwise(home["hall/door/contact"].spans(0, 0)):
        flat.live(shut / 1e6 + 2)
        if set(flat.presence.people) == {"away"}:
            left.append((shut + int(HOLD) * 10**6 + MINUTE, opened))
    assert left
    for begin, end in left:
        for room in ROOMS:
            assert not any(value for time, value in home[f"{room}/motion"].pairs() if begin < time < end)
        assert home["living/television/power"].at((begin + end) // 2) < 5
        assert not any(value > 500 for time, value in home["hall/mat/floor_pressure"].pairs() if begin < time < end)
        assert max(value for time, value in home["bedroom1/noise"].pairs() if begin < time < end) < 40


def test_noise_comes_from_people_machines_and_the_street(home: Home) -> None:
    """A room with people, a television or an open window in it is louder than the same room when all are in bed."""
    noise, seen, television = home["living/noise"], home["living/motion"], home["living/television/power"]
    shut = home["living/window/contact"]
    quiet = [value for time, value in noise.pairs() if home["bedroom1/bed"].at(time) and not seen.at(time)]
    people = [value for time, value in noise.pairs() if seen.at(time) and shut.at(time) and television.at(time) < 5]
    assert sum(quiet) / len(quiet) < 33
    assert sum(people) / len(people) > 36
    assert min(value for time, value in noise.pairs() if television.at(time) > 50) > 50
    assert min(value for time, value in noise.pairs() if not shut.at(time)) > 42
    assert min(value for time, value in home["kitchen/noise"].pairs() if home["kitchen/hob/power"].at(time) > 300) > 50


def test_lamps_burn_in_the_dark_where_people_are(home: Home) -> None:
    """A lamp makes its room light, and burns neither by day nor in an empty flat."""
    for room in ("living", "bedroom1"):
        lamp, lux = home[f"{room}/lamp/power"], home[f"{room}/illuminance"]
        lit = [time for time in packs(home) if lamp.at(time) > 5 and lamp.at(time - MINUTE) > 5]
        assert lit
        assert all(lux.at(time) > 150 for time in lit)
        assert all(home["outdoor/illuminance"].at(time) < 12_000 for time in lit)
    outdoors = home["outdoor/illuminance"]
    noon, night = (round((BEGIN + timedelta(hours=hours)).timestamp() * 1e6) for hours in (13, 3))
    assert outdoors.at(noon) > 20_000
    assert outdoors.at(night) == 0
    assert home["bedroom2/illuminance"].at(noon) > 150 > home["bedroom2/illuminance"].at(night)


def test_the_fridge_cycles_day_and_night(home: Home) -> None:
    """About every three quarters of an hour it runs for a quarter."""
    runs = list(home["kitchen/fridge/power"].spans(50))
    assert 24 * DAYS < len(runs) < 36 * DAYS
    assert all(13 * MINUTE < end - begin < 19 * MINUTE for begin, end in runs[1:])


def test_what_cannot_wait_is_told_at_once() -> None:
    """A change of a contact, a detector, a bed, a mat or a plug has a message of its own at its time, and no other."""
    issued = messages(SEED, BEGIN, 12)
    events = [message for message in issued if len(message.facts) < 60]
    names = {fact.source.partition("hut-01/")[2] for message in events for fact in message.facts}
    assert {name.rpartition("/")[2] for name in names} == {
        *("motion", "contact", "bed", "floor_pressure", "power", "energy")
    }
    seconds = [message.shown.second + message.shown.microsecond / 1e6 for message in events]
    assert len({round(second) for second in seconds}) > 40
    assert all(message.shown > before.shown for before, message in pairwise(issued))
