"""SenML packs: resolved as the RFC says, in either format, each fault staying where it is."""

import json
import math
from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.hostile import CBOR_PACKS, JSON_PACKS, MALFORMED, MALFORMED_CBOR, PAYLOADS, STRANGE_CBOR
from unit.senml_reference import (
    CARRIER,
    FAULTY,
    KEYS,
    REFUSED,
    Outcome,
    Reading,
    Record,
    packs,
    resolve_pack,
    to_cbor,
    to_json,
)
from unit.worlds import DAY, NOW, SECOND

from processors import senml, senml_columns
from processors.senml import PackError, excerpt, parse
from processors.senml_columns import Resolved, resolve
from schemas.reasons import Reason


def outcomes(resolved: Resolved) -> list[Outcome]:
    """Say of each record what it came to, in the words of the reference."""
    size = len(resolved.pack)
    nothing = [None] * size
    texts = [resolved.base_names, resolved.names, resolved.base_units, resolved.units]
    base_names, names, base_units, units = (column or nothing for column in texts)
    found: list[Outcome] = []
    for index in range(size):
        if index in resolved.faults:
            assert not resolved.is_stored[index]
            assert not resolved.is_carrier[index]
            found.append(FAULTY)
        elif resolved.is_carrier[index]:
            assert not resolved.is_stored[index]
            found.append(CARRIER)
        elif resolved.is_stored[index]:
            own = units[index]
            unit = base_units[index] if own is None else own
            name = (base_names[index] or "") + (names[index] or "")
            value, seconds = float(resolved.value[index]), float(resolved.seconds[index])
            found.append(Reading(name, unit, value, seconds, bool(resolved.is_relative[index])))
        else:
            found.append(REFUSED)
    return found


def read(pack: list[Record] | bytes) -> list[Outcome]:
    """Give what one pack comes to."""
    return outcomes(resolve([parse(pack if isinstance(pack, bytes) else json.dumps(pack).encode())]))


def faults_of(pack: list[Record] | bytes) -> dict[int, Reason]:
    """Give the reasons of the faulty records of one pack."""
    faults = resolve([parse(pack if isinstance(pack, bytes) else json.dumps(pack).encode())]).faults
    assert all(0 < len(detail) <= 100 for _, detail in faults.values())
    return {index: reason for index, (reason, _) in faults.items()}


def parse_if_possible(payload: bytes) -> list[senml.Record] | PackError:
    """Give the records of a pack, or why there are none."""
    try:
        return parse(payload)
    except PackError as error:
        return error


def reason_of(payload: bytes) -> Reason:
    """Give the reason for which a pack is rejected as one."""
    with pytest.raises(PackError) as caught:
        parse(payload)
    return caught.value.reason


@given(st.lists(packs(), max_size=5))
def test_packs_resolve_as_the_rules_say(many: list[list[Record]]) -> None:
    """Every record of every pack comes to what section 4.6 says, and nothing leaks from one pack to the next."""
    resolved = resolve([parse(to_json(pack)) for pack in many])
    assert outcomes(resolved) == [outcome for pack in many for outcome in resolve_pack(pack)]
    assert resolved.pack.tolist() == [number for number, pack in enumerate(many) for _ in pack]
    assert resolved.record.tolist() == [number for pack in many for number in range(len(pack))]


@given(packs(), st.data())
def test_cbor_resolves_as_json_does(pack: list[Record], data: st.DataObject) -> None:
    """A pack means the same in both formats, however its numbers and arrays are written."""
    assert read(data.draw(to_cbor(pack))) == read(pack)


@given(packs(), packs())
def test_a_pack_resolves_alike_in_any_company(one: list[Record], other: list[Record]) -> None:
    """What becomes of a pack does not depend on those beside it."""
    beside = outcomes(resolve([other, one, other]))
    assert beside[len(other) : -len(other)] == read(one)


