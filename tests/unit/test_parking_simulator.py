"""The parking fleet: repeatable, each device on its own, and what it says is what the contract allows."""

import json
import random
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from harness.lorawan_bays import registry_text
from unit.worlds import GATE, LIMITS, NO_GAP, layout_of

from processors.decode import decode
from schemas.delivery import Delivery
from schemas.registry import Registry
from schemas.topics import Route, Topics
from simulators.fleet import Fact, Fleet, SensorMessage, micros
from simulators.parking.model import bays_and_counters

BEGIN = datetime(2026, 11, 21, 11, 0, 0, 123_000, tzinfo=UTC)
"""A Saturday noon."""
CLOCKS_BACK = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
"""An hour before the clocks of Europe go back."""
TOPICS = Topics("city")
DAY = 86_400


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.model_validate(tomllib.loads(registry_text()))


def messages(registry: Registry, seed: int, hours: float, begin: datetime = BEGIN) -> list[SensorMessage]:
    """Let a registry's parking speak for so long."""
    fleet = Fleet(bays_and_counters(registry, TOPICS, seed, begin))
    said = []
    while fleet.due < hours * 3600:
        said.append(fleet.next_message(begin + timedelta(seconds=fleet.due)))
    return said


def only(registry: Registry, *codes: str) -> Registry:
    """Keep some car parks."""
    return Registry(car_park=tuple(park for park in registry.car_park if park.code in codes))


def facts_read(registry: Registry, said: Sequence[SensorMessage], arrival: datetime) -> Counter[Fact]:
    """Read messages as the service does; nothing may be rejected."""
    layout = layout_of(registry)
    names = [f"parking/{park.code}/{spot.label}" for park in registry.car_park for spot in park.all_spots()]
    deliveries = [Delivery(1, 1, one.topic, one.payload, retain=False, received_at=micros(arrival)) for one in said]
    decoded = decode(deliveries, layout, LIMITS, GATE, NO_GAP)
    assert [reject.detail for reject in decoded.rejects] == []
    events = (Fact(names[row["spot"]], int(row["time"]), (int(row["occupied"]),)) for row in decoded.events)
    counts = (
        Fact(
            f"parking/{layout.codes[row['car_park']]}",
            int(row["time"]),
            (int(row["free"]), int(row["total"]), row["status"].decode()),
        )
        for row in decoded.counts
    )
    return Counter([*events, *counts])


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
def test_what_is_said_is_what_is_meant(registry: Registry, seed: int) -> None:
    """In the form of every maker, the service reads from the payloads the facts that the fleet states."""
    said = messages(registry, seed, 5)
    routes = Counter(TOPICS.parse(one.topic).route for one in said)
    assert set(routes) == {Route.SPOT, Route.COUNT, Route.CHIRPSTACK, Route.TTS}
    assert facts_read(registry, said, BEGIN + timedelta(hours=5)) == Counter(f for m in said for f in m.facts), seed


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
def test_no_time_is_ambiguous_when_the_clocks_go_back(registry: Registry, seed: int) -> None:
    """What counters tell in the hour that comes twice is read as the hour in which they tell it."""
    counted = Registry(car_park=tuple(park for park in registry.car_park if park.basis == "count"))
    said = messages(counted, seed, 4, CLOCKS_BACK)
    local = re.compile(rb'"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"')
    assert any(local.search(one.payload) for one in said), "nobody tells local time"
    assert facts_read(counted, said, CLOCKS_BACK + timedelta(hours=4)) == Counter(f for m in said for f in m.facts), (
        seed
    )


