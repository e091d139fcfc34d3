"""What is kept of a home where its messages cannot be used: pseudonyms, and nothing that could hide an id."""

import base64
import hashlib
import hmac
import json
import re
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.hostile import HOME_TOPICS, PAYLOADS
from unit.households import BUTTON, HUT, OTHER, UNKNOWN, Household, pack, press
from unit.worlds import HOMES, KEY, LAYOUT, MINUTE, NOW, SECOND, TOPICS, deliver

from processors.dead_letters import DeadLetter, dead_letters
from processors.privacy import KEPT_BYTES, Privacy, pseudonym
from processors.rejects import Reject
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.registry import Registry
from schemas.topics import Route

PRIVACY = LAYOUT.privacy
IDS = ("hut-01", "hut-02", "hut-0")
UNROUTABLE = "city/dwellings/hut-01/zigbee"


def letters_of(*deliveries: Delivery) -> tuple[DeadLetter, ...]:
    """Give the dead letters of a batch."""
    homes = Household()
    return dead_letters(homes.decode(*deliveries).rejects, deliveries, homes.layout)


def letter_of(topic: str, payload: bytes, **arrival: Any) -> DeadLetter:  # noqa: ANN401 - as deliver
    """Give the one dead letter of a message."""
    (letter,) = letters_of(deliver(topic, payload, **arrival))
    return letter


def test_a_pseudonym_is_keyed() -> None:
    """HMAC-SHA-256 of the id: the same for ever under one key, another under another."""
    assert pseudonym(KEY, "hut-01") == hmac.new(KEY, b"hut-01", hashlib.sha256).hexdigest()
    assert PRIVACY.pseudonyms["hut-01"] == pseudonym(KEY, "hut-01")
    assert len({pseudonym(key, home) for key in (KEY, b"x" * 32) for home in IDS}) == 6


def test_ids_are_veiled_the_longest_first() -> None:
    """An id that begins another is not cut out of it."""
    names = {home: PRIVACY.pseudonyms[home] for home in IDS}
    assert PRIVACY.veil("hut-01") == names["hut-01"]
    assert PRIVACY.veil("hut-0hut-02,hut-0 hut-01x") == (
        f"{names['hut-0']}{names['hut-02']},{names['hut-0']} {names['hut-01']}x"
    )
    assert PRIVACY.veil("hut-") == "hut-"
    assert PRIVACY.veil("") == ""


SCRAPS = st.lists(st.sampled_from([*IDS, "hut-", "hut", "0", "1", "-", "é", " ", '"', "xyz"]), max_size=12).map("".join)


@given(SCRAPS | st.text())
def test_no_id_is_left_wherever_it_stands(text: str) -> None:
    """Every id is replaced, inside of words too, and nothing else is changed."""
    veiled = PRIVACY.veil(text)
    pattern = "|".join(map(re.escape, sorted(IDS, key=len, reverse=True)))
    assert veiled == re.sub(pattern, lambda match: PRIVACY.pseudonyms[match[0]], text)
    assert not any(home in veiled for home in IDS)


@given(SCRAPS.map(lambda text: text.replace("xyz", "beef")))
def test_what_was_veiled_is_unveiled_wherever_it_stands(text: str) -> None:
    """Also where a pseudonym stands beside letters and digits that it could begin with."""
    assert PRIVACY.unveil(PRIVACY.veil(text)) == text


def test_without_homes_nothing_is_veiled() -> None:
    """A registry of car parks alone has no ids to hide."""
    assert Privacy.of(Registry(), TOPICS, KEY).veil("hut-01") == "hut-01"


