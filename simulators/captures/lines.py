"""The lines of a capture: JSON, one a message, and a header before them; docs/replay.md tells the format. No I/O."""

import base64
import json
import re
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

VERSION = 1
_MARK = "capture"
_LATEST = 253_402_300_800_000_000
"""Microseconds from 1970 to the end of the year 9999."""
_TOPIC = re.compile(r"[^+#\x00]+")
_LONGEST_TOPIC = 65_535
"""Bytes that MQTT has for one."""


class LineError(ValueError):
    """A line is none of a capture's; the message says why."""


class Captured(NamedTuple):
    """A message as it arrived, `at` microseconds since 1970 by our clock.

    `retain` tells that the broker had kept it from before, so that its age is unknown.
    """

    at: int
    topic: str
    payload: bytes
    retain: bool = False


class Recording(BaseModel):
    """What is recorded, and under which client id; all that is needed to go on with it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    client_id: str
    topics: tuple[str, ...]
    with_dwellings: bool


def header_line(recording: Recording) -> bytes:
    """Write a header, with its line end."""
    return _line({"arceaux": _MARK, "version": VERSION, **recording.model_dump(mode="json")})


def message_line(message: Captured) -> bytes:
    """Write a message, with its line end; the payload as text where it is UTF-8, else in base64."""
    line: dict[str, object] = {"at": message.at, "topic": message.topic}
    try:
        line["payload"] = message.payload.decode()
    except UnicodeDecodeError:
        line["base64"] = base64.b64encode(message.payload).decode()
    if message.retain:
        line["retain"] = True
    return _line(line)


def read_line(line: bytes) -> Captured | Recording:
    """Read a line, without its end: a message, or a header, which may stand between messages, too.

    Raises LineError.
    """
    try:
        content = from_json(line)
    except ValueError:
        raise LineError("no JSON") from None
    if not isinstance(content, dict):
        raise LineError("no JSON object")
    return _header(content) if "arceaux" in content else _message(content)


def _header(content: dict[str, Any]) -> Recording:
    if content["arceaux"] != _MARK:
        raise LineError("no capture of Arceaux")
    if content.get("version") != VERSION:
        raise LineError(f"a capture of version {content.get('version')}; this Arceaux reads version {VERSION}")
    try:
        return Recording.model_validate_json(json.dumps(content))
    except ValidationError:
        raise LineError("a header without client_id, topics and with_dwellings") from None


def _message(content: dict[str, Any]) -> Captured:
    at, topic, retain = content.get("at"), content.get("topic"), content.get("retain", False)
    if type(at) is not int or not isinstance(topic, str) or not isinstance(retain, bool):
        raise LineError("no message with `at`, `topic` and perhaps `retain`")
    if not 0 <= at < _LATEST:
        raise LineError("`at` is no time from 1970 to 9999 in microseconds")
    if not _TOPIC.fullmatch(topic) or len(topic.encode()) > _LONGEST_TOPIC:
        raise LineError("nothing can be published to its `topic`")
    return Captured(at, topic, _payload(content), retain)


def _payload(content: dict[str, Any]) -> bytes:
    told = LineError("neither a `payload` of text nor one in `base64`")
    text, encoded = content.get("payload"), content.get("base64")
    try:
        if isinstance(text, str) and encoded is None:
            return text.encode()
        if isinstance(encoded, str) and text is None:
            return base64.b64decode(encoded, validate=True)
    except ValueError:  # a lone surrogate, or what is no base64
        raise told from None
    raise told


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
