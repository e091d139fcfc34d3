"""The parking fleet: repeatable, and what it says is what the contract allows."""

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pytest
from simulators.parking_model import ParkingFleet

from schemas.payloads import COUNT, SPOT, SpotPayload
from schemas.registry import Registry, load_registry
from schemas.topics import Route, Topics
from simulators.fleet import SensorMessage

NOON = datetime(2026, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)
TOPICS = Topics("city")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(Path(__file__).parents[2] / "deploy/registry.toml")


def messages(registry: Registry, seed: int, count: int) -> list[SensorMessage]:
    """Let a fleet speak, a message each 50 ms."""
    fleet = ParkingFleet(registry, TOPICS, random.Random(seed))
    return [fleet.next_message(NOON + timedelta(milliseconds=50 * n)) for n in range(count)]


def test_the_same_seed_gives_the_same_messages(registry: Registry) -> None:
    assert messages(registry, 7, 2000) == messages(registry, 7, 2000)
    assert messages(registry, 7, 2000) != messages(registry, 8, 2000)


def test_announces_every_sensor_once_before_anything_changes(registry: Registry) -> None:
    fleet = ParkingFleet(registry, TOPICS, random.Random(1))
    announced = []
    while fleet.announcing:
        announced.append(fleet.next_message(NOON).topic)
    bays = {TOPICS.spot(park.code, bay.label) for park in registry.car_park for bay in park.all_spots()}
    counters = {TOPICS.count(park.code) for park in registry.car_park if park.basis == "count"}
    assert sorted(announced) == sorted(bays | counters)
    assert len(fleet) == len(announced)


def test_payloads_are_what_the_contract_says(registry: Registry) -> None:
    capacity = {park.code: park.capacity for park in registry.car_park}
    for message in messages(registry, 3, 3000):
        topic = TOPICS.parse(message.topic)
        if topic.route is Route.SPOT:
            bay = SPOT.validate_json(message.payload)
            assert set(bay) == {"occupied", "time", "battery", "temperature", "seq"}
            assert 2.5 < (bay["battery"] or 0) < 4
            assert -30 < (bay["temperature"] or 99) < 50
        else:
            assert topic.route is Route.COUNT
            count = COUNT.validate_json(message.payload)
            assert set(count) == {"free", "total", "status", "time"}
            assert 0 <= count["free"] <= capacity[topic.asset] == count["total"]
            assert count["status"] == ("open" if count["free"] else "full")


def test_times_are_utc_in_milliseconds(registry: Registry) -> None:
    fleet = ParkingFleet(registry, TOPICS, random.Random(1))
    paris = NOON.astimezone(timezone(timedelta(hours=1)))
    assert b'"time":"2026-11-21T12:00:00.123Z"' in fleet.next_message(paris).payload


def test_a_bay_changes_with_every_message_and_counts_them(registry: Registry) -> None:
    told: dict[str, list[SpotPayload]] = defaultdict(list)
    for message in messages(registry, 5, 5000):
        if TOPICS.parse(message.topic).route is Route.SPOT:
            told[message.topic].append(SPOT.validate_json(message.payload))
    for payloads in told.values():
        states = [payload["occupied"] for payload in payloads]
        assert all(before != after for before, after in pairwise(states))
        assert [payload["seq"] for payload in payloads] == list(range(1, len(payloads) + 1))


def test_short_stays_turn_over_faster(registry: Registry) -> None:
    kind = {TOPICS.spot(park.code, bay.label): bay.kind for park in registry.car_park for bay in park.all_spots()}
    turns = Counter(kind[m.topic] for m in messages(registry, 2, 20_000) if m.topic in kind)
    bays = Counter(kind.values())
    rate = {name: turns[name] / bays[name] for name in bays}
    assert rate["delivery"] > rate["short_stay"] > rate["standard"] > rate["charging"]
