"""Dead letters as rows, and the tally of a batch: what became of its readings, route by route."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from processors.decode import Decoded
from processors.layout import Layout
from processors.privacy import KEPT_BYTES, NOBODY
from processors.rejects import Reject
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import ROUTES, Route

MINUTE: Final = 60_000_000
_SUMMARY: Final = "kept without payload; `seen` counts the readings of this minute"


class DeadLetter(NamedTuple):
    """One row. `received_at` is microseconds.

    Of a message whose payload is kept: how often the batch holds it beyond the first time (`repeats`). Without payload
    it is a summary: `seen` readings of one source, route, reason and minute. `source` is the topic of a registered
    asset; all that is not registered is one source a route.
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
    source: str

    @property
    def is_summary(self) -> bool:
        """Tell whether it counts readings of which nothing else is kept."""
        return self.payload is None

    def as_summary(self) -> "DeadLetter":
        """Give what counts its readings, repeats too, and keeps nothing else of them."""
        minute = self.received_at // MINUTE
        return self._replace(
            topic=self.source,
            payload=None,
            size=0,
            digest=hashlib.sha256(f"{minute}\0{self.source}\0{self.route}\0{self.reason}".encode()).digest(),
            detail=_SUMMARY,
            seen=self.seen + self.repeats,
            repeats=0,
        )


def dead_letters(rejects: Iterable[Reject], deliveries: Sequence[Delivery], layout: Layout) -> tuple[DeadLetter, ...]:
    """Make one row of every distinct message: the same topic and payload again is a repeat, or counted in a summary."""
    return merge(_letter(reject, deliveries[reject.delivery], layout) for reject in rejects)


def merge(letters: Iterable[DeadLetter]) -> tuple[DeadLetter, ...]:
    """Put together those of one digest, in order of the first."""
    merged: dict[bytes, DeadLetter] = {}
    for letter in letters:
        held = merged.setdefault(letter.digest, letter)
        if held is not letter:
            seen = held.seen + letter.seen if held.is_summary else held.seen
            repeats = 0 if held.is_summary else held.repeats + letter.repeats + 1
            last = max(held.last_seen_at, letter.last_seen_at)
            merged[letter.digest] = held._replace(seen=seen, repeats=repeats, last_seen_at=last)
    return tuple(merged.values())


def _letter(reject: Reject, delivery: Delivery, layout: Layout) -> DeadLetter:
    kept = layout.privacy.keep(reject, delivery)
    letter = DeadLetter(
        received_at=delivery.received_at,
        # A broker that lets a NUL pass breaks the standard, and yet must not stop us: the database's texts have none.
        topic=kept.topic.replace("\0", "\ufffd"),
        payload=None if kept.payload is None else kept.payload[:KEPT_BYTES],
        size=kept.size,
        digest=kept.digest,
        reason=reject.reason,
        detail=reject.detail,
        seen=1,
        repeats=0,
        last_seen_at=delivery.received_at,
        route=reject.route,
        source=kept.source or _source(delivery.topic, layout),
    )
    return letter.as_summary() if kept.payload is None else letter


def _source(topic: str, layout: Layout) -> str:
    """Give the source of a message that comes of no home."""
    if (source := layout.source_of(topic)) in layout.routes:
        return source
    match layout.topics.parse(topic).route:
        case Route.SPOT:
            return layout.topics.spot(NOBODY, NOBODY)
        case Route.COUNT:
            return layout.topics.count(NOBODY)
    return f"{layout.topics.root}/parking/{NOBODY}"


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

    @classmethod
    def total(cls, tallies: Iterable["Tally"]) -> "Tally":
        """Sum tallies up."""
        rows = [
            (tally.messages, tally.stored, tally.duplicate, tally.dead_lettered, tally.refused) for tally in tallies
        ]
        return cls(*map(sum, zip(*rows, strict=True)))


def tally(decoded: Decoded, stored: Mapping[Route, int], dead_lettered: Mapping[Route, int]) -> dict[Route, Tally]:
    """Balance a batch: what is neither newly stored, newly dead-lettered nor refused was there before."""
    readings = decoded.count_readings() + Counter(reject.route for reject in decoded.rejects)
    tallies = {}
    for route in ROUTES:
        if decoded.messages[route]:
            good, bad = stored.get(route, 0), dead_lettered.get(route, 0)
            repeated = readings[route] - good - bad
            tallies[route] = Tally(decoded.messages[route], good, repeated, bad, decoded.refused[route])
    return tallies
