"""Names, units and numbers of the sensors of a home."""

import re
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.households import HUT, KITCHEN, OTHER, SILENT, Household, Stored, pack, reasons
from unit.senml_reference import packs, to_json
from unit.worlds import GATE, HOMES, KEY, LIMITS, NO_GAP, deliver

from processors.decode import Decoded, decode
from processors.homes import Homes, Memory
from processors.sensors import Sensor, Sensors
from schemas.reasons import Reason
from schemas.registry import DwellingSensor, Registry

METER = "meter"


def named(told: str, *, base: str = "") -> str | Reason:
    """Give the name under which a record of hut-01 is stored, or why it is not."""
    homes = Household()
    record = {"bn": base, "n": told, "v": 1} if base else {"n": told, "v": 1}
    decoded = homes.decode(pack(record))
    if decoded.rejects:
        return decoded.rejects[0].reason
    return homes.stored(decoded)[0].name


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("temp", "temp"),
        ("hut-01/temp", "temp"),
        ("hut-01/hall/temp", "hall/temp"),
        ("urn:dev:hut-01:temp", "urn:dev:temp"),
        ("urn:dev:hut-01:a:hut-01:b", "urn:dev:a:b"),
        ("hut-01/x:hut-01:y", "x:y"),
        ("hut-011/temp", "hut-011/temp"),
        ("hut-01-temp", "hut-01-temp"),
        ("my-hut-01/temp", "my-hut-01/temp"),
        ("hut-01_/temp", "hut-01_/temp"),
        ("xhut-02.temp", "xhut-02.temp"),
        ("HUT-01/temp", "HUT-01/temp"),
        ("hut/01/temp", "hut/01/temp"),
        ("2001:db8::3", "2001:db8::3"),
        ("0", "0"),
        ("a" * 255, "a" * 255),
        ("hut-01/" + "a" * 255, "a" * 255),
    ],
)
def test_a_sensors_name_does_not_tell_its_home(told: str, name: str) -> None:
    """A leading `hut-01/` is left out, `:hut-01:` is read as `:`, and a part of a word is no id."""
    assert named(told) == name


@pytest.mark.parametrize(
    "told",
    [
        *("hut-02/temp", "temp/hut-02", "a/hut-02/b", "hut-02", "a:hut-02", "urn:dev:hut-02:x", "a.hut-02.b"),
        *("hut-01/hut-02", "x:hut-01:hut-02:y", "hut-0/temp", "hut-01/hut-0", "a/b:hut-0"),
        *("hut-01", "a/hut-01/b", "a.hut-01", "hut-01:temp", "hut-01.temp", "hut-01/hut-01/x", "a:hut-01"),
    ],
)
def test_the_id_of_any_home_in_a_name_is_a_mismatch(told: str) -> None:
    """An id that is a whole part of the name, its own or another's, consenting or not, is not stored."""
    assert named(told) is Reason.IDENTITY_MISMATCH


@pytest.mark.parametrize(
    "told",
    [
        *("", "-a", "/a", ":a", "_a", ".a", "a b", "é", "a\n", "a\x00", "a+b", "#", "t€mp", "hut-01/", "hut-01/-x"),
        *("a" * 256, "hut-01/" + "a" * 256, "a" * 5000, "٣"),
    ],
)
def test_a_name_that_senml_does_not_allow_violates_the_schema(told: str) -> None:
    """Letters, digits and five signs, beginning with a letter or digit, on the whole of it."""
    assert named(told) is Reason.SCHEMA_VIOLATION


def test_base_and_own_name_are_one() -> None:
    """What is judged is the two together: an id may stand across both."""
    assert named("01/temp", base="hut-") == "temp"
    assert named("2/temp", base="hut-0") is Reason.IDENTITY_MISMATCH
    assert named("-x", base="a") == "a-x"


PARTS = st.sampled_from(["hut-01", "hut-02", "hut-0", "hut", "hut-011", "temp", "x"])
SEPARATORS = st.sampled_from(["/", ":", "."])


@given(st.lists(st.tuples(PARTS, SEPARATORS), max_size=4), PARTS)
def test_no_stored_name_holds_an_id_as_a_part(heads: list[tuple[str, str]], last: str) -> None:
    """Whatever a gateway makes of names, what is stored has no id between separators, and nothing else is refused."""
    told = "".join(part + separator for part, separator in heads) + last
    name = told.removeprefix("hut-01/").replace(":hut-01:", ":")
    holds_one = {"hut-01", "hut-02", "hut-0"} & set(re.split("[/:.]", name))
    assert named(told) == (Reason.IDENTITY_MISMATCH if holds_one else name)


