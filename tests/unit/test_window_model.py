"""The acknowledgement tracker against a model of a broker: window, inbox and consumer under any schedule of faults."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import mqtt5
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from unit.broker_model import BrokerModel

from ingest.inbox import Inbox
from ingest.metrics import Metrics
from ingest.mqtt import Consumer, Identity
from ingest.window import Window
from schemas.delivery import Delivery
from schemas.settings import BrokerAddress

WINDOW = 8
BATCH = 3
AHEAD = 2
"""Batches taken and not begun: one decoded, one that waits for its place (see Pipeline)."""
UNNUMBERED = -1
"""A message of QoS 0: nobody owes it to anybody."""

METRICS = Metrics()
IDENTITY = Identity("arceaux", (), ("city/parking/#",), "city/status/arceaux", str.encode)
COUNTS = st.integers(1, WINDOW)


class RecordingWindow(Window):
    """A window that keeps what was acknowledged on the present connection."""

    def __init__(self) -> None:
        super().__init__(WINDOW)
        self.sent: list[int] = []

    def acknowledge(self, deliveries: Iterable[Delivery]) -> list[int]:
        """Give the identifiers to acknowledge now, and keep them."""
        identifiers = super().acknowledge(deliveries)
        self.sent += identifiers
        return identifiers


class ServiceModel:
    """The real consumer, inbox and window, and the places of the pipeline: batches taken, the one in the database."""

    def __init__(self) -> None:
        self.window, self.inbox = RecordingWindow(), Inbox(BATCH)
        self.consumer = Consumer(BrokerAddress("mqtt://localhost"), IDENTITY, self.inbox, self.window, METRICS)
        self.is_connected = False
        self.received: list[int] = []
        """Identifiers of the present connection, in order of arrival."""
        self.waiting: deque[Delivery] = deque()
        """What the inbox should hold."""
        self.ahead: deque[list[Delivery]] = deque()
        self.batch: list[Delivery] = []
        self.is_committed = False

    @property
    def held(self) -> list[Delivery]:
        """All that was received and is not settled."""
        return [*self.batch, *(delivery for batch in self.ahead for delivery in batch), *self.waiting]

    def kept(self) -> set[int]:
        """Give the messages that are here and will not be dropped."""
        return {message_of(delivery) for delivery in self.held if not self.window.will_return(delivery.epoch)}

    def connected(self, *, session_present: bool) -> None:
        """Take CONNACK; what comes again is dropped, and the rest kept."""
        self.consumer.on_connack(mqtt5.ConnAckPacket(session_present=session_present))
        self.waiting = deque(one for one in self.waiting if not self.window.will_return(one.epoch))
        self.is_connected = True
        self.received, self.window.sent = [], []

    def read(self, packets: Sequence[tuple[int | None, int]]) -> None:
        """Take what one read brings."""
        self.consumer.on_publish([packet(identifier, message) for identifier, message in packets])
        epoch = self.window.epoch
        self.waiting += [Delivery(epoch, number, str(message), b"", False, 0) for number, message in packets]  # noqa: FBT003 - columns
        self.received += [identifier for identifier, _ in packets if identifier is not None]

    def gather(self) -> None:
        """Take a batch: what came first, in order, unless both places are taken."""
        if len(self.ahead) < AHEAD and (batch := self.inbox.take()):
            assert [delivery[:3] for delivery in batch] == [self.waiting.popleft()[:3] for _ in batch]
            self.ahead.append(batch)

    def begin(self) -> None:
        """Go on with the next batch, or with the same once more; what comes again anyway is not stored."""
        batch = self.batch or self.ahead.popleft()
        self.batch = [] if self.window.will_return(batch[0].epoch) else batch

    def halve(self) -> None:
        """Settle the first half of the batch, then the second."""
        middle = len(self.batch) // 2
        self.ahead.extendleft(half for half in (self.batch[middle:], self.batch[:middle]) if half)
        self.batch = []

    def learn(self) -> list[int]:
        """Learn that the batch is committed, and acknowledge it; give what goes out."""
        already = len(self.window.sent)
        self.consumer.acknowledge(self.batch)
        self.batch, self.is_committed = [], False
        return self.window.sent[already:]


class Commit(StrEnum):
    """How a try to commit ends."""

    DONE = "done"
    TO_BE_TRIED_AGAIN = "to be tried again"
    TO_BE_DECODED_AGAIN = "to be decoded again"
    TOO_SLOW = "too slow"


COMMITS = (Commit.DONE, *Commit)


class AcknowledgementMachine(RuleBasedStateMachine):
    """Devices, a broker, a line and a service: each rule is one step of one of them, in whatever order.

    It was seen to find each of these mistakes, made on purpose but for one that it found by itself (*):

    * acknowledgements of an earlier connection, on no connection, in another order, or an epoch that is not raised
    * a count that leaves out messages, counts those of QoS 0, or outlasts its connection
    * dropping at a reconnect what only the service has: after a lost session, after one lost some connections ago, or
      after one that a CONNECT without an answer began (*)
    * dropping what is of the present connection, or what does not come again, or all
    * batches out of order, and an inbox that stays full for a wrong sum
    """

    renumbers = False

    def __init__(self) -> None:
        super().__init__()
        self.broker = BrokerModel(WINDOW, renumbers=self.renumbers)
        self.service = ServiceModel()
        self.published = 0
        self.owed: set[int] = set()
        self.orphans: set[int] = set()
        """Messages that the broker lost with a session while the service had them."""
        self.committed: set[int] = set()
        # From the first session on the promise holds.
        self.connection_goes_on(answered=True)

    @rule(count=COUNTS)
    def publish(self, count: int) -> None:
        """Let a device publish; the broker acknowledges to it and owes the messages to the service from then on."""
        for message in range(self.published, self.published + count):
            self.broker.publish(message)
        if self.broker.has_session:
            self.owed |= set(range(self.published, self.published + count))
        self.published += count

    @rule(count=COUNTS, unnumbered=st.booleans())
    def messages_arrive(self, count: int, unnumbered: bool) -> None:
        """Let one read bring messages, perhaps one of QoS 0 before them, unless the service has stopped reading."""
        if not self.service.is_connected or self.service.inbox.is_full:
            return
        down = self.broker.down
        packets: list[tuple[int | None, int]] = [(None, UNNUMBERED)] if unnumbered else []
        packets += [down.popleft() for _ in range(min(count, len(down)))]
        if packets:
            self.service.read(packets)

    @rule(count=COUNTS)
    def acknowledgements_arrive(self, count: int) -> None:
        """Let PUBACKs reach the broker: each confirms a message that is committed."""
        for _ in range(min(count, len(self.broker.up))):
            message = self.broker.take_acknowledgement()
            assert message in self.committed, f"message {message} is acknowledged and not committed"

    @rule()
    def the_line_breaks(self) -> None:
        """Lose what is on the line; neither end notices."""
        self.broker.cut()

    @rule(answered=st.booleans())
    def connection_goes_on(self, answered: bool) -> None:
        """End the connection or open one; where the answer is lost, the broker may have a session that is new."""
        service = self.service
        if service.is_connected:
            service.window.close()
            service.is_connected = False
            return
        service.window.connecting()
        session_present = self.broker.connect()
        if answered:
            service.connected(session_present=session_present)
        else:
            self.broker.cut()

    @rule()
    def the_session_is_forgotten(self) -> None:
        """Restart the broker without its sessions: only what the service holds, and will not drop, is still there."""
        kept = self.service.kept()
        lost = self.broker.forget()
        self.orphans |= lost & kept
        self.owed -= lost - kept - self.committed

    @rule()
    def gathering_goes_on(self) -> None:
        """Take a batch."""
        self.service.gather()

    @rule(commit=st.sampled_from(COMMITS))
    def settling_goes_on(self, commit: Commit) -> None:
        """Take a batch, begin with it, try to commit it, or learn that it is committed: whatever is next."""
        service = self.service
        if service.is_committed:
            self.broker.acknowledge(service.learn())
        elif not service.batch and not service.ahead:
            service.gather()
        elif not service.batch:
            service.begin()
        elif commit is Commit.DONE:
            self.committed |= {message_of(delivery) for delivery in service.batch} - {UNNUMBERED}
            service.is_committed = True
        elif commit is Commit.TO_BE_DECODED_AGAIN:
            service.begin()
        elif commit is Commit.TOO_SLOW:
            service.halve()

    @rule()
    def the_service_is_killed(self) -> None:
        """Kill the process and start another; what nobody but it had is gone."""
        self.owed -= self.orphans - self.committed
        self.service = ServiceModel()
        self.broker.cut()

    @invariant()
    def nothing_is_lost(self) -> None:
        """Check that what is owed is committed, will be sent, or is here and will be committed."""
        lost = self.owed - self.committed - self.broker.held - self.service.kept()
        assert not lost, f"lost: {lost}"

    @invariant()
    def the_window_counts_what_is_unacknowledged(self) -> None:
        """Check that the count is exact, and what was acknowledged the beginning of what was received."""
        service = self.service
        sent, received = service.window.sent, service.received
        assert sent == received[: len(sent)]
        expected = len(received) - len(sent) if service.is_connected else 0
        assert service.window.unacknowledged == expected
        assert service.window.ratio == expected / WINDOW

    @invariant()
    def memory_is_bounded(self) -> None:
        """Check that no more waits than two batches and the read that filled them."""
        assert len(self.service.inbox) == len(self.service.waiting) < 2 * BATCH + WINDOW + 1

    def teardown(self) -> None:
        """Let no more faults happen: everything that is owed gets committed, and is acknowledged."""
        if self.service.is_connected:
            self.connection_goes_on(answered=True)
        self.connection_goes_on(answered=True)
        steps = iter(range(4 * (self.published + 4)))
        while (self.broker.held or self.service.held) and next(steps, None) is not None:
            self.messages_arrive(WINDOW, unnumbered=False)
            self.gathering_goes_on()
            self.settling_goes_on(Commit.DONE)
            self.acknowledgements_arrive(WINDOW)
        assert self.owed <= self.committed, f"never committed: {self.owed - self.committed}"
        assert not self.broker.held, f"never acknowledged: {self.broker.held}"
        assert (len(self.service.held), self.service.window.unacknowledged) == (0, 0)


def packet(identifier: int | None, message: int) -> mqtt5.PublishPacket:
    """Give a message as it arrives, at QoS 0 without an identifier."""
    if identifier is None:
        return mqtt5.PublishPacket(str(message), b"", qos=mqtt5.QoS.AT_MOST_ONCE)
    return mqtt5.PublishPacket(str(message), b"", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=identifier)


def message_of(delivery: Delivery) -> int:
    """Give the number of a delivery's message."""
    return int(delivery.topic)


