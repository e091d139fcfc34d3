"""The in-flight window and the connection epochs: which deliveries may still be acknowledged. No I/O.

A packet identifier means nothing outside its connection: after a reconnect the broker uses it again, and a late
acknowledgement would confirm a message that nobody stored. So every connection has a number, and an acknowledgement
whose delivery belongs to another one is dropped; the message comes again, and is then a duplicate.
"""

from collections.abc import Iterable

from schemas.delivery import Delivery


class Window:
    """Counts what is unacknowledged and decides what may be acknowledged."""

    def __init__(self, receive_maximum: int) -> None:
        self.receive_maximum = receive_maximum
        self.unacknowledged = 0
        self.epoch = 0
        self._session_began = 0
        self._attempts = 0
        self._is_open = False

    @property
    def ratio(self) -> float:
        """The part of the window in use; mosquitto before 2.0.13 may overshoot one."""
        return self.unacknowledged / self.receive_maximum

    def connecting(self) -> None:
        """Note that a CONNECT goes out, whether or not its answer comes."""
        self._attempts += 1

    def open(self, *, session_present: bool) -> int:
        """Begin a connection; give its epoch."""
        self.epoch += 1
        # An earlier CONNECT, whose answer was lost, may have begun the session found: then it holds nothing of ours.
        if not session_present or self._attempts > 1:
            self._session_began = self.epoch
        self._attempts = 0
        self.unacknowledged = 0
        self._is_open = True
        return self.epoch

    def close(self) -> None:
        """End the connection: nothing can be acknowledged until the next."""
        self._is_open = False
        self.unacknowledged = 0

    def received(self, packet_id: int | None) -> None:
        """Count a delivery of the present epoch; QoS 0 has no identifier and no window."""
        if packet_id is not None:
            self.unacknowledged += 1

    def will_return(self, epoch: int) -> bool:
        """Tell whether the broker sends a delivery of this epoch again, so that ours may be dropped.

        So it is once a newer connection has found the session it belonged to.
        """
        return self._session_began <= epoch < self.epoch

    def acknowledge(self, deliveries: Iterable[Delivery]) -> list[int]:
        """Give the identifiers to acknowledge now, in arrival order."""
        if not self._is_open:
            return []
        identifiers = [d.packet_id for d in deliveries if d.packet_id is not None and d.epoch == self.epoch]
        self.unacknowledged -= len(identifiers)
        return identifiers
