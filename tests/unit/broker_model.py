"""A broker's side of one MQTT 5 session at QoS 1, with the line to the client: what may happen, and nothing else.

Identifiers are unique among what is unacknowledged, and free again afterwards: the lowest free one is used, so that
they come again as soon as they may. A session that is found again sends what is unacknowledged anew, in order, before
anything else (sections 2.2.1, 4.4 and 4.6 of the standard); no more is under way than Receive Maximum (4.9).
"""

from collections import deque
from itertools import count


class BrokerModel:
    """Messages are numbers. `down` and `up` are what lies on the line: PUBLISH packets, and PUBACKs by identifier."""

    def __init__(self, receive_maximum: int, *, renumbers: bool) -> None:
        """Begin without a session; one that `renumbers` redelivers under new identifiers, as some brokers do."""
        self._receive_maximum = receive_maximum
        self._renumbers = renumbers
        self._waiting: deque[int] = deque()
        self._in_flight: dict[int, int] = {}
        self._line_is_whole = False
        self.has_session = False
        self.down: deque[tuple[int, int]] = deque()
        self.up: deque[int] = deque()

    @property
    def held(self) -> set[int]:
        """The messages that are sent, or sent again, until they are acknowledged."""
        return {*self._waiting, *self._in_flight.values()}

    def publish(self, message: int) -> None:
        """Take a message of a device; without a session it is for nobody."""
        if self.has_session:
            self._waiting.append(message)
            self._send()

    def connect(self) -> bool:
        """Answer CONNECT with Clean Start 0 on a new line; give Session Present."""
        session_present, self.has_session = self.has_session, True
        self.cut()
        self._line_is_whole = True
        if self._renumbers:
            self._waiting.extendleft(reversed(self._in_flight.values()))
            self._in_flight.clear()
        self.down.extend(self._in_flight.items())
        self._send()
        return session_present

    def cut(self) -> None:
        """Lose the line with everything on it. Nobody notices by that; what is sent from now on is lost, too."""
        self._line_is_whole = False
        self.down.clear()
        self.up.clear()

    def forget(self) -> set[int]:
        """Restart without the session; give the messages that are lost with it."""
        lost = self.held
        self.cut()
        self.has_session = False
        self._waiting.clear()
        self._in_flight.clear()
        return lost

    def acknowledge(self, identifiers: list[int]) -> None:
        """Let the client put PUBACKs on the line."""
        if self._line_is_whole:
            self.up.extend(identifiers)

    def take_acknowledgement(self) -> int:
        """Take a PUBACK from the line; give the message that it confirms, which has to be the oldest one."""
        identifier = self.up.popleft()
        assert identifier == next(iter(self._in_flight), None), f"{identifier} is not the next of {self._in_flight}"
        message = self._in_flight.pop(identifier)
        self._send()
        return message

    def _send(self) -> None:
        while self._waiting and len(self._in_flight) < self._receive_maximum:
            identifier = next(number for number in count(1) if number not in self._in_flight)
            self._in_flight[identifier] = self._waiting.popleft()
            if self._line_is_whole:
                self.down.append((identifier, self._in_flight[identifier]))
