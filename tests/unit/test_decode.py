"""Decoding: every reason a parking message can meet, and that no input gets past or stops it."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.hostile import MALFORMED, PARKING_TOPICS, deliveries_on
from unit.worlds import (
    COME,
    DAY,
    FOCH,
    GATE,
    HOUR,
    LAYOUT,
    LIMITS,
    MINUTE,
    NO_GAP,
    NOW,
    QUAY_SPOT,
    SECOND,
    TOPICS,
    deliver,
)

from processors.columns import NO_FRAME, NO_SEQ
from processors.decode import Decoded, Unfit, decode
from processors.rejects import Limits, Reject
from schemas.delivery import Delivery
from schemas.payloads import INT32_MAX, INT32_MIN
from schemas.reasons import Reason
from schemas.topics import Route, Table

SPOT = TOPICS.spot("ANTI", "P-01")
PARIS_SPOT = TOPICS.spot("QUAY", "Q-1")
COUNTER = TOPICS.count("COME")
PARIS_COUNTER = TOPICS.count("FOCH")


def decode_one(
    topic: str, payload: bytes | dict[str, Any], *, retain: bool = False, limits: Limits = LIMITS
) -> Decoded:
    """Decode a batch of one message."""
    decoded = decode([deliver(topic, payload, retain=retain)], LAYOUT, limits, GATE, NO_GAP)
    assert_balanced(decoded, 1)
    return decoded


def reason_of(topic: str, payload: bytes | dict[str, Any], limits: Limits = LIMITS) -> Reason:
    """Give the reason for which a message is rejected."""
    (reject,) = decode_one(topic, payload, limits=limits).rejects
    return reject.reason


def assert_balanced(decoded: Decoded, messages: int) -> None:
    """Check that every message became exactly one reading, one reject or one refusal of its route."""
    rejected = Counter(reject.route for reject in decoded.rejects)
    assert decoded.messages.total() == messages
    for route, readings in ((Route.SPOT, decoded.events), (Route.COUNT, decoded.counts), (Route.UNROUTABLE, ())):
        assert decoded.messages[route] == len(readings) + rejected[route] + decoded.refused[route]
    accepted = [*decoded.events["delivery"].tolist(), *decoded.counts["delivery"].tolist()]
    used = [*accepted, *(reject.delivery for reject in decoded.rejects)]
    assert len(set(used)) == len(used) == messages - decoded.refused.total()
    assert set(used) <= set(range(messages))


def test_a_spot_event_becomes_a_row() -> None:
    """Every field of a spot event stands in its column."""
    payload = {"occupied": True, "time": "2026-11-21T21:59:00.25Z", "battery": 3.6, "temperature": 11.5, "seq": 17}
    (row,) = decode_one(TOPICS.spot("QUAY", "Q-2"), payload).events
    assert row.tolist() == (0, NOW - 60 * SECOND + 250_000, QUAY_SPOT + 1, True, NOW, 3.6, 17, NO_FRAME, True)


def test_a_count_becomes_a_row() -> None:
    """Every field of a count stands in its column."""
    payload = {"free": 163, "total": 239, "status": "open", "time": NOW}
    (row,) = decode_one(PARIS_COUNTER, payload).counts
    assert row.tolist() == (0, NOW, FOCH, 163, 239, b"open", NOW)


@pytest.mark.parametrize("absent", [{}, {"time": None, "battery": None, "temperature": None, "seq": None}])
def test_what_a_spot_does_not_tell_is_absent(absent: dict[str, None]) -> None:
    """Only `occupied` is required; null is the same as left out, and the time is then the arrival's."""
    (row,) = decode_one(SPOT, {"occupied": False} | absent).events
    assert (row["time"], row["arrived"], row["occupied"], row["seq"]) == (NOW, NOW, False, NO_SEQ)
    assert np.isnan(row["battery"])


