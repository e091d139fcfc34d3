"""Fleets side by side: whose turn it is, and what cannot be simulated."""

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from simulators.dwelling_model import DwellingFleet
from simulators.parking_model import ParkingFleet
from simulators.zigbee_model import ZigbeeFleet

from schemas.faults import ConfigurationError
from schemas.registry import Registry, load_registry
from schemas.topics import Topics
from simulators.fleet import City, Fleet, SensorMessage
from simulators.simulate import FleetKind, make_fleet, run_fleet

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOPICS = Topics("city")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(Path(__file__).parents[2] / "deploy/registry.toml")


def messages(fleet: Fleet, count: int) -> list[SensorMessage]:
    """Ask a fleet so many times."""
    return [fleet.next_message(NOON) for _ in range(count)]


def test_a_city_announces_every_fleet_before_anything_changes(registry: Registry) -> None:
    """First every bay, counter, home and device once."""
    city = make_fleet("city", registry, TOPICS, 1)
    told = []
    while city.announcing:
        told.append(city.next_message(NOON).topic)
    assert len(told) == len(set(told)) == len(city)
    assert sum("/senml" in topic for topic in told) == 24
    assert sum("/zigbee2mqtt/" in topic for topic in told) == 16


def test_a_city_holds_the_fleets_of_its_seed(registry: Registry) -> None:
    """Alone or in the city, a seed's sensors say the same, in the same order."""
    told = messages(make_fleet("city", registry, TOPICS, 5), 3000)
    for kind in ("parking", "dwellings"):
        own = [message for message in told if f"/{kind}/" in message.topic]
        assert len(own) > 100
        assert messages(make_fleet(kind, registry, TOPICS, 5), len(own)) == own
    assert told != messages(make_fleet("city", registry, TOPICS, 6), 3000)


def test_a_city_is_interleaved_by_time(registry: Registry) -> None:
    """Neither fleet runs ahead: in the fleets' own time they are never more than a few minutes apart."""
    parking = ParkingFleet(registry, TOPICS, random.Random(1))
    dwellings = City([fleet(registry, TOPICS, random.Random(1)) for fleet in (DwellingFleet, ZigbeeFleet)])
    city = City((parking, dwellings))
    messages(city, len(city))
    routes: Counter[str] = Counter()
    for message in messages(city, 5000):
        routes[message.topic.split("/")[1]] += 1
    assert abs(parking.due - dwellings.due) < 1
    assert city.due == min(parking.due, dwellings.due)
    assert 5 < routes.total() / routes["dwellings"] < 7, "docs/commands.md says: about one message in six"


@pytest.mark.parametrize("kept", ["car_park", "dwelling"])
def test_a_city_may_lack_one_of_both(registry: Registry, kept: str) -> None:
    """Where only one is registered, the city is that one."""
    part = Registry.model_validate({kept: getattr(registry, kept)})
    city = make_fleet("city", part, TOPICS, 1)
    alone = make_fleet("parking" if kept == "car_park" else "dwellings", part, TOPICS, 1)
    assert messages(city, 1000) == messages(alone, 1000)


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
        make_fleet(kind, Registry(), TOPICS, 1)


@pytest.mark.parametrize("fleet", [ParkingFleet, DwellingFleet, ZigbeeFleet])
def test_a_fleet_of_nobody_says_nothing(fleet: type[ParkingFleet] | type[DwellingFleet] | type[ZigbeeFleet]) -> None:
    """Without sensors there is neither a next message nor a time for it."""
    nobody = fleet(Registry(), TOPICS, random.Random(1))
    assert (len(nobody), nobody.announcing, nobody.due) == (0, False, float("inf"))
    for asked in (nobody, City([nobody]), City([])):
        with pytest.raises(IndexError):
            asked.next_message(NOON)


async def test_refuses_a_rate_that_makes_no_sense(registry: Registry) -> None:
    """No messages a second is no pace."""
    with pytest.raises(ValueError, match="rate"):
        await run_fleet("mqtt://127.0.0.1:1", make_fleet("parking", registry, TOPICS, 1), rate=0)
