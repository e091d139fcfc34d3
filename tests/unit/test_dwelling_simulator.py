"""The homes of the simulator: repeatable, valid SenML, within the bounds of what is real."""

import hashlib
import json
import math
import os
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from pathlib import Path
from typing import Any

import cbor2
import pytest
from unit.simulated_homes import REGISTRY, TOPICS, Series, messages, told

from schemas.registry import Registry
from schemas.units import KINDS, kind_of, scale
from simulators.dwellings.booking import Part
from simulators.dwellings.flat import Flat
from simulators.dwellings.household import ZONE, Household
from simulators.dwellings.model import homes
from simulators.fleet import Fleet
from simulators.runs.pace import Issued, Pace, issue

WINTER = datetime(2026, 1, 14, 23, 0, 0, 123_000, tzinfo=UTC)
SUMMER = datetime(2026, 7, 14, 22, 0, 0, 123_000, tzinfo=UTC)
LABELS = {-1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs"}
LABELS |= {0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*")
DIGEST = """
import sys; sys.path[:0] = sys.argv[1:]
from unit.test_dwelling_simulator import *
print(digest(messages(7, WINTER, 0.5, (0, 1, 3))))
"""


@pytest.fixture(scope="module")
def day() -> list[Issued]:
    """Let four homes with listed sensors or CBOR speak for eight hours."""
    return messages(1, WINTER, 8, (0, 1, 3, 12))


def digest(issued: list[Issued]) -> str:
    """Give a digest of all that is said."""
    text = repr([(message.topic, message.payload, message.facts, message.due) for message in issued])
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    """Whatever Python's hash seed; another seed gives another life."""
    folder = Path(__file__).parent
    script = [sys.executable, "-c", DIGEST, str(folder.parent), str(folder.parents[1])]
    other = subprocess.run(
        script, env=os.environ | {"PYTHONHASHSEED": "77"}, capture_output=True, text=True, timeout=60, check=True
    )
    assert other.stdout.strip() == digest(messages(7, WINTER, 0.5, (0, 1, 3)))
    first, second = (told(messages(seed, WINTER, 9))["hut-01"] for seed in (7, 8))
    assert first["bathroom/motion"].times != second["bathroom/motion"].times
    assert first["kitchen/kettle/power"].times != second["kitchen/kettle/power"].times


def test_a_home_does_not_change_with_its_neighbours() -> None:
    """What a home does is the same whoever is registered beside it, or speaks."""
    registry = Registry(dwelling=REGISTRY.dwelling[:4])
    alone = issue(Fleet([homes(registry, TOPICS, 1, WINTER)[1]]), Pace(WINTER, None), timedelta(minutes=20))
    among = issue(Fleet(homes(registry, TOPICS, 1, WINTER)), Pace(WINTER, None), timedelta(minutes=20))
    home = f"dwellings/{REGISTRY.dwelling[1].id}"
    assert [one for one in among if one.message.device == home] == list(alone)


def test_every_home_tells_its_state_first_consenting_or_not() -> None:
    """A sensor does not know of consent; the first pack holds all sensors of the gateway."""
    registry = Registry(dwelling=REGISTRY.dwelling[-4:])
    assert not all(home.consent for home in registry.dwelling)
    first = [device.speak(WINTER) for device in homes(registry, TOPICS, 1, WINTER)]
    assert [message.topic for message in first] == [TOPICS.senml(home.id) for home in registry.dwelling]
    assert min(len(message.facts) for message in first) > 60
    assert [message.sequence for message in first] == [0] * len(first)


def test_a_flat_has_80_sensors(day: list[Issued]) -> None:
    """All of them in each pack of a home without a bridge, every five minutes; the docs say how many."""
    packs = [message for message in day if message.topic == TOPICS.senml("hut-01")]
    full = [message for message in packs if len(message.facts) >= 60]
    assert {len({fact.source for fact in message.facts}) for message in full} == {80}
    assert len(full) == 96
    docs = Path(__file__).parents[2] / "docs/simulators.md"
    assert "80 sensors" in docs.read_text(encoding="utf-8")


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


def resolve(payload: bytes) -> Iterator[tuple[str, str | None, float, float | bool]]:
    """Check a pack by the rules of RFC 8428, sections 4 to 6, and give name, unit, time and value of each record."""
    base = 0.0
    for record in records_of(payload):
        assert record.keys() <= {"bt", "n", "u", "v", "vb", "t"}
        base = record.get("bt", base)
        assert NAME.fullmatch(record["n"]), record
        (label,) = record.keys() & {"v", "vb"}
        value = record[label]
        assert isinstance(value, bool) if label == "vb" else type(value) in (int, float) and math.isfinite(value)
        yield record["n"], record.get("u"), base + record.get("t", 0), value


def primary(value: float, unit: str) -> float:
    """Give a value in the primary unit of its own."""
    return value * scale(unit).factor + scale(unit).offset


def stored_unit(home: str, name: str, unit: str | None) -> str:
    """Give the unit that the docs promise: the registry's, the kind's, or the primary one."""
    ((listed),) = [{one.name: one for one in found.sensor} for found in REGISTRY.dwelling if found.id == home]
    if name in listed:
        return listed[name].stored_unit
    return kind_of(name, scale(unit).primary if unit else "")[1]


def test_the_facts_of_a_pack_are_what_it_says(day: list[Issued]) -> None:
    """In the units that are stored, at the times of the records, each sensor once; a fourth of the homes in CBOR."""
    encodings = set()
    for message in day:
        if not message.topic.endswith("/senml"):
            continue
        _, _, home, _ = message.topic.split("/")
        encodings.add((home, message.payload[:1] == b"["))
        readings = list(resolve(message.payload))
        assert len({name for name, *_ in readings}) == len(readings) == len(message.facts)
        for (name, unit, time, value), fact in zip(readings, message.facts, strict=True):
            into = stored_unit(home, name, unit)
            assert fact.source == f"dwellings/{home}/{name}"
            assert fact.time == pytest.approx(time * 1e6, abs=1)
            assert primary(float(fact.values[0]), into) == pytest.approx(primary(value, unit or into))
            assert message.shown - timedelta(seconds=2) <= datetime.fromtimestamp(time, UTC) <= message.shown
    assert encodings == {("hut-01", True), ("home-a01", True), ("home-a03", False), ("home-h01", True)}


def check_bounds(home: str, name: str, series: Series) -> None:
    """Check the values of a sensor against the bounds of the registry, else of its kind."""
    (sensors,) = [{one.name: one for one in found.sensor} for found in REGISTRY.dwelling if found.id == home]
    kind = KINDS.get(kind_of(name, "")[0]) or KINDS[name.rpartition("/")[2].replace("occupancy", "motion")]
    low, high = kind.minimum, kind.maximum
    if name in sensors:
        listed = sensors[name]
        low = listed.minimum if listed.minimum is not None else low
        high = listed.maximum if listed.maximum is not None else high
    elif name.endswith("/water"):
        assert high > 1000
    assert low <= min(series.values), name
    assert max(series.values) <= high, name


@pytest.mark.parametrize("begin", [WINTER, SUMMER])
def test_values_are_within_the_bounds_of_the_registry_and_of_kinds(begin: datetime) -> None:
    """On a winter's and on a summer's day, of all that is stored; a thermometer never says 85."""
    for home, series in told(messages(4, begin, 24, (0,))).items():
        for name, values in series.items():
            check_bounds(home, name, values)
            if name.endswith("/temperature"):
                assert -15 < min(values.values) < max(values.values) < 40


def test_the_registry_lists_sensors_that_there_are(day: list[Issued]) -> None:
    """Each listed sensor of these homes is heard."""
    heard = told(day)
    listed = [(home.id, one.name) for home in REGISTRY.dwelling if home.id in heard for one in home.sensor]
    assert len(listed) > 10
    assert [name for home, name in listed if name not in heard[home]] == []


def test_no_name_holds_a_home(day: list[Issued]) -> None:
    """The topic says whose reading it is; a name that did, too, would be refused."""
    found = told(day)
    parts = {part for home in found.values() for name in home for part in re.split(r"[/:.]", name)}
    assert not parts & {home.id for home in REGISTRY.dwelling}


@pytest.mark.parametrize("first", [date(2026, 3, 26), date(2026, 10, 22)])
def test_the_life_of_a_home_is_in_order_also_when_clocks_are_set(first: date) -> None:
    """Over the change to summer time and back, with one to three residents."""
    for people in (1, 2, 3):
        changes = list(islice(Household(random.Random(people), people).changes(first), 6000))
        assert all(before.at <= after.at for before, after in pairwise(changes))
        days = (changes[-1].at - changes[0].at) / 86400
        assert days > 3, "the clocks were not set yet"


def hours_of_five_weeks(seed: int) -> dict[tuple[str, bool], list[float]]:
    """Give the local hours at which residents and guests begin something, by what, and whether it is a weekend."""
    end = datetime(2026, 2, 9, tzinfo=ZONE).timestamp()
    hours: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for change in takewhile(
        lambda change: change.at < end, Household(random.Random(seed), 2).changes(date(2026, 1, 5))
    ):
        if change.part is Part.PERSON:
            at = datetime.fromtimestamp(change.at, ZONE)
            hours[str(change.value), at.weekday() >= 5].append(at.hour + at.minute / 60)
    return hours


def test_weekdays_are_other_days_than_weekends() -> None:
    """People get up later, and most go out on working days in the morning; meals are at their hours."""
    hours = hours_of_five_weeks(3)
    working, free = hours["breakfast", False], hours["breakfast", True]
    assert len(working) == 50
    assert all(6 < hour < 9.5 for hour in working)
    assert sum(free) / len(free) > sum(working) / len(working) + 1
    assert sum(7 < hour < 9 for hour in hours["go", False]) > 15
    assert len(hours["dine", False]) >= 50
    assert all(18.5 < hour < 21.5 for hour in hours["dine", False])
    assert len(hours["talk", True]) > 10


def test_it_does_not_matter_how_often_a_flat_is_looked_at() -> None:
    """Its air is solved exactly between changes: asked each ten seconds or each hour, it comes to the same."""
    often, seldom = (Flat(WINTER, random.Random(5), 2) for _ in range(2))
    begin = WINTER.timestamp()
    for step in range(1, 12 * 360 + 1):
        often.live(begin + 10 * step)
    for step in range(1, 13):
        seldom.live(begin + 3600 * step)
    for name, room in often.rooms.items():
        other = seldom.rooms[name]
        assert room.temperature == pytest.approx(other.temperature, abs=0.05)
        assert room.co2 == pytest.approx(other.co2, abs=1)
        assert room.humidity == pytest.approx(other.humidity, abs=0.5)
    assert often.supply.water.total == pytest.approx(seldom.supply.water.total, abs=0.01)
    assert often.supply.loads["kitchen/kettle"].total == pytest.approx(seldom.supply.loads["kitchen/kettle"].total)
