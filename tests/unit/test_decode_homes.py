"""Messages of homes: who is heard, what is stored, and that every record is accounted for."""

import json
from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.hostile import HOME_TOPICS, MALFORMED, MALFORMED_CBOR, STRANGE_CBOR, deliveries_on
from unit.households import (
    HUT,
    KITCHEN,
    OTHER,
    SILENT,
    UNKNOWN,
    Household,
    Stored,
    assert_accounted,
    pack,
    reasons,
)
from unit.senml_reference import CARRIER, FAULTY, REFUSED, Record, packs, resolve_pack, to_cbor, to_json
from unit.worlds import DAY, GATE, HOUR, LAYOUT, LIMITS, MINUTE, NO_GAP, NOW, SECOND, TOPICS, deliver

from processors.decode import Unfit, decode
from processors.gate import Gap
from processors.rejects import WHOLE, Limits, Reject
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route, Table

BACK = Gap(NOW - HOUR, is_open=True)
"""We were away, and what was queued for us is arriving."""


def test_a_pack_becomes_rows() -> None:
    """Sensor, time and value of each record stand in their columns, with the message and place they came from."""
    homes = Household()
    sent = [
        pack(
            {"bn": "hut-01/", "n": KITCHEN, "u": "K", "v": 300},
            {"n": "meter", "t": -5, "v": 2},
            {"n": "door", "vb": True},
        ),
        pack({"n": "door", "vb": False, "t": 1_795_298_000}, received_at=NOW + 7),
    ]
    decoded = homes.decode(*sent)
    assert decoded.homes.readings[["delivery", "record"]].tolist() == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert homes.stored(decoded) == [
        Stored(KITCHEN, "Cel", 300 - 273.15, NOW),
        Stored("meter", "kWh", 2, NOW - 5 * SECOND),
        Stored("door", "", 1, NOW),
        Stored("door", "", 0, NOW - 400 * SECOND),
    ]
    assert decoded.messages == {Route.SENML: 2}
    assert_accounted(decoded, sent)


def test_zero_has_no_sign() -> None:
    """The database takes -0 and 0 for one value, and so do we."""
    values = Household().decode(pack({"n": "a", "v": -0.0}, {"n": "b", "u": "A", "v": -0.0})).homes.readings["value"]
    assert not np.signbit(values).any()


def test_cbor_is_told_by_its_first_byte() -> None:
    """Both formats arrive on one topic."""
    homes = Household()
    decoded = homes.decode(deliver(HUT, cbor2.dumps([{0: KITCHEN, 2: 20.5, 6: -1}])), pack({"n": KITCHEN, "v": 21}))
    assert homes.stored(decoded) == [Stored(KITCHEN, "Cel", 20.5, NOW - SECOND), Stored(KITCHEN, "Cel", 21, NOW)]


@pytest.mark.parametrize("payload", [*MALFORMED.values(), *MALFORMED_CBOR.values()], ids=[*MALFORMED, *MALFORMED_CBOR])
def test_what_cannot_be_read_is_one_dead_letter(payload: bytes) -> None:
    """Broken syntax rejects the pack as one."""
    decoded = Household().decode(deliver(HUT, payload))
    assert reasons(decoded) == [(0, WHOLE, Reason.MALFORMED_PAYLOAD)]


@pytest.mark.parametrize("payload", STRANGE_CBOR.values(), ids=STRANGE_CBOR)
def test_what_is_strange_is_accounted_for(payload: bytes) -> None:
    """Whatever tags and keys a pack has."""
    sent = [deliver(HUT, payload)]
    assert_accounted(Household().decode(*sent), sent)


