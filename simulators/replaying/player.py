"""Playing a script: each message when it is due, as often as it is asked for, and what came of it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from schemas.settings import BrokerAddress
from simulators.progress import Standing
from simulators.replaying.plan import Script
from simulators.replaying.timeline import Timeline
from simulators.sending.sender import Sender


@dataclass(frozen=True, slots=True)
class Due:
    """A message that is ready to be sent, `due` in seconds after the start."""

    due: float
    topic: str
    payload: bytes
    retain: bool
    expiry: int | None = None


@dataclass(frozen=True, slots=True)
class Pacing:
    """How a script is played.

    `speed` is a factor of the archive's own pace, None for as fast as the broker acknowledges; `rounds` is how often,
    None for ever. `shift_to_now` adds one constant to the times, so that the last one's is when it is due.
    """

    speed: float | None = 1.0
    rounds: int | None = 1
    shift_to_now: bool = False


class Player:
    """Publishes a script, in which there is something, at QoS 1 and in its order. `untimed` told no time to shift."""

    def __init__(self, address: BrokerAddress, script: Script, pacing: Pacing) -> None:
        self._script = script
        self._pacing = pacing
        self._sender = Sender(address, "replay")
        self._timeline: Timeline | None = None
        self._newest: datetime | None = None
        self.traffic = self._sender.traffic
        self.untimed = 0
        self.total = None if pacing.rounds is None else script.count * pacing.rounds

    async def run(self) -> None:
        """Send to the end; a broker that is away is waited for, what it did not acknowledge is sent again.

        Raises RefusedError where the broker refuses a message.
        """
        await self._sender.run(self._messages())

    def look(self) -> Standing:
        """Tell how far it is."""
        line = self._timeline
        last_due = None
        if line is not None and line.speed is not None and line.rounds is not None:
            last_due = line.due(line.last, line.rounds - 1)
        elapsed = self.elapsed
        return Standing(
            self.traffic.acknowledged, self.total, elapsed, last_due, self._newest, in_flight=self.traffic.in_flight
        )

    @property
    def elapsed(self) -> float:
        """Seconds since the first connection."""
        return time.monotonic() - self.traffic.started if self.traffic.started else 0.0

    def _messages(self) -> Iterator[Due]:
        """Make each message just before it is due. The sender asks for the first one when it starts its clock."""
        script, pacing = self._script, self._pacing
        line = self._timeline = Timeline(
            script.first,
            script.last,
            datetime.now(UTC),
            pacing.speed,
            pacing.shift_to_now,
            pacing.rounds,
            whole_seconds=script.has_own_times,
        )
        for number in count() if pacing.rounds is None else range(pacing.rounds):
            shift = line.shift(number)
            for message in script.messages():
                payload, is_timed = message.payload(shift)
                self.untimed += not is_timed
                self._newest = message.time
                yield Due(line.due(message.time, number), message.topic, payload, message.retain)
