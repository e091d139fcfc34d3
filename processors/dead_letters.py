"""Dead letters as rows, and the tally of a batch: what became of its readings, route by route."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from processors.decode import Decoded, Reject
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import ROUTES, Route

KEPT_BYTES: Final = 64 * 1024
"""As much of a payload as is kept; its size and digest tell the rest."""


class DeadLetter(NamedTuple):
    """One row: a message, and how often the batch holds it beyond the first time. `received_at` is microseconds."""

    received_at: int
    topic: str
    payload: bytes
    size: int
    digest: bytes
    reason: Reason
    detail: str
    repeats: int
    last_seen_at: int
    route: Route


def dead_letters(rejects: Iterable[Reject], deliveries: Sequence[Delivery]) -> tuple[DeadLetter, ...]:
    """Make one row of every distinct message: the same topic and payload again is a repeat."""
    letters: dict[bytes, DeadLetter] = {}
    for reject in rejects:
        delivery = deliveries[reject.delivery]
        digest = hashlib.sha256(delivery.topic.encode() + b"\0" + delivery.payload).digest()
        held = letters.get(digest)
        if held is not None:
            last = max(held.last_seen_at, delivery.received_at)
            letters[digest] = held._replace(repeats=held.repeats + 1, last_seen_at=last)
            continue
        letters[digest] = DeadLetter(
            received_at=delivery.received_at,
            topic=delivery.topic,
            payload=delivery.payload[:KEPT_BYTES],
            size=len(delivery.payload),
            digest=digest,
            reason=reject.reason,
            detail=reject.detail,
            repeats=0,
            last_seen_at=delivery.received_at,
            route=reject.route,
        )
    return tuple(letters.values())


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
    readings = {Route.SPOT: len(decoded.events), Route.COUNT: len(decoded.counts)}
    tallies = {}
    for route in ROUTES:
        if decoded.messages[route]:
            good, bad = stored.get(route, 0), dead_lettered.get(route, 0)
            repeated = readings.get(route, 0) + rejected[route] - good - bad
            tallies[route] = Tally(decoded.messages[route], good, repeated, bad, decoded.refused[route])
    return tallies