HIDING = {
    "binary": b"\xa1\x00fhut-01",
    "no utf-8": b'{"n":"hut-01\xff"}',
    "nul": b'["\x00"]',
    "a control character": b'["\x1b"]',
    "delete": b'["\x7f"]',
    "a high control character": '["\x85"]'.encode(),
    "an escape": b'["\\u0068ut-01"]',
    "an escaped quotation mark": b'["\\""]',
    "data": b'[{"n":"a","vd":"aHV0LTAx"}]',
    "base64": b'["' + base64.b64encode(b"from hut-01, with all that it told us") + b'"]',
    "base64url": b'["' + base64.urlsafe_b64encode(bytes(range(200, 240))) + b'"]',
    "hexadecimal": b'["' + b"from hut-01, with".hex().encode() + b'"]',
    "a number of 400 digits": b"[" + b"9" * 400 + b"]",
    "beyond the plane": '["\U0001f3e0"]'.encode(),
    "a number that looks like a word": b"x" * 32,
}


@pytest.mark.parametrize("payload", HIDING.values(), ids=HIDING)
def test_what_could_hide_an_id_is_not_kept(payload: bytes) -> None:
    """Binary, escaped or encoded, an id would not be found, so nothing is kept but that there was something."""
    assert PRIVACY.veil_payload(payload) is None
    letter = letter_of(UNROUTABLE, payload)
    assert letter.is_summary
    assert (letter.payload, letter.size, letter.seen) == (None, 0, 1)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b'{\r\n\t"n": "kitchen/temperature"}', '["é€ß"]'.encode(), b"x" * 31, b"aGkgCg vd"]
)
def test_plain_text_is_kept(payload: bytes) -> None:
    """Text without ids is kept as it was."""
    assert PRIVACY.veil_payload(payload) == payload
    assert letter_of(UNROUTABLE, payload).payload == payload


@pytest.mark.parametrize("space", range(8))
@pytest.mark.parametrize("erased", [[], [PRIVACY.mark(PRIVACY.pseudonyms["hut-01"])]])
@pytest.mark.parametrize("word", ["hut-01 ", "hut-0hut-02,", "é hut-01 ", "hut-01"])
def test_what_is_cut_ends_with_a_whole_word(space: int, word: str, erased: list[bytes]) -> None:
    """No part of an id or of a pseudonym is left, and no part of a character; by its size it is known as cut."""
    privacy = PRIVACY.without(erased)
    separator = "" if word.endswith((" ", ",")) else "."
    text = " " * space + (word + separator) * KEPT_BYTES
    kept = privacy.veil_payload(text.encode())
    assert kept is not None
    assert len(kept) == KEPT_BYTES
    left = kept.decode()
    names = {"-", "é", *PRIVACY.pseudonyms.values()}
    for name in sorted(names, key=len, reverse=True):
        left = left.replace(name, "")
    assert set(left) <= set(" ,.")
    whole = privacy.veil_payload(text[:1000].encode())
    assert whole is not None
    assert len(whole) < KEPT_BYTES


def test_a_dead_letter_of_a_home_bears_its_pseudonym() -> None:
    """Topic and payload name nobody; size and time are those of the message."""
    payload = b'[{"bn":"hut-01/","n":"hut-02"},'
    letter = letter_of(HUT, payload, received_at=NOW + 5)
    mine, other = (PRIVACY.pseudonyms[home] for home in ("hut-01", "hut-02"))
    assert letter.topic == f"city/dwellings/{mine}/senml"
    assert letter.payload == f'[{{"bn":"{mine}/","n":"{other}"}},'.encode()
    assert (letter.reason, letter.route, letter.size) == (Reason.MALFORMED_PAYLOAD, Route.SENML, len(payload))
    assert (letter.received_at, letter.seen, letter.repeats) == (NOW + 5, 1, 0)


def test_a_faulty_record_is_kept_without_its_neighbours() -> None:
    """Of sixty readings with one that is wrong, fifty-nine are stored and one record is kept."""
    records = [{"n": "kitchen/temperature", "t": -number, "v": 20 + number / 100} for number in range(60)]
    records[17]["v"] = 99
    sent = pack(*records)
    homes = Household()
    decoded = homes.decode(sent)
    assert len(decoded.homes.readings) == 59
    (letter,) = dead_letters(decoded.rejects, [sent], homes.layout)
    assert letter.reason is Reason.VALUE_OUT_OF_RANGE
    assert letter.payload is not None
    assert json.loads(letter.payload) == [records[17]]
    assert letter.size == len(letter.payload)


