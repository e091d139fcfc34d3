"""What has to be found after a run: facts and dead letters, from the messages made again. No I/O and no clock.

A fact is held in 37 bytes, so that millions fit; a dead letter in about 200.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from schemas.registry import Registry
from schemas.topics import Topics
from simulators.faults.kinds import Fault
from simulators.fleet import ARRIVAL, Fact
from simulators.oracle.origins import Origins
from simulators.runs.pace import Issued

FACT = np.dtype([("time", "i8"), ("source", "i4"), ("a", "f8"), ("b", "f8"), ("c", "f8"), ("sure", "?")])
"""`source` numbers Sources, `a` to `c` are the values. A sure one was acknowledged: it has to be stored."""
Facts = np.ndarray[tuple[int], np.dtype[np.void]]
Values = tuple[float, float, float]

_STATUSES = {"": 0.0, "open": 1.0, "full": 2.0, "closed": 3.0}
_CHUNK = 100_000


def numbers(values: Iterable[float | str]) -> Values:
    """Give a fact's values as three numbers, as equal as the values are."""
    told = [_STATUSES.get(value, -1.0) if isinstance(value, str) else float(value) for value in values]
    first, second, third = *told, *[0.0] * (3 - len(told))
    return first, second, third


class Collected:
    """What the messages of a run tell, collected one by one.

    `limits` are the first and last time by clocks that are right.
    """

    def __init__(self, registry: Registry, topics: Topics, origins: Origins) -> None:
        self.sources: dict[str, int] = {}
        self.untimed: dict[tuple[int, Values], bool] = {}
        self.letters: dict[tuple[str, str], dict[bytes, bool]] = {}
        self.issued = self.acknowledged = 0
        self.limits: tuple[int, int] | None = None
        self._origins = origins
        self._silenced = {home.id for home in registry.dwelling if not home.consent}
        self._topics = topics
        self._rows: list[tuple[int, int, float, float, float, bool]] = []
        self._parts: list[Facts] = []

    def add(self, issued: Issued, *, sure: bool) -> None:
        """Collect a message; a sure one was acknowledged, another one may have reached the broker or not."""
        self.issued += 1
        self.acknowledged += sure
        may_keep = self._may_keep(issued.topic)
        for fact in issued.facts:
            self._add_fact(fact, sure=sure, may_keep=may_keep)
        if issued.fault != Fault.CLOCK_SKEW:
            self._widen([fact.time for fact in issued.facts if fact.time != ARRIVAL])
        if issued.letters and may_keep:
            self._add_letters(issued, sure=sure)

    def facts(self) -> Facts:
        """Give the distinct facts, in order of time; one of several messages is sure where one of these is."""
        self._parts.append(np.array(self._rows, dtype=FACT))
        self._rows = []
        facts = np.concatenate(self._parts)
        self._parts = [facts]
        order = np.lexsort((~facts["sure"], facts["c"], facts["b"], facts["a"], facts["source"], facts["time"]))
        facts = facts[order]
        is_first = np.ones(len(facts), dtype=bool)
        is_first[1:] = _differ(facts[1:], facts[:-1])
        return facts[is_first]

    def _may_keep(self, topic: str) -> bool:
        """Tell whether anything of a message may be kept: nothing is of a home without consent."""
        asset = self._topics.parse(topic)
        return not (asset.is_home and asset.asset in self._silenced)

    def _add_fact(self, fact: Fact, *, sure: bool, may_keep: bool) -> None:
        source = self.sources.setdefault(fact.source, len(self.sources))
        if not may_keep:
            return
        values = numbers(fact.values)
        if fact.time == ARRIVAL:
            self.untimed[source, values] = self.untimed.get((source, values), False) or sure
            return
        self._rows.append((fact.time, source, *values, sure))
        if len(self._rows) == _CHUNK:
            self._parts.append(np.array(self._rows, dtype=FACT))
            self._rows = []

    def _add_letters(self, issued: Issued, *, sure: bool) -> None:
        origin = self._origins.of_message(issued.topic)
        digest = hashlib.sha256(issued.topic.encode() + b"\0" + issued.payload).digest()
        for number, reason in enumerate(issued.letters):
            place = self._origins.nameless(origin) if reason == "identity_mismatch" else origin
            group = self.letters.setdefault((place, str(reason)), {})
            key = digest + number.to_bytes(4) if number else digest
            group[key] = group.get(key, False) or sure

    def _widen(self, times: list[int]) -> None:
        if times:
            first, last = self.limits or (times[0], times[0])
            self.limits = min(first, *times), max(last, *times)


def _differ(left: Facts, right: Facts) -> NDArray[np.bool_]:
    is_other = np.zeros(len(left), dtype=bool)
    for column in ("time", "source", "a", "b", "c"):
        is_other |= left[column] != right[column]
    return is_other