def taken_out(payload: bytes, number: int) -> bytes:
    """Take a record out that can be written again."""
    alone = excerpt(payload, number)
    assert alone is not None
    return alone


@given(packs(), st.data())
def test_an_excerpt_decodes_to_the_same_record(pack: list[Record], data: st.DataObject) -> None:
    """One record taken out of its pack, with the base fields in force, comes to what it came to there."""
    for payload in (to_json(pack), data.draw(to_cbor(pack))):
        number = data.draw(st.integers(0, len(pack) - 1))
        (alone,) = read(taken_out(payload, number))
        there = read(payload)[number]
        assert alone == there
        assert (taken_out(payload, number)[:1] < b"\x80") == (payload[:1] < b"\x80")


@given(PAYLOADS | JSON_PACKS.map(str.encode) | CBOR_PACKS)
def test_no_bytes_stop_parsing_resolving_and_taking_out(payload: bytes) -> None:
    """Whatever arrives is a PackError or records, and every record can be taken out again."""
    records = parse_if_possible(payload)
    if isinstance(records, PackError):
        assert records.reason in {Reason.MALFORMED_PAYLOAD, Reason.SCHEMA_VIOLATION}
        assert records.detail
        return
    resolved = resolve([records])
    assert len(outcomes(resolved)) == len(records)
    assert np.isfinite(senml_columns.to_micros(resolved, np.full(len(records), NOW))).all()
    for number in range(len(records)):
        taken_out(payload, number)


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_malformed(payload: bytes) -> None:
    """Bytes that are no JSON document reject the pack as one."""
    assert reason_of(payload) is Reason.MALFORMED_PAYLOAD


@pytest.mark.parametrize("payload", MALFORMED_CBOR.values(), ids=MALFORMED_CBOR)
def test_what_is_no_cbor_is_malformed(payload: bytes) -> None:
    """Bytes that are no CBOR document, or more than one, reject the pack as one."""
    assert reason_of(payload) is Reason.MALFORMED_PAYLOAD


@pytest.mark.timeout(10)
@pytest.mark.parametrize("payload", STRANGE_CBOR.values(), ids=STRANGE_CBOR)
def test_strange_cbor_is_no_burden(payload: bytes) -> None:
    """Tags that call for other libraries, or for numbers of a hundred thousand digits, cost no time."""
    records = parse_if_possible(payload)
    if isinstance(records, PackError):
        assert records.reason is Reason.SCHEMA_VIOLATION
        assert "hut" not in records.detail
        return
    assert len(outcomes(resolve([records]))) == len(records)
    assert taken_out(payload, 0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a huge integer", Reason.VALUE_OUT_OF_RANGE),
        ("a huge exponent", Reason.VALUE_OUT_OF_RANGE),
        ("a huge mantissa", Reason.SCHEMA_VIOLATION),
        ("a decimal fraction of words", Reason.SCHEMA_VIOLATION),
        ("a binary fraction", Reason.SCHEMA_VIOLATION),
        ("a tiny exponent", None),
    ],
)
def test_a_number_beyond_measure_is_a_fault_of_its_record(name: str, told: Reason | None) -> None:
    """A mantissa of half a million digits is not even made a number, and one too small to tell from 0 is 0."""
    assert faults_of(STRANGE_CBOR[name]) == ({0: told} if told else {})
    if told is None:
        assert read(STRANGE_CBOR[name]) == [Reading("a", None, 0, 0, is_relative=True)]


@pytest.mark.parametrize(
    "payload", [b"{}", b"[]", b"null", b"1", b'"v"', b"[[]]", b"[1]", b"[null]", b'[{"n":"a","v":1},2]', b'{"n":"a"}']
)
def test_a_pack_is_an_array_of_records(payload: bytes) -> None:
    """Another shape rejects the pack as one, in either format."""
    assert reason_of(payload) is Reason.SCHEMA_VIOLATION
    if (body := cbor2.dumps(json.loads(payload)))[:1] >= b"\x80":
        assert reason_of(body) is Reason.SCHEMA_VIOLATION