def test_every_maker_has_its_own_form(registry: Registry) -> None:
    """The bays and the counters of one city speak in many forms: of fields, of times, of letter cases."""
    forms: dict[Route, set[tuple[object, ...]]] = defaultdict(set)
    for one in messages(registry, 1, 2):
        told = json.loads(one.payload)
        time = re.sub(r"\d", "0", str(told.get("time", "")))
        forms[TOPICS.parse(one.topic).route].add((*sorted(told), time, str(told.get("status", ""))))
    assert len(forms[Route.SPOT]) >= 8
    assert len(forms[Route.COUNT]) >= 8
    statuses = {form[-1] for form in forms[Route.COUNT]}
    assert {"open", "Open", "OPEN"} <= statuses
    assert {"", "None"} & statuses, "some tell no status"


def test_an_uplink_is_one_of_its_network_server(registry: Registry) -> None:
    """Times have nine digits, the first frame's counter of 0 is left out, and another run has another session."""
    anti = only(registry, "ANTI")
    first: dict[str, SensorMessage] = {}
    for one in messages(anti, 1, 0.01):
        first.setdefault(one.topic, one)
    (chirpstack,) = (json.loads(m.payload) for t, m in first.items() if t.endswith("70b3d57ed0000001/event/up"))
    assert re.fullmatch(r"2026-11-21T11:00:\d\d\.\d{9}\+00:00", chirpstack["time"])
    assert "fCnt" not in chirpstack
    assert chirpstack["deviceInfo"]["devEui"] == "70b3d57ed0000001"
    tts = json.loads(first["v3/parking@ttn/devices/bay-3/up"].payload)
    assert re.fullmatch(r"2026-11-21T11:00:\d\d\.\d{9}Z", tts["uplink_message"]["received_at"])
    assert "f_cnt" not in tts["uplink_message"]
    assert tts["received_at"] > tts["uplink_message"]["received_at"]
    later = {one.topic: json.loads(one.payload) for one in messages(anti, 1, 0.01, BEGIN + timedelta(minutes=9))}
    session = later["v3/parking@ttn/devices/bay-3/up"]["uplink_message"]["session_key_id"]
    assert session != tts["uplink_message"]["session_key_id"]


def test_the_same_seed_gives_the_same_messages_in_any_process(registry: Registry) -> None:
    """Equal seeds, equal bytes, whatever Python's hashes are; another seed is another city."""
    here = only(registry, "ANTI", "FOCH")
    told = [one.payload for one in messages(here, 7, 0.3)]
    assert [one.payload for one in messages(here, 8, 0.3)] != told
    program = (
        "import sys; sys.path[:0] = ['.', 'tests']; from unit import test_parking_simulator as t; import tomllib;"
        "r = t.Registry.model_validate(tomllib.loads(t.registry_text()));"
        "print([m.payload for m in t.messages(t.only(r, 'ANTI', 'FOCH'), 7, 0.3)])"
    )
    for hashes in ("1", "2"):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env={"PYTHONHASHSEED": hashes}, capture_output=True, check=True, text=True)
        assert done.stdout.strip() == str(told)


def test_a_device_does_not_know_of_the_others(registry: Registry) -> None:
    """In another registry a device says the same, but for when it announces itself."""
    few = only(registry, "ANTI", "POLY")
    alone: dict[str, list[SensorMessage]] = defaultdict(list)
    for one in messages(few, 4, 3):
        alone[one.device].append(one)
    whole: dict[str, list[SensorMessage]] = defaultdict(list)
    for one in messages(registry, 4, 3):
        whole[one.device].append(one)
    for name, said in alone.items():
        assert whole[name][1:] == said[1:], name
        assert [fact.values for fact in whole[name][0].facts] == [fact.values for fact in said[0].facts], name


def test_every_sensor_announces_itself_before_anything_changes(registry: Registry) -> None:
    """Each bay and each counter says its state once, then the first change comes."""
    devices = bays_and_counters(registry, TOPICS, 1, BEGIN)
    said = messages(registry, 1, 0.02)
    announced = {one.device for one in said[: len(devices)]}
    bays = {f"parking/{park.code}/{bay.label}" for park in registry.car_park for bay in park.all_spots()}
    counters = {f"parking/{park.code}" for park in registry.car_park if park.basis == "count"}
    assert announced == bays | counters
    assert len(devices) == len(announced)
    assert [one.sequence for one in said[: len(devices)]] == [0] * len(devices)


