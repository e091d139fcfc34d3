"""What a replay sends: the messages that an archive comes to, and what of it is left out. No I/O and no clock."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from schemas.registry import Registry
from schemas.topics import Topics
from simulators.readers.records import BayState, Count, Measurements, Record, Skipped
from simulators.replaying.rewrite import Rewriting

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Message(Protocol):
    """One message of an archive, at a time of the archive."""

    @property
    def time(self) -> datetime:
        """When it was sent."""

    @property
    def topic(self) -> str:
        """Where it goes."""

    @property
    def retain(self) -> bool:
        """Whether the broker is to keep it."""

    def payload(self, shift: timedelta) -> tuple[bytes, bool]:
        """Give what it says with all times so much later, and whether it tells any."""


@dataclass(frozen=True, slots=True)
class Span:
    """What part of an archive is played: records from `start` on and before `end`, None for all."""

    start: datetime | None = None
    end: datetime | None = None

    def __contains__(self, time: datetime) -> bool:
        """Tell whether a record of that time is played."""
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)


@dataclass
class Script:
    """What an archive comes to. `messages` gives them in order, as often as it is called; there are `count`.

    `skipped` is what was no whole record, `unknown` are names that the registry does not know, with how often they
    came. `has_own_times` tells that messages are captured as they were, with times of their own kind.
    """

    messages: Callable[[], Iterable[Message]] = tuple
    count: int = 0
    first: datetime = _EPOCH
    last: datetime = _EPOCH
    skipped: list[Skipped] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    retained: int = 0
    has_own_times: bool = False


@dataclass(frozen=True, slots=True)
class RecordMessage:
    """A record and the topic it goes to; the payload is written when it is sent."""

    topic: str
    record: Record
    retain: bool = False

    @property
    def time(self) -> datetime:
        """When the record was made."""
        return self.record.time

    def payload(self, shift: timedelta) -> tuple[bytes, bool]:
        """Write the record as the service takes it, so much later."""
        return record_payload(self.record, shift), True


class CarParkNames:
    """Finds a car park's code by its code or an alias: as it is written, else in any case.

    A name that fits several car parks once case is ignored is none of them.
    """

    def __init__(self, registry: Registry) -> None:
        self._exact: dict[str, str] = {}
        self._folded: dict[str, str | None] = {}
        for park in registry.car_park:
            for name in (park.code, *park.aliases):
                self._exact[name] = park.code
                fold = name.casefold()
                self._folded[fold] = park.code if self._folded.get(fold, park.code) == park.code else None

    def code(self, name: str) -> str | None:
        """Give the code of a car park, or None where the registry does not know the name."""
        return self._exact.get(name) or self._folded.get(name.casefold())


class Addresses:
    """Finds where a record goes: to a car park or a bay by its name, to the `dwelling` what a home measured."""

    def __init__(self, registry: Registry, topics: Topics, dwelling: str | None = None) -> None:
        self._topics = topics
        self._names = CarParkNames(registry)
        self._spots = {(park.code, spot.label) for park in registry.car_park for spot in park.all_spots()}
        self._dwelling = dwelling

    def topic(self, record: Record) -> str | None:
        """Give the topic; None where the registry does not know the name. Raises ValueError without a dwelling."""
        if isinstance(record, Measurements):
            if self._dwelling is None:
                raise ValueError("measurements without a dwelling")
            return self._topics.senml(self._dwelling)
        code = self._names.code(record.name)
        if code is None:
            return None
        if isinstance(record, Count):
            return self._topics.count(code)
        return self._topics.spot(code, record.spot) if (code, record.spot) in self._spots else None


def write_script(
    items: Iterable[Record | Skipped],
    addresses: Addresses,
    span: Span | None = None,
    rewriting: Rewriting | None = None,
) -> Script:
    """Sort what a reader gives by time, equal times in the reader's order, and find the topic of each record."""
    script = Script()
    messages: list[RecordMessage] = []
    for item in items:
        if isinstance(item, Skipped):
            script.skipped.append(item)
        elif span is not None and item.time not in span:
            continue
        elif topic := addresses.topic(item):
            messages.append(RecordMessage(rewriting.topic(topic) if rewriting else topic, item))
        else:
            script.unknown[_name(item)] += 1
    messages.sort(key=lambda message: message.time)
    if messages:
        script.messages = lambda: messages
        script.count, script.first, script.last = len(messages), messages[0].time, messages[-1].time
    return script


def _name(record: Record) -> str:
    if isinstance(record, BayState):
        return f"{record.name}/{record.spot}"
    return record.name if isinstance(record, Count) else ""


def record_payload(record: Record, shift: timedelta) -> bytes:
    """Write a record as the service takes it, as JSON: a counter's count, a bay's state, or a SenML pack."""
    time = record.time + shift
    content: object
    if isinstance(record, Count):
        content = _count(record, time)
    elif isinstance(record, BayState):
        content = {"occupied": record.occupied, "time": rfc3339(time)}
    else:
        content = _pack(record, time)
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def _count(record: Count, time: datetime) -> dict[str, object]:
    content: dict[str, object] = {"free": record.free, "total": record.total, "status": record.status}
    return {name: value for name, value in content.items() if value is not None} | {"time": rfc3339(time)}


def _pack(record: Measurements, time: datetime) -> Sequence[dict[str, object]]:
    pairs = zip(record.sensors, record.values, strict=True)
    values: list[dict[str, object]] = [
        {"n": sensor.name} | ({"u": sensor.unit} if sensor.unit else {}) | {"v": value} for sensor, value in pairs
    ]
    return [{"bt": _epoch_seconds(time)} | values[0], *values[1:]]


def rfc3339(time: datetime) -> str:
    """Write a time in UTC, with microseconds only where it has some."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _epoch_seconds(time: datetime) -> float:
    since = time - _EPOCH
    return since.total_seconds() if since.microseconds else since // timedelta(seconds=1)
