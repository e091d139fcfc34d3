"""Plans and what they issue: the same bytes again, and what makes no sense together."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from schemas.faults import ConfigurationError
from schemas.registry import Registry, load_registry
from simulators.runs.pace import Issued
from simulators.runs.simulate import ahead, make_plan
from simulators.runs.stream import FleetKind, Plan, stream

ROOT = Path(__file__).parents[2]
REGISTRY = ROOT / "deploy/registry.toml"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ISSUE = """
import hashlib, sys
from schemas.registry import load_registry
from simulators.runs.stream import Plan, stream
plan = Plan.model_validate_json(sys.argv[1])
whole = hashlib.sha256()
for one in stream(plan, load_registry(plan.registry)):
    whole.update(f"{one.due} {one.shown} {one.topic} {one.facts}".encode() + one.payload)
print(whole.hexdigest())
"""


def plan_of(kind: FleetKind = "city", **options: Any) -> Plan:  # noqa: ANN401 - whatever a user may say
    told: dict[str, Any] = {"seed": 1, "now": NOON, "start": NOON, "duration": HOUR} | options
    return make_plan(kind, REGISTRY, "city", **told)


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Give a part of the city that has some of everything."""
    whole = load_registry(REGISTRY)
    return Registry(car_park=(*whole.car_park[:2], *whole.car_park[-3:]), dwelling=whole.dwelling[:7])


def issued(plan: Plan, registry: Registry) -> list[Issued]:
    """Give what all processes of a run issue, one after the other."""
    return [one for process in range(plan.processes) for one in stream(plan, registry, process)]


def told(plan: Plan, registry: Registry) -> Counter[tuple[str, bytes]]:
    """Give topics and payloads of a run, in no order."""
    return Counter((one.topic, one.payload) for one in issued(plan, registry))


def digest_in_another_process(plan: Plan, hash_seed: str) -> str:
    """Digest what a plan issues in a fresh interpreter whose sets and hashes are ordered otherwise."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "TZ": f"Etc/GMT+{hash_seed}"}
    command = [sys.executable, "-c", ISSUE, plan.model_dump_json()]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()


def test_the_same_seed_says_the_same_bytes() -> None:
    """Two hours of the city are byte for byte the same in two interpreters."""
    plan = plan_of(duration=2 * HOUR)
    first = digest_in_another_process(plan, "1")
    assert len(first) == hashlib.sha256().digest_size * 2
    assert digest_in_another_process(plan, "2") == first


def test_another_seed_is_another_city(registry: Registry) -> None:
    """Hardly any message is the same, but all devices are."""
    one, other = (told(plan_of(seed=seed, duration=MINUTE), registry) for seed in (1, 2))
    assert len(one & other) < len(one) / 2
    assert {topic for topic, _ in one} == {topic for topic, _ in other}


def test_processes_and_pace_change_nothing_that_is_said(registry: Registry) -> None:
    """However many share the devices, and however fast: the same messages."""
    three = plan_of(processes=3, speed=60.0, duration=10 * MINUTE)
    assert told(three, registry) == told(plan_of(rate="max", duration=10 * MINUTE), registry)


def test_a_rate_is_shared_by_the_devices_of_the_processes(registry: Registry) -> None:
    """Each process has as much of it as it has of the devices, so that together they are as many a second."""
    plan = plan_of("parking", rate="900", processes=3, duration=timedelta(seconds=10))
    counts = [sum(1 for _ in stream(plan, registry, process)) for process in range(3)]
    assert sum(counts) == pytest.approx(900 * 10, abs=6)
    assert min(counts) > 900 * 10 * 0.3


def test_a_city_is_the_car_parks_and_the_homes_of_its_seed(registry: Registry) -> None:
    """Alone or in the city, a seed's devices say the same."""
    parking, homes, city = (
        told(plan_of(kind, duration=5 * MINUTE), registry) for kind in ("parking", "dwellings", "city")
    )
    assert len(parking) > 20
    assert len(homes) > 5
    assert city == parking + homes


def test_every_device_is_heard_within_the_first_half_minute(registry: Registry) -> None:
    """A city announces itself: the first message of each is its state."""
    messages = [one.message for one in issued(plan_of(duration=10 * MINUTE), registry)]
    first = [one.message for one in issued(plan_of(duration=MINUTE / 2), registry) if one.message.sequence == 0]
    assert {message.device for message in first} == {message.device for message in messages}


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("parking", "neither bays nor counters"),
        ("dwellings", "no dwellings"),
        ("city", "neither car parks nor dwellings"),
    ],
)
def test_a_registry_without_such_sensors_is_told(kind: FleetKind, what: str) -> None:
    """Who asks for what is not registered learns what is missing and which setting to mend."""
    with pytest.raises(ConfigurationError, match=f"{what}.*ARCEAUX_REGISTRY"):
        stream(plan_of(kind), Registry())


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"rate": "5", "speed": 1.0}, "--rate: not together with --speed"),
        ({"rate": "many"}, "--rate: expected messages a second"),
        ({"rate": "max", "duration": None}, "--duration: say how much"),
        ({"speed": 2.0, "duration": None}, "--duration: say how much"),
        ({"duration": timedelta(0)}, "--duration: longer"),
        ({"start": NOON + timedelta(seconds=1)}, "--start: lies in the future"),
        ({"start": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))}, "--start: not before 1970"),
    ],
)
def test_what_makes_no_sense_together_is_told(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        plan_of(**options)


@pytest.mark.parametrize(
    ("options", "begin", "seconds"),
    [
        ({"duration": None}, NOON, None),
        ({"rate": "5", "duration": None}, NOON, None),
        ({"rate": "5"}, NOON, 3600),
        ({"speed": 0.5}, NOON, 7200),
        ({"speed": 60.0}, NOON - timedelta(minutes=59), 60),
        ({"rate": "max"}, NOON - HOUR, None),
    ],
)
def test_clocks_begin_as_long_ago_as_they_gain(options: dict[str, Any], begin: datetime, seconds: float | None) -> None:
    """Without a start, no sensor's clock is ever ahead of ours, and at the end it shows our time."""
    plan = plan_of(start=None, **options)
    assert (plan.begin, plan.seconds) == (begin, seconds)
    assert ahead(plan, NOON) == timedelta(0)


def test_clocks_that_run_ahead_of_a_start_are_noticed() -> None:
    """Who says when it begins also decides that it ends in the future, and is told by how much."""
    assert ahead(plan_of(speed=60.0, start=NOON - HOUR), NOON) == timedelta(0)
    assert ahead(plan_of(speed=60.0), NOON) == timedelta(minutes=59)
    assert ahead(plan_of(rate="max", start=NOON - HOUR / 4), NOON) == HOUR * 3 / 4
    assert ahead(plan_of(rate="100"), NOON) == timedelta(0)
