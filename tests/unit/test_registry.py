"""The registry: what it accepts, and how it names what is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import ConfigurationError
from schemas.registry import Registry, expand_labels, load_registry

GOOD = """
[[car_park]]
code = "ANTI"
name = "Antigone"
aliases = ["FR_MTP_ANTI"]
capacity = 5
basis = "spots"
spots = ["P-001..P-003", "X"]

[[car_park.spot]]
label = "P-001"
kind = "pmr"
dev_eui = "70B3D57ED0000001"
maximum_stay = "30m"
"""


def load(folder: Path, text: str) -> Registry:
    """Load a registry of this text."""
    path = folder / "registry.toml"
    path.write_text(text, encoding="utf-8")
    return load_registry(path)


def faults(folder: Path, text: str) -> list[str]:
    """Give the lines with which a registry is refused, without the file's name, which each has to begin with."""
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text)
    lines = str(caught.value).split("\n")
    prefix = f"{folder / 'registry.toml'}: "
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


def car_park(**changes: str) -> str:
    """Write a good car park as TOML, with some keys written otherwise; an empty value leaves a key out."""
    keys = {"code": '"A"', "name": '"A"', "capacity": "5", "basis": '"spots"', "spots": '["1..5"]'} | changes
    return "[[car_park]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items() if value)


def test_a_good_registry_is_read_with_its_defaults(tmp_path: Path) -> None:
    """What is told is kept; what is left out has the contract's defaults."""
    (park,) = load(tmp_path, GOOD).car_park
    assert (park.code, park.name, park.aliases, park.zone, park.basis) == (
        "ANTI",
        "Antigone",
        ("FR_MTP_ANTI",),
        "",
        "spots",
    )
    assert park.heartbeat == timedelta(hours=25)
    assert park.stale_after == timedelta(minutes=15)
    assert park.timezone is None
    assert [(spot.label, spot.kind) for spot in park.all_spots()] == [
        ("P-001", "pmr"),
        ("P-002", "standard"),
        ("P-003", "standard"),
        ("X", "standard"),
    ]
    assert park.all_spots()[0].maximum_stay == timedelta(minutes=30)


def test_an_empty_registry_is_a_registry(tmp_path: Path) -> None:
    """Nothing registered is no fault."""
    assert load(tmp_path, "").car_park == ()


def test_spots_told_only_by_themselves_are_spots(tmp_path: Path) -> None:
    """A spot with properties need not be listed a second time."""
    (park,) = load(tmp_path, car_park(spots="") + '[[car_park.spot]]\nlabel = "Z"\n').car_park
    assert [spot.label for spot in park.all_spots()] == ["Z"]


@pytest.mark.parametrize(
    ("entry", "labels"),
    [
        ("X", ["X"]),
        ("P-008..P-011", ["P-008", "P-009", "P-010", "P-011"]),
        ("8..11", ["8", "9", "10", "11"]),
        ("P1-9..P1-10", ["P1-9", "P1-10"]),
        ("A7..A7", ["A7"]),
        ("niveau 1.1..niveau 1.3", ["niveau 1.1", "niveau 1.2", "niveau 1.3"]),
    ],
)
def test_a_range_counts_up_with_the_zeros_of_its_first_label(entry: str, labels: list[str]) -> None:
    """A range gives every label between its ends, both included."""
    assert list(expand_labels(entry)) == labels


@given(st.sampled_from(["", "P-", "é", "A1-", "a.b "]), st.integers(0, 2000), st.integers(0, 300), st.integers(1, 6))
def test_a_range_holds_as_many_different_labels_as_it_says(head: str, first: int, more: int, width: int) -> None:
    """No label of a range is lost or told twice."""
    labels = list(expand_labels(f"{head}{first:0{width}d}..{head}{first + more:0{width}d}"))
    assert len(set(labels)) == len(labels) == more + 1
    assert [int(label.removeprefix(head)) for label in labels] == list(range(first, first + more + 1))


