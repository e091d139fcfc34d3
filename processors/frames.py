"""Frames of LoRaWAN that come again: what a device sent once is one reading, however often the network server tells it.

A frame is a session and a frame counter. A network server tells it again, at a later time of its own, when the device
was not answered and sent it once more, or when a gateway was slow. The same counter in another session, with another
state or long after is another frame: counters begin anew, and some devices never count.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER, NO_FRAME, Records

Int64s = NDArray[np.int64]

SENT_AGAIN_WITHIN: Final = 3_600_000_000
"""Microseconds: eight tries at the slowest data rate and the duty cycle of Europe take less."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Arrays of shape (n,) over the layout's spots: the newest frame that told a state, NO_FRAME for none, and when."""

    newest: Int64s
    at: Int64s

    @classmethod
    def unknown(cls, size: int) -> Self:
        """Nothing heard of any spot."""
        return cls(np.full(size, NO_FRAME, dtype=np.int64), np.full(size, NEVER))


class Told(NamedTuple):
    """The state after a batch, and its events without those that tell a frame again."""

    state: Frames
    events: Records


def observe(state: Frames, events: Records) -> Told:
    """Fold SPOT_EVENT records, in order of arrival, into the state. The state given stays as it is."""
    of_frames = np.flatnonzero(events["frame"] != NO_FRAME)
    if not len(of_frames):
        return Told(state, events)
    after = Frames(state.newest.copy(), state.at.copy())
    is_new = np.ones(len(events), dtype=bool)
    # One after the other: LoRaWAN devices speak seldom, and of few messages a batch is one of theirs.
    for index in of_frames.tolist():
        spot, frame, time = (events[name][index] for name in ("spot", "frame", "time"))
        if frame == after.newest[spot] and abs(time - after.at[spot]) <= SENT_AGAIN_WITHIN:
            is_new[index] = False
        elif time > after.at[spot]:
            after.newest[spot], after.at[spot] = frame, time
    return Told(after, events[is_new])