class RenumberingMachine(AcknowledgementMachine):
    """The same, where a message that is sent again has another identifier, as with some brokers."""

    renumbers = True


SCHEDULES = settings(max_examples=3 * settings().max_examples, stateful_step_count=30)
TestAcknowledgements = AcknowledgementMachine.TestCase
TestAcknowledgementsRenumbered = RenumberingMachine.TestCase
TestAcknowledgements.settings = TestAcknowledgementsRenumbered.settings = SCHEDULES

STEPS: tuple[Callable[[AcknowledgementMachine, random.Random], None], ...] = (
    lambda model, rng: model.publish(rng.randint(1, WINDOW)),
    lambda model, rng: model.messages_arrive(rng.randint(1, WINDOW), unnumbered=rng.random() < 0.2),
    lambda model, rng: model.acknowledgements_arrive(rng.randint(1, WINDOW)),
    lambda model, _: model.the_line_breaks(),
    lambda model, rng: model.connection_goes_on(answered=rng.random() < 0.7),
    lambda model, _: model.the_session_is_forgotten(),
    lambda model, _: model.gathering_goes_on(),
    lambda model, rng: model.settling_goes_on(rng.choice(COMMITS)),
    lambda model, _: model.the_service_is_killed(),
)
"""Every rule."""


@pytest.mark.parametrize("seed", [random.randrange(10**6)])
@pytest.mark.parametrize("machine", [AcknowledgementMachine, RenumberingMachine])
def test_thousands_of_schedules(machine: type[AcknowledgementMachine], seed: int) -> None:
    """The same rules drawn at random, each as often as chance has it in this schedule: many more and longer ones."""
    rng = random.Random(seed)
    for _ in range(2000):
        model = machine()
        often = [rng.random() ** 2 for _ in STEPS]
        for step in rng.choices(STEPS, often, k=60):
            step(model, rng)
            model.nothing_is_lost()
            model.the_window_counts_what_is_unacknowledged()
            model.memory_is_bounded()
        model.teardown()
