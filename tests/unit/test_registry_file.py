"""The registry that ships: deploy/registry.toml."""

from collections import Counter
from pathlib import Path

import pytest

from schemas.durations import format_duration
from schemas.registry import CarPark, Registry, load_registry
from schemas.units import KINDS

FILE = Path(__file__).parents[2] / "deploy/registry.toml"
ZONES = {"centre", "park-and-ride", "odysseum", "castelnau"}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(FILE)


@pytest.fixture(scope="module")
def real(registry: Registry) -> dict[str, CarPark]:
    """Pick the car parks that exist, by code: those that the metropolis knows under another name."""
    return {park.code: park for park in registry.car_park if park.aliases}


def test_holds_the_25_real_car_parks(real: dict[str, CarPark]) -> None:
    assert len(real) == 25
    assert sum(park.capacity for park in real.values()) == 12_221


def test_only_antigone_is_given_bay_by_bay(real: dict[str, CarPark]) -> None:
    assert [code for code, park in real.items() if park.basis == "spots"] == ["ANTI"]
    antigone = real["ANTI"]
    assert len(antigone.all_spots()) == antigone.capacity == 239
    assert antigone.aliases == ("FR_MTP_ANTI", "urn:ngsi-ld:parking:001")


def test_counters_tell_local_time(real: dict[str, CarPark]) -> None:
    assert {park.timezone for park in real.values()} == {"Europe/Paris"}


def test_old_numbers_are_those_known(real: dict[str, CarPark]) -> None:
    prefix = "urn:ngsi-ld:parking:"
    numbers = sorted(
        int(alias.removeprefix(prefix)) for park in real.values() for alias in park.aliases if alias.startswith(prefix)
    )
    assert numbers == [n for n in range(1, 26) if n != 23]
    assert real["ARCE"].aliases == ("FR_MTP_ARCE",)


def test_arceaux_alone_has_no_coordinates(real: dict[str, CarPark]) -> None:
    assert [park.code for park in real.values() if park.latitude is None] == ["ARCE"]
    for park in real.values():
        if park.latitude is not None and park.longitude is not None:
            assert 43.5 < park.latitude < 43.7
            assert 3.8 < park.longitude < 4.0


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("GARC", "GARD"),
        ("TRIA", "Triangle"),
        ("PITO", "Pitot"),
        ("GA109", "GAUMONT-EST"),
        ("GA250", "GAUMONT-OUEST"),
    ],
)
def test_names_inside_the_feed_are_aliases(real: dict[str, CarPark], code: str, name: str) -> None:
    assert name in real[code].aliases


def test_zones_are_the_four_known(registry: Registry) -> None:
    assert {park.zone for park in registry.car_park} == ZONES


def test_street_bays_are_about_300_of_four_kinds(registry: Registry, real: dict[str, CarPark]) -> None:
    streets = [park for park in registry.car_park if park.code not in real]
    bays = [bay for street in streets for bay in street.all_spots()]
    assert len(bays) == 300
    assert set(Counter(bay.kind for bay in bays)) == {"standard", "pmr", "delivery", "short_stay"}
    for street in streets:
        assert street.basis == "spots"
        assert street.capacity == len(street.all_spots())
        assert format_duration(street.heartbeat) == "25h"
    stays = {bay.maximum_stay and format_duration(bay.maximum_stay) for bay in bays if bay.kind == "short_stay"}
    assert stays == {"30m"}


def test_homes_are_24_in_two_districts(registry: Registry) -> None:
    """Both districts have members enough for pooled figures, of which the group has at least 11 homes."""
    assert Counter(home.district for home in registry.dwelling) == {"antigone": 12, "hopitaux-facultes": 12}
    consenting = Counter(home.district for home in registry.dwelling if home.consent)
    assert consenting == {"antigone": 12, "hopitaux-facultes": 11}


def test_a_few_homes_list_sensors_of_their_own(registry: Registry) -> None:
    """Listed sensors have a kind whose bounds they narrow, and a heartbeat."""
    listed = {home.id: home.sensor for home in registry.dwelling if home.sensor}
    assert set(listed) == {"hut-01", "home-a01", "home-h01"}
    sensors = [sensor for of_home in listed.values() for sensor in of_home]
    assert {sensor.kind for sensor in sensors} < set(KINDS)
    assert {format_duration(sensor.heartbeat) for sensor in sensors} == {"15m"}
    assert {sensor.name: sensor.stored_unit for sensor in listed["hut-01"]}["meter/energy"] == "Wh"


def test_the_file_says_that_nobody_lives_there() -> None:
    """Who reads the homes' ids learns first that they are invented."""
    head, _, _ = FILE.read_text(encoding="utf-8").partition("[[car_park]]")
    assert "invented, and nobody lives in them" in head