@pytest.mark.parametrize("label", ["x_", "v_", "_", "bn_"])
def test_a_label_that_must_be_understood_rejects_the_pack(label: str) -> None:
    """A label that ends in _ changes what the pack means, wherever it stands."""
    pack = [{"n": "a", "v": 1}, {"n": "b", "v": 1, label: None}]
    assert reason_of(to_json(pack)) is Reason.SCHEMA_VIOLATION
    assert reason_of(cbor2.dumps(pack)) is Reason.SCHEMA_VIOLATION


@pytest.mark.parametrize("label", ["_x", "x_y", "version", "bz", "l"])
def test_other_unknown_labels_are_ignored(label: str) -> None:
    """What we do not know, we do not need."""
    assert read([{"n": "a", "v": 1, label: {"x_": [1]}}]) == [Reading("a", None, 1, 0, is_relative=True)]


@pytest.mark.parametrize("versions", [[11], [10, 5], [5, None, 10], ["10"], [10.0], [True], [0], [-1], [2**70], [[]]])
def test_a_version_we_do_not_know_rejects_the_pack(versions: list[Any]) -> None:
    """A pack has one version, a whole number up to 10; None leaves it out here."""
    pack = [{"n": "a", "v": 1} | ({} if version is None else {"bver": version}) for version in versions]
    assert reason_of(to_json(pack)) is Reason.SCHEMA_VIOLATION
    assert reason_of(cbor2.dumps([{KEYS[label]: told for label, told in record.items()} for record in pack])) is (
        Reason.SCHEMA_VIOLATION
    )


def test_a_null_version_rejects_the_pack() -> None:
    """Null is no version."""
    assert reason_of(b'[{"bver":null,"n":"a","v":1}]') is Reason.SCHEMA_VIOLATION


@pytest.mark.parametrize("versions", [[1], [10], [5, None, 5]])
def test_older_versions_are_read(versions: list[int | None]) -> None:
    """A version up to ours is understood, told once or in every record."""
    pack = [{"n": "a", "v": 1} | ({} if version is None else {"bver": version}) for version in versions]
    assert len(read(pack)) == len(versions)


WRONG = {
    "no value": {"n": "a"},
    "no value but a unit": {"n": "a", "u": "Cel", "t": 1},
    "several values": {"n": "a", "v": 1, "vs": "1"},
    "several equal values": {"n": "a", "v": 1, "vb": True},
    "a string for a number": {"n": "a", "v": "1"},
    "true for a number": {"n": "a", "v": True},
    "null for a number": {"n": "a", "v": None},
    "an array for a number": {"n": "a", "v": [1]},
    "a number for a string": {"n": "a", "vs": 1},
    "null for a string": {"n": "a", "vs": None},
    "a number for a boolean": {"n": "a", "vb": 1},
    "null for a boolean": {"n": "a", "vb": None},
    "a number for data": {"n": "a", "vd": 1},
    "null for data": {"n": "a", "vd": None},
    "a string for a time": {"n": "a", "v": 1, "t": "0"},
    "null for a time": {"n": "a", "v": 1, "t": None},
    "true for a time": {"n": "a", "v": 1, "t": True},
    "a number for a name": {"n": 1, "v": 1},
    "null for a name": {"n": None, "v": 1},
    "a number for a unit": {"n": "a", "v": 1, "u": 1},
    "null for a unit": {"n": "a", "v": 1, "u": None},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_faulty_record_is_faulty_alone(wrong: Record) -> None:
    """What is wrong with a record violates the schema, and its neighbours are read."""
    good = {"n": "b", "v": 2, "t": 3}
    pack = [good, wrong, good]
    assert faults_of(pack) == {1: Reason.SCHEMA_VIOLATION}
    assert faults_of(cbor2.dumps(pack)) == {1: Reason.SCHEMA_VIOLATION}
    assert read(pack)[::2] == [Reading("b", None, 2, 3, is_relative=True)] * 2


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "-" + "9" * 400])
@pytest.mark.parametrize("label", ["v", "t"])
def test_a_number_beyond_a_float_is_out_of_range(label: str, number: str) -> None:
    """A number in digits is a number, and too large."""
    payload = b'[{"n":"a","v":1},{"n":"a","vs":"x"},{"n":"a","%s":%s},{"n":"a","v":1}]'
    if label == "t":
        payload = payload.replace(b'"%s":%s', b'"v":1,"%s":%s')
    assert faults_of(payload % (label.encode(), number.encode())) == {2: Reason.VALUE_OUT_OF_RANGE}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400])
