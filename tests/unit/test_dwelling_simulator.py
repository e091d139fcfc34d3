"""The homes of the simulator: repeatable, valid SenML, within the bounds of what is real, and physical."""

import json
import math
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import cbor2
import pytest
from simulators.dwelling_model import DwellingFleet
from simulators.rooms import Inside, Room, RoomPlan, Surroundings

from schemas.registry import Registry, load_registry
from schemas.topics import Route, Topics
from schemas.units import KINDS, scale
from simulators.fleet import SensorMessage

MIDNIGHT = datetime(2026, 11, 21, 0, 0, 0, 123_456, tzinfo=UTC)
TOPICS = Topics("city")
LABELS = {-1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs"}
LABELS |= {0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*")
MINUTES = 2

Resolved = tuple[str, str | None, float, float | bool]
Series = dict[tuple[str, str | None], list[float | bool]]
"""What each sensor of a home told, by name and unit, in order."""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(Path(__file__).parents[2] / "deploy/registry.toml")


def records_of(payload: bytes) -> list[dict[str, Any]]:
    """Read a pack, its format told by the first byte: JSON begins with a bracket, a CBOR array has 0x80 to 0x9f."""
    if payload[:1] == b"[":
        pack = json.loads(payload, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    else:
        assert payload[0] >> 5 == 4
        assert payload[0] != 0x9F, "an indefinite array is a stream, no pack"
        pack = [{LABELS[label]: value for label, value in record.items()} for record in cbor2.loads(payload)]
    assert isinstance(pack, list)
    return pack


def resolve(payload: bytes, now: float) -> Iterator[Resolved]:
    """Check a pack by the rules of RFC 8428, sections 4 to 6, and give name, unit, absolute time and value of each."""
    base: dict[str, Any] = {}
    records = records_of(payload)
    assert records
    for record in records:
        assert record.keys() <= set(LABELS.values())
        base |= {label: value for label, value in record.items() if label in {"bn", "bt", "bu"}}
        assert not record.keys() & {"bver", "bv", "bs", "s"}, "not used here, and not resolved here"
        name = base.get("bn", "") + record.get("n", "")
        assert NAME.fullmatch(name), name
        time = base.get("bt", 0) + record.get("t", 0)
        time += now if time < 2**28 else 0
        (label,) = record.keys() & {"v", "vs", "vb", "vd"}
        value = record[label]
        assert isinstance(value, bool) if label == "vb" else type(value) in (int, float) and math.isfinite(value)
        yield name, record.get("u", base.get("bu")), time, value


def messages(registry: Registry, seed: int, rounds: int = 1440 // MINUTES) -> list[SensorMessage]:
    """Let every home report each two minutes, from midnight on, for so many rounds."""
    fleet = DwellingFleet(registry, TOPICS, random.Random(seed))
    times = [MIDNIGHT + n * timedelta(minutes=MINUTES) for n in range(rounds)]
    return [fleet.next_message(time) for time in times for _ in range(len(fleet))]


@pytest.fixture(scope="module")
def few(registry: Registry) -> Registry:
    """Pick the homes with listed sensors, and some without; one of them speaks CBOR."""
    homes = registry.dwelling
    return Registry(dwelling=(*(home for home in homes if home.sensor), *homes[2:5]))


@pytest.fixture(scope="module")
def day(few: Registry) -> dict[str, Series]:
    """Give what the sensors of some homes told in a day."""
    told: dict[str, Series] = defaultdict(lambda: defaultdict(list))
    for message in messages(few, 1):
        topic = TOPICS.parse(message.topic)
        assert topic.route is Route.SENML
        for name, unit, _, value in resolve(message.payload, 0):
            told[topic.asset][name, unit].append(value)
    return told


def sensors(home: Series, kind: str) -> Iterator[tuple[str, list[float | bool]]]:
    """Give name and values of a home's sensors of a kind; the last level of a name is its kind."""
    found = [(name, values) for (name, _), values in home.items() if name.rpartition("/")[2] == kind]
    assert found
    yield from found


def told_by(home: Series, sensor: str) -> list[float]:
    """Give the values of one sensor, truth as 1 and 0."""
    (values,) = (values for (name, _), values in home.items() if name == sensor)
    return [float(value) for value in values]


def test_the_same_seed_gives_the_same_messages(registry: Registry) -> None:
    """Equal registries, seeds and times give equal bytes; another seed is another city."""
    assert messages(registry, 7, 60) == messages(registry, 7, 60)
    assert messages(registry, 7, 60) != messages(registry, 8, 60)


def test_a_home_does_not_change_with_its_neighbours(registry: Registry) -> None:
    """What the first home does is the same whoever is registered after it."""
    alone = Registry(dwelling=registry.dwelling[:1])
    first = [message for message in messages(registry, 1, 30) if message.topic == TOPICS.senml("hut-01")]
    assert messages(alone, 1, 30) == first


def test_every_home_reports_in_its_turn_consenting_or_not(registry: Registry) -> None:
    """A sensor does not know of consent."""
    fleet = DwellingFleet(registry, TOPICS, random.Random(1))
    homes = [TOPICS.senml(home.id) for home in registry.dwelling]
    assert len(fleet) == len(homes)
    told = []
    while fleet.announcing:
        told.append(fleet.next_message(MIDNIGHT).topic)
    assert told == homes
    assert [fleet.next_message(MIDNIGHT).topic for _ in homes] == homes


def test_every_pack_is_valid_senml_of_at_most_60_readings(registry: Registry) -> None:
    """Each sensor once a pack, at the time of asking or up to a second before, in milliseconds."""
    for n, message in enumerate(messages(registry, 3, 40)):
        readings = list(resolve(message.payload, 0))
        now = (MIDNIGHT + n // len(registry.dwelling) * timedelta(minutes=MINUTES)).timestamp()
        assert 40 <= len(readings) <= 60
        assert len({name for name, *_ in readings}) == len(readings)
        for name, unit, time, value in readings:
            assert now - 1 <= time <= now
            assert abs(time * 1000 - round(time * 1000)) < 0.01
            assert (unit is None) is isinstance(value, bool), name


def test_every_fourth_home_speaks_cbor(registry: Registry) -> None:
    """Both encodings are met, and they tell the same kinds of things."""
    formats = [message.payload[:1] == b"[" for message in messages(registry, 1, 2)]
    assert formats == [n % 4 != 3 for n in range(24)] * 2
    json_names, cbor_names = ([r["n"] for r in records_of(m.payload)] for m in messages(registry, 1, 1)[2:4])
    assert json_names == cbor_names


def test_no_name_holds_a_home(day: dict[str, Series]) -> None:
    """The topic says whose reading it is; a name that did, too, would be refused."""
    names = {part for home in day.values() for name, _ in home for part in re.split(r"[/:.]", name)}
    assert not names & day.keys()


def primary(value: float, unit: str) -> float:
    """Give a value in the primary unit of its own."""
    return value * scale(unit).factor + scale(unit).offset


def test_values_of_a_day_are_within_the_bounds_of_their_kinds(day: dict[str, Series]) -> None:
    """The last level of a name is a kind, the unit is of its dimension, and no value is beyond what is real."""
    for home in day.values():
        for (name, told), values in home.items():
            unit, kind = told or "/", KINDS[name.rpartition("/")[2]]
            assert scale(unit).primary == scale(kind.unit).primary, name
            assert primary(kind.minimum, kind.unit) <= primary(min(values), unit), name
            assert primary(max(values), unit) <= primary(kind.maximum, kind.unit), name


def test_the_registry_lists_sensors_that_there_are(few: Registry, day: dict[str, Series]) -> None:
    """Each listed sensor is heard, in a unit of its dimension, and within its bounds."""
    listed = [(day[home.id], sensor) for home in few.dwelling for sensor in home.sensor]
    assert len(listed) > 10
    for home, sensor in listed:
        ((told, values),) = [(unit, values) for (name, unit), values in home.items() if name == sensor.name]
        unit = told or "/"
        assert scale(unit).primary == scale(sensor.stored_unit).primary
        if sensor.minimum is not None:
            assert primary(sensor.minimum, sensor.stored_unit) <= primary(min(values), unit)
        if sensor.maximum is not None:
            assert primary(max(values), unit) <= primary(sensor.maximum, sensor.stored_unit)


@pytest.mark.parametrize("kind", ["energy", "water"])
def test_counters_never_fall(day: dict[str, Series], kind: str) -> None:
    """Energy and water are totals since the meter was built; the home's own rises every day."""
    for home in day.values():
        for name, values in sensors(home, kind):
            assert all(before <= after for before, after in pairwise(values)), name
        total = told_by(home, f"meter/{kind}")
        assert total[-1] > total[0]


def test_energy_is_what_power_comes_to(day: dict[str, Series]) -> None:
    """The meter adds up its own power over time, by the trapezoidal rule; a reading resolves a tenth."""
    for home in day.values():
        drawn = sum((before + after) / 2 for before, after in pairwise(told_by(home, "meter/power"))) * MINUTES / 60
        energy = told_by(home, "meter/energy")
        assert energy[-1] - energy[0] == pytest.approx(drawn, abs=2)


def test_a_window_opened_cools_the_room(day: dict[str, Series]) -> None:
    """In November, every airing of some minutes leaves a room without a cooker colder than it found it."""
    airings = 0
    for home in day.values():
        for room in ("living", "bedroom1", "bedroom2"):
            shut, warmth = told_by(home, f"{room}/window/contact"), told_by(home, f"{room}/temperature")
            for begin in (n for n, (before, after) in enumerate(pairwise(shut), 1) if before > after):
                end = next((n for n in range(begin, len(shut)) if shut[n]), len(shut) - 1)
                if end - begin >= 3:
                    airings += 1
                    assert warmth[end] < warmth[begin] - 0.2, (room, warmth[begin : end + 1])
    assert airings >= len(day)


def test_an_open_window_is_what_cools() -> None:
    """Of two rooms that are alike in all else, the open one is colder, drier and fresher after ten minutes."""
    rng, plan, inside = random.Random(1), RoomPlan("living", 22, 20.5, daylight=0.01), Inside(awake=2)
    around = Surroundings(temperature=6, indoors=20, daylight=0, by_day=True)
    opened, shut = (Room(plan, 6, random.Random(2)) for _ in range(2))
    while not opened.is_open:
        opened.use_window(MIDNIGHT, 1, inside, rng)
    for room in (opened, shut):
        room.pass_time(1 / 6, around, inside)
    assert opened.temperature < shut.temperature - 1
    assert opened.co2 < shut.co2 - 30
    assert opened.humidity < shut.humidity
    opened.use_window(MIDNIGHT + timedelta(hours=3), 1, inside, rng)
    assert not opened.is_open


def test_sleepers_make_the_air_stale(day: dict[str, Series]) -> None:
    """CO2 is higher while somebody sleeps in a room than while nobody does."""
    used = 0
    for home in day.values():
        for room in ("bedroom1", "bedroom2"):
            bed, co2 = told_by(home, f"{room}/bed"), told_by(home, f"{room}/co2")
            with_people, without = ([c for c, b in zip(co2, bed, strict=True) if b == is_bed] for is_bed in (1, 0))
            if len(with_people) > 100:
                used += 1
                assert sum(with_people) / len(with_people) > sum(without) / len(without) + 100
    assert used >= len(day)


def test_daylight_follows_the_sun(day: dict[str, Series]) -> None:
    """Noon is brighter than any lamp, and at three in the morning the sun does not help."""
    for home in day.values():
        light = told_by(home, "bedroom2/illuminance")
        noon, night = light[330:390], light[90:120]
        assert min(noon) > 200 > max(night)


def test_air_changes_smoothly(day: dict[str, Series]) -> None:
    """In two minutes a room's warmth moves by less than two degrees."""
    for home in day.values():
        for name, values in sensors(home, "temperature"):
            assert all(abs(after - before) < 2 for before, after in pairwise(values)), name


def test_a_long_silence_and_a_clock_set_back_do_no_harm(registry: Registry) -> None:
    """Whatever the pace, values stay real and counters do not fall."""
    fleet = DwellingFleet(Registry(dwelling=registry.dwelling[:1]), TOPICS, random.Random(4))
    times = [timedelta(), timedelta(days=200), timedelta(days=199), timedelta(days=400)]
    totals = []
    for time in times:
        readings = {name: value for name, _, _, value in resolve(fleet.next_message(MIDNIGHT + time).payload, 0)}
        totals.append(readings["meter/energy"])
        assert 5 < readings["living/temperature"] < 45
        assert 0 <= readings["living/humidity"] <= 100
    assert totals == sorted(totals)