@pytest.mark.parametrize("absent", [{}, {"time": None, "total": None, "status": None}, {"total": 0}])
def test_what_a_counter_does_not_tell_is_absent(absent: dict[str, None]) -> None:
    """Only `free` is required; total 0 and an empty status mean not told."""
    (row,) = decode_one(COUNTER, {"free": 3} | absent).counts
    assert (row["time"], row["free"], row["total"], row["status"]) == (NOW, 3, 0, b"")


def test_unknown_fields_are_ignored() -> None:
    """A sensor may say more than we know of."""
    (row,) = decode_one(SPOT, {"occupied": True, "firmware": {"version": [1, 2, None]}, "Time": "never"}).events
    assert row["time"] == NOW


@pytest.mark.parametrize("told", ["open", "Open", "OPEN", "oPeN", "FULL", "full", "Closed", "CLOSED"])
def test_a_status_is_read_in_any_case(told: str) -> None:
    """Upper and lower case of a status mean the same."""
    (row,) = decode_one(COUNTER, {"free": 1, "status": told}).counts
    assert row["status"] == told.lower().encode()


@pytest.mark.parametrize("name", ["free", "total", "seq"])
@pytest.mark.parametrize("value", [INT32_MIN - 1, INT32_MIN, -1, 0, 1, INT32_MAX, INT32_MAX + 1, 2**63, 10**400])
def test_integers_are_bounded_by_what_the_tables_hold(name: str, value: int) -> None:
    """Free, total and seq fit int32, only free may be negative; all else is out of range, not cut."""
    topic, payload = (SPOT, {"occupied": True}) if name == "seq" else (COUNTER, {"free": 1})
    decoded = decode_one(topic, payload | {name: value})
    if (INT32_MIN if name == "free" else 0) <= value <= INT32_MAX:
        column = decoded.events if name == "seq" else decoded.counts
        assert column[name].tolist() == [value]
    else:
        assert [reject.reason for reject in decoded.rejects] == [Reason.VALUE_OUT_OF_RANGE]


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("city/parking/ANTI/spot/P-01", Reason.UNROUTABLE_TOPIC),
        ("city/parking/ANTI", Reason.UNROUTABLE_TOPIC),
        ("", Reason.UNROUTABLE_TOPIC),
        ("city/live/parking/ANTI", Reason.UNROUTABLE_TOPIC),
        ("city/parking/ANTI/spots/P-99", Reason.UNKNOWN_ASSET),
        ("city/parking/anti/spots/P-01", Reason.UNKNOWN_ASSET),
        ("city/parking/NONE/count", Reason.UNKNOWN_ASSET),
        ("city/parking/+/count", Reason.UNKNOWN_ASSET),
        ("city/parking/\x00/count", Reason.UNKNOWN_ASSET),
    ],
)
def test_a_topic_that_leads_nowhere_is_told_apart_from_an_unknown_asset(topic: str, reason: Reason) -> None:
    """A misspelt topic is unroutable; a well-formed one of an asset that is not registered is unknown."""
    assert reason_of(topic, {"occupied": True, "free": 1}) is reason


def test_a_payload_is_too_large_from_the_first_byte_over_the_limit() -> None:
    """The limit itself is accepted; beyond it nothing is parsed."""
    body = b'{"occupied":true}'
    limits = Limits(len(body), LIMITS.max_lateness, LIMITS.max_future)
    assert not decode_one(SPOT, body, limits=limits).rejects
    assert reason_of(SPOT, body + b" ", limits) is Reason.PAYLOAD_TOO_LARGE
    assert reason_of(SPOT, b"\xff" * 300_000) is Reason.PAYLOAD_TOO_LARGE


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_malformed(payload: bytes) -> None:
    """Bytes that are no JSON document, or one nested or long beyond all measure, are malformed."""
    assert reason_of(SPOT, payload) is Reason.MALFORMED_PAYLOAD