def test_each_faulty_record_is_a_letter_and_the_same_one_again_a_repeat() -> None:
    """Records that differ are told apart; those of a redelivery are not counted anew."""
    sent = [pack({"n": "a", "v": "x"}, {"n": "a", "v": "y"}, {"n": "a", "v": "x"})] * 2
    letters = letters_of(*sent)
    assert [(letter.payload, letter.repeats) for letter in letters] == [
        (b'[{"n":"a","v":"x"}]', 3),
        (b'[{"n":"a","v":"y"}]', 1),
    ]


@pytest.mark.parametrize(
    ("sent", "topic", "reason"),
    [
        (deliver(UNKNOWN, b'[{"n":"a","v":1}]'), "city/dwellings/-/senml", Reason.UNKNOWN_ASSET),
        (deliver(TOPICS.pause("cottage"), b"on"), "city/dwellings/-/pause", Reason.UNKNOWN_ASSET),
        (deliver("city/dwellings/cottage/hut-01", b"{}"), "city/dwellings/-", Reason.UNROUTABLE_TOPIC),
        (deliver("city/dwellings/hut-011/senml", b"{}"), "city/dwellings/-/senml", Reason.UNKNOWN_ASSET),
        (deliver("city/dwellings", b"{}"), "city/dwellings/-", Reason.UNROUTABLE_TOPIC),
        (pack({"n": "hut-02/a", "v": 1}), "city/dwellings/-/senml", Reason.IDENTITY_MISMATCH),
    ],
)
def test_who_must_not_be_named_leaves_neither_id_nor_payload(sent: Delivery, topic: str, reason: Reason) -> None:
    """Of an unknown home, and of one that speaks of another, only a count is kept."""
    (letter,) = letters_of(sent)
    assert (letter.topic, letter.reason, letter.payload, letter.size) == (topic, reason, None, 0)
    assert letter.is_summary


def test_a_wrong_press_is_kept_without_payload() -> None:
    """A red button is nobody's business but its home's."""
    letter = letter_of(BUTTON, b"perhaps")
    assert letter.topic == f"city/dwellings/{PRIVACY.pseudonyms['hut-01']}/pause"
    assert (letter.payload, letter.reason, letter.route) == (None, Reason.SCHEMA_VIOLATION, Route.CONTROL)