def test_a_bay_tells_changes_and_that_it_lives(registry: Registry) -> None:
    """A state that is told again comes after half the heartbeat and no sooner; numbers follow each other."""
    street = only(registry, "S-ARC", "S-LBL")
    told: dict[str, list[SensorMessage]] = defaultdict(list)
    for one in messages(street, 5, 72):
        told[one.device].append(one)
    repeats = 0
    for said in told.values():
        assert [one.sequence for one in said] == list(range(len(said)))
        for before, after in pairwise(one.facts[0] for one in said):
            hours = (after.time - before.time) / 3.6e9
            assert hours < 12.53
            if before.values == after.values:
                assert hours > 12.49
                repeats += 1
    assert repeats


def test_a_bay_is_never_silent_for_its_heartbeat(registry: Registry) -> None:
    """However short that is."""
    (park,) = only(registry, "S-ARC").car_park
    heartbeat = timedelta(seconds=20)
    lively = Registry(car_park=(park.model_copy(update={"heartbeat": heartbeat}),))
    told: dict[str, list[int]] = defaultdict(list)
    for one in messages(lively, 5, 0.2):
        told[one.device].append(one.facts[0].time)
    assert all(after - before < heartbeat.total_seconds() * 1e6 for t in told.values() for before, after in pairwise(t))


def test_a_bay_without_a_heartbeat_speaks_on_change_only(registry: Registry) -> None:
    """With a heartbeat of 0 no state is told twice."""
    (park,) = only(registry, "S-ARC").car_park
    silent = Registry(car_park=(park.model_copy(update={"heartbeat": timedelta(0)}),))
    told: dict[str, list[object]] = defaultdict(list)
    for one in messages(silent, 5, 72):
        told[one.device].append(one.facts[0].values)
    assert all(before != after for states in told.values() for before, after in pairwise(states))


def test_batteries_sink_and_sequences_rise(registry: Registry) -> None:
    """What a bay tells of itself is what a sensor would."""
    told: dict[str, list[dict[str, float]]] = defaultdict(list)
    for one in messages(only(registry, "S-ARC", "S-LBL"), 2, 24):
        payload = json.loads(one.payload)
        if payload.get("battery") is not None:
            told[one.device].append(payload)
    assert told
    for payloads in told.values():
        assert [one["seq"] for one in payloads] == list(range(1, len(payloads) + 1))
        assert all(2.9 < one["battery"] < 3.7 and -20 < one["temperature"] < 50 for one in payloads)
        assert all(after["battery"] <= before["battery"] for before, after in pairwise(payloads))


def test_short_stays_turn_over_faster(registry: Registry) -> None:
    """On a day, a bay for deliveries or short stays sees more cars than one for a day's visitor."""
    kinds = {f"parking/{p.code}/{bay.label}": bay.kind for p in registry.car_park for bay in p.all_spots()}
    bays = Registry(car_park=tuple(park for park in registry.car_park if park.basis == "spots"))
    turns = Counter(kinds[one.device] for one in messages(bays, 2, 24, BEGIN - timedelta(days=3)))
    rate = {kind: turns[kind] / count for kind, count in Counter(kinds.values()).items()}
    assert rate["short_stay"] > 1.5 * rate["standard"]
    assert rate["delivery"] > rate["standard"] > rate["charging"]


def test_counters_report_every_two_minutes(registry: Registry) -> None:
    """Changed or not, a counter speaks after a minute and a half to two and a half."""
    times: dict[str, list[int]] = defaultdict(list)
    for one in messages(only(registry, "COME", "MOSS"), 1, 3):
        times[one.device].append(one.facts[0].time)
    for reports in times.values():
        gaps = [(after - before) / 1e6 for before, after in pairwise(reports[1:])]
        assert 89 <= min(gaps) < 95
        assert 145 < max(gaps) <= 151
