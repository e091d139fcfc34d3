"""Dead letters as rows, and the balance of a batch."""

import hashlib
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import GATE, LAYOUT, LIMITS, NO_GAP, NOW, SECOND, TOPICS, decoded_of, deliver

from processors.dead_letters import DeadLetter, Tally, dead_letters, tally
from processors.decode import Unfit, decode
from processors.privacy import KEPT_BYTES
from processors.reduce import Moment, World, reduce
from processors.rejects import Limits, Reject
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route, Table

SPOT = TOPICS.spot("ANTI", "P-01")
COUNTER = TOPICS.count("COME")
HOME = TOPICS.senml("hut-01")
BUTTON = TOPICS.pause("hut-01")


def reject(index: int, route: Route = Route.SPOT, reason: Reason = Reason.MALFORMED_PAYLOAD) -> Reject:
    """Reject a message of a batch."""
    return Reject(index, route, reason, "why")


def test_a_dead_letter_tells_all_of_its_message() -> None:
    """Topic, payload, size, reason, detail and time of receipt are kept as they were."""
    delivery = deliver(SPOT, b"{", received_at=NOW + 5)
    (letter,) = dead_letters([reject(0)], [delivery], LAYOUT)
    assert letter._asdict() == {
        "received_at": NOW + 5,
        "topic": SPOT,
        "payload": b"{",
        "size": 1,
        "digest": hashlib.sha256(SPOT.encode() + b"\0{").digest(),
        "reason": Reason.MALFORMED_PAYLOAD,
        "detail": "why",
        "seen": 1,
        "repeats": 0,
        "last_seen_at": NOW + 5,
        "route": Route.SPOT,
        "source": SPOT,
    }


def test_a_topic_with_a_nul_can_be_stored() -> None:
    """The database's texts have none, and one message must not stop the stream; the digest is of what came."""
    topic = "city/parking/\0/count"
    (letter,) = dead_letters([reject(0)], [deliver(topic, b"{}")], LAYOUT)
    assert letter.topic == "city/parking/\ufffd/count"
    assert letter.digest == hashlib.sha256(topic.encode() + b"\0{}").digest()


def test_repeats_of_a_message_are_counted_on_one_row() -> None:
    """The same topic and payload again is a repeat; the first receipt stands, and the last is noted."""
    times = [NOW + 2 * SECOND, NOW + 9 * SECOND, NOW]
    deliveries = [deliver(SPOT, b"{", received_at=time) for time in times]
    (letter,) = dead_letters([reject(index) for index in range(3)], deliveries, LAYOUT)
    assert letter.repeats == 2
    assert letter.received_at == times[0]
    assert letter.last_seen_at == max(times)


@pytest.mark.parametrize("other", [(COUNTER, b"{"), (SPOT, b"["), (SPOT, b""), (SPOT + "{", b"")])
def test_another_topic_or_payload_is_another_dead_letter(other: tuple[str, bytes]) -> None:
    """Only what is the same in both is a repeat, and topic and payload do not run together."""
    letters = dead_letters([reject(0), reject(1)], [deliver(SPOT, b"{"), deliver(*other)], LAYOUT)
    assert [letter.repeats for letter in letters] == [0, 0]
    assert len({letter.digest for letter in letters}) == 2


@pytest.mark.parametrize("size", [0, KEPT_BYTES - 1, KEPT_BYTES, KEPT_BYTES + 1, 5 * KEPT_BYTES])
def test_a_long_payload_is_cut_with_its_true_size_and_digest(size: int) -> None:
    """The first 64 KiB are kept; size and digest are those of the whole."""
    payload = bytes(index % 251 for index in range(size))
    (letter,) = dead_letters([reject(0)], [deliver(SPOT, payload)], LAYOUT)
    assert letter.payload == payload[: 64 * 1024]
    assert letter.size == size
    assert letter.digest == hashlib.sha256(SPOT.encode() + b"\0" + payload).digest()


def test_payloads_that_differ_beyond_the_cut_are_two_dead_letters() -> None:
    """Two messages alike in what is kept are told apart by their digests."""
    deliveries = [deliver(SPOT, b"x" * KEPT_BYTES + tail) for tail in (b"a", b"b")]
    first, second = dead_letters([reject(0), reject(1)], deliveries, LAYOUT)
    assert first.payload == second.payload
    assert first.digest != second.digest


def test_no_rejects_are_no_dead_letters() -> None:
    """A good batch has none."""
    assert dead_letters([], [deliver(SPOT, {"occupied": True})], LAYOUT) == ()


