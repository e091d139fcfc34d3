"""A capture as what a replay sends: read twice, once to see how long it is, and never held in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path

import structlog

from schemas.topics import Route, Topics
from simulators.captures.lines import Captured
from simulators.captures.reading import CaptureReader
from simulators.captures.shifting import shift_payload
from simulators.replaying.plan import Script, Span
from simulators.replaying.rewrite import Rewriting

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNSHIFTED = timedelta(0)
_TOPICS_KNOWN = 65_536

log = structlog.get_logger("simulators.replay")


@dataclass(frozen=True, slots=True)
class CapturedMessage:
    """A message of a capture; its topic is where it goes, its route tells what it says."""

    time: datetime
    topic: str
    retain: bool
    said: bytes
    route: Route

    def payload(self, shift: timedelta) -> tuple[bytes, bool]:
        """Give the same bytes, with all times that are known so much later, and whether any was found."""
        if shift == _UNSHIFTED:
            return self.said, True
        shifted = shift_payload(self.route, self.said, shift)
        return (self.said, False) if shifted is None else (shifted, True)


class Capture:
    """A capture's file, and which of its messages are played: those of a span, the retained ones only when asked."""

    def __init__(
        self, path: Path, topics: Topics, span: Span, rewriting: Rewriting | None = None, *, with_retained: bool = False
    ) -> None:
        self._path = path
        self._topics = topics
        self._span = span
        self._rewriting = rewriting
        self._target = lru_cache(_TOPICS_KNOWN)(self._find_target)
        self._with_retained = with_retained

    def script(self, stopped: Callable[[], bool]) -> Script:
        """See how much there is, all of it or until stopped. Raises ArchiveError where it cannot be read to its end."""
        script = Script(has_own_times=True)
        reader = CaptureReader(self._path)
        for message in reader:
            if stopped():
                break
            time = _time(message)
            if time not in self._span:
                continue
            if message.retain and not self._with_retained:
                script.retained += 1
                continue
            script.first = min(script.first, time) if script.count else time
            script.last = max(script.last, time) if script.count else time
            script.count += 1
        if reader.torn:
            log.warning("capture_torn", file=str(self._path), bytes=reader.torn)
        # It may still be recorded: what comes after this look is not played.
        script.messages = lambda: islice(self._messages(), script.count)
        return script

    def _messages(self) -> Iterator[CapturedMessage]:
        for message in CaptureReader(self._path):
            time = _time(message)
            if time in self._span and (self._with_retained or not message.retain):
                topic, route = self._target(message.topic)
                yield CapturedMessage(time, topic, message.retain, message.payload, route)

    def _find_target(self, topic: str) -> tuple[str, Route]:
        """Give where messages of a topic go, and what that says of their payloads, or else where they came from."""
        target = self._rewriting.topic(topic) if self._rewriting else topic
        route = self._topics.parse(target).route
        return target, self._topics.parse(topic).route if route is Route.UNROUTABLE else route


def _time(message: Captured) -> datetime:
    return _EPOCH + timedelta(microseconds=message.at)