def one(told: float, unit: str | None, name: str = "new") -> Stored | Reason:
    """Give what a single value of hut-01 is stored as."""
    homes = Household()
    record: dict[str, Any] = {"n": name, "v": told}
    decoded = homes.decode(pack(record if unit is None else record | {"u": unit}))
    return decoded.rejects[0].reason if decoded.rejects else homes.stored(decoded)[0]


@pytest.mark.parametrize(
    ("told", "unit", "value", "stored_unit"),
    [
        (1.5, "kWh", 5.4e6, "J"),
        (300, "K", 26.85, "Cel"),
        (21, "Cel", 21, "Cel"),
        (1013.25, "hPa", 101_325, "Pa"),
        (250, "l", 0.25, "m3"),
        (0.5, "%", 0.5, "/"),
        (50, "%RH", 50, "%RH"),
        (420, "ppm", 0.00042, "/"),
        (7, "sleeps", 7, "sleeps"),
        (7, None, 7, ""),
        (7, "", 7, ""),
    ],
)
def test_values_are_stored_in_primary_units(told: float, unit: str | None, value: float, stored_unit: str) -> None:
    """A sensor that nobody listed is stored in the primary unit of what it tells."""
    stored = one(told, unit)
    assert isinstance(stored, Stored)
    assert stored.unit == stored_unit
    assert stored.value == pytest.approx(value)


@pytest.mark.parametrize(("told", "unit"), [(2, "kWh"), (2, None), (2, ""), (7.2e6, "J"), (2000, "Wh")])
def test_a_listed_sensor_keeps_its_unit(told: float, unit: str | None) -> None:
    """Whichever unit of the dimension is told, or none, the registry's is stored."""
    stored = one(told, unit, METER)
    assert isinstance(stored, Stored)
    assert stored.unit == "kWh"
    assert stored.value == pytest.approx(2)


def test_a_base_unit_holds_where_none_is_told() -> None:
    """An own unit goes before it, even an empty one."""
    homes = Household()
    decoded = homes.decode(
        pack({"bu": "Wh", "n": METER, "v": 1000}, {"n": METER, "u": "kWh", "v": 2}, {"n": METER, "u": "", "v": 3})
    )
    assert [stored.value for stored in homes.stored(decoded)] == [1, 2, 3]


def test_one_name_with_two_dimensions_is_two_sensors() -> None:
    """Amperes and volts under one name are not mixed; two units of one dimension are one sensor."""
    homes = Household()
    told = [("V", 230), ("A", 2), ("mV", 5000), ("Cel", 20)]
    decoded = homes.decode(pack(*({"n": "plug", "u": unit, "v": value} for unit, value in told)))
    assert [stored[:3] for stored in homes.stored(decoded)] == [
        ("plug", "V", 230),
        ("plug", "A", 2),
        ("plug", "V", 5),
        ("plug", "Cel", 20),
    ]
    assert len(decoded.homes.newcomers) == 3
    assert len(set(decoded.homes.readings["sensor"].tolist())) == 3


@pytest.mark.parametrize("unit", ["°C", "a b", "x" * 33, "a\n", "\x00"])
def test_what_is_no_unit_violates_the_schema(unit: str) -> None:
    """A unit is short, printable ASCII without blanks."""
    assert one(1, unit) is Reason.SCHEMA_VIOLATION


@pytest.mark.parametrize(
    ("told", "unit", "name", "is_good"),
    [
        (60, "Cel", KITCHEN, True),
        (60.01, "Cel", KITCHEN, False),
        (-20, "Cel", KITCHEN, True),
        (-20.01, "Cel", KITCHEN, False),
        (61, None, KITCHEN, False),
        (300, "K", KITCHEN, True),
        (334, "K", KITCHEN, False),
        (150, "Cel", "new", True),
        (150.1, "Cel", "new", False),
        (500, "K", "new", False),
        (101, "%RH", "new", False),
        (-1, "kWh", METER, False),
        (0.9e15 / 3.6e6, "kWh", METER, True),
        (1.1e15 / 3.6e6, None, METER, False),
        (0.9e15, "J", METER, True),
        (1.1e15, "J", METER, False),
        (41_000, "ppm", "hall/co2", False),
        (0.041, "/", "hall/co2", False),
        (39_000, "ppm", "hall/co2", True),
        (1e308, None, "new", True),
        (1e308, "sleeps", "new", True),
        (1e308, "Ah", "new", False),
    ],
)
def test_values_are_bounded_as_they_are_stored(told: float, unit: str | None, name: str, is_good: bool) -> None:
    """The registry's bounds are in its unit and hold their edges, else the kind's; no infinity is stored."""
    stored = one(told, unit, name)
    assert isinstance(stored, Stored) if is_good else stored is Reason.VALUE_OUT_OF_RANGE


