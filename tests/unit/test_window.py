"""The window and the consumer's use of it, case by case; any schedule of faults is for test_window_model."""

from itertools import pairwise

import mqtt5
from unit.worlds import NOW

from ingest.inbox import Inbox
from ingest.metrics import Metrics
from ingest.mqtt import Consumer, Identity
from ingest.window import Window
from schemas.delivery import Delivery
from schemas.settings import BrokerAddress


def delivery_of(epoch: int, packet_id: int | None) -> Delivery:
    """Give a delivery."""
    return Delivery(epoch, packet_id, "t", b"", retain=False, received_at=NOW)


def test_an_identifier_used_again_is_not_acknowledged_for_the_old_message() -> None:
    """A late acknowledgement would confirm a message that nobody stored."""
    window = Window(10)
    old = delivery_of(window.open(session_present=False), 1)
    window.received(1)
    window.close()
    assert window.acknowledge([old]) == []
    new = delivery_of(window.open(session_present=True), 1)
    window.received(1)
    assert window.acknowledge([old]) == []
    assert window.unacknowledged == 1
    assert window.acknowledge([new]) == [1]
    assert window.unacknowledged == 0


def test_only_what_the_session_still_holds_will_return() -> None:
    """Deliveries from before a lost session never come again; those from after it do, once it is found."""
    window = Window(10)
    first = window.open(session_present=True)
    assert not window.will_return(first)
    second = window.open(session_present=True)
    assert window.will_return(first)
    third = window.open(session_present=False)
    assert not any(window.will_return(epoch) for epoch in (first, second, third))
    window.open(session_present=True)
    assert [window.will_return(epoch) for epoch in (first, second, third)] == [False, False, True]


def test_a_session_found_after_a_lost_answer_may_be_a_new_one() -> None:
    """Where a CONNECT got no answer, the next one may find the session that it began: what is held is kept."""
    window = Window(10)
    window.connecting()
    first = window.open(session_present=False)
    for _ in range(2):
        window.connecting()
    second = window.open(session_present=True)
    assert not window.will_return(first)
    window.connecting()
    window.open(session_present=True)
    assert [window.will_return(epoch) for epoch in (first, second)] == [False, True]


def test_messages_without_a_window_take_no_room_in_it() -> None:
    """QoS 0 has no identifier, is not counted and not acknowledged."""
    window = Window(10)
    epoch = window.open(session_present=False)
    window.received(None)
    assert window.unacknowledged == 0
    assert window.acknowledge([delivery_of(epoch, None)]) == []
    assert window.unacknowledged == 0


def test_a_broker_may_overshoot_the_window() -> None:
    """An old mosquitto sends more than it was allowed; the ratio says so."""
    window = Window(2)
    window.open(session_present=False)
    for identifier in (1, 2, 3):
        window.received(identifier)
    assert window.ratio == 1.5


def consumer_of(inbox: Inbox, window: Window) -> Consumer:
    """Give a consumer that is not connected."""
    identity = Identity("arceaux", (), ("city/parking/#",), "city/status/arceaux", str.encode)
    return Consumer(BrokerAddress("mqtt://localhost"), identity, inbox, window, Metrics())


def publications(*identifiers: int) -> list[mqtt5.PublishPacket]:
    """Give messages under these packet identifiers."""
    return [mqtt5.PublishPacket("t", b"", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number) for number in identifiers]


def test_a_session_found_again_brings_back_what_is_dropped() -> None:
    """On a connection with the session present, what was not yet taken is dropped: it is delivered again."""
    inbox = Inbox(10)
    consumer = consumer_of(inbox, Window(10))
    consumer.on_connack(mqtt5.ConnAckPacket(session_present=False))
    consumer.on_publish(publications(1, 2))
    consumer.on_connack(mqtt5.ConnAckPacket(session_present=True))
    assert inbox.take() == []


def test_what_a_lost_session_left_with_us_outlives_the_next_session() -> None:
    """What the broker has forgotten is only here: a later connection that finds a session must not drop it."""
    inbox = Inbox(10)
    consumer = consumer_of(inbox, Window(10))
    consumer.on_connack(mqtt5.ConnAckPacket(session_present=False))
    consumer.on_publish(publications(1, 2))
    consumer.on_connack(mqtt5.ConnAckPacket(session_present=False))
    consumer.on_publish(publications(1))
    consumer.on_connack(mqtt5.ConnAckPacket(session_present=True))
    assert [(delivery.epoch, delivery.packet_id) for delivery in inbox.take()] == [(1, 1), (1, 2)]


def test_a_connection_refused_begins_no_epoch() -> None:
    """Only a connection that was accepted makes older deliveries unacknowledgeable."""
    window = Window(10)
    consumer = consumer_of(Inbox(10), window)
    consumer.on_connack(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.SERVER_BUSY))
    assert window.epoch == 0


def test_messages_of_one_read_arrive_one_after_the_other() -> None:
    """Messages without a time of their own keep their order: no two arrive in the same microsecond."""
    inbox = Inbox(100)
    consumer = consumer_of(inbox, Window(100))
    consumer.on_connack(mqtt5.ConnAckPacket(session_present=False))
    consumer.on_publish(publications(*range(1, 21)))
    consumer.on_publish(publications(*range(21, 41)))
    arrivals = [delivery.received_at for delivery in inbox.take()]
    assert len(arrivals) == 40
    assert all(later > earlier for earlier, later in pairwise(arrivals))
