"""Dead letters decoded again, after a fix: as the messages that they were, at the time they arrived."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from processors.decode import Decoded
from processors.privacy import Privacy
from processors.rejects import Reject
from schemas.delivery import Delivery

_NO_CONNECTION: Final = -1
"""An epoch that no connection has: there is nobody to acknowledge a replay to."""


class Letter(NamedTuple):
    """A dead letter whose payload is kept whole. `received_at` is microseconds since 1970."""

    id: int
    received_at: int
    topic: str
    payload: bytes


class Mark(NamedTuple):
    """What came of a replay; a letter that failed again stays as it is."""

    id: int
    is_replayed: bool
    detail: str


def to_delivery(letter: Letter, privacy: Privacy) -> Delivery:
    """Give the message of a dead letter, with ids in place of the pseudonyms that are kept."""
    topic = letter.topic
    payload = letter.payload
    if privacy.topics.parse(topic).is_home:
        topic, payload = privacy.unveil(topic), privacy.unveil(payload.decode()).encode()
    return Delivery(_NO_CONNECTION, None, topic, payload, retain=False, received_at=letter.received_at)


def marks(letters: Sequence[Letter], decoded: Decoded) -> tuple[Mark, ...]:
    """Tell what came of every letter; letter n is message n of the batch."""
    readings = {index for columns in decoded.readings.values() for index in columns["delivery"].tolist()}
    faults = {reject.delivery: reject for reject in reversed(decoded.rejects)}
    return tuple(_mark(letter, index in readings, faults.get(index)) for index, letter in enumerate(letters))


def _mark(letter: Letter, has_readings: bool, fault: Reject | None) -> Mark:
    if has_readings:
        return Mark(letter.id, is_replayed=True, detail="decoded")
    if fault is not None:
        return Mark(letter.id, is_replayed=False, detail=f"{fault.reason}: {fault.detail}")
    return Mark(letter.id, is_replayed=True, detail="refused, or nothing to store")


def new_rejects(letters: Sequence[Letter], decoded: Decoded) -> tuple[Reject, ...]:
    """Give the rejects that no dead letter holds yet: bad records of packs of which others are good now."""
    failed = {index for index, mark in enumerate(marks(letters, decoded)) if not mark.is_replayed}
    return tuple(reject for reject in decoded.rejects if reject.delivery not in failed)