def test_a_sum_beyond_a_float_is_out_of_range() -> None:
    """Base and own value are finite, and what they come to is not."""
    decoded = Household().decode(pack({"bv": 1.7e308, "n": "new", "v": 1.7e308}, {"n": "new", "v": 1}))
    assert reasons(decoded) == [(0, 0, Reason.VALUE_OUT_OF_RANGE)]
    assert decoded.homes.readings["value"].tolist() == [1.7e308]


def test_a_home_has_no_more_sensors_than_it_may() -> None:
    """Beyond `max_sensors`, those listed included, new ones are rejected; those there are go on, and so do others."""
    homes = Household()
    first = homes.decode(pack(*({"n": f"s{number}", "v": number} for number in range(5))), pack({"n": "s0", "v": 9}))
    assert reasons(first) == [(0, 3, Reason.SENSOR_LIMIT_REACHED), (0, 4, Reason.SENSOR_LIMIT_REACHED)]
    assert [stored.name for stored in homes.stored(first)] == ["s0", "s1", "s2", "s0"]
    second = homes.decode(
        pack({"n": "s4", "v": 1}, {"n": "s2", "v": 2}, {"n": KITCHEN, "v": 20}), pack({"n": "s4", "v": 1}, topic=OTHER)
    )
    assert reasons(second) == [(0, 0, Reason.SENSOR_LIMIT_REACHED)]
    assert [stored.name for stored in homes.stored(second)] == ["s2", KITCHEN, "s4"]


def test_a_second_dimension_takes_room_too() -> None:
    """Two sensors under one name are two."""
    homes = Household([HOMES[0] | {"max_sensors": 3}])
    decoded = homes.decode(pack({"n": "plug", "u": "V", "v": 1}, {"n": "plug", "u": "A", "v": 1}))
    assert reasons(decoded) == [(0, 1, Reason.SENSOR_LIMIT_REACHED)]


@pytest.mark.parametrize(
    "record",
    [
        {"n": "new", "vs": "x"},
        {"n": "new", "vd": "aGkgCg"},
        {"n": "new", "s": 1},
        {"n": "new"},
        {"n": "new", "v": "1"},
        {"n": "new", "v": 1, "vb": True},
        {"n": "hut-02/new", "v": 1},
        {"n": "new", "v": 1, "u": "°C"},
        {"bn": "new"},
    ],
)
def test_what_is_not_stored_registers_nothing(record: dict[str, Any]) -> None:
    """A string, a fault or a mismatch takes no room among the sensors."""
    assert Household().decode(pack(record)).homes.newcomers == ()


def test_newcomers_are_numbered_over_the_packs_of_a_batch() -> None:
    """A new sensor has one number in all packs of its batch, and keeps it once it is registered."""
    homes = Household()
    batch = [
        pack({"n": "a", "v": 1}, {"n": "b", "v": 2}),
        pack({"n": "b", "v": 3}, {"n": KITCHEN, "v": 20}, {"n": "c", "v": 4}),
        pack({"n": "a", "v": 5}, topic=OTHER),
    ]
    first = homes.decode(*batch)
    numbers = first.homes.readings["sensor"].tolist()
    assert numbers == [2, 3, 3, 0, 4, 5]
    assert [(sensor.home, sensor.name) for sensor in first.homes.newcomers] == [
        (501, "a"),
        (501, "b"),
        (501, "c"),
        (503, "a"),
    ]
    for _ in range(2):
        again = homes.decode(*batch)
        assert again.homes.newcomers == ()
        assert again.homes.readings["sensor"].tolist() == numbers
    ids = homes.layout.homes.sensors.ids
    assert len(set(ids[numbers].tolist())) == 5


def same(one: Decoded, other: Decoded) -> bool:
    """Compare what came of the homes."""
    return (
        np.array_equal(one.homes.readings, other.homes.readings)
        and one.rejects == other.rejects
        and one.refused == other.refused
        and one.homes.newcomers == other.homes.newcomers
    )


NAMES = st.sampled_from(["a", "b", "c", "hut-02/x", "-", KITCHEN, METER, "hut-01/a"])
UNITS = st.sampled_from(["Cel", "K", "kWh", "", "V", "°C"])
RECORDS = st.fixed_dictionaries(
    {"v": st.integers(0, 70)}, optional={"n": NAMES, "bn": st.sampled_from(["", "a", "hut-0"]), "u": UNITS, "bu": UNITS}
)
BATCHES = st.lists(
    st.lists(st.tuples(st.sampled_from([HUT, OTHER, SILENT]), st.lists(RECORDS, min_size=1, max_size=3)), max_size=4),
    max_size=5,
)


