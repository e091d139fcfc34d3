"""Dead letters as messages again."""

import json

import pytest
from unit.worlds import GATE, HOUR, LAYOUT, LIMITS, NO_GAP, NOW, TOPICS, deliver

from processors import senml
from processors.dead_letters import dead_letters
from processors.decode import Decoded, decode
from processors.replays import Letter, Mark, marks, new_rejects, to_delivery
from schemas.delivery import Delivery
from schemas.reasons import Reason

BAY = TOPICS.spot("ANTI", "P-01")
HOME = TOPICS.senml("hut-01")


def decoded(*deliveries: Delivery) -> Decoded:
    """Decode messages."""
    return decode(deliveries, LAYOUT, LIMITS, GATE, NO_GAP)


def letters_of(*deliveries: Delivery) -> list[Letter]:
    """Give the dead letters that are kept of messages, numbered."""
    kept = dead_letters(decoded(*deliveries).rejects, deliveries, LAYOUT)
    return [
        Letter(number, letter.received_at, letter.topic, letter.payload)
        for number, letter in enumerate(kept)
        if letter.payload is not None
    ]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (BAY, b"{"),
        (BAY, b"\xff\xfe"),
        (TOPICS.spot("ANTI", "nowhere"), '{"é": 1}'.encode()),
        (HOME, b'[{"n":"a","v":1,"u":"hut-01 ?"}]'),
        (TOPICS.senml("hut-0"), b'[{"n":"hut-0/a","v":1},{"bn":"hut-0/","n":"b","u":"no unit"}]'),
    ],
)
def test_a_letter_becomes_the_message_that_it_was(topic: str, payload: bytes) -> None:
    """Topic, payload and arrival are those of the message; of a pack, of the record that was rejected."""
    sent = deliver(topic, payload, received_at=NOW - HOUR)
    (letter,) = letters_of(sent)
    again = to_delivery(letter, LAYOUT.privacy)

    assert (again.topic, again.received_at, again.retain) == (sent.topic, sent.received_at, False)
    assert (again.packet_id, again.epoch) == (None, -1)
    if topic == BAY:
        assert again.payload == sent.payload
    # What is rejected again is the same dead letter, not another one.
    (first,), (second,) = (dead_letters(decoded(one).rejects, [one], LAYOUT) for one in (sent, again))
    assert first.digest == second.digest


@pytest.mark.parametrize(
    "pack",
    [
        [{"bt": NOW / 1e6}, {"bn": "hut-01/", "n": "a", "u": "none", "v": 1}],
        [{"n": "a", "v": 1}, {"bu": "Cel", "bver": 10}, {"bn": "b", "v": 1e300, "u": "Cel"}],
    ],
)
def test_the_excerpt_of_an_excerpt_is_the_same(pack: list[dict[str, object]]) -> None:
    """In whatever order the base fields came, so that a letter replayed in vain is known again."""
    payload = json.dumps(pack).encode()
    once = senml.excerpt(payload, len(pack) - 1)
    assert once is not None
    assert senml.excerpt(once, 0) == once


def test_marks_tell_what_came_of_each_letter() -> None:
    """Decoded; failed again, with the reason; or refused."""
    letters = [Letter(number, NOW, "", b"") for number in (11, 12, 13)]
    found = decoded(
        deliver(BAY, {"occupied": True}), deliver(BAY, b"{"), deliver(TOPICS.senml("hut-02"), b'[{"n":"a","v":1}]')
    )
    good, bad, refused = marks(letters, found)
    assert good == Mark(11, is_replayed=True, detail="decoded")
    assert (bad.id, bad.is_replayed) == (12, False)
    assert bad.detail.startswith("malformed_payload: ")
    assert (refused.id, refused.is_replayed) == (13, True)


def test_only_bad_records_beside_good_ones_are_new_dead_letters() -> None:
    """A letter that fails again makes no other; of a pack that is readable now, each bad record makes its own."""
    letters = [Letter(1, NOW, "", b""), Letter(2, NOW, "", b"")]
    found = decoded(deliver(BAY, b"{"), deliver(HOME, b'[{"n":"a","v":1,"u":"Cel"},{"n":"b","v":1,"u":"no unit"}]'))
    (fresh,) = new_rejects(letters, found)
    assert (fresh.delivery, fresh.record, fresh.reason) == (1, 1, Reason.SCHEMA_VIOLATION)
