"""Facts and dead letters, expected and found, held against each other. No I/O and no clock."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from simulators.oracle.expected import Facts, Values
from simulators.oracle.origins import Origins
from simulators.oracle.tables import Letter, Row

WINDOW = 50_000
"""Facts that are compared at once."""
EXAMPLES = 20
Key = tuple[int, int, Values]
"""Time, source, values."""


@dataclass(slots=True)
class FactsFound:
    """What became of the facts. Of what is wrong, the first few are kept as examples."""

    expected: int = 0
    stored: int = 0
    open_stored: int = 0
    missing: int = 0
    doubled: int = 0
    altered: int = 0
    unexplained: int = 0
    examples: list[tuple[str, Key]] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Tell whether every sure fact is stored once, and nothing else."""
        return not (self.missing or self.doubled or self.altered or self.unexplained)

    def note(self, what: str, key: Key) -> None:
        """Count what is wrong."""
        setattr(self, what, getattr(self, what) + 1)
        if len(self.examples) < EXAMPLES:
            self.examples.append((what, key))


def windows(facts: Facts, limits: tuple[int, int]) -> Iterator[tuple[int, int, Facts]]:
    """Part the facts within limits into windows of time without gaps: first and last time, both included, and facts."""
    times = facts["time"]
    inside = facts[np.searchsorted(times, limits[0]) : np.searchsorted(times, limits[1], "right")]
    first, begin = limits[0], 0
    while first <= limits[1]:
        is_rest = len(inside) - begin <= WINDOW
        last = limits[1] if is_rest else int(inside["time"][begin + WINDOW - 1])
        end = int(np.searchsorted(inside["time"], last, "right"))
        yield first, last, inside[begin:end]
        first, begin = last + 1, end


def strays(facts: Facts, stretches: Sequence[tuple[int, int]]) -> Facts:
    """Give the facts that lie in no stretch of time: of clocks that are off."""
    is_inside = np.zeros(len(facts), dtype=bool)
    for first, last in stretches:
        is_inside |= (facts["time"] >= first) & (facts["time"] <= last)
    return facts[~is_inside]


@dataclass(frozen=True, slots=True)
class Untimed:
    """Sources and values that were told without a time: they stand at their arrival, at `since` or later."""

    told: Mapping[tuple[int, Values], bool]
    since: int

    def explains(self, row: Row) -> bool:
        """Tell whether a row may be one of them."""
        return row.may_be_untimed and row.time >= self.since and (row.source, row.values) in self.told


def compare_facts(facts: Facts, rows: Iterable[Row], found: FactsFound, untimed: Untimed) -> None:
    """Compare the facts and the rows of one window."""
    expected = {(time, source, (a, b, c)): sure for time, source, a, b, c, sure in facts.tolist()}
    told = {(time, source) for time, source, _ in expected}
    held, explained = Counter[Key](), set[Key]()
    for row in rows:
        key = row.time, row.source, row.values
        held[key] += 1
        if untimed.explains(row):
            explained.add(key)
    for key, sure in expected.items():
        if key in held:
            found.stored += sure
            found.open_stored += not sure
        elif sure:
            found.note("missing", key)
    found.expected += sum(expected.values())
    for key, times in held.items():
        if times > 1:
            found.note("doubled", key)
        if key not in expected and key not in explained:
            found.note("altered" if key[:2] in told else "unexplained", key)


def compare_untimed(untimed: Untimed, held: Container[tuple[int, Values]], found: FactsFound) -> None:
    """Look for facts without a time of their own: each of them has to be there at least once."""
    for key, sure in untimed.told.items():
        found.expected += sure
        if key in held:
            found.stored += sure
        elif sure:
            found.note("missing", (0, *key))


@dataclass(slots=True)
class LettersFound:
    """What became of the dead letters, by reason. `unexpected` are the topic and reason of the first few."""

    expected: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Tell whether every bad message is held with its reason, and no other."""
        return not (self.missing or self.unexpected)

    def note(self, what: str, topic: str, reason: str, count: int) -> None:
        """Count what is wrong."""
        getattr(self, what)[reason] += count
        if len(self.examples) < EXAMPLES:
            self.examples.append((what, topic, reason))


def compare_letters(
    expected: Mapping[tuple[str, str], Mapping[bytes, bool]],
    letters: Sequence[Letter],
    origins: Origins,
    until: datetime,
) -> LettersFound:
    """Compare dead letters by source and reason: by their digests, where these are known, else by their number.

    Those of homes have a keyed digest, and summaries none of a message. What others sent after `until` is not judged.
    """
    found = LettersFound()
    groups: dict[tuple[str, str], list[Letter]] = {}
    for letter in letters:
        groups.setdefault((origins.of_letter(letter.topic), letter.reason), []).append(letter)
    for place, rows in groups.items():
        strange = [row for row in rows if row.received_at <= until and place not in expected]
        if strange:
            found.note("unexpected", *place, sum(row.seen for row in strange))
    for place, wanted in expected.items():
        _compare_group(place, wanted, groups.get(place, []), found, until)
    return found


def _compare_group(
    place: tuple[str, str],
    wanted: Mapping[bytes, bool],
    rows: Sequence[Letter],
    found: LettersFound,
    until: datetime,
) -> None:
    topic, reason = place
    sure = sum(wanted.values())
    kept = [row for row in rows if not row.is_summary]
    if "/dwellings/" in topic:
        matched = len(kept)
        strangers = max(0, sum(row.received_at <= until for row in kept) - len(wanted))
    else:
        matched = sum(wanted.get(digest, False) for digest in {row.digest for row in kept})
        strangers = sum(row.digest not in wanted and row.received_at <= until for row in kept)
    held = min(sure, matched + sum(row.seen for row in rows if row.is_summary))
    found.expected[reason] += sure
    found.held[reason] += held
    if held < sure:
        found.note("missing", topic, reason, sure - held)
    if strangers:
        found.note("unexpected", topic, reason, strangers)