def test_what_keeps_no_payload_is_counted_once_a_minute() -> None:
    """Any number of unknown homes and mismatches make one row a route, reason and minute."""
    later = NOW + MINUTE
    sent = [
        *(deliver(f"city/dwellings/cottage-{n}/senml", b"%d" % n, received_at=NOW + n * SECOND) for n in range(59)),
        deliver(UNKNOWN, b"", received_at=later),
        pack({"n": "hut-02/a", "v": 1}, {"n": "hut-02/b", "v": 2}),
        pack({"n": "hut-0/a", "v": 1}),
        pack({"n": "hut-01/a", "v": 1}, topic=OTHER),
        pack({"n": "hut-01/a", "v": 1}, topic=OTHER, received_at=later),
    ]
    letters = letters_of(*sent)
    assert [(letter.reason, letter.received_at // MINUTE, letter.seen, letter.repeats) for letter in letters] == [
        (Reason.UNKNOWN_ASSET, NOW // MINUTE, 59, 0),
        (Reason.UNKNOWN_ASSET, later // MINUTE, 1, 0),
        (Reason.IDENTITY_MISMATCH, NOW // MINUTE, 4, 0),
        (Reason.IDENTITY_MISMATCH, later // MINUTE, 1, 0),
    ]
    assert letters[0].last_seen_at == NOW + 58 * SECOND
    assert len({letter.digest for letter in letters}) == 4


def test_a_summary_is_found_again_by_the_next_batch() -> None:
    """Another batch of the same minute adds to the same row."""
    one, other = (letter_of(f"city/dwellings/x{n}/senml", b"", received_at=NOW + n) for n in range(2))
    assert one.digest == other.digest


def test_a_home_that_varies_its_topics_has_one_summary() -> None:
    """What a known home writes behind its id does not make a row each time, where its payload is not kept."""
    letters = letters_of(*(deliver(f"city/dwellings/hut-01/x{number}", b"\xff") for number in range(9)))
    assert [(letter.topic, letter.seen) for letter in letters] == [
        (f"city/dwellings/{PRIVACY.pseudonyms['hut-01']}", 9)
    ]


def test_the_digest_of_a_homes_letter_is_keyed() -> None:
    """Whoever has the table alone cannot find out by trying what was in a message."""
    sent = deliver(HUT, b"[{")
    reject = Reject(0, Route.SENML, Reason.MALFORMED_PAYLOAD, "why")
    registry = Registry.model_validate({"dwelling": HOMES})
    digests = {Privacy.of(registry, TOPICS, key).keep(reject, sent).digest for key in (KEY, b"x" * 32)}
    assert len(digests) == 2
    veiled = PRIVACY.veil(HUT).encode()
    assert not digests & {hashlib.sha256(topic + b"\0[{").digest() for topic in (HUT.encode(), veiled)}
    assert (
        len({PRIVACY.keep(reject, deliver(*other)).digest for other in ((HUT, b"[{"), (HUT, b"["), (OTHER, b"["))}) == 3
    )


def test_car_parks_keep_all() -> None:
    """Nothing of a bay is anybody's: topic, payload and plain digest stay."""
    sent = deliver(TOPICS.spot("ANTI", "P-01"), b"\xff hut-01")
    kept = PRIVACY.keep(Reject(0, Route.SPOT, Reason.MALFORMED_PAYLOAD, ""), sent)
    assert (kept.topic, kept.payload, kept.size) == (sent.topic, sent.payload, 8)
    assert kept.digest == hashlib.sha256(sent.topic.encode() + b"\0" + sent.payload).digest()


@st.composite
def with_ids(draw: st.DrawFn) -> bytes:
    """Draw a payload with ids put in anywhere."""
    payload = draw(PAYLOADS | SCRAPS.map(str.encode))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(payload)))
        payload = payload[:at] + draw(st.sampled_from(IDS)).encode() + payload[at:]
    return payload


LEVELS = st.sampled_from([*IDS, "cottage", "senml", "pause", "", "x", "hut-011", "xhut-02"])
BELOW = st.lists(LEVELS, max_size=4).map(lambda levels: "/".join(["city/dwellings", *levels]))
RECORDS = st.lists(
    st.dictionaries(
        st.sampled_from(["bn", "n", "u", "v", "vs", "t", "x", "hut-01"]), SCRAPS | st.integers(0, 9), max_size=4
    ),
    min_size=1,
    max_size=4,
)
SENT = st.builds(
    Delivery,
    epoch=st.just(1),
    packet_id=st.just(1),
    topic=st.sampled_from(HOME_TOPICS) | BELOW,
    payload=with_ids() | RECORDS.map(lambda records: json.dumps(records).encode()) | RECORDS.map(cbor2.dumps),
    retain=st.booleans(),
    received_at=st.integers(NOW - MINUTE, NOW + MINUTE),
)


@given(st.lists(SENT, max_size=6))
def test_no_dead_letter_below_the_dwellings_holds_an_id(sent: list[Delivery]) -> None:
    """Whatever a payload holds in plain text, and wherever: no registered id, and no unknown home in a topic."""
    letters = letters_of(*sent)
    for letter in letters:
        told = f"{letter.topic}\n{letter.detail}\n{(letter.payload or b'').decode()}"
        assert not any(home in told for home in IDS)
        home = letter.topic.removeprefix("city/dwellings/").split("/")[0]
        assert home in {"-", *PRIVACY.pseudonyms.values()}


def test_what_is_pressed_is_in_no_letter() -> None:
    """A press that is understood is not a reading, and leaves nothing."""
    assert letters_of(press(b"on"), press(b"off"), press(b"")) == ()
