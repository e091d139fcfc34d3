"""The sensors of all homes: each is found again, in little memory."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import KEY

from processors import sensors as module
from processors.sensors import NOT_FOUND, Newcomers, Sensor, Sensors, kind_bounds
from schemas.registry import DwellingSensor

ENTRY = DwellingSensor(name="meter", kind="energy", unit="kWh", minimum=1)


def test_a_listed_sensor_is_found_by_its_dimension_and_without_a_unit() -> None:
    """Readings without a unit mean the sensor that the registry lists; other dimensions do not."""
    sensors = Sensors(KEY)
    sensors.add([Sensor.listed(7, ENTRY)], [31])
    assert [sensors.find(7, "meter", unit) for unit in ("J", "", "kWh", "V")] == [0, 0, NOT_FOUND, NOT_FOUND]
    assert [sensors.find(8, "meter", "J"), sensors.find(7, "Meter", "J")] == [NOT_FOUND, NOT_FOUND]
    assert sensors.ids.tolist() == [31]


def test_a_sensor_that_was_seen_is_found_by_what_it_told() -> None:
    """Without a unit it is another sensor than with one."""
    sensors = Sensors(KEY)
    sensors.add([Sensor.seen(7, "a", "other", "V"), Sensor.seen(7, "a", "other", "")], [1, 2])
    assert [sensors.find(7, "a", unit) for unit in ("V", "", "A")] == [0, 1, NOT_FOUND]
    assert [sensors.count(home) for home in (7, 8)] == [2, 0]


def test_bounds_that_the_registry_does_not_tell_are_those_of_the_kind() -> None:
    """In the unit of the registry."""
    listed = Sensor.listed(7, ENTRY)
    assert (listed.unit, listed.minimum) == ("kWh", 1)
    assert listed.maximum == pytest.approx(1e15 / 3.6e6)
    kelvin = Sensor.listed(7, DwellingSensor(name="t", kind="temperature", unit="K"))
    assert (kelvin.minimum, kelvin.maximum) == pytest.approx((213.15, 423.15))
    unchecked = Sensor.listed(7, DwellingSensor(name="t", kind="mood", unit="x"))
    assert (unchecked.minimum, unchecked.maximum) == (-math.inf, math.inf)


def test_the_bounds_of_a_kind_follow_its_unit() -> None:
    """What a kind can measure is the same in every unit."""
    assert kind_bounds("temperature", "Cel") == (-60, 150)
    assert kind_bounds("co2", "ppm") == pytest.approx((0, 40_000))
    assert kind_bounds("co2", "/") == pytest.approx((0, 0.04))
    assert kind_bounds("motion", "") == (0, 1)
    assert kind_bounds("other", "V") == (-math.inf, math.inf)


def test_a_sensor_that_is_known_keeps_its_number() -> None:
    """Registered again, it has the new bounds, unit and row, and takes no more room."""
    sensors = Sensors(KEY)
    sensors.add([Sensor.seen(7, "a", "other", "x"), Sensor.seen(7, "meter", "energy", "J")], [1, 2])
    sensors.add([Sensor.listed(7, ENTRY)], [3])
    assert len(sensors) == sensors.count(7) == 2
    assert sensors.find(7, "meter", "J") == sensors.find(7, "meter", "") == 1
    assert sensors.ids.tolist() == [1, 3]
    assert sensors.stored(1)[:2] == ("kWh", 1)
    assert sensors.stored(0) == ("x", -math.inf, math.inf)


def test_newcomers_are_numbered_as_if_they_had_been_added() -> None:
    """The numbers given in a batch are those that the sensors have once they are known."""
    sensors = Sensors(KEY)
    sensors.add([Sensor.seen(7, "a", "other", "V")], [1])
    new = Newcomers(len(sensors))
    met = [Sensor.seen(7, "b", "other", "V"), Sensor.seen(8, "a", "temperature", "Cel")]
    numbers = [new.add(sensor) for sensor in met]
    assert [new.find(sensor) for sensor in met] == numbers == [1, 2]
    assert new.find(Sensor.seen(8, "b", "other", "V")) == NOT_FOUND
    assert new.stored(2) == ("Cel", -60, 150)
    assert [new.count(home) for home in (7, 8, 9)] == [1, 1, 0]
    sensors.add(new.sensors, [2, 3])
    assert [sensors.find(7, "b", "V"), sensors.find(8, "a", "Cel")] == numbers


def test_nothing_added_is_nothing_known() -> None:
    """A batch without newcomers changes nothing."""
    sensors = Sensors(KEY)
    sensors.add([], [])
    assert len(sensors) == len(sensors.ids) == 0
    assert sensors.find(7, "a", "V") == NOT_FOUND


SENSORS = st.builds(
    Sensor,
    home=st.integers(1, 3),
    name=st.sampled_from(["a", "b", "c"]),
    kind=st.just("other"),
    unit=st.sampled_from(["", "V", "mV", "J", "kWh"]),
    minimum=st.integers(-9, 0),
    is_listed=st.booleans(),
    patience=st.integers(0, 2**62),
)


@given(st.lists(st.lists(SENSORS, max_size=4), max_size=8), st.integers(0, 3))
def test_sensors_are_found_through_any_merge(batches: list[list[Sensor]], most_recent: int) -> None:
    """However the sensors came, one by one or many, each is where a dictionary would have it."""
    numbers: dict[tuple[int, str, str], int] = {}
    rows: dict[int, tuple[int, str, float]] = {}
    ids = iter(range(100, 1000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_RECENT", most_recent)
        sensors = Sensors(KEY)
        for batch in batches:
            given_ids = [next(ids) for _ in batch]
            sensors.add(batch, given_ids)
            for sensor, number in zip(batch, given_ids, strict=True):
                keys = [(sensor.home, sensor.name, unit) for unit in sensor.found_under]
                at = max([numbers[key] for key in keys if key in numbers], default=len(rows))
                numbers |= dict.fromkeys(keys, at)
                rows[at] = (number, sensor.unit, sensor.minimum)
    found = {
        (home, name, unit): sensors.find(home, name, unit) for home in (1, 2, 3) for name in "abc" for unit in UNITS
    }
    assert {key: at for key, at in found.items() if at != NOT_FOUND} == numbers
    assert sensors.ids.tolist() == [rows[at][0] for at in range(len(rows))]
    assert [sensors.stored(at)[:2] for at in range(len(rows))] == [rows[at][1:] for at in range(len(rows))]
    assert sum(sensors.count(home) for home in (1, 2, 3)) == len(sensors) == len(rows)


UNITS = ("", "V", "J", "A")


def bytes_of(sensors: Sensors) -> int:
    """Give the memory that sensors take: arrays, and dictionaries with what they hold."""
    size = 0
    for part in vars(sensors).values():
        size += part.nbytes if isinstance(part, np.ndarray) else sys.getsizeof(part)
        if isinstance(part, dict):
            size += sum(sys.getsizeof(one) for item in part.items() for one in item)
    return size


def test_two_hundred_thousand_sensors_are_all_found_in_little_memory() -> None:
    """Every one of them is found under its own number, and they take less than 100 bytes each."""
    count, at_once = 200_000, 10_000
    sensors = Sensors(KEY)
    for begin in range(0, count, at_once):
        part = range(begin, begin + at_once)
        sensors.add([Sensor.seen(n // 200, f"room/{n % 200}/t", "temperature", "Cel") for n in part], part)
    assert len(sensors) == count
    assert [sensors.find(n // 200, f"room/{n % 200}/t", "Cel") for n in range(count)] == list(range(count))
    assert sensors.find(count, "room/0/t", "Cel") == NOT_FOUND
    assert sensors.ids.tolist() == list(range(count))
    assert sensors.count(17) == 200
    assert bytes_of(sensors) < 100 * count
