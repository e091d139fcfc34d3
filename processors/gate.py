"""The gate before the homes: pauses, present and past. Consent stands in the registry, and so in the layout.

A pause is an interval [began, ended) in microseconds since 1970. A reading is refused when it arrives in one, or when
its time lies in one, whenever it arrives. Only an explicit `off` ends a pause.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.columns import FOREVER


class Pause(NamedTuple):
    """One pause of one home, `ended` FOREVER while it lasts."""

    began: int
    ended: int = FOREVER


class Gap(NamedTuple):
    """The last time in which we heard nothing: since when, and whether what arrives may still be from it."""

    began: int
    is_open: bool


class Press(NamedTuple):
    """What a press of the red button means: a pause of a home, by pseudonym, began or ended."""

    home: str
    is_on: bool
    at: int


@dataclass(slots=True)
class Gate:
    """The pauses of every home, by pseudonym, in order.

    Also of homes without consent and of some that are not registered, which are in no table: the day they are, and
    consent, their button is heeded.
    """

    pauses: dict[str, tuple[Pause, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, Pause]]) -> "Gate":
        """Collect pauses."""
        pauses: dict[str, tuple[Pause, ...]] = {}
        for home, pause in sorted(rows):
            pauses[home] = (*pauses.get(home, ()), pause)
        return cls(pauses)

    def is_paused(self, home: str) -> bool:
        """Tell whether the red button of a home is on."""
        return any(pause.ended == FOREVER for pause in self.pauses.get(home, ()))

    def when_pressed(self, *, is_on: bool, arrived: int, retain: bool, gap: Gap) -> int:
        """Tell when a press that arrives now takes effect.

        An `on` that may be older than its arrival, since it was retained or queued for us, is dated from before the
        gap: a home that paused while we were away must not be recorded for want of the exact minute.
        """
        may_be_older = is_on and (retain or gap.is_open)
        return max(0, min(gap.began, arrived)) if may_be_older else arrived

    def copy(self) -> "Gate":
        """Give a gate that can be pressed without changing this one."""
        return Gate(dict(self.pauses))

    def press(self, press: Press) -> bool:
        """Take a press; tell whether it changed anything. On while on, and off while off, do not."""
        held = self.pauses.get(press.home, ())
        if self.is_paused(press.home) == press.is_on:
            return False
        if press.is_on:
            after = (*held, Pause(press.at))
        else:
            after = tuple(Pause(p.began, max(p.began, press.at)) if p.ended == FOREVER else p for p in held)
        self.pauses[press.home] = after
        return True

    def touches(self, home: str, began: int, ended: int) -> bool:
        """Tell whether a pause of a home reaches into an interval."""
        return any(pause.began < ended and pause.ended > began for pause in self.pauses.get(home, ()))

    def covers(self, home: str, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which times lie in a pause of a home."""
        covered = np.zeros(len(times), dtype=bool)
        for began, ended in self.pauses.get(home, ()):
            covered |= (times >= began) & (times < ended)
        return covered

    def forget(self, is_gone: Callable[[str], bool]) -> "Gate":
        """Forget what was in the past of homes; a button of theirs that is on stays on, as if it always had been."""
        gone = {home for home in self.pauses if is_gone(home)}
        kept = {home: pauses for home, pauses in self.pauses.items() if home not in gone}
        return Gate(kept | {home: (Pause(0),) for home in gone if self.is_paused(home)})

    def since_readmitted(self, moments: Mapping[str, int]) -> "Gate":
        """Refuse whatever homes measured before a moment each: one pause in place of all that they had until then."""
        admitted = {}
        for home, moment in moments.items():
            held, until = self.pauses.get(home, ()), Pause(0, moment)
            if until not in held:
                later = (Pause(max(pause.began, moment), pause.ended) for pause in held if pause.ended > moment)
                admitted[home] = (until, *later)
        return Gate(self.pauses | admitted)

    def since(self, oldest: int) -> "Gate":
        """Forget the pauses that no reading still accepted can lie in."""
        if all(pause.ended > oldest for pauses in self.pauses.values() for pause in pauses):
            return self
        kept = {home: tuple(p for p in pauses if p.ended > oldest) for home, pauses in self.pauses.items()}
        return Gate({home: pauses for home, pauses in kept.items() if pauses})
