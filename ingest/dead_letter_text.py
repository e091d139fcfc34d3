"""A dead letter as text for people and as JSON for programs. What a stranger sent is escaped, so that it stays text."""

import base64
import codecs
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from ingest.dead_letter_queries import Row
from schemas.reasons import EXPLANATIONS, Reason

_SHOWN: Final = 4096
"""Bytes of a payload that are shown; `--json` gives all that is kept."""
_COLUMNS: Final = "{:>8}  {:<24}  {:<20}  {:>7}  {:>7}  {}"


def table(rows: Sequence[Row], counts: Sequence[Row]) -> Iterator[str]:
    """Give a listing, the newest first, and the sums by reason."""
    if rows:
        yield _COLUMNS.format("id", "received", "reason", "seen", "repeats", "topic")
    for row in rows:
        topic = printable(row["topic"]) + ("  (replayed)" if row["replayed_at"] else "")
        yield _COLUMNS.format(row["id"], _time(row["received_at"]), row["reason"], row["seen"], row["repeats"], topic)
        yield f"{'':10}{printable(row['detail'])}"
    for row in counts:
        yield f"{row['reason']}: {row['rows']} rows, {row['readings']} readings"
    if not counts:
        yield "no dead letters"


def details(row: Row) -> Iterator[str]:
    """Give everything of one dead letter, the error explained."""
    explanation = EXPLANATIONS[Reason(row["reason"])]
    yield f"dead letter {row['id']}: {row['reason']}"
    yield f"  what:      {printable(row['detail'])}"
    yield f"  means:     {explanation.cause}"
    yield f"  to do:     {explanation.remedy}"
    yield f"  topic:     {printable(row['topic'])}"
    yield f"  received:  {_time(row['received_at'])}, last {_time(row['last_seen_at'])}"
    yield f"  readings:  {row['seen']}, and {row['repeats']} repeats"
    if row["replayed_at"]:
        yield f"  replayed:  {_time(row['replayed_at'])}"
    if row["replay_detail"]:
        yield f"  replay:    {printable(row['replay_detail'])}"
    if row["replay_requested_at"]:
        yield "  replay:    asked for, not done yet"
    if row["payload"] is None:
        yield "  payload:   not kept"
        return
    yield f"  payload:   {row['size']} bytes" + (f", the first {_SHOWN}:" if len(row["payload"]) > _SHOWN else ":")
    yield from (f"    {line}" for line in readable(bytes(row["payload"])))


def readable(payload: bytes) -> Iterator[str]:
    """Give a payload as lines: text as it was sent, anything else in hexadecimal."""
    payload = payload[:_SHOWN]
    try:
        # Not final: the cut may have gone through a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(payload)
    except UnicodeDecodeError:
        yield from (payload[at : at + 16].hex(" ") for at in range(0, len(payload), 16))
        return
    yield from (printable(line) for line in text.split("\n"))


def as_json(row: Row) -> dict[str, Any]:
    """Give a row for `--json`: times in RFC 3339, the payload as text where it is text, else in base64."""
    plain: dict[str, Any] = {
        name: _time(value) if isinstance(value, datetime) else value for name, value in row.items()
    }
    payload = plain.pop("payload", None)
    if payload is not None:
        try:
            plain["payload"] = bytes(payload).decode()
        except UnicodeDecodeError:
            plain["payload_base64"] = base64.b64encode(payload).decode()
    return plain


def printable(text: str) -> str:
    """Escape whatever could steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")
