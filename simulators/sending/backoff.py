"""How long to wait for a broker that is away."""

import random

_FIRST, _LONGEST = 0.25, 5.0


class Backoff:
    """Waits that grow with each failure, spread so that many clients do not come back at once."""

    def __init__(self) -> None:
        self._failures = 0

    def wait(self) -> float:
        """Give the seconds to wait after one more failure: at most 5."""
        pause = min(_LONGEST, _FIRST * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1)
        self._failures += 1
        return pause

    def reset(self) -> None:
        """Begin again with a short wait: the broker is there."""
        self._failures = 0
