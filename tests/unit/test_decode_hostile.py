"""Decoding whatever arrives: any bytes on any topic with any flags, and every message accounted for exactly."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.hostile import CORPUS, HOME_TOPICS, PARKING_TOPICS, STRANGE_TOPICS, UPLINK_TOPICS, VALID, deliveries_on
from unit.households import HUT, paused, records_in
from unit.worlds import GATE, HOUR, LAYOUT, LIMITS, MINUTE, NO_GAP, NOW, TOPICS, deliver

from processors import uplinks
from processors.decode import Decoded, decode
from processors.gate import Gap, Gate, Pause
from processors.reduce import Moment, World, reduce
from processors.rejects import WHOLE, RejectedError
from schemas.delivery import Delivery
from schemas.topics import Route

_HUT = LAYOUT.privacy.pseudonyms["hut-01"]
TOPICS_IN = [*PARKING_TOPICS, *HOME_TOPICS, *STRANGE_TOPICS.values(), *UPLINK_TOPICS]
MESSAGES = deliveries_on(TOPICS_IN)
GATES = st.sampled_from([GATE, paused(_HUT, Pause(NOW - MINUTE, NOW)), paused(_HUT, Pause(NOW - MINUTE))])
GAPS = st.sampled_from([NO_GAP, Gap(NOW - HOUR, is_open=True)])


def readings_of(decoded: Decoded) -> Counter[Route]:
    """Count what a batch came to: stored, rejected and refused, by route."""
    return +(decoded.count_readings() + Counter(reject.route for reject in decoded.rejects) + decoded.refused)


def may_come_to(delivery: Delivery, gate: Gate) -> set[int]:
    """Tell how many readings a message may stand for: one where it is not read, none where it is a press."""
    topic = TOPICS.parse(delivery.topic)
    if topic.route is Route.CONTROL:
        return {0, 1}
    if UPLINK_TOPICS.get(delivery.topic):
        return {1} if gate.is_paused(_HUT) else {fields_in(delivery)}
    if topic.route is not Route.SENML or topic.asset not in {"hut-01", "hut-0"}:
        return {1}
    if topic.asset == "hut-01" and gate.is_paused(_HUT):
        return {1}
    return {records_in(delivery.payload)}


def fields_in(delivery: Delivery) -> int:
    """Count the readings that an uplink of a home stands for: its fields and those of its history, 1 where not read."""
    if not LAYOUT.homes.homes[LAYOUT.home_of(delivery.topic)].consents or len(delivery.payload) > 256 * 1024:
        return 1
    try:
        uplink = uplinks.parse(TOPICS.parse(delivery.topic).route, delivery.payload)
    except RejectedError:
        return 1
    fields = dict(uplink.fields or {}) if uplink else {}
    history = fields.get("history")
    if isinstance(history, list) and history and all(isinstance(entry, dict) for entry in history):
        del fields["history"]
        return sum(len(entry.keys() - {"timestamp"}) for entry in history) + len(fields) or 1
    return len(fields) or 1


@given(MESSAGES, GATES, GAPS)
def test_a_message_comes_to_as_many_readings_as_it_holds(delivery: Delivery, gate: Gate, gap: Gap) -> None:
    """Whatever it is, decoding does not raise; each reading is stored, rejected or refused, on the message's route."""
    decoded = decode([delivery], LAYOUT, LIMITS, gate, gap)
    route = TOPICS.parse(delivery.topic).route
    readings = readings_of(decoded)
    assert decoded.messages == {route: 1}
    assert set(readings) <= {route}
    assert readings[route] in may_come_to(delivery, gate)
    assert all(0 < len(reject.detail) <= 200 for reject in decoded.rejects)


@given(st.lists(MESSAGES, max_size=10), GATES, GAPS)
def test_a_batch_comes_to_what_its_messages_come_to(sent: list[Delivery], gate: Gate, gap: Gap) -> None:
    """However messages are put together into batches, the ledger counts the same, and the buttons end the same."""
    together = decode(sent, LAYOUT, LIMITS, gate, gap)
    apart: Counter[Route] = Counter()
    for delivery in sent:
        decoded = decode([delivery], LAYOUT, LIMITS, gate, gap)
        apart += readings_of(decoded)
        gate = decoded.homes.gate
    assert readings_of(together) == apart
    assert together.homes.gate == gate
    # Nothing that follows may raise either, or warn.
    with np.errstate(all="raise", under="ignore"):
        reduce(World.unknown(LAYOUT), LAYOUT, together, Moment(now=NOW, clock=NOW, catching_up=False))
    places = [(index, WHOLE) for column in (together.events, together.counts) for index in column["delivery"].tolist()]
    places += together.homes.readings[["delivery", "record"]].tolist()
    places += [(reject.delivery, reject.record) for reject in together.rejects]
    assert len(set(places)) == len(places), "a reading is accounted for twice"
    assert np.isfinite(together.homes.readings["value"]).all()


@pytest.mark.parametrize(
    "topic", [*PARKING_TOPICS[:4], HUT, *STRANGE_TOPICS.values(), *UPLINK_TOPICS], ids=lambda topic: topic[:30]
)
def test_the_whole_corpus_on_every_kind_of_topic(topic: str) -> None:
    """No payload of the corpus gets past or stops the decoding, retained or not."""
    for payload in [*CORPUS.values(), *VALID]:
        for retain in (False, True):
            delivery = deliver(topic, payload, retain=retain)
            (readings,) = readings_of(decode([delivery], LAYOUT, LIMITS, GATE, NO_GAP)).values() or [0]
            assert readings in may_come_to(delivery, GATE)
