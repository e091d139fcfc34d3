"""The zigbee2mqtt of simulated homes: states as it publishes them, of the same flat that the gateway tells of."""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from unit.simulated_homes import REGISTRY, TOPICS, messages, told

from schemas.registry import Registry
from schemas.topics import Route
from simulators.dwellings.model import make_home
from simulators.dwellings.zigbee import PLANS
from simulators.fleet import ARRIVAL, Fleet
from simulators.runs.pace import Issued, Pace, issue

BEGIN = datetime(2026, 1, 12, 5, 0, 0, 123_000, tzinfo=UTC)
HOURS = 16
TIMED, UNTIMED, LOCAL, EPOCH = 1, 7, 13, 25
"""Homes by turn, of a registry that is large enough for all forms of a time."""
MANY = Registry(
    dwelling=tuple(REGISTRY.dwelling[2].model_copy(update={"id": f"flat-{turn}"}) for turn in range(EPOCH + 1))
)
STORED = {"temperature", "humidity", "pressure", "occupancy", "illuminance_lux", "contact", "power", "current"}
STORED |= {"voltage", "energy", "battery"}


@pytest.fixture(scope="module")
def issued() -> list[Issued]:
    """Let four homes speak through a winter's day, one for each form of a time."""
    return messages(1, BEGIN, HOURS, (TIMED, UNTIMED, LOCAL, EPOCH), MANY)


def states(issued: list[Issued]) -> dict[tuple[str, str], list[tuple[dict[str, Any], Issued]]]:
    """Give the states of every device, by home and name."""
    found = defaultdict(list)
    for message in issued:
        topic = TOPICS.parse(message.topic)
        if topic.route is Route.ZIGBEE2MQTT:
            found[topic.asset, topic.part].append((json.loads(message.payload), message))
    return found


def test_every_sixth_home_has_a_bridge_and_half_of_them_tell_no_time(issued: list[Issued]) -> None:
    """Others have ISO 8601 in UTC, with the local offset, or milliseconds since 1970; names are those of people."""
    first = messages(1, BEGIN, 1 / 120, range(24))
    bridged = {message.message.device for message in first if "/zigbee2mqtt/" in message.topic}
    assert bridged == {f"dwellings/{REGISTRY.dwelling[turn].id}" for turn in (1, 7, 13, 19)}
    found = states(issued)
    assert {device for _, device in found} == {plan.name for plan in PLANS}
    told_by = {turn: found[f"flat-{turn}", "couloir [entrée]"] for turn in (TIMED, UNTIMED, LOCAL, EPOCH)}
    assert all("last_seen" not in state for state, _ in told_by[UNTIMED])
    for turn in (TIMED, LOCAL):
        for state, message in told_by[turn]:
            at = datetime.fromisoformat(state["last_seen"])
            assert timedelta(0) <= message.shown - at < timedelta(seconds=1)
            assert at.utcoffset() == timedelta(hours=int(turn == LOCAL))
    assert all(state["last_seen"] == message.shown.timestamp() * 1000 for state, message in told_by[EPOCH])


def test_a_sensor_speaks_one_way() -> None:
    """What a bridge tells of a flat its gateway does not, and both together tell of more than 60 sensors."""
    device = make_home(MANY.dwelling[TIMED], TIMED, TOPICS, 1, BEGIN, 0)
    first = [device.speak(BEGIN) for _ in range(len(PLANS) + 1)]
    sources = [fact.source.partition("flat-1/")[2] for message in first for fact in message.facts]
    assert len(sources) == len(set(sources)) > 80
    replaced = {"bedroom1/temperature", "hall/motion", "kitchen/motion", "hall/door/contact", "kitchen/kettle/power"}
    assert not replaced & set(sources)
    assert {"bedroom 1/climate/temperature", "couloir [entrée]/occupancy", "kettle/power"} <= set(sources)


