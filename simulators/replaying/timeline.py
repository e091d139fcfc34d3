"""When messages are due, and by how much their times are shifted. No I/O and no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Timeline:
    """When records are due, and what is added to their times.

    `first` and `last` are the archive's times, `start` is when the replay starts. `speed` is a factor of the
    archive's own pace, None for as fast as the broker acknowledges. `rounds` is how often it is played, None for ever.
    With `whole_seconds` what `shift_to_now` adds is cut to whole seconds.
    """

    first: datetime
    last: datetime
    start: datetime
    speed: float | None
    shift_to_now: bool = False
    rounds: int | None = 1
    whole_seconds: bool = False

    @property
    def length(self) -> timedelta:
        """How much later a round is than the one before it: the archive's length, up to the next whole second."""
        return ((self.last - self.first) // SECOND + 1) * SECOND

    def due(self, time: datetime, number: int = 0) -> float:
        """Give the seconds after `start` at which a record of that time is due, in the round of that number."""
        return 0.0 if self.speed is None else (time - self.first + number * self.length).total_seconds() / self.speed

    def shift(self, number: int = 0) -> timedelta:
        """Give what is added to all times of a round.

        With `shift_to_now` the last record of the last round tells the time when it is due; for ever, of the first.
        """
        shift = self.length * number
        if not self.shift_to_now:
            return shift
        final = 0 if self.rounds is None else self.rounds - 1
        constant = self.start + timedelta(seconds=self.due(self.last, final)) - self.last - self.length * final
        return shift + (constant // SECOND * SECOND if self.whole_seconds else constant)
