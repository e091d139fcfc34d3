"""While a backlog drains, old readings arrive late through no fault of their sensors: expiry is held. No I/O.

Held from a connection that found a session, after a while of a window more than half used, or after a while in which
nothing could be judged because the database was away; until the window is nearly empty again, ten minutes at the most.
All times are microseconds, given by the caller.
"""

from typing import Final

from processors.gate import Gap
from processors.reduce import Moment

_SECOND: Final = 1_000_000
_BUSY_RATIO: Final = 0.5
_CALM_RATIO: Final = 0.1
_BUSY_FOR: Final = 5 * _SECOND
_CALM_FOR: Final = 1 * _SECOND
"""A connection begins with an empty window: calm counts only once the backlog had time to arrive."""
_LONGEST: Final = 600 * _SECOND


class Backlog:
    """Decides whether expiry is held, and as of when freshness is judged meanwhile."""

    def __init__(self, committed_at: int, longest: int = _LONGEST) -> None:
        """`committed_at` is when the last batch before this process was committed; `longest`, for how long to hold."""
        self._longest = longest
        self._clock = committed_at
        self._settled_until = committed_at
        self._gap_began = committed_at
        self._is_gap_open = True
        self._is_connected = False
        self._held_since: int | None = None
        self._busy_since: int | None = None
        self._calm_since: int | None = None
        self._is_spent = False
        self._judged_at: int | None = None

    @property
    def gap(self) -> Gap:
        """The last time in which we heard nothing, and whether what arrives now may be from it."""
        return Gap(self._gap_began, is_open=self._is_gap_open)

    @property
    def is_overrun(self) -> bool:
        """Tell whether more than half of the window has been in use for a while: the stream is above capacity."""
        began, now = self._busy_since, self._judged_at
        return began is not None and now is not None and now - began >= _BUSY_FOR

    def lost(self, heard_at: int) -> None:
        """Note the end of a connection, on which something was last heard then."""
        self._is_connected = False
        if not self._is_gap_open:
            self._gap_began, self._is_gap_open = min(heard_at, self._settled_until), True

    def settled(self, until: int) -> None:
        """Note that everything which arrived until then is committed and acknowledged."""
        self._settled_until = until

    def connected(self, now: int, *, session_present: bool) -> None:
        """Note a connection; the broker kept for us what came meanwhile if it had the session."""
        self._is_connected = True
        self._calm_since = None
        if session_present:
            self._hold(now)

    def judge(self, now: int, ratio: float) -> Moment:
        """Give the moment to reduce at, for a window used so far."""
        if self._judged_at is not None and now - self._judged_at >= _BUSY_FOR and not self._is_spent:
            self._hold(now)
        self._judged_at = now
        self._busy_since = (self._busy_since or now) if ratio > _BUSY_RATIO else None
        self._calm_since = (self._calm_since or now) if ratio < _CALM_RATIO else None
        is_calm = self._calm_since is not None and now - self._calm_since >= _CALM_FOR
        if is_calm:
            self._held_since, self._is_spent = None, False
            # Without a connection the window is empty, which says nothing of what is queued for us.
            self._is_gap_open = self._is_gap_open and not self._is_connected
        elif self.is_overrun and not self._is_spent:
            self._hold(now)
        if self._held_since is not None and now - self._held_since > self._longest:
            self._held_since, self._is_spent = None, True
        if self._held_since is None:
            self._clock = now
        return Moment(now=now, clock=self._clock, catching_up=self._held_since is not None)

    def _hold(self, now: int) -> None:
        if self._held_since is None:
            self._held_since = now
        self._calm_since = None
