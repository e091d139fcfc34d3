"""The dwellings of a registry: what is accepted, and how it names what is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest

from schemas.faults import ConfigurationError
from schemas.registry import Registry, load_registry

ID = "dwelling[0].id: expected letters, digits, '-' and '_', beginning with a letter or digit"
LEVEL = "dwelling[0].district: expected one level of a topic"
NAME = "dwelling[0].sensor[0].name: "


def load(folder: Path, text: str) -> Registry:
    """Load a registry of this text."""
    path = folder / "registry.toml"
    path.write_text(text, encoding="utf-8")
    return load_registry(path)


def faults(folder: Path, text: str) -> list[str]:
    """Give the lines with which a registry is refused, without the file's name."""
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text)
    return [line.removeprefix(f"{folder / 'registry.toml'}: ") for line in str(caught.value).split("\n")]


def entry(head: str, keys: dict[str, str], changes: dict[str, str]) -> str:
    """Write a table with some keys written otherwise; an empty value leaves a key out."""
    return f"[[{head}]]\n" + "".join(f"{key} = {value}\n" for key, value in (keys | changes).items() if value)


def dwelling(**changes: str) -> str:
    """Write a good dwelling."""
    return entry("dwelling", {"id": '"hut-01"', "district": '"antigone"', "consent": "true"}, changes)


def sensor(**changes: str) -> str:
    """Write a good sensor."""
    return entry("dwelling.sensor", {"name": '"kitchen/temperature"', "kind": '"temperature"'}, changes)


def test_a_good_home_is_read_with_its_defaults(tmp_path: Path) -> None:
    """What is told is kept; what is left out has the contract's defaults."""
    (home,) = load(tmp_path, dwelling() + sensor()).dwelling
    assert (home.id, home.district, home.consent, home.max_sensors) == ("hut-01", "antigone", True, 200)
    (listed,) = home.sensor
    assert (listed.name, listed.kind, listed.unit, listed.stored_unit) == (
        "kitchen/temperature",
        "temperature",
        "",
        "Cel",
    )
    assert (listed.minimum, listed.maximum, listed.heartbeat) == (None, None, timedelta(0))


def test_all_that_can_be_told_of_a_sensor_is_kept(tmp_path: Path) -> None:
    """Unit, bounds and heartbeat are the registry's."""
    told = sensor(unit='"K"', minimum="250", maximum="330.5", heartbeat='"15m"')
    ((listed,),) = (home.sensor for home in load(tmp_path, dwelling() + told).dwelling)
    assert (listed.stored_unit, listed.minimum, listed.maximum) == ("K", 250, 330.5)
    assert listed.heartbeat == timedelta(minutes=15)


@pytest.mark.parametrize("kind_and_unit", [("energy", "kWh"), ("water", "l"), ("co2", "%"), ("radon", "Bq/m3")])
def test_units_of_a_kinds_dimension_are_accepted(tmp_path: Path, kind_and_unit: tuple[str, str]) -> None:
    """A meter may be stored in kWh, and a kind of one's own in any unit."""
    kind, unit = kind_and_unit
    ((listed,),) = (
        home.sensor for home in load(tmp_path, dwelling() + sensor(kind=f'"{kind}"', unit=f'"{unit}"')).dwelling
    )
    assert (listed.kind, listed.stored_unit) == (kind, unit)