@pytest.mark.parametrize(
    "entry", ["P-9..P-1", "P-1..Q-9", "P-1..", "..P-9", "a..b", "P-1..P-2..P-3", "1..1000001", "..", "1...3"]
)
def test_a_range_that_makes_no_sense_is_refused(tmp_path: Path, entry: str) -> None:
    """A range that counts down, changes its prefix, has no numbers or no end in sight is named."""
    (line,) = faults(tmp_path, car_park(spots=f'["{entry}"]'))
    assert line.startswith("car_park[0]: ")
    assert repr(entry) in line


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"code": ""}, "car_park[0].code: Field required"),
        ({"name": ""}, "car_park[0].name: Field required"),
        ({"capacity": ""}, "car_park[0].capacity: Field required"),
        ({"basis": ""}, "car_park[0].basis: Field required"),
        ({"code": "7"}, "car_park[0].code: "),
        ({"code": '""'}, "car_park[0].code: expected one level of a topic"),
        ({"code": '"a/b"'}, "car_park[0].code: expected one level of a topic"),
        ({"code": '"a+"'}, "car_park[0].code: expected one level of a topic"),
        ({"code": '"#"'}, "car_park[0].code: expected one level of a topic"),
        ({"code": '" a"'}, "car_park[0].code: expected one level of a topic"),
        ({"code": '"a\\n"'}, "car_park[0].code: expected one level of a topic"),
        ({"code": '"a\\u0000"'}, "car_park[0].code: expected one level of a topic"),
        ({"name": '""'}, "car_park[0].name: "),
        ({"aliases": '"X"'}, "car_park[0].aliases: "),
        ({"aliases": "[1]"}, "car_park[0].aliases[0]: "),
        ({"capacity": "0"}, "car_park[0].capacity: "),
        ({"capacity": "-1"}, "car_park[0].capacity: "),
        ({"capacity": "2147483648"}, "car_park[0].capacity: "),
        ({"capacity": '"many"'}, "car_park[0].capacity: "),
        ({"latitude": "90.1"}, "car_park[0].latitude: "),
        ({"latitude": "nan"}, "car_park[0].latitude: "),
        ({"longitude": "-180.1"}, "car_park[0].longitude: "),
        ({"longitude": "inf"}, "car_park[0].longitude: "),
        ({"basis": '"guess"'}, "car_park[0].basis: Input should be 'spots' or 'count'"),
        ({"stale_after": '"soon"'}, "car_park[0].stale_after: expected a duration"),
        ({"stale_after": "true"}, "car_park[0].stale_after: expected a duration"),
        ({"stale_after": '"0"'}, "car_park[0]: stale_after: expected a duration from 1s to 365d"),
        ({"stale_after": '"400d"'}, "car_park[0]: stale_after: expected a duration from 1s to 365d"),
        ({"heartbeat": '"-1h"'}, "car_park[0].heartbeat: expected a duration"),
        ({"timezone": '"Europe/Montpellier"'}, "car_park[0].timezone: expected a time zone such as Europe/Paris"),
        ({"timezone": '"../../etc/passwd"'}, "car_park[0].timezone: expected a time zone such as Europe/Paris"),
        ({"timezone": '"Europe"'}, "car_park[0].timezone: expected a time zone such as Europe/Paris"),
        ({"timezone": '""'}, "car_park[0].timezone: expected a time zone such as Europe/Paris"),
        ({"timezone": f'"{"x" * 5000}"'}, "car_park[0].timezone: expected a time zone such as Europe/Paris"),
        ({"timezone": '"a\\u0000b"'}, "car_park[0].timezone: expected a time zone such as Europe/Paris"),
        ({"timezone": "1"}, "car_park[0].timezone: "),
        ({"spots": '"1..5"'}, "car_park[0].spots: "),
        ({"spots": '["a/b"]'}, "car_park[0]: expected one level of a topic"),
        ({"spots": "[]"}, 'car_park[0]: basis = "spots" needs at least one entry in spots'),
        ({"spots": '["1..6"]'}, "car_park[0]: 6 spots listed, more than its capacity of 5"),
        ({"spots": '["1..3", "3..4"]'}, "car_park[0]: spot 3 is listed twice"),
        ({"spots": '["1", "1"]'}, "car_park[0]: spot 1 is listed twice"),
        ({"colour": '"red"'}, "car_park[0].colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_car_park_is_refused_by_key(tmp_path: Path, changes: dict[str, str], where: str) -> None:
    """A fault is told in one line, with the key it stands at and what is expected there."""
    (line,) = faults(tmp_path, car_park(**changes))
    assert line.startswith(where)


@pytest.mark.parametrize(
    ("spot", "where"),
    [
        ("", "car_park[0].spot[0].label: Field required"),
        ('label = "a/b"', "car_park[0].spot[0].label: expected one level of a topic"),
        ('label = "1"\nkind = "bicycle"', "car_park[0].spot[0].kind: Input should be 'standard', 'pmr'"),
        ('label = "1"\ndev_eui = "70B3"', "car_park[0].spot[0].dev_eui: "),
        ('label = "1"\ndev_eui = "70B3D57ED000000G"', "car_park[0].spot[0].dev_eui: "),
        ('label = "1"\nmaximum_stay = "a while"', "car_park[0].spot[0].maximum_stay: expected a duration"),
        ('label = "1"\nowner = "me"', "car_park[0].spot[0].owner: Extra inputs are not permitted"),
        ('label = "1"\n[[car_park.spot]]\nlabel = "1"', "car_park[0]: spot 1 is listed twice"),
    ],
)
def test_a_wrong_spot_is_refused_by_key(tmp_path: Path, spot: str, where: str) -> None:
    """A fault of a spot is told with its place in the file."""
    (line,) = faults(tmp_path, f"{car_park()}[[car_park.spot]]\n{spot}\n")
    assert line.startswith(where)


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    """Nobody mends a registry fault by fault: all of them are told."""
    text = car_park(capacity="0", colour="1") + car_park(code='"B/"', timezone='"x"') + "[weather]\n"
    assert sorted(line.partition(":")[0] for line in faults(tmp_path, text)) == [
        "car_park[0].capacity",
        "car_park[0].colour",
        "car_park[1].code",
        "car_park[1].timezone",
        "weather",
    ]


def test_faults_between_entries_are_named_at_once(tmp_path: Path) -> None:
    """Two codes used twice and a device used twice are three faults."""
    device = '[[car_park.spot]]\nlabel = "1"\ndev_eui = "70b3d57ed0000001"\n'
    parks = [car_park(code=f'"{code}"') + (device if index < 2 else "") for index, code in enumerate("AABB")]
    text = "\n".join(faults(tmp_path, "".join(parks)))
    for expected in ("'A'", "'B'", "car_park.1.spot.0.dev_eui: the same as car_park.0.spot.0.dev_eui"):
        assert expected in text


def test_faults_inside_one_car_park_are_named_at_once(tmp_path: Path) -> None:
    """A spot listed twice does not hide that there are more spots than capacity."""
    text = "\n".join(faults(tmp_path, car_park(spots='["1..6", "6"]', stale_after='"0"')))
    for expected in ("spot 6 is listed twice", "capacity of 5", "stale_after"):
        assert expected in text


@pytest.mark.parametrize(
    ("second", "name"),
    [
        ({}, "'A'"),
        ({"code": '"B"', "aliases": '["A"]'}, "'A'"),
        ({"code": '"B"', "aliases": '["X", "X"]'}, "'X'"),
        ({"code": '"B"', "aliases": '["B"]'}, "'B'"),
    ],
)
def test_a_code_or_alias_used_twice_is_named(tmp_path: Path, second: dict[str, str], name: str) -> None:
    """Every name of a car park leads to one car park."""
    (line,) = faults(tmp_path, car_park() + car_park(**second))
    assert line == f"car_park: code or alias {name} is used twice"


def test_a_device_used_twice_is_named_whatever_its_case(tmp_path: Path) -> None:
    """A device stands at one spot only; a DevEUI is hexadecimal, so its case says nothing."""
    device = '[[car_park.spot]]\nlabel = "1"\ndev_eui = "{}"\n'
    text = car_park() + device.format("70b3d57ed0000001") + car_park(code='"B"') + device.format("70B3D57ED0000001")
    (line,) = faults(tmp_path, text)
    assert line == "car_park.1.spot.0.dev_eui: the same as car_park.0.spot.0.dev_eui"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[car_park]]\ncode = \n", "line 2"),
        ("[[car_park]]\ncode = 'A'\ncode = 'B'\n", "line 3"),
        ("[[car_park]\n", "line 1"),
        ("\n\nx = 2026-02-30\n", "line 3"),
    ],
)
def test_broken_syntax_is_told_by_line(tmp_path: Path, text: str, line: str) -> None:
    """What is no TOML is told with its line."""
    (fault,) = faults(tmp_path, text)
    assert fault.startswith("not valid TOML: ")
    assert line in fault


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = " + "9" * 5000], ids=["nesting", "digits"])
def test_toml_beyond_all_measure_is_refused_too(tmp_path: Path, text: str) -> None:
    """A hostile file ends in a line that says so, not in a traceback."""
    assert len(faults(tmp_path, text)) == 1


def test_bytes_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    """A file in another encoding is told as one that is no TOML."""
    path = tmp_path / "registry.toml"
    path.write_bytes(b'name = "Com\xe9die"')
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load_registry(path)


def test_a_missing_file_is_told_with_the_setting_that_names_it(tmp_path: Path) -> None:
    """Who has no registry learns which setting to mend."""
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(ConfigurationError, match=r"cannot be read .*; set ARCEAUX_REGISTRY") as caught:
            load_registry(path)
        assert str(path) in str(caught.value)