@pytest.mark.parametrize("label", ["v", "t", "bv", "bt"])
def test_cbor_carries_numbers_that_are_none(label: str, number: float) -> None:
    """NaN and infinity are out of range, in half, single and double precision."""
    pack = [{0: "a", 2: 1, 6: 2}, {0: "a", 2: 1} | {KEYS[label]: number}]
    for canonical in (False, True):
        assert faults_of(cbor2.dumps(pack, canonical=canonical)) == {1: Reason.VALUE_OUT_OF_RANGE}


@pytest.mark.parametrize(
    ("label", "wrong"), [("bn", 1), ("bt", "0"), ("bu", 1), ("bv", "1"), ("bt", None), ("bn", None)]
)
def test_a_faulty_base_field_spreads_as_far_as_it_holds(label: str, wrong: object) -> None:
    """It is faulty for its record and all after it, until it is told again, and not in the next pack."""
    right: Record = {"bn": "a", "bt": 0, "bu": "V", "bv": 1}
    some = {"n": "b", "v": 1}
    pack = [right | some, some, some | {label: wrong}, some, {"t": 1, "v": 2}, some | {label: right[label]}, some]
    resolved = resolve([parse(to_json(pack)), parse(to_json([right | some]))])
    assert sorted(resolved.faults) == [2, 3, 4]


@pytest.mark.parametrize("other", [{"t": "x"}, {"v": None}, {"n": 1}, {"vb": 1}, {"bt": None}])
@pytest.mark.parametrize("label", ["bt", "bv", "bn", "bu"])
def test_another_fault_does_not_hide_a_faulty_base_field(label: str, other: Record) -> None:
    """A record that is wrong in two ways still spreads the fault of its base field."""
    pack = [{"n": "a", "v": 1} | other | {label: None}, {"n": "b", "v": 2}]
    assert sorted(faults_of(pack)) == [0, 1]


def test_carriers_are_no_readings() -> None:
    """A record of base fields only is nothing but what it changes, and known ones may be of another standard."""
    pack: list[Record] = [{"bn": "a"}, {"v": 1}, {"bn": "b", "bt": 5, "bx": 1}, {"bv": 2}, {"v": 1}, {"n": "c"}]
    assert read(pack) == [
        CARRIER,
        Reading("a", None, 1, 0, is_relative=True),
        CARRIER,
        CARRIER,
        Reading("b", None, 3, 5, is_relative=True),
        Reading("bc", None, 2, 5, is_relative=True),
    ]


def test_what_has_no_number_is_no_fault() -> None:
    """Strings, data values and sums are understood, and not stored."""
    pack: list[Record] = [
        {"n": "a", "vs": "x"},
        {"n": "a", "vd": "aGkgCg"},
        {"n": "a", "s": 1},
        {"bs": 1, "n": "a"},
        {"n": "b"},
    ]
    assert read(pack) == [REFUSED] * 5


@pytest.mark.parametrize(
    ("base", "own", "is_relative"),
    [
        (0, 2**28 - 1, True),
        (0, 2**28, False),
        (2**27, 2**27, False),
        (2**27, 2**27 - 1, True),
        (2**28, -1, True),
        (-(2**28), 2**29, False),
        (0, -(2**28), True),
    ],
)
def test_the_sum_of_times_tells_whether_it_is_relative(base: int, own: int, is_relative: bool) -> None:
    """Neither part alone: below 2**28 the sum counts from now, from there on it is a time of day."""
    pack = [{"bt": base, "n": "a", "t": own, "v": 1}]
    assert read(pack) == [Reading("a", None, 1, base + own, is_relative)]