def test_a_flat_is_the_same_however_it_is_told_of() -> None:
    """The same home with a bridge and without one: door, movements, kettle and warmth agree at the same times."""
    home = REGISTRY.dwelling[2]
    devices = [make_home(home, turn, TOPICS, 1, BEGIN, 0) for turn in (TIMED, 2)]
    ways = [told(list(issue(Fleet([device]), Pace(BEGIN, None), timedelta(hours=HOURS)))) for device in devices]
    bridged, plain = ways[0][home.id], ways[1][home.id]
    pairs = {"front door/contact": "hall/door/contact", "couloir [entrée]/occupancy": "hall/motion"}
    pairs |= {"kitchen/motion/occupancy": "kitchen/motion", "bedroom window/contact": "bedroom1/window/contact"}
    for theirs, ours in pairs.items():
        assert list(bridged[theirs].spans(1)) == list(plain[ours].spans(1)), ours
        assert len(list(plain[ours].spans(1))) >= 1
    boils = list(plain["kitchen/kettle/power"].spans(100))
    assert boils
    assert list(bridged["kettle/power"].spans(100)) == boils
    for (time, degrees), (_, after) in pairwise(bridged["bedroom 1/climate/temperature"].pairs()):
        assert abs(after - degrees) < 3
        around = [plain["bedroom1/temperature"].at(time - ago * 10**6) for ago in range(0, 5400, 300)]
        assert min(abs(degrees - one) for one in around) < 1


def test_a_cache_tells_again_what_it_knows(issued: list[Issued]) -> None:
    """A climate sensor changes one of its values at a time and tells all of them, as every device does."""
    for (_, device), told_states in states(issued).items():
        assert len(told_states) > 10, device
        keys = {frozenset(state) for state, _ in told_states}
        assert len(keys) == 1
        if device.endswith("/climate"):
            for (before, _), (after, _) in pairwise(told_states):
                same = [name for name in ("temperature", "humidity", "pressure") if before[name] == after[name]]
                assert len(same) >= 2


def expected(state: dict[str, Any]) -> dict[str, float]:
    """Give what the docs promise of a state: J of kWh, Pa of hPa, V of mV, 1 and 0 of truth; other attributes none."""
    found: dict[str, float] = {}
    for name in STORED & state.keys():
        value = float(state[name])
        value *= {"energy": 3.6e6, "pressure": 100}.get(name, 1)
        value /= 1000 if name == "voltage" and value > 600 else 1
        found[name] = value
    return found


def values(message: Issued) -> dict[str, float]:
    """Give the facts of a message as values by attribute."""
    return {fact.source.rpartition("/")[2]: float(fact.values[0]) for fact in message.facts}


def test_with_a_time_every_attribute_is_a_fact_again(issued: list[Issued]) -> None:
    """A message with `last_seen` tells all that it repeats anew, at that time."""
    for (home, device), told_states in states(issued).items():
        if home == f"flat-{UNTIMED}":
            continue
        for state, message in told_states:
            (time,) = {fact.time for fact in message.facts}
            assert 0 <= message.shown.timestamp() - time / 1e6 < 1
            assert {fact.source.rpartition("/")[0] for fact in message.facts} == {f"dwellings/{home}/{device}"}
            assert values(message) == pytest.approx(expected(state))


def test_without_a_time_only_what_differs_is_a_fact(issued: list[Issued]) -> None:
    """A value that equals the sensor's last is a duplicate, and all are of the time of their arrival."""
    last: dict[str, float] = {}
    repeated = 0
    for (home, device), told_states in states(issued).items():
        if home != f"flat-{UNTIMED}":
            continue
        for state, message in told_states:
            assert all(fact.time == ARRIVAL for fact in message.facts)
            wanted = {name: value for name, value in expected(state).items() if last.get(f"{device}/{name}") != value}
            repeated += len(expected(state)) - len(wanted)
            assert values(message) == pytest.approx(wanted)
            last |= {f"{device}/{name}": value for name, value in wanted.items()}
    assert repeated > 1000


def test_what_a_plug_counts_is_possible(issued: list[Issued]) -> None:
    """Energy does not fall, nor rise faster than the service believes of a device: 6 MJ a minute."""
    for (_, device), told_states in states(issued).items():
        if device in {"washing machine", "télévision", "kettle"}:
            for (before, _), (after, _) in pairwise(told_states):
                assert 0 <= after["energy"] - before["energy"] < 6 / 3.6, device
            assert {state["state"] for state, _ in told_states} == {"ON"}
            if device != "washing machine":
                assert told_states[-1][0]["energy"] > told_states[0][0]["energy"]