@given(BATCHES)
def test_what_is_remembered_is_what_would_be_found(batches: list[list[tuple[str, list[dict[str, Any]]]]]) -> None:
    """A pack that looks like one before comes to the same as without any memory, as sensors come to be known."""
    homes = Household()
    dwellings = Registry.model_validate({"dwelling": HOMES}).dwelling
    layout = homes.layout
    ids = {home.dwelling: home.id for home in layout.homes.homes if home.id}
    for batch in batches:
        deliveries = [pack(*records, topic=topic) for topic, records in batch] * 2
        fresh = Homes.of(dwellings, layout.privacy.pseudonyms, ids, layout.homes.sensors)
        without = decode(deliveries, replace(layout, homes=fresh), LIMITS, GATE, NO_GAP)
        assert same(homes.decode(*deliveries), without)


def test_a_newcomer_is_not_remembered() -> None:
    """A batch that was decoded and dropped leaves no number behind: the next one counts anew."""
    homes = Household()
    decode([pack({"n": "a", "v": 1}), pack({"n": "b", "v": 1})], homes.layout, LIMITS, GATE, NO_GAP)
    decoded = homes.decode(pack({"n": "b", "v": 1}))
    assert decoded.homes.readings["sensor"].tolist() == [2]
    assert [sensor.name for sensor in decoded.homes.newcomers] == ["b"]


def test_a_limit_met_through_newcomers_is_not_remembered() -> None:
    """Whether the newcomers that took the last room will be registered is not known yet."""
    homes = Household()
    batch = [pack(*({"n": f"s{number}", "v": 1} for number in range(3))), pack({"n": "s3", "v": 1})]
    dropped = decode(batch, homes.layout, LIMITS, GATE, NO_GAP)
    assert reasons(dropped) == [(1, 0, Reason.SENSOR_LIMIT_REACHED)]
    assert reasons(homes.decode(batch[1])) == []


@given(packs())
def test_no_pack_stops_the_homes(records: list[dict[str, Any]]) -> None:
    """Any pack comes to readings and faults, and a home never has more sensors than it may."""
    homes = Household()
    for topic in (HUT, OTHER):
        homes.decode(deliver(topic, to_json(records)))
    assert homes.layout.homes.sensors.count(501) <= 5


def test_the_memory_of_packs_is_bounded() -> None:
    """Packs that never look alike, with names of any length, are forgotten in time: 80 MB leave less than 40."""
    homes = Household()
    tracemalloc.start()
    try:
        for number in range(400):
            homes.decode(pack({"n": f"{number}-" + "x" * 200_000, "v": 1}, {"n": KITCHEN, "v": 20}))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 40_000_000


def test_a_home_that_withdrew_its_consent_keeps_its_row() -> None:
    """Consent is the registry's word; without a row in the database there is none to store under."""
    dwellings = Registry.model_validate({"dwelling": HOMES}).dwelling
    pseudonyms = {home.id: home.id.upper() for home in dwellings}
    homes = Homes.of(dwellings, pseudonyms, {"hut-01": 7, "hut-02": 8}, Sensors(KEY)).homes
    assert [(home.id, home.consents) for home in homes] == [(7, True), (8, False), (0, False)]


def test_listed_sensors_keep_their_number() -> None:
    """A sensor that is first met and then listed goes on under its number, in the registry's unit."""
    homes = Household()
    before = homes.decode(pack({"n": "plug", "u": "J", "v": 3.6e6}))
    entry = DwellingSensor(name="plug", kind="energy", unit="kWh", maximum=2)
    homes.layout.homes.sensors.add([Sensor.listed(501, entry)], [9999])
    layout = replace(homes.layout, homes=replace(homes.layout.homes, memory=Memory()))
    told = [{"n": "plug", "v": 1}, {"n": "plug", "u": "J", "v": 3.6e6}, {"n": "plug", "u": "kWh", "v": 3}]
    after = decode([pack(*told)], layout, LIMITS, GATE, NO_GAP)
    assert after.homes.readings["sensor"].tolist() == before.homes.readings["sensor"].tolist() * 2
    assert after.homes.readings["value"].tolist() == pytest.approx([1, 1])
    assert reasons(after) == [(0, 2, Reason.VALUE_OUT_OF_RANGE)]
    assert layout.homes.sensors.ids[after.homes.readings["sensor"]].tolist() == [9999, 9999]