def micros_of(pack: list[Record], received_at: int = NOW) -> list[int]:
    """Give absolute times."""
    resolved = resolve([pack])
    micros: list[int] = senml_columns.to_micros(resolved, np.full(len(pack), received_at)).tolist()
    return micros


def test_relative_times_count_from_arrival() -> None:
    """0 is now, less is before, more is after; fractions count to the microsecond."""
    pack = [{"v": 1, "t": seconds} for seconds in (0, -1.5, 60, -86400, -0.000001, 0.0000004)]
    wanted = [NOW, NOW - SECOND * 3 // 2, NOW + 60 * SECOND, NOW - DAY, NOW - 1, NOW]
    assert micros_of(pack) == wanted


def test_absolute_times_do_not() -> None:
    """A time of day is the same whenever it arrives, and keeps its microseconds."""
    pack = [{"bt": 1_795_298_400, "v": 1, "t": seconds} for seconds in (0, 0.25, -0.001)]
    wanted = [NOW, NOW + SECOND // 4, NOW - SECOND // 1000]
    assert micros_of(pack) == micros_of(pack, NOW + DAY) == wanted


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e308, 1e308))
def test_no_time_wraps_around(base: float, own: float) -> None:
    """However absurd, a time is no time of now, unless it is."""
    (micros,) = micros_of([{"bt": base, "t": own, "v": 1}])
    seconds = base + own
    if abs(seconds) > 2**40:
        assert abs(micros) > 2**59
    else:
        expected = seconds + NOW / 1e6 if seconds < 2**28 else seconds
        assert math.isclose(micros / 1e6, expected, rel_tol=1e-9, abs_tol=1e-5)


def test_nothing_resolves_to_nothing() -> None:
    """A batch without packs has columns without rows."""
    assert outcomes(resolve([])) == []


def test_an_excerpt_holds_its_record_alone() -> None:
    """Of the others only the base fields in force are kept."""
    payload = b'[{"bn":"a/","bt":5,"n":"secret","v":1},{"bt":6,"n":"b","v":"\xc3\xa9"},{"n":"other","v":7}]'
    assert taken_out(payload, 1) == '[{"bn":"a/","bt":6,"n":"b","v":"é"}]'.encode()
    packed = cbor2.dumps([{-2: "a/", 0: "secret", 2: 1}, {-3: 6, 0: "b", 2: None, "x": 1}])
    assert cbor2.loads(taken_out(packed, 1)) == [{-2: "a/", -3: 6, 0: "b", 2: None, "x": 1}]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400])
def test_an_excerpt_writes_numbers_that_json_has_no_room_for(number: str) -> None:
    """What was too large before is too large after."""
    payload = b'[{"n":"other","v":1},{"n":"a","v":%s}]' % number.encode()
    alone = taken_out(payload, 1)
    assert b"other" not in alone
    assert faults_of(alone) == {0: Reason.VALUE_OUT_OF_RANGE}
    assert (b"-" in alone) == number.startswith("-")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("record", [b'{"v":1}', b'{"bt":null}', b'{"bn":1,"bt":null,"bv":[]}'])
def test_a_pack_of_faults_costs_no_more_than_its_size(record: bytes) -> None:
    """A pack of ten thousand faulty records is read, and each taken out, in time that grows with its size."""
    payload = b"[" + b",".join([record] * 10_000) + b"]"
    resolved = resolve([parse(payload)])
    assert len(resolved.faults) == 10_000 * (record != b'{"v":1}')
    assert taken_out(payload, 9_999) == taken_out(payload, 0)
    for number in range(10_000):
        taken_out(payload, number)