@pytest.mark.parametrize(
    "payload",
    [
        b"null",
        b"true",
        b"[]",
        b'"occupied"',
        b"1",
        b"{}",
        b'{"Occupied":true}',
        b'{"occupied":null}',
        b'{"occupied":1}',
        b'{"occupied":"true"}',
        b'{"occupied":[true]}',
        b'{"occupied":true,"battery":"3.6"}',
        b'{"occupied":true,"battery":true}',
        b'{"occupied":true,"temperature":{}}',
        b'{"occupied":true,"seq":1.5}',
        b'{"occupied":true,"seq":"1"}',
        b'{"occupied":true,"time":true}',
        b'{"occupied":true,"time":[]}',
        b'{"occupied":true,"time":""}',
        b'{"occupied":true,"time":"1795298400"}',
        b'{"occupied":true,"time":"yesterday"}',
        b'{"occupied":true,"time":"2026-11-21"}',
        b'{"occupied":true,"time":"2026-11-21T22:00Z"}',
        b'{"occupied":true,"time":"2026-11-21T22:00:00.Z"}',
        b'{"occupied":true,"time":"2026-11-21T22:00:00.1234567890Z"}',
        b'{"occupied":true,"time":"2026-11-21T22:00:00,5Z"}',
        b'{"occupied":true,"time":"2026-11-21T22:00:00+0100"}',
        b'{"occupied":true,"time":"2026-11-21T22:00:00Z\\n"}',
        b'{"occupied":true,"time":" 2026-11-21T22:00:00Z"}',
        b'{"occupied":true,"time":"2026-W47-6T22:00:00Z"}',
        b'{"occupied":true,"time":"2026-11-21T22:00:00Z\\u0000"}',
        '{"occupied":true,"time":"٢٠٢٦-11-21T22:00:00Z"}'.encode(),
        b'{"occupied":true,"time":"2026-02-30T22:00:00Z"}',
        b'{"occupied":true,"time":"0000-01-01T00:00:00Z"}',
        b'{"occupied":true,"time":"2026-11-21T22:00:60Z"}',
        b'{"occupied":true,"time":"2026-11-21T22:00:00+24:00"}',
        b'{"occupied":true,"occupied":1}',
    ],
)
def test_json_of_another_shape_violates_the_schema(payload: bytes) -> None:
    """Wrong types are not guessed at: a number in quotes is none, 1 is not true, a date that is none neither."""
    assert reason_of(SPOT, payload) is Reason.SCHEMA_VIOLATION


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b'{"free":null}',
        b'{"free":"3"}',
        b'{"free":true}',
        b'{"free":1.5}',
        b'{"free":3,"total":"239"}',
        b'{"free":3,"status":"ajar"}',
        b'{"free":3,"status":"open "}',
        b'{"free":3,"status":""}',
        b'{"free":3,"status":"almost_full"}',
        b'{"free":3,"status":1}',
        b'{"free":3,"status":["open"]}',
    ],
)
def test_a_count_of_another_shape_violates_the_schema(payload: bytes) -> None:
    """A counter's status is open, full or closed, and its numbers are whole."""
    assert reason_of(COUNTER, payload) is Reason.SCHEMA_VIOLATION


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 400])
@pytest.mark.parametrize("name", [b"battery", b"temperature"])
def test_a_number_beyond_a_float_is_out_of_range(name: bytes, number: bytes) -> None:
    """JSON knows no largest number; we do."""
    assert reason_of(SPOT, b'{"occupied":true,"%s":%s}' % (name, number)) is Reason.VALUE_OUT_OF_RANGE


