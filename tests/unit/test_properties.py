"""The table of what devices measure."""

import math

import pytest

from processors.properties import PROPERTIES, properties_of
from schemas.units import KINDS, is_unit, kind_of, scale


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_reading_has_a_unit_and_a_name_that_senml_can_write(name: str) -> None:
    """Units are those that the service converts, or none; names are single parts."""
    found = PROPERTIES[name]
    assert not found.unit or is_unit(found.unit)
    assert found.name.replace("_", "").isalnum()


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_kind_of_a_reading_is_found(name: str) -> None:
    """A reading that is called by a kind is of that kind."""
    found = PROPERTIES[name]
    kind, _ = kind_of(f"living room/{found.name}", scale(found.unit).primary)
    assert kind == found.name or found.name not in KINDS


@pytest.mark.parametrize(
    ("name", "told", "value"),
    [
        ("contact", True, 1),
        ("contact", False, 0),
        ("contact", "closed", 1),
        ("magnet_status", "open", 0),
        ("magnet_status", "close", 1),
        ("magnet_status", 1, 0),
        ("door", True, 0),
    ],
)
def test_a_contact_is_1_when_it_is_closed(name: str, told: object, value: float) -> None:
    """Whatever a device writes, 1 is closed and 0 is open."""
    assert PROPERTIES[name].name == "contact"
    assert PROPERTIES[name].value(told) == value


@pytest.mark.parametrize(("told", "volts"), [(3135, 3.135), (900, 0.9), (233.8, 233.8), (3.3, 3.3), (0, 0)])
def test_volts_and_millivolts_are_told_apart(told: float, volts: float) -> None:
    """A battery's millivolts and a plug's volts, under one name, are both volts in the end."""
    assert PROPERTIES["voltage"].value(told) == pytest.approx(volts)


@pytest.mark.parametrize("told", [True, "21.5", "nan", None, {}, []])
def test_what_is_no_number_is_no_temperature(told: object) -> None:
    """Types are strict: a number in quotes is none."""
    assert PROPERTIES["temperature"].value(told) is None


def test_a_number_beyond_all_floats_is_infinite() -> None:
    """It is no error here; the bounds reject it."""
    assert PROPERTIES["temperature"].value(-(10**400)) == -math.inf


def test_of_aliases_the_best_is_taken() -> None:
    """Two names of one reading in one message are one reading."""
    told = {"consumption": 1.5, "energy": 1.5, "illuminance": 20, "illuminance_lux": 3, "state": "ON"}
    assert properties_of(told).keys() == {"energy", "illuminance_lux"}
    assert properties_of({"consumption": 1.5, "energy": None}).keys() == {"consumption"}
