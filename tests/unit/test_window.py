"""The acknowledgement tracker against a model of a broker that redelivers and uses packet identifiers again."""

from collections import deque
from itertools import pairwise

import mqtt5
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from unit.worlds import NOW

from ingest.inbox import Inbox
from ingest.metrics import Metrics
from ingest.mqtt import Consumer, Identity
from ingest.window import Window
from schemas.delivery import Delivery
from schemas.settings import BrokerAddress

WINDOW = 4


class BrokerModel:
    """A session: messages in flight by packet identifier, and those that wait for room. The lowest free one is used."""

    def __init__(self) -> None:
        self.waiting: deque[int] = deque()
        self.in_flight: dict[int, int] = {}

    def send(self) -> tuple[int, int] | None:
        """Give the next message as (packet identifier, message), None where the window is full or nothing waits."""
        if not self.waiting or len(self.in_flight) >= WINDOW:
            return None
        identifier = next(number for number in range(1, WINDOW + 1) if number not in self.in_flight)
        self.in_flight[identifier] = self.waiting.popleft()
        return identifier, self.in_flight[identifier]

    def connect(self) -> None:
        """Send everything unacknowledged again, from the start, under identifiers that need not be the old ones."""
        self.waiting.extendleft(reversed(self.in_flight.values()))
        self.in_flight.clear()

    def holds(self, message: int) -> bool:
        """Tell whether the message will be sent again, unless it is acknowledged."""
        return message in self.waiting or message in self.in_flight.values()


class AcknowledgementMachine(RuleBasedStateMachine):
    """A pipeline in miniature: an inbox, one batch at a time, and the window that decides what to acknowledge."""

    def __init__(self) -> None:
        super().__init__()
        self.window, self.inbox, self.broker = Window(WINDOW), Inbox(3), BrokerModel()
        self.connected = False
        self.line_is_cut = False
        self.batch: list[Delivery] = []
        self.published = 0
        self.committed: set[int] = set()
        self.forgotten: set[int] = set()
        """Messages that the broker lost with a session before we had them: nobody can bring them back."""
        self.orphans: set[int] = set()
        """Messages that the broker lost with a session while we had them."""
        self.received: list[Delivery] = []
        self.acknowledged: list[int] = []
        self.held: deque[Delivery] = deque()

    @rule(count=st.integers(1, 4))
    def publish(self, count: int) -> None:
        """Let a device publish; the broker acknowledges to it and from then on owes the message to us."""
        self.broker.waiting.extend(range(self.published, self.published + count))
        self.published += count

    @precondition(lambda self: not self.connected)
    @rule(kept=st.booleans())
    def connect(self, kept: bool) -> None:
        """Connect to a broker that has kept our session, or has lost it with all it held."""
        if kept:
            self.broker.connect()
        else:
            ours = {message_of(delivery) for delivery in (*self.held, *self.batch)}
            lost = {*self.broker.waiting, *self.broker.in_flight.values()}
            self.forgotten |= lost - ours
            self.orphans |= lost & ours
            self.broker = BrokerModel()
        epoch = self.window.open(session_present=kept)
        assert all(delivery.epoch < epoch for delivery in (*self.held, *self.batch))
        self.connected, self.line_is_cut = True, False
        self.received, self.acknowledged = [], []

    @precondition(lambda self: self.connected)
    @rule()
    def disconnect(self) -> None:
        """End the connection."""
        self.window.close()
        self.connected = False

    @precondition(lambda self: self.connected)
    @rule()
    def cut_the_line(self) -> None:
        """Let nothing pass any more, before we have noticed."""
        self.line_is_cut = True

    @precondition(lambda self: self.connected and not self.line_is_cut)
    @rule(count=st.integers(1, WINDOW), unacknowledgeable=st.booleans())
    def deliver(self, count: int, unacknowledgeable: bool) -> None:
        """Let messages arrive, perhaps one of QoS 0 before them."""
        sent = [pair for pair in (self.broker.send() for _ in range(count)) if pair is not None]
        pairs: list[tuple[int | None, int]] = [*([(None, -1)] if unacknowledgeable else []), *sent]
        deliveries = [
            Delivery(self.window.epoch, identifier, str(message), b"", retain=False, received_at=NOW)
            for identifier, message in pairs
        ]
        for delivery in deliveries:
            self.window.received(delivery.packet_id)
        self.inbox.put(deliveries)
        self.held.extend(deliveries)
        self.received += [delivery for delivery in deliveries if delivery.packet_id is not None]

    @precondition(lambda self: not self.batch)
    @rule()
    def begin_batch(self) -> None:
        """Take a batch; what will be sent again is dropped instead of stored."""
        batch = self.inbox.take()
        for delivery in batch:
            assert self.held.popleft() is delivery
        if batch and not self.window.will_return(batch[0].epoch):
            self.batch = batch

    @precondition(lambda self: self.batch)
    @rule()
    def fail(self) -> None:
        """Let the database refuse: the batch is kept to be tried again, and still counts as unacknowledged."""
        ours = [d for d in self.batch if d.packet_id is not None and d.epoch == self.window.epoch]
        assert self.window.unacknowledged >= (len(ours) if self.connected else 0)

    @rule()
    def crash(self) -> None:
        """Kill the process and start another; what the broker had forgotten before, and only we held, is gone."""
        only_here = {message_of(delivery) for delivery in (*self.held, *self.batch) if delivery.packet_id is not None}
        self.forgotten |= {message for message in only_here & self.orphans if not self.broker.holds(message)}
        self.window, self.inbox = Window(WINDOW), Inbox(3)
        self.held.clear()
        self.batch = []
        self.connected, self.received, self.acknowledged = False, [], []

    @precondition(lambda self: self.batch)
    @rule()
    def commit(self) -> None:
        """Commit the transaction; what still belongs to this connection is acknowledged."""
        batch, self.batch = self.batch, []
        self.committed |= {message_of(delivery) for delivery in batch if delivery.packet_id is not None}
        identifiers = self.window.acknowledge(batch)
        ours = [d.packet_id for d in batch if d.packet_id is not None and d.epoch == self.window.epoch]
        assert identifiers == (ours if self.connected else [])
        self.acknowledged += identifiers
        if not self.line_is_cut:
            for identifier in identifiers:
                assert self.broker.in_flight.pop(identifier) in self.committed

    @invariant()
    def acknowledgements_go_out_in_the_order_of_receipt(self) -> None:
        """Check that what was acknowledged on a connection is the beginning of what was received on it."""
        order = [delivery.packet_id for delivery in self.received]
        assert self.acknowledged == order[: len(self.acknowledged)]

    @invariant()
    def the_window_counts_what_is_unacknowledged(self) -> None:
        """Check that the count is exact, and so never negative."""
        expected = len(self.received) - len(self.acknowledged) if self.connected else 0
        assert self.window.unacknowledged == expected
        assert self.window.ratio == expected / WINDOW

    @invariant()
    def nothing_is_lost(self) -> None:
        """Check that every message is committed, still owed by the broker, or held here and not to be dropped."""
        safe = {message_of(delivery) for delivery in self.batch}
        safe |= {message_of(delivery) for delivery in self.held if not self.window.will_return(delivery.epoch)}
        for message in range(self.published):
            assert (
                message in self.committed or message in self.forgotten or message in safe or self.broker.holds(message)
            ), f"message {message} is lost"


def message_of(delivery: Delivery) -> int:
    """Give the number of a delivery's message; -1 for those of QoS 0."""
    return int(delivery.topic)


AcknowledgementMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAcknowledgements = AcknowledgementMachine.TestCase


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