DELIVERIES = st.lists(
    st.builds(
        lambda topic, body, retain, ago: deliver(topic, body, retain=retain, received_at=NOW - ago),
        st.sampled_from([SPOT, COUNTER, TOPICS.spot("X", "Y"), "elsewhere", HOME, BUTTON, TOPICS.senml("cottage")]),
        st.sampled_from(
            [
                *(b"", b"{", b'{"occupied":true}', b'{"free":1}', b'{"occupied":true,"free":2,"time":1795298400}'),
                *(b'[{"n":"a","v":1,"t":1795298400},{"n":"a","v":"x"},{"n":"hut-02","v":1},{"bn":"b"}]', b"on", b"off"),
            ]
        ),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=14,
)


def seen_on(route: Route, letters: list[DeadLetter]) -> int:
    """Count the readings that letters of a route stand for."""
    return sum(letter.seen for letter in letters if letter.route is route)


@given(DELIVERIES, st.data())
def test_the_tally_of_a_batch_balances_whatever_was_there_before(
    deliveries: list[Delivery], data: st.DataObject
) -> None:
    """Received = stored + duplicate + dead-lettered + refused on every route, none of them negative."""
    decoded = decode(deliveries, LAYOUT, LIMITS, GATE, NO_GAP)
    reduced = reduce(World.unknown(LAYOUT), LAYOUT, decoded, Moment(NOW, NOW, catching_up=False))
    letters = dead_letters(decoded.rejects, deliveries, LAYOUT)
    assert sum(letter.seen + letter.repeats for letter in letters) == len(decoded.rejects)
    stored = {
        Route.SPOT: data.draw(st.integers(0, len(reduced.events))),
        Route.COUNT: data.draw(st.integers(0, len(reduced.counts))),
        Route.SENML: data.draw(st.integers(0, len(reduced.homes.readings))),
    }
    new = [letter for letter in letters if letter.is_summary or data.draw(st.booleans())]
    tallies = tally(decoded, stored, {route: seen_on(route, new) for route in Route})
    assert sum(one.messages for one in tallies.values()) == len(deliveries)
    assert set(tallies) == {route for route in Route if decoded.messages[route]}
    for route, one in tallies.items():
        rejected = sum(reject.route is route for reject in decoded.rejects)
        assert one.readings == decoded.count_readings()[route] + rejected + decoded.refused[route]
        assert one.readings == one.messages or route in {Route.SENML, Route.CONTROL}
        assert min(one.stored, one.duplicate, one.dead_lettered, one.refused) >= 0
        assert one.stored == stored.get(route, 0)
        assert one.dead_lettered == seen_on(route, new)
        assert one.refused == decoded.refused[route]


def test_what_is_neither_new_nor_refused_was_there_before() -> None:
    """A batch that the database has already seen is all duplicates."""
    deliveries = [deliver(SPOT, {"occupied": True, "time": NOW})] * 3 + [deliver(SPOT, b"{")] * 2
    decoded = decode(deliveries, LAYOUT, LIMITS, GATE, NO_GAP)
    assert tally(decoded, {}, {}) == {Route.SPOT: Tally(5, 0, 5, 0, 0)}
    assert tally(decoded, {Route.SPOT: 1}, {Route.SPOT: 1}) == {Route.SPOT: Tally(5, 1, 3, 1, 0)}


def test_a_pack_is_tallied_by_its_records() -> None:
    """One message is as many readings as it has records to count; a press is a message without a reading."""
    records = [{"n": "a", "v": 1}, {"n": "a", "v": 2}, {"n": "a", "vs": "x"}, {"n": "a", "v": "x"}, {"bn": "b"}]
    deliveries = [deliver(HOME, json.dumps(records).encode()), deliver(BUTTON, b"off"), deliver(BUTTON, b"")]
    decoded = decode(deliveries, LAYOUT, LIMITS, GATE, NO_GAP)
    tallies = tally(decoded, {Route.SENML: 1}, {Route.SENML: 1})
    assert tallies == {Route.SENML: Tally(1, 1, 1, 1, 1), Route.CONTROL: Tally(2, 0, 0, 0, 0)}
    assert [tallies[route].readings for route in (Route.SENML, Route.CONTROL)] == [4, 0]


def test_an_empty_batch_has_no_tally() -> None:
    """A tick writes nothing to the ledger."""
    assert tally(decoded_of(), {}, {}) == {}


def test_every_reason_can_become_a_dead_letter() -> None:
    """Each message that cannot be used stands in one row with its own reason."""
    limits = Limits(1000, LIMITS.max_lateness, LIMITS.max_future)
    deliveries = [
        deliver("elsewhere", b""),
        deliver(SPOT, b"x" * 1001),
        deliver(SPOT, b"{"),
        deliver(SPOT, b"{}"),
        deliver(TOPICS.spot("ANTI", "P-99"), b""),
        deliver(SPOT, {"occupied": True, "time": "2026-11-21T22:00:00"}),
        deliver(SPOT, {"occupied": True, "time": 0}),
        deliver(SPOT, {"occupied": True, "time": 2 * NOW}),
        deliver(COUNTER, {"free": 2**31}),
        deliver(HOME, b'[{"n":"a","v":1},{"n":"b","v":1},{"n":"c","v":1},{"n":"d","v":1}]'),
        deliver(HOME, b'[{"n":"hut-02/temperature","v":1}]'),
        deliver(COUNTER, {"free": 1}),
    ]
    good = decode(deliveries, LAYOUT, limits, GATE, NO_GAP)
    decoded = good.without([Unfit(Table.PARKING_COUNT, good.counts, "no")])
    letters = dead_letters(decoded.rejects, deliveries, LAYOUT)
    assert Counter(letter.reason for letter in letters) == dict.fromkeys(Reason, 1)