@pytest.mark.parametrize("payload", [b'{"seq":-1}', b'{"occupied":1,"seq":-1}'])
def test_reason_and_detail_speak_of_the_same_fault(payload: bytes) -> None:
    """A shape that is wrong as well as a number out of range are not mixed into one contradictory line."""
    (reject,) = decode_one(SPOT, payload).rejects
    assert reject.detail.startswith("occupied: ") == (reject.reason is Reason.SCHEMA_VIOLATION)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (b"9" * 400, Reason.TIME_IN_FUTURE),
        (b"-" + b"9" * 400, Reason.TIME_TOO_LATE),
        (b"9" * 4000, Reason.TIME_IN_FUTURE),
        (b"1e308", Reason.TIME_IN_FUTURE),
        (b"-1e308", Reason.TIME_TOO_LATE),
        (b"9223372036854775808", Reason.TIME_IN_FUTURE),
        (b"1e999", Reason.VALUE_OUT_OF_RANGE),
        (b"0", Reason.TIME_TOO_LATE),
    ],
)
def test_a_time_beyond_all_measure_is_no_time_of_now(number: bytes, reason: Reason) -> None:
    """An absurd epoch number neither wraps around nor stops the batch."""
    assert reason_of(SPOT, b'{"occupied":true,"time":%s}' % number) is reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0001-01-01T00:00:00Z", Reason.TIME_TOO_LATE),
        ("0001-01-01T00:00:00+23:59", Reason.TIME_TOO_LATE),
        ("0001-01-01T00:00:00", Reason.TIME_TOO_LATE),
        ("9999-12-31T23:59:59.999999999Z", Reason.TIME_IN_FUTURE),
        ("9999-12-31T23:59:59-23:59", Reason.TIME_IN_FUTURE),
        ("9999-12-31T23:59:59", Reason.TIME_IN_FUTURE),
    ],
)
def test_the_ends_of_the_calendar_are_outside_of_the_window(text: str, reason: Reason) -> None:
    """The first and the last date there are do not stop the batch."""
    assert reason_of(PARIS_SPOT, {"occupied": True, "time": text}) is reason


@pytest.mark.parametrize("topic", [SPOT, COUNTER])
def test_a_time_without_an_offset_is_rejected_where_the_registry_gives_no_zone(topic: str) -> None:
    """No offset is guessed."""
    assert reason_of(topic, {"occupied": True, "free": 1, "time": "2026-11-21T22:00:00"}) is Reason.TIME_MISSING_OFFSET


def test_a_time_without_an_offset_is_read_in_the_zone_of_the_registry() -> None:
    """Local time of the asset is that moment."""
    payload = {"occupied": True, "free": 1, "time": "2026-11-21T23:00:00"}
    decoded = decode([deliver(PARIS_SPOT, payload), deliver(PARIS_COUNTER, payload)], LAYOUT, LIMITS, GATE, NO_GAP)
    assert decoded.events["time"].tolist() == decoded.counts["time"].tolist() == [NOW]


@pytest.mark.parametrize(
    ("ahead", "reason"),
    [
        (-8 * DAY - 1, Reason.TIME_TOO_LATE),
        (-8 * DAY, None),
        (0, None),
        (5 * MINUTE, None),
        (5 * MINUTE + 1, Reason.TIME_IN_FUTURE),
    ],
)
@pytest.mark.parametrize("topic", [SPOT, COUNTER])
def test_the_window_of_time_includes_its_edges(topic: str, ahead: int, reason: Reason | None) -> None:
    """A reading is accepted from the largest lateness to the largest future, to the microsecond."""
    decoded = decode_one(topic, {"occupied": True, "free": 1, "time": NOW + ahead})
    assert [reject.reason for reject in decoded.rejects] == ([reason] if reason else [])


@pytest.mark.parametrize("topic", [SPOT, COUNTER])
@pytest.mark.parametrize("ahead", [-30 * DAY, HOUR, -SECOND])
def test_a_message_refused_for_its_time_was_heard(topic: str, ahead: int) -> None:
    """What it says of its sensor counts, though its reading does not."""
    decoded = decode_one(topic, {"occupied": True, "free": 1, "seq": 7, "time": NOW + ahead})
    heard = decoded.heard_events if topic == SPOT else decoded.heard_counts
    assert heard[["time", "arrived"]].tolist() == [(NOW + ahead, NOW)]
    assert len(decoded.events) + len(decoded.counts) == (ahead == -SECOND)


