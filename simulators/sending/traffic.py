"""How sending goes, in figures."""

from dataclasses import dataclass, field

from simulators.sending.spread import Spread


@dataclass(slots=True)
class Traffic:
    """What a sender has done so far.

    `late` is how long after its due time each message was handed to the socket first, `latency` how long after that
    the broker acknowledged it, both in seconds. `written` counts the bytes of all packets, those sent again too.
    `started` is the monotonic clock when the first message could be due.
    """

    started: float = 0.0
    sent: int = 0
    acknowledged: int = 0
    in_flight: int = 0
    written: int = 0
    late: Spread = field(default_factory=Spread)
    latency: Spread = field(default_factory=Spread)

    def begin(self, now: float) -> None:
        """Start the clock, where it does not run yet."""
        self.started = self.started or now