def test_one_bad_record_of_sixty_is_dead_lettered_alone() -> None:
    """Fifty-nine are stored, whatever it is that is wrong with the sixtieth."""
    for wrong in ({"v": "x"}, {"v": 99}, {"n": "hut-02"}, {"n": "-"}, {"t": -9 * 86400}, {"t": 301}, {"u": "°C"}):
        records: list[dict[str, Any]] = [{"n": KITCHEN, "t": -number, "v": 20} for number in range(60)]
        records[31] |= wrong
        sent = [pack(*records)]
        decoded = Household().decode(*sent)
        assert len(decoded.homes.readings) == 59
        assert [(reject.delivery, reject.record, reject.route) for reject in decoded.rejects] == [(0, 31, Route.SENML)]
        assert_accounted(decoded, sent)


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
@pytest.mark.parametrize("is_relative", [True, False])
def test_the_window_of_time_includes_its_edges(ahead: int, reason: Reason | None, is_relative: bool) -> None:
    """A record is accepted from the largest lateness to the largest future, and its neighbours whatever it says."""
    base = [] if is_relative else [{"bt": NOW // SECOND}]
    decoded = Household().decode(pack(*base, {"n": "a", "v": 1, "t": 1e-6 * ahead}, {"n": "a", "v": 1}))
    first = len(base)
    assert reasons(decoded) == ([(0, first, reason)] if reason else [])
    assert decoded.homes.readings["record"].tolist() == ([first + 1] if reason else [first, first + 1])


def test_a_payload_is_too_large_from_the_first_byte_over_the_limit() -> None:
    """Beyond it nothing is parsed."""
    sent = pack({"n": "a", "v": 1})
    size = len(sent.payload)
    for room, wanted in ((size, []), (size - 1, [(0, WHOLE, Reason.PAYLOAD_TOO_LARGE)])):
        assert reasons(Household().decode(sent, limits=Limits(room, DAY, DAY))) == wanted


def test_who_does_not_consent_is_refused_unparsed() -> None:
    """Each message counts as one, whatever is in it, and registers nothing."""
    sent = [
        pack({"n": "a", "v": 1}, {"n": "b", "v": 1}, topic=SILENT),
        deliver(SILENT, b"["),
        deliver(SILENT, bytes(300_000)),
        deliver("city/dwellings/hut-02/x", b"[{}]"),
    ]
    decoded = Household().decode(*sent)
    assert decoded.refused == {Route.SENML: 3, Route.UNROUTABLE: 1}
    assert not decoded.rejects
    assert not decoded.homes.newcomers


@pytest.mark.parametrize(
    ("topic", "reason", "route"),
    [
        (UNKNOWN, Reason.UNKNOWN_ASSET, Route.SENML),
        (TOPICS.pause("cottage"), Reason.UNKNOWN_ASSET, Route.CONTROL),
        ("city/dwellings/hut-01/zigbee", Reason.UNROUTABLE_TOPIC, Route.UNROUTABLE),
        ("city/dwellings/hut-01", Reason.UNROUTABLE_TOPIC, Route.UNROUTABLE),
        ("city/dwellings/cottage/zigbee", Reason.UNROUTABLE_TOPIC, Route.UNROUTABLE),
        ("city/dwellings/HUT-01/senml", Reason.UNKNOWN_ASSET, Route.SENML),
    ],
)
def test_a_topic_that_leads_nowhere_is_rejected(topic: str, reason: Reason, route: Route) -> None:
    """A home that nobody registered is unknown, a topic that nobody expects unroutable."""
    (reject,) = Household().decode(deliver(topic, b'[{"n":"a","v":1}]')).rejects
    assert (reject.reason, reject.route, reject.record) == (reason, route, WHOLE)


def test_a_retained_pack_tells_only_what_has_a_time() -> None:
    """A record whose time counts from now is refused, one with a time of day is a fact like any other."""
    homes = Household()
    told: list[Record] = [{"n": "a", "v": 1}, {"n": "a", "v": 2, "t": -5}, {"n": "b", "v": 3, "t": NOW // SECOND - 60}]
    decoded = homes.decode(pack(*told, {"bt": NOW // SECOND, "n": "a", "v": 4}, retain=True))
    assert homes.stored(decoded) == [Stored("b", "", 3, NOW - MINUTE), Stored("a", "", 4, NOW)]
    assert decoded.refused == {Route.SENML: 2}
    assert [sensor.name for sensor in decoded.homes.newcomers] == ["b", "a"]


def test_a_retained_pack_that_is_wrong_is_a_dead_letter() -> None:
    """Refusing is for what is understood."""
    assert reasons(Household().decode(deliver(HUT, b"[", retain=True))) == [(0, WHOLE, Reason.MALFORMED_PAYLOAD)]


def test_readings_that_the_database_refuses_are_rejected_by_record() -> None:
    """Taking out poison, and its copies, leaves every other reading where it is."""
    good = Household().decode(
        pack({"n": "a", "v": 1}, {"n": "a", "v": 2}), pack({"n": "a", "v": 2}, {"n": "b", "v": 1})
    )
    decoded = good.without([Unfit(Table.DWELLING_READING, good.homes.readings[1:2], "no")])
    assert decoded.homes.readings[["delivery", "record"]].tolist() == [(0, 0), (1, 1)]
    assert decoded.rejects == tuple(
        Reject(delivery, Route.SENML, Reason.DATABASE_REJECTED, "no", record) for delivery, record in ((0, 1), (1, 0))
    )


def test_a_detail_is_short_and_does_not_repeat_the_payload() -> None:
    """What is told of a fault is for people: one short line without the input."""
    secret = "hut-01-s3cr3t"
    for record in ({"n": secret, "v": secret}, {"n": "a", "v": 1, "u": f"{secret} é"}, {"n": f"-{secret}", "v": 1}):
        (reject,) = Household().decode(pack(record)).rejects
        assert 0 < len(reject.detail) <= 200
        assert secret not in reject.detail
    for payload in (json.dumps({secret: 1}).encode(), f"[{{{secret}".encode(), cbor2.dumps({"bver": secret})):
        (reject,) = Household().decode(deliver(HUT, payload)).rejects
        assert secret not in reject.detail


@st.composite
def sent_packs(draw: st.DrawFn) -> tuple[list[Record], Delivery]:
    """Draw a pack of a home, in either format, as it is sent."""
    records = draw(packs())
    payload = draw(st.just(to_json(records)) | to_cbor(records))
    return records, deliver(draw(st.sampled_from([HUT, OTHER])), payload, retain=draw(st.booleans()))


@given(st.lists(sent_packs(), max_size=5))
def test_every_record_is_accounted_for_exactly_once(sent: list[tuple[list[Record], Delivery]]) -> None:
    """Stored, refused, rejected and carriers are the records of a batch: as many as the rules say, each one once."""
    deliveries = [delivery for _, delivery in sent]
    decoded = Household().decode(*deliveries)
    assert_accounted(decoded, deliveries)
    outcomes = [(index, at, told) for index, (pack, _) in enumerate(sent) for at, told in enumerate(resolve_pack(pack))]
    stored = set(decoded.homes.readings[["delivery", "record"]].tolist())
    rejected = {(reject.delivery, reject.record) for reject in decoded.rejects}
    carriers = {(index, at) for index, at, told in outcomes if told == CARRIER}
    assert not carriers & (stored | rejected)
    assert len(stored) + len(rejected) + decoded.refused[Route.SENML] + len(carriers) == len(outcomes)
    for index, at, told in outcomes:
        if told == REFUSED:
            assert (index, at) not in stored | rejected
        if told == FAULTY:
            assert (index, at) not in stored
            assert (index, at) in rejected or deliveries[index].retain


@given(st.lists(deliveries_on(HOME_TOPICS), max_size=5), st.lists(deliveries_on([SILENT, UNKNOWN, OTHER]), max_size=5))
def test_a_pack_decodes_alike_in_any_company(some: list[Delivery], others: list[Delivery]) -> None:
    """What becomes of a pack does not depend on the batch it is in, as long as its sensors have room."""
    others = [delivery for delivery in others if TOPICS.parse(delivery.topic).route is Route.SENML]
    some = [delivery for delivery in some if delivery.topic != TOPICS.pause("hut-0")]
    together, alone = (decode(batch, LAYOUT, LIMITS, GATE, NO_GAP) for batch in ([*some, *others], others))
    first = len(some)
    assert [(reject.delivery - first, *reject[1:]) for reject in together.rejects if reject.delivery >= first] == [
        tuple(reject) for reject in alone.rejects
    ]
    columns = ["record", "time", "value"]
    mine = together.homes.readings[together.homes.readings["delivery"] >= first]
    assert mine[columns].tolist() == alone.homes.readings[columns].tolist()


@given(deliveries_on(HOME_TOPICS))
def test_what_is_accepted_lies_in_the_window(delivery: Delivery) -> None:
    """No time too old, too new or wrapped around is stored."""
    readings = decode([delivery], LAYOUT, LIMITS, GATE, NO_GAP).homes.readings
    ahead = readings["time"] - delivery.received_at
    assert ((-LIMITS.max_lateness <= ahead) & (ahead <= LIMITS.max_future)).all()


def test_a_record_that_is_too_late_is_only_counted() -> None:
    """The pauses of its time may be forgotten, so nothing of it is kept."""
    decoded = Household().decode(pack({"n": "a", "v": 1, "t": -9 * 86400}, {"n": "a", "v": 1, "t": 301}))
    assert [(reject.reason, reject.is_kept) for reject in decoded.rejects] == [
        (Reason.TIME_TOO_LATE, False),
        (Reason.TIME_IN_FUTURE, True),
    ]