@pytest.mark.parametrize("topic", [SPOT, COUNTER])
def test_a_retained_message_without_a_time_is_refused(topic: str) -> None:
    """A retained message never refreshes liveness: without a time of its own it tells nothing new."""
    decoded = decode_one(topic, {"occupied": True, "free": 1}, retain=True)
    assert decoded.refused.total() == 1
    assert not decoded.rejects


@pytest.mark.parametrize("topic", [SPOT, COUNTER])
def test_a_retained_message_with_a_time_is_a_fact_like_any_other(topic: str) -> None:
    """With a time of its own a retained message is stored under that time."""
    decoded = decode_one(topic, {"occupied": True, "free": 1, "time": NOW - HOUR}, retain=True)
    assert [*decoded.events["time"].tolist(), *decoded.counts["time"].tolist()] == [NOW - HOUR]


def test_a_retained_message_that_is_wrong_is_a_dead_letter() -> None:
    """Refusing is for what is understood; what is not understood is kept."""
    (reject,) = decode_one(SPOT, b"{", retain=True).rejects
    assert reject.reason is Reason.MALFORMED_PAYLOAD


@pytest.mark.parametrize(
    "payload",
    [
        b'{"occupied":true,"occupied":false}',
        b'{"occupied":false,"x":"\\u0000"}',
        b'{"occupied":false,"x":"' + b"x" * 200_000 + b'"}',
        b'{"occupied":false,"x":' + b"[" * 100 + b"]" * 100 + b"}",
        b'\r\n\t {"occupied":false}\n',
        b'{"occup\\u0069ed":false}',
    ],
    ids=["duplicate keys", "nul in a string", "200 KB string", "nested", "blanks", "escaped key"],
)
def test_strange_but_valid_json_is_read(payload: bytes) -> None:
    """Of duplicate keys the last one counts; fields that are ignored may hold anything."""
    assert decode_one(SPOT, payload).events["occupied"].tolist() == [False]


def test_a_string_of_a_megabyte_is_no_burden() -> None:
    """With room for it, a long string is ignored where it is unknown and refused where it is known."""
    limits = Limits(8 * 1024 * 1024, LIMITS.max_lateness, LIMITS.max_future)
    long = "x" * 1_000_000
    assert not decode_one(SPOT, {"occupied": True, "x": long}, limits=limits).rejects
    assert reason_of(SPOT, {"occupied": True, "time": long}, limits) is Reason.SCHEMA_VIOLATION
    assert reason_of(COUNTER, {"free": 1, "status": long}, limits) is Reason.SCHEMA_VIOLATION


def test_a_detail_is_short_and_does_not_repeat_the_payload() -> None:
    """What is told of a fault is for people: one short line without the input."""
    for payload in ({"occupied": "s3cr3t"}, {"occupied": True, "time": "s3cr3t"}, {"occupied": True, "seq": "s3cr3t"}):
        (reject,) = decode_one(SPOT, payload).rejects
        assert 0 < len(reject.detail) <= 200
        assert "s3cr3t" not in reject.detail
        assert "\n" not in reject.detail


def test_a_batch_keeps_arrival_order_and_leads_back_to_its_messages() -> None:
    """Rows stand in arrival order, with the index of the message each came from."""
    deliveries = [
        deliver(SPOT, {"occupied": True}),
        deliver("elsewhere", b""),
        deliver(COUNTER, {"free": 1}),
        deliver(SPOT, {"occupied": False}),
        deliver(SPOT, {"occupied": True}, retain=True),
        deliver(SPOT, {"occupied": True, "time": 0}),
    ]
    decoded = decode(deliveries, LAYOUT, LIMITS, GATE, NO_GAP)
    assert_balanced(decoded, len(deliveries))
    assert decoded.events["delivery"].tolist() == [0, 3]
    assert decoded.counts[["delivery", "car_park"]].tolist() == [(2, COME)]
    assert [(reject.delivery, reject.reason) for reject in decoded.rejects] == [
        (1, Reason.UNROUTABLE_TOPIC),
        (5, Reason.TIME_TOO_LATE),
    ]
    assert decoded.messages == {Route.SPOT: 4, Route.COUNT: 1, Route.UNROUTABLE: 1}
    assert decoded.refused == {Route.SPOT: 1}


