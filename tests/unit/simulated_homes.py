"""What simulated homes say in tests, and how it is looked up."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from schemas.registry import Registry, load_registry
from schemas.topics import Topics
from simulators.dwellings.model import make_home
from simulators.fleet import Fleet, announcement
from simulators.runs.pace import Issued, Pace, issue

TOPICS = Topics("city")
REGISTRY = load_registry(Path(__file__).parents[2] / "deploy/registry.toml")
MINUTE = 60 * 10**6
"""In microseconds."""


def messages(
    seed: int, begin: datetime, hours: float, turns: Sequence[int] = (0,), registry: Registry = REGISTRY
) -> list[Issued]:
    """Give what homes of a registry say in some hours, by their turns in it."""
    count = len(registry.dwelling)
    fleet = Fleet(
        [make_home(registry.dwelling[turn], turn, TOPICS, seed, begin, announcement(turn, count)) for turn in turns]
    )
    return list(issue(fleet, Pace(begin, speed=None), timedelta(hours=hours)))


class Series:
    """What one sensor told: times in microseconds and values, in order."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.values: list[float] = []

    def add(self, time: int, value: float) -> None:
        """Take one up."""
        self.times.append(time)
        self.values.append(value)

    def at(self, time: int) -> float:
        """Give the value told last at a time; the first one before."""
        return self.values[max(0, bisect_right(self.times, time) - 1)]

    def after(self, time: int) -> float:
        """Give the first value told after a time; the last one where there is none."""
        return self.values[min(bisect_right(self.times, time), len(self.values) - 1)]

    def pairs(self) -> Iterator[tuple[int, float]]:
        """Give times and values."""
        yield from zip(self.times, self.values, strict=True)

    def spans(self, least: float, most: float = float("inf")) -> Iterator[tuple[int, int]]:
        """Give from when to when the values were between two, where it ended."""
        begin = None
        for time, value in self.pairs():
            if begin is None and least <= value <= most:
                begin = time
            elif begin is not None and not least <= value <= most:
                yield begin, time
                begin = None

    def integral(self, begin: int, end: int) -> float:
        """Give the sum of value times hours between two times, each value held until the next."""
        inside = [begin, *(time for time in self.times if begin < time < end), end]
        return sum(self.at(first) * (second - first) for first, second in pairwise(inside)) / (60 * MINUTE)


def told(issued: Sequence[Issued]) -> dict[str, dict[str, Series]]:
    """Sort facts by home and sensor."""
    found: dict[str, dict[str, Series]] = defaultdict(lambda: defaultdict(Series))
    for message in issued:
        for fact in message.facts:
            _, home, name = fact.source.split("/", 2)
            found[home][name].add(fact.time, float(fact.values[0]))
    return found
