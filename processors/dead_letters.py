"""Dead letters as rows, and the tally of a batch: what became of its readings, route by route."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from processors.decode import Decoded
from processors.privacy import KEPT_BYTES, Privacy
from processors.rejects import Reject
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import ROUTES, Route

_MINUTE: Final = 60_000_000
_SUMMARY: Final = "kept without payload; `seen` counts the readings of this minute"


class DeadLetter(NamedTuple):
    """One row. `received_at` is microseconds.

    Of a message whose payload is kept: how often the batch holds it beyond the first time (`repeats`). Without payload
    it is a summary: `seen` readings of one source, route, reason and minute.
    """

    received_at: int
    topic: str
    payload: bytes | None
    size: int
    digest: bytes
    reason: Reason
    detail: str
    seen: int
    repeats: int
    last_seen_at: int
    route: Route

    @property
    def is_summary(self) -> bool:
        """Tell whether it counts readings of which nothing else is kept."""
        return self.payload is None


def dead_letters(rejects: Iterable[Reject], deliveries: Sequence[Delivery], privacy: Privacy) -> tuple[DeadLetter, ...]:
    """Make one row of every distinct message: the same topic and payload again is a repeat, or counted in a summary."""
    letters: dict[bytes, DeadLetter] = {}
    for reject in rejects:
        letter = _letter(reject, deliveries[reject.delivery], privacy)
        held = letters.get(letter.digest)
        if held is not None:
            seen, repeats = (held.seen + 1, 0) if held.is_summary else (1, held.repeats + 1)
            last = max(held.last_seen_at, letter.last_seen_at)
            letter = held._replace(seen=seen, repeats=repeats, last_seen_at=last)
        letters[letter.digest] = letter
    return tuple(letters.values())


def _letter(reject: Reject, delivery: Delivery, privacy: Privacy) -> DeadLetter:
    kept = privacy.keep(reject, delivery)
    digest, detail, size = kept.digest, reject.detail, kept.size
    if kept.payload is None:
        minute = delivery.received_at // _MINUTE
        digest = hashlib.sha256(f"{minute}\0{kept.topic}\0{reject.route}\0{reject.reason}".encode()).digest()
        detail, size = _SUMMARY, 0
    return DeadLetter(
        received_at=delivery.received_at,
        topic=kept.topic,
        payload=None if kept.payload is None else kept.payload[:KEPT_BYTES],
        size=size,
        digest=digest,
        reason=reject.reason,
        detail=detail,
        seen=1,
        repeats=0,
        last_seen_at=delivery.received_at,
        route=reject.route,
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """What a batch came to on one route: readings = stored + duplicate + dead_lettered + refused."""

    messages: int
    stored: int
    duplicate: int
    dead_lettered: int
    refused: int

    @property
    def readings(self) -> int:
        """All readings of the messages."""
        return self.stored + self.duplicate + self.dead_lettered + self.refused


def tally(decoded: Decoded, stored: Mapping[Route, int], dead_lettered: Mapping[Route, int]) -> dict[Route, Tally]:
    """Balance a batch: what is neither newly stored, newly dead-lettered nor refused was there before."""
    rejected = Counter(reject.route for reject in decoded.rejects)
    readings = {route: len(columns) for route, columns in decoded.readings.items()}
    tallies = {}
    for route in ROUTES:
        if decoded.messages[route]:
            good, bad = stored.get(route, 0), dead_lettered.get(route, 0)
            repeated = readings.get(route, 0) + rejected[route] - good - bad
            tallies[route] = Tally(decoded.messages[route], good, repeated, bad, decoded.refused[route])
    return tallies