def test_an_empty_batch_decodes_to_nothing() -> None:
    """A tick without messages is a batch too."""
    assert_balanced(decode([], LAYOUT, LIMITS, GATE, NO_GAP), 0)


def test_readings_that_the_database_refuses_move_to_the_rejects() -> None:
    """Taking out poison leaves every other reading where it is, and the balance holds."""
    deliveries = [deliver(SPOT, {"occupied": True}), deliver(COUNTER, {"free": 1}), deliver(SPOT, {"occupied": False})]
    good = decode(deliveries, LAYOUT, LIMITS, GATE, NO_GAP)
    decoded = good.without(
        [Unfit(Table.PARKING_COUNT, good.counts, "no"), Unfit(Table.PARKING_EVENT, good.events[1:], "never")]
    )
    assert_balanced(decoded, 3)
    assert decoded.events["delivery"].tolist() == [0]
    assert decoded.rejects == (
        Reject(1, Route.COUNT, Reason.DATABASE_REJECTED, "no"),
        Reject(2, Route.SPOT, Reason.DATABASE_REJECTED, "never"),
    )


def test_copies_of_what_the_database_refuses_are_rejected_with_it() -> None:
    """A refused reading that arrived twice in a batch must not come back as its own copy."""
    fact = {"occupied": True, "time": NOW // 10**6}
    deliveries = [deliver(SPOT, fact), deliver(SPOT, {"occupied": False}), deliver(SPOT, fact | {"battery": 3.6})]
    good = decode(deliveries, LAYOUT, LIMITS, GATE, NO_GAP)
    decoded = good.without([Unfit(Table.PARKING_EVENT, good.events[:1], "no")])
    assert_balanced(decoded, 3)
    assert decoded.events["delivery"].tolist() == [1]
    assert [reject.delivery for reject in decoded.rejects] == [0, 2]


DELIVERIES = deliveries_on(PARKING_TOPICS)


@given(st.lists(DELIVERIES, max_size=6), st.lists(DELIVERIES, max_size=6))
def test_a_message_decodes_alike_in_any_company(some: list[Delivery], others: list[Delivery]) -> None:
    """What becomes of a message does not depend on the batch it is in."""
    together = decode([*some, *others], LAYOUT, LIMITS, GATE, NO_GAP)
    alone = decode(others, LAYOUT, LIMITS, GATE, NO_GAP)
    reasons = {reject.delivery: reject.reason for reject in together.rejects}
    assert {reject.delivery + len(some): reject.reason for reject in alone.rejects} == {
        index: reason for index, reason in reasons.items() if index >= len(some)
    }
    for whole, part in ((together.events, alone.events), (together.counts, alone.counts)):
        fields = [name for name in whole.dtype.names or () if name != "delivery"]
        rest = whole[whole["delivery"] >= len(some)]
        for name in fields:
            np.testing.assert_array_equal(rest[name], part[name])


@given(DELIVERIES)
def test_what_is_accepted_fits_the_tables(delivery: Delivery) -> None:
    """A reading that passes lies in the window, in int32 and in the closed set of statuses."""
    decoded = decode([delivery], LAYOUT, LIMITS, GATE, NO_GAP)
    for readings in (decoded.events, decoded.counts):
        ahead = readings["time"] - readings["arrived"]
        assert ((-LIMITS.max_lateness <= ahead) & (ahead <= LIMITS.max_future)).all()
    assert (decoded.events["seq"] >= NO_SEQ).all()
    assert not np.isinf(decoded.events["battery"]).any()
    assert (decoded.counts["total"] >= 0).all()
    assert set(decoded.counts["status"].tolist()) <= {b"", b"open", b"full", b"closed"}
