"""Dead letters as people and programs read them."""

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.dead_letter_queries import Selection
from ingest.dead_letter_text import as_json, details, printable, readable, table
from schemas.reasons import EXPLANATIONS, Reason

AT = datetime(2026, 11, 21, 22, 0, 0, 500_000, UTC)
ROW: dict[str, Any] = {
    "id": 7,
    "received_at": AT,
    "last_seen_at": AT,
    "reason": "malformed_payload",
    "topic": "city/parking/ANTI/spots/P-001",
    "detail": "why \x1b[31m",
    "payload": b"{",
    "size": 1,
    "seen": 1,
    "repeats": 2,
    "replayed_at": None,
    "replay_requested_at": None,
    "replay_detail": None,
}


def test_every_reason_is_explained() -> None:
    """Cause and remedy, in one line each."""
    assert set(EXPLANATIONS) == set(Reason)
    assert all(text and "\n" not in text for explanation in EXPLANATIONS.values() for text in explanation)


def test_nothing_that_was_sent_can_steer_a_terminal() -> None:
    """Control characters, line separators and surrogates are escaped; letters of any language stay."""
    assert printable("né\x1b[2J\r\u2028\ud800") == "né\\x1b[2J\\r\\u2028\\ud800"
    text = "\n".join([*details(ROW | {"payload": b"a\x1b]0;b\x07\nc"}), *table([ROW], [])])
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.parametrize(
    ("payload", "lines"),
    [
        (b'{"occupied": 1,\n "a": 1}', ['{"occupied": 1,', ' "a": 1}']),
        (b"\x00\xff\xfe", ["00 ff fe"]),
        (bytes(range(240, 256)) + b"a", ["f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 fa fb fc fd fe ff", "61"]),
        (b"x" * 5000, ["x" * 4096]),
        (b"x" * 4095 + "é".encode(), ["x" * 4095]),
        (b"", [""]),
    ],
)
def test_a_payload_is_readable(payload: bytes, lines: list[str]) -> None:
    """Text as it was sent, though a cut goes through a character; other bytes in hexadecimal."""
    assert list(readable(payload)) == lines


def test_details_explain_the_error() -> None:
    """What was wrong, what that means, what to do, and the payload."""
    text = "\n".join(details(ROW))
    for wanted in ("dead letter 7: malformed_payload", EXPLANATIONS[Reason.MALFORMED_PAYLOAD].remedy, "    {"):
        assert wanted in text
    assert "not kept" in "\n".join(details(ROW | {"payload": None}))
    assert "asked for" in "\n".join(details(ROW | {"replay_requested_at": AT}))
    assert "2026-11-21T22:00:00.500Z" in "\n".join(details(ROW | {"replayed_at": AT, "replay_detail": "decoded"}))


def test_json_tells_the_payload_as_text_or_in_base64() -> None:
    """Whole, and so that every row is JSON."""
    assert json.loads(json.dumps(as_json(ROW)))["payload"] == "{"
    told = json.loads(json.dumps(as_json(ROW | {"payload": b"\xff"})))
    assert base64.b64decode(told["payload_base64"]) == b"\xff"
    assert "payload" not in told


@pytest.mark.parametrize(
    ("topic_filter", "fitting", "others"),
    [
        ("city/parking/+/count", ["city/parking/A/count"], ["city/parking/A/b/count", "xcity/parking/A/count"]),
        ("city/parking/#", ["city/parking", "city/parking/A/b"], ["city/parkings"]),
        ("a.b/+", ["a.b/c", "a.b/"], ["axb/c"]),
        ("#", ["anything/at/all"], []),
    ],
)
def test_a_topic_filter_selects_as_in_mqtt(topic_filter: str, fitting: list[str], others: list[str]) -> None:
    """One level for `+`, all that follows for `#`, everything else literally."""
    expression = re.compile(Selection(topic=topic_filter).parameters["topic"])
    assert all(expression.search(topic) for topic in fitting)
    assert not any(expression.search(topic) for topic in others)
