"""What a recorder has received and not written yet, and when it is time to. No I/O and no clock."""

from dataclasses import dataclass, field

from simulators.captures.capture_file import MEMBER_SIZE
from simulators.captures.lines import Captured

LONGEST_WAIT = 1.0
"""Seconds until a message is written."""
TICK = 0.05
"""Seconds between two looks."""
FEW_IN_FLIGHT = 16
"""A broker may have fewer in flight to us than we take. It falls silent then, until we acknowledge."""


@dataclass
class Intake:
    """What one connection has brought, in order. `size` is in bytes."""

    most: int
    """So many are written at once, at the latest: half of what may be in flight."""
    size: int = 0
    _messages: list[tuple[Captured, int]] = field(default_factory=list)
    _packet_ids: list[int] = field(default_factory=list)
    _first_at: float = 0.0
    _last_at: float = 0.0

    def __len__(self) -> int:
        """How many messages there are."""
        return len(self._messages)

    def add(self, message: Captured | None, packet_id: int, now: float) -> None:
        """Take a message in, at a monotonic time; None is only acknowledged, and a packet id of 0 is not."""
        self._last_at = now
        if not self._messages and not self._packet_ids:
            self._first_at = now
        if packet_id:
            self._packet_ids.append(packet_id)
        if message is not None:
            self._messages.append((message, packet_id))
            self.size += len(message.payload) + len(message.topic)

    def is_ripe(self, now: float) -> bool:
        """Whether it is time to write: there is much, it has waited, or the broker waits for us."""
        count = max(len(self._messages), len(self._packet_ids))
        if not count:
            return False
        broker_waits = len(self._packet_ids) >= FEW_IN_FLIGHT and now - self._last_at >= TICK
        return broker_waits or self.is_full or now - self._first_at >= LONGEST_WAIT

    @property
    def is_full(self) -> bool:
        """Whether there is enough for a member."""
        return self.size >= MEMBER_SIZE or max(len(self._messages), len(self._packet_ids)) >= self.most

    def take(self) -> tuple[list[Captured], list[int]]:
        """Give what is to be written, and the packet ids to be acknowledged then, in order of arrival."""
        messages, packet_ids = [message for message, _ in self._messages], self._packet_ids
        self._messages, self._packet_ids, self.size = [], [], 0
        return messages, packet_ids

    def without_repeats(self, *, session_present: bool) -> list[Captured]:
        """Give what is still to be written after the connection was lost: with the session, QoS 1 comes again."""
        return [message for message, packet_id in self._messages if not (session_present and packet_id)]
