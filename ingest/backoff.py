"""Waiting times between tries: doubling, capped, jittered."""

import random


class Backoff:
    """Gives the next wait in seconds; `reset` after a success. The cap is the most it ever waits."""

    def __init__(self, first: float = 0.1, cap: float = 5.0) -> None:
        self._first = first
        self._cap = cap
        self._next = first

    def reset(self) -> None:
        """Begin again with short waits."""
        self._next = self._first

    def wait(self) -> float:
        """Give the next wait: between half and all of a time that doubles up to the cap."""
        wait = self._next
        self._next = min(self._cap, 2 * wait)
        return wait * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
