"""What a replay sends, and when. No I/O and no clock."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas.registry import Registry
from schemas.topics import Topics
from simulators.readers.records import Count, Measurements, Record, Skipped

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLOWEST, _FASTEST = 1e-3, 1e6
MAX = "max"
"""The speed of a replay that is as fast as the broker acknowledges."""


@dataclass(frozen=True, slots=True)
class Message:
    """A record and the topic it goes to; the payload is written when it is sent, since its time may be shifted."""

    topic: str
    record: Record


@dataclass
class Script:
    """What an archive comes to: messages by time, what was skipped, and unknown names with how often they came."""

    messages: list[Message] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


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


def write_script(
    items: Iterable[Record | Skipped], registry: Registry, topics: Topics, dwelling: str | None = None
) -> Script:
    """Sort what a reader gives by time, equal times in the reader's order, and find the topic of each record.

    Measurements go to `dwelling`, which they need.
    """
    names = CarParkNames(registry)
    counters = {park.code: topics.count(park.code) for park in registry.car_park}
    script = Script()
    for item in items:
        if isinstance(item, Skipped):
            script.skipped.append(item)
        elif isinstance(item, Measurements):
            if dwelling is None:
                raise ValueError("measurements without a dwelling")
            script.messages.append(Message(topics.senml(dwelling), item))
        elif code := names.code(item.name):
            script.messages.append(Message(counters[code], item))
        else:
            script.unknown[item.name] += 1
    script.messages.sort(key=lambda message: message.record.time)
    return script


@dataclass(frozen=True, slots=True)
class Timeline:
    """When records are due, and the times they are sent with.

    `first` and `last` are the archive's times, `start` is when the replay starts. `speed` is a factor of the
    archive's own pace, None for as fast as the broker acknowledges.
    """

    first: datetime
    last: datetime
    start: datetime
    speed: float | None
    shift_to_now: bool

    def due(self, time: datetime) -> float:
        """Give the seconds after `start` at which a record of that time is due."""
        return 0.0 if self.speed is None else (time - self.first).total_seconds() / self.speed

    @property
    def shift(self) -> timedelta:
        """The constant added to all times: with it, the last record's is when it is due."""
        if not self.shift_to_now:
            return timedelta(0)
        return self.start + timedelta(seconds=self.due(self.last)) - self.last


class Progress:
    """Which of `total` messages are sent and acknowledged; they are told by their place, from 0."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.acknowledged = 0
        self._next = 0
        self._open: dict[int, None] = {}

    def turns(self) -> Iterator[int]:
        """Give what is to be sent over a new connection, in order: first what went unacknowledged over the last."""
        yield from list(self._open)
        while self._next < self.total:
            place = self._next
            self._next += 1
            self._open[place] = None
            yield place

    @property
    def is_complete(self) -> bool:
        """Whether the broker has everything."""
        return self.acknowledged == self.total

    def acknowledge(self, place: int) -> None:
        """Note that the broker has a message."""
        del self._open[place]
        self.acknowledged += 1


def payload(record: Record, shift: timedelta) -> bytes:
    """Write a record as the service takes it, as JSON: a counter's count, or a SenML pack."""
    time = record.time + shift
    content = _count(record, time) if isinstance(record, Count) else _pack(record, time)
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def _count(record: Count, time: datetime) -> dict[str, object]:
    content: dict[str, object] = {"free": record.free, "total": record.total, "status": record.status}
    return {name: value for name, value in content.items() if value is not None} | {"time": rfc3339(time)}


def _pack(record: Measurements, time: datetime) -> Sequence[dict[str, object]]:
    pairs = zip(record.sensors, record.values, strict=True)
    values: list[dict[str, object]] = [{"n": sensor.name, "u": sensor.unit, "v": value} for sensor, value in pairs]
    return [{"bt": _epoch_seconds(time)} | values[0], *values[1:]]


def rfc3339(time: datetime) -> str:
    """Write a time in UTC, with microseconds only where it has some."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _epoch_seconds(time: datetime) -> float:
    since = time - _EPOCH
    return since.total_seconds() if since.microseconds else since // timedelta(seconds=1)


def parse_speed(text: str) -> float | None:
    """Read a speed: a factor such as 60, or `max` as None. Raises ValueError."""
    if text == MAX:
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not _SLOWEST <= speed <= _FASTEST:
        raise ValueError(f"expected a factor from 0.001 to 1000000, or {MAX}")
    return speed