@pytest.mark.parametrize("name", ["a", "9", "A-Z_a-z.0:9/x", "Détecteur [entrée]/motion", "x" * 255])
def test_names_are_what_people_call_their_devices(tmp_path: Path, name: str) -> None:
    """SenML has fewer characters, but zigbee2mqtt takes any name."""
    ((listed,),) = (home.sensor for home in load(tmp_path, dwelling() + sensor(name=f'"{name}"')).dwelling)
    assert listed.name == name


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"id": ""}, "dwelling[0].id: Field required"),
        ({"id": '""'}, ID),
        ({"id": '"a/b"'}, ID),
        ({"id": '"a.b"'}, ID),
        ({"id": '"a:b"'}, ID),
        ({"id": '"a b"'}, ID),
        ({"id": '"+"'}, ID),
        ({"id": '"-a"'}, ID),
        ({"id": '"_a"'}, ID),
        ({"id": '"é1"'}, ID),
        ({"id": '"a\\n"'}, ID),
        ({"id": f'"{"x" * 65}"'}, ID),
        ({"id": "1"}, "dwelling[0].id: "),
        ({"district": ""}, "dwelling[0].district: Field required"),
        ({"district": '""'}, "dwelling[0].district: "),
        ({"district": '"a/b"'}, LEVEL),
        ({"district": '"#"'}, LEVEL),
        ({"district": '" a"'}, LEVEL),
        ({"consent": ""}, "dwelling[0].consent: Field required"),
        ({"consent": "1"}, "dwelling[0].consent: Input should be a valid boolean"),
        ({"consent": '"yes"'}, "dwelling[0].consent: Input should be a valid boolean"),
        ({"max_sensors": "0"}, "dwelling[0].max_sensors: "),
        ({"max_sensors": "1_000_001"}, "dwelling[0].max_sensors: "),
        ({"owner": '"me"'}, "dwelling[0].owner: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_dwelling_is_refused_by_key(tmp_path: Path, changes: dict[str, str], where: str) -> None:
    """A fault is told in one line, with the key it stands at and what is expected there. Consent is never guessed."""
    (line,) = faults(tmp_path, dwelling(**changes))
    assert line.startswith(where)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": ""}, f"{NAME}Field required"),
        ({"name": '""'}, NAME),
        ({"name": '"a\\n"'}, NAME),
        ({"name": f'"{"x" * 256}"'}, NAME),
        ({"kind": ""}, "dwelling[0].sensor[0].kind: Field required"),
        ({"kind": '"Temperature"'}, "dwelling[0].sensor[0].kind: "),
        ({"kind": '"radon"'}, "dwelling[0].sensor[0]: unit: needed, since radon is none of the kinds temperature"),
        ({"unit": '"°C"'}, "dwelling[0].sensor[0]: unit: expected a unit of SenML such as Cel"),
        ({"unit": '"degrees Celsius"'}, "dwelling[0].sensor[0]: unit: expected a unit of SenML such as Cel"),
        ({"unit": '"furlong"'}, "dwelling[0].sensor[0]: unit: temperature is measured in Cel, not in furlong"),
        ({"unit": '"W"'}, "dwelling[0].sensor[0]: unit: temperature is measured in Cel, not in W"),
        (
            {"kind": '"energy"', "unit": '"kW"'},
            "dwelling[0].sensor[0]: unit: energy is measured in J, not in kW",
        ),
        ({"minimum": "20", "maximum": "19"}, "dwelling[0].sensor[0]: minimum: expected at most the maximum"),
        ({"minimum": "nan"}, "dwelling[0].sensor[0].minimum: "),
        ({"maximum": "inf"}, "dwelling[0].sensor[0].maximum: "),
        ({"heartbeat": '"soon"'}, "dwelling[0].sensor[0].heartbeat: expected a duration"),
        ({"colour": '"red"'}, "dwelling[0].sensor[0].colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_sensor_is_refused_by_key(tmp_path: Path, changes: dict[str, str], where: str) -> None:
    """A fault of a sensor is told with its place in the file."""
    (line,) = faults(tmp_path, dwelling() + sensor(**changes))
    assert line.startswith(where)


def test_all_faults_of_a_sensor_are_named_at_once(tmp_path: Path) -> None:
    """A wrong unit does not hide wrong bounds."""
    (line,) = faults(tmp_path, dwelling() + sensor(unit='"W"', minimum="2", maximum="1"))
    assert "not in W" in line
    assert "at most the maximum" in line


def test_an_id_used_twice_is_named(tmp_path: Path) -> None:
    """One id is one home; another case is another id."""
    assert faults(tmp_path, dwelling() + dwelling()) == ["dwelling.1.id: the same as dwelling.0.id"]
    assert len(load(tmp_path, dwelling() + dwelling(id='"HUT-01"')).dwelling) == 2


def test_a_sensor_listed_twice_is_named(tmp_path: Path) -> None:
    """One name is one sensor of a home; two homes may both have it."""
    assert faults(tmp_path, dwelling() + sensor() + sensor(unit='"K"')) == [
        "dwelling[0]: sensor kitchen/temperature is listed twice"
    ]
    assert len(load(tmp_path, dwelling() + sensor() + dwelling(id='"b"') + sensor()).dwelling) == 2


def test_more_sensors_than_a_home_may_have_are_refused(tmp_path: Path) -> None:
    """As many as max_sensors may be listed, not one more."""
    two = sensor(name='"a"') + sensor(name='"b"')
    assert len(load(tmp_path, dwelling(max_sensors="2") + two).dwelling[0].sensor) == 2
    assert faults(tmp_path, dwelling(max_sensors="1") + two) == [
        "dwelling[0]: 2 sensors listed, more than max_sensors of 1"
    ]


def test_faults_between_homes_do_not_hide_each_other(tmp_path: Path) -> None:
    """A car park's code and a home's id used twice are both told."""
    park = '[[car_park]]\ncode = "A"\nname = "A"\ncapacity = 1\nbasis = "count"\n'
    text = "\n".join(faults(tmp_path, park + park + dwelling() + dwelling()))
    assert "code or alias 'A' is used twice" in text
    assert "dwelling.1.id: the same as dwelling.0.id" in text


def device(**changes: str) -> str:
    """Write a good device."""
    return entry("dwelling.device", {"label": '"fridge"', "dev_eui": '"24E124D51C000001"'}, changes)


def test_a_device_of_a_home_is_read(tmp_path: Path) -> None:
    """By either name or both; a label may have several parts."""
    both = device(tts_device_id='"rooms@ttn/fridge-7"') + device(
        label='"soil/pot-2"', dev_eui="", tts_device_id='"pot"'
    )
    (home,) = load(tmp_path, dwelling() + both).dwelling
    assert [(one.label, one.dev_eui, one.tts_device_id) for one in home.device] == [
        ("fridge", "24E124D51C000001", "rooms@ttn/fridge-7"),
        ("soil/pot-2", None, "pot"),
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"label": ""}, "dwelling[0].device[0].label: Field required"),
        ({"label": '"the fridge"'}, "dwelling[0].device[0].label: "),
        ({"label": f'"{"a" * 201}"'}, "dwelling[0].device[0].label: "),
        ({"dev_eui": ""}, "dwelling[0].device[0]: needs a dev_eui or tts_device_id"),
        ({"dev_eui": '"24E124"'}, "dwelling[0].device[0].dev_eui: "),
        *(
            ({"tts_device_id": f'"{name}"'}, "dwelling[0].device[0].tts_device_id: expected the id of a device")
            for name in ("", "a/b/c", "a/", "/b", "+", "a/#", " a", "a\\u0000")
        ),
        ({"colour": '"red"'}, "dwelling[0].device[0].colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_device_is_refused_by_key(tmp_path: Path, changes: dict[str, str], fault: str) -> None:
    """A fault is told with its place, and without what was written there."""
    (line,) = faults(tmp_path, dwelling() + device(**changes))
    assert line.startswith(fault)


BAY = """[[car_park]]
code = "A"
name = "A"
capacity = 5
basis = "spots"
[[car_park.spot]]
label = "1"
"""


@pytest.mark.parametrize(
    ("bay", "one", "other", "fault"),
    [
        (
            'dev_eui = "24e124d51c000001"',
            {},
            {"dev_eui": '"24E124D51C000002"'},
            "dwelling.0.device.0.dev_eui: the same as car_park.0.spot.0.dev_eui",
        ),
        (
            "",
            {},
            {"dev_eui": '"24e124d51c000001"'},
            "dwelling.1.device.0.dev_eui: the same as dwelling.0.device.0.dev_eui",
        ),
        (
            'tts_device_id = "x"',
            {"dev_eui": "", "tts_device_id": '"app/y"'},
            {"dev_eui": "", "tts_device_id": '"x"'},
            "dwelling.1.device.0.tts_device_id: the same as car_park.0.spot.0.tts_device_id",
        ),
        (
            'tts_device_id = "app/x"',
            {"dev_eui": "", "tts_device_id": '"other/x"'},
            {"dev_eui": "", "tts_device_id": '"app/x"'},
            "dwelling.1.device.0.tts_device_id: the same as car_park.0.spot.0.tts_device_id",
        ),
        (
            'tts_device_id = "app/x"',
            {"dev_eui": "", "tts_device_id": '"other/y"'},
            {"dev_eui": "", "tts_device_id": '"x"'},
            (
                "car_park.0.spot.0.tts_device_id: the same device as dwelling.1.device.0.tts_device_id, "
                "which names no application"
            ),
        ),
        (
            "",
            {"label": '"of:hut-02:x"'},
            {"dev_eui": '"24E124D51C000002"'},
            "dwelling.0.device.0.label: holds the id of a home",
        ),
    ],
)
def test_a_device_stands_at_one_place_only(
    tmp_path: Path, bay: str, one: dict[str, str], other: dict[str, str], fault: str
) -> None:
    """Over bays and homes; told by places, since the log must not know what is a home's."""
    homes = dwelling() + device(**one) + dwelling(id='"hut-02"') + device(**other)
    assert faults(tmp_path, f"{BAY}{bay}\n{homes}") == [fault]


def test_ids_of_one_name_in_two_applications_are_two_devices(tmp_path: Path) -> None:
    """An id at The Things Stack is unique in its application only."""
    bays = f'{BAY}tts_device_id = "a@ttn/x"\n[[car_park.spot]]\nlabel = "2"\ntts_device_id = "b@ttn/x"\n'
    assert len(load(tmp_path, bays).car_park[0].spot) == 2


def test_labels_of_devices_are_unique_in_a_home(tmp_path: Path) -> None:
    """They begin the names of its sensors."""
    (line,) = faults(tmp_path, dwelling() + device() + device(dev_eui='"24E124D51C000002"'))
    assert line == "dwelling[0]: device fridge is listed twice"
