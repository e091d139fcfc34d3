"""Frames of LoRaWAN that come again: what a device sent once is one reading, however often the network server tells it.

A frame is a session and a frame counter. A network server tells it again, at a later time of its own, when the device
was not answered and sent it once more, or when a gateway was slow, and then it may come after newer ones. The same
counter in another session, with another state or long after is another frame: counters begin anew, and some devices
never count.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER, NO_FRAME, Records

Int64s = NDArray[np.int64]

SENT_AGAIN_WITHIN: Final = 3_600_000_000
"""Microseconds: eight tries at the slowest data rate and the duty cycle of Europe take less."""


_KEPT: Final = 8
"""Frames of each spot: more than come between one and its late copy."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Arrays of shape (n, 8) over the layout's spots: the last frames that told a state, NO_FRAME for none, and when.

    The newest of them is stored with the spot, the others are in memory only.
    """

    last: Int64s
    at: Int64s

    @classmethod
    def unknown(cls, size: int) -> Self:
        """Nothing heard of any spot."""
        return cls(np.full((size, _KEPT), NO_FRAME, dtype=np.int64), np.full((size, _KEPT), NEVER))

    def newest(self, spots: Int64s) -> Int64s:
        """Give the newest frames of spots."""
        newest: Int64s = self.last[spots, self.at[spots].argmax(axis=1)]
        return newest


class Told(NamedTuple):
    """The state after a batch, and its events without those that tell a frame again."""

    state: Frames
    events: Records


def observe(state: Frames, events: Records) -> Told:
    """Fold SPOT_EVENT records, in order of arrival, into the state. The state given stays as it is."""
    of_frames = np.flatnonzero(events["frame"] != NO_FRAME)
    if not len(of_frames):
        return Told(state, events)
    after = Frames(state.last.copy(), state.at.copy())
    is_new = np.ones(len(events), dtype=bool)
    # One after the other: LoRaWAN devices speak seldom, and of few messages a batch is one of theirs.
    for index in of_frames.tolist():
        is_new[index] = _take(after.last, after.at, events[index])
    return Told(after, events[is_new])


def _take(last: Int64s, at: Int64s, event: np.void) -> bool:
    """Take a frame in, in place; tell whether it is new."""
    spot, frame, time = event["spot"], event["frame"], event["time"]
    is_same = (last[spot] == frame) & (abs(at[spot] - time) <= SENT_AGAIN_WITHIN)
    # Of a device that never counts an older frame with its state is another: the state has come back.
    if is_same.any() if event["seq"] > 0 else is_same[at[spot].argmax()]:
        return False
    oldest = at[spot].argmin()
    if time > at[spot, oldest]:
        last[spot, oldest], at[spot, oldest] = frame, time
    return True
