"""Frames of LoRaWAN devices of homes that come again: the same rule as for bays, of the newest frame of each device.

In memory only, and begun anew with every process: a copy that comes after a restart is stored as a reading of its time.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from processors.frames import SENT_AGAIN_WITHIN


class HomeFrame(NamedTuple):
    """A frame: a hash of its device, a hash of its session and counter, and its time in microseconds."""

    device: int
    number: int
    time: int


class Copies(NamedTuple):
    """The messages of a batch that are copies, by index, and the newest frames after it, by device."""

    deliveries: tuple[int, ...]
    newest: Mapping[int, HomeFrame]


NO_COPIES: Final = Copies((), {})


class HomeFrames:
    """The newest frame of every device, of which something was stored."""

    def __init__(self) -> None:
        self._newest: dict[int, HomeFrame] = {}

    def judge(self, frames: Iterable[tuple[int, HomeFrame]]) -> Copies:
        """Judge frames, each with the index of its message, in order of arrival."""
        newest: dict[int, HomeFrame] = {}
        copies = []
        for delivery, frame in frames:
            known = newest.get(frame.device) or self._newest.get(frame.device)
            if known and frame.number == known.number and abs(frame.time - known.time) <= SENT_AGAIN_WITHIN:
                copies.append(delivery)
            elif known is None or frame.time > known.time:
                newest[frame.device] = frame
        return Copies(tuple(copies), newest)

    def adopt(self, newest: Mapping[int, HomeFrame]) -> None:
        """Know what was told, once it is stored."""
        self._newest |= newest
