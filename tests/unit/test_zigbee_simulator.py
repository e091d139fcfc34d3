"""The devices of simulated homes: states as zigbee2mqtt publishes them, for days on end."""

import itertools
import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from simulators.zigbee_model import ZigbeeFleet

from schemas.registry import load_registry
from schemas.topics import Route, Topics
from simulators.fleet import SensorMessage

TOPICS = Topics("city")
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
States = dict[tuple[str, str], list[dict[str, Any]]]


def messages(seed: int, rounds: int) -> list[SensorMessage]:
    """Let every device report each five minutes."""
    fleet = ZigbeeFleet(load_registry(Path(__file__).parents[2] / "deploy/registry.toml"), TOPICS, random.Random(seed))
    times = [MIDNIGHT + n * timedelta(minutes=5) for n in range(rounds)]
    return [fleet.next_message(time) for time in times for _ in range(len(fleet))]


@pytest.fixture(scope="module")
def day() -> States:
    """Give the states of every device in a day."""
    told: States = defaultdict(list)
    for message in messages(1, 288):
        topic = TOPICS.parse(message.topic)
        assert topic.route is Route.ZIGBEE2MQTT
        told[topic.asset, topic.part].append(json.loads(message.payload))
    return told


def test_equal_seeds_say_the_same() -> None:
    """And others do not."""
    assert messages(3, 5) == messages(3, 5)
    assert messages(3, 5) != messages(4, 5)


def test_every_sixth_home_has_four_devices(day: States) -> None:
    """Half of the homes, or so, tell no time; names are those that people give."""
    assert len({home for home, _ in day}) == 4
    assert {device for _, device in day} == {"living room/climate", "couloir [entrée]", "front door", "washing machine"}
    timed = {home for (home, _), states in day.items() if all("last_seen" in state for state in states)}
    untimed = {home for (home, _), states in day.items() if all("last_seen" not in state for state in states)}
    assert timed
    assert untimed
    assert len(timed | untimed) == 4


def test_a_cache_tells_again_what_it_knows(day: States) -> None:
    """A climate sensor changes one of its values, and tells all of them."""
    for (_, device), states in day.items():
        if device != "living room/climate":
            continue
        for before, after in itertools.pairwise(states):
            same = [name for name in ("temperature", "humidity", "pressure") if before[name] == after[name]]
            assert len(same) >= 2


def test_meters_count_up_and_nothing_jumps(day: States) -> None:
    """What a plug has counted, and what a room is like, is possible after what was before."""
    for (_, device), states in day.items():
        for before, after in itertools.pairwise(states):
            if device == "washing machine":
                assert 0 <= after["energy"] - before["energy"] < 1 / 12
            if device == "living room/climate":
                assert abs(after["temperature"] - before["temperature"]) < 3
