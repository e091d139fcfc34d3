"""What the oracle found, in words and as JSON. No I/O and no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from simulators.oracle.compare import FactsFound, LettersFound
from simulators.oracle.tables import Books

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class FiguresFound:
    """How many figures are right, and what is wrong with the others, by topic."""

    right: int = 0
    wrong: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a run. `sources` are the names of those that the facts number."""

    issued: int
    acknowledged: int
    facts: FactsFound
    letters: LettersFound
    figures: FiguresFound
    books: Books
    sources: Sequence[str]

    @property
    def stored_too_much(self) -> int:
        """How many more readings the ledger has as stored than there are, or were removed."""
        return self.books.stored - self.books.held - self.books.removed

    @property
    def lettered_too_much(self) -> int:
        """How many more readings the ledger has as dead letters than there are, or were removed."""
        return self.books.dead_lettered - self.books.seen - self.books.letters_removed

    @property
    def is_proven(self) -> bool:
        """Tell whether nothing is wrong."""
        books = not (self.stored_too_much or self.lettered_too_much)
        return self.facts.is_right and self.letters.is_right and not self.figures.wrong and books


def as_json(verdict: Verdict) -> Mapping[str, object]:
    """Give it for a program."""
    facts, letters, figures = verdict.facts, verdict.letters, verdict.figures
    return {
        "proven": verdict.is_proven,
        "messages": {
            "issued": verdict.issued,
            "acknowledged": verdict.acknowledged,
            "open": verdict.issued - verdict.acknowledged,
        },
        "facts": {
            "expected": facts.expected,
            "stored": facts.stored,
            "missing": facts.missing,
            "doubled": facts.doubled,
            "altered": facts.altered,
            "unexplained": facts.unexplained,
            "open_stored": facts.open_stored,
        },
        "dead_letters": {
            name: {
                "expected": letters.expected[name],
                "held": letters.held[name],
                "missing": letters.missing[name],
                "unexpected": letters.unexpected[name],
            }
            for name in sorted({*letters.expected, *letters.unexpected})
        },
        "figures": {"right": figures.right, "wrong": dict(figures.wrong)},
        "ledger": {"stored": verdict.stored_too_much, "dead_lettered": verdict.lettered_too_much},
        "examples": _examples(verdict),
    }


def as_text(verdict: Verdict) -> str:
    """Give it for people: a line each, then what is wrong, and the verdict."""
    facts, letters, figures, books = verdict.facts, verdict.letters, verdict.figures, verdict.books
    open_ones = verdict.issued - verdict.acknowledged
    wrong_ones = f"doubled {facts.doubled}, altered {facts.altered}, unexplained {facts.unexplained}"
    lines = [
        f"messages      {verdict.issued} = acknowledged {verdict.acknowledged} + open {open_ones}",
        f"facts         {facts.expected} = stored {facts.stored} + missing {facts.missing}; {wrong_ones}",
        _letters(
            "dead letters  ",
            (letters.expected.total(), letters.held.total(), letters.missing.total(), letters.unexpected.total()),
        ),
    ]
    for name in sorted({*letters.expected, *letters.unexpected}):
        counts = letters.expected[name], letters.held[name], letters.missing[name], letters.unexpected[name]
        lines.append(_letters(f"  {name:<22}", counts))
    stored = f"stored {books.stored} = held {books.held} + removed {books.removed}"
    lettered = f"dead-lettered {books.dead_lettered} = held {books.seen} + removed {books.letters_removed}"
    lines += [
        f"figures       right {figures.right}, wrong {len(figures.wrong)}",
        f"ledger        {stored}{_too_much(verdict.stored_too_much)}",
        f"              {lettered}{_too_much(verdict.lettered_too_much)}",
        *_examples(verdict),
        "proven: nothing lost, nothing doubled, nothing unexplained" if verdict.is_proven else "NOT proven",
    ]
    return "\n".join(lines)


def _letters(name: str, counts: tuple[int, int, int, int]) -> str:
    expected, held, missing, unexpected = counts
    return f"{name}{expected} = held {held} + missing {missing}; unexpected {unexpected}"


def _too_much(difference: int) -> str:
    return f"  DIFFERS by {difference}" if difference else ""


def _examples(verdict: Verdict) -> list[str]:
    """Name what is wrong: the first ones of it. Homes are named by the ids that the registry gives them."""
    examples = []
    for what, (micros, source, values) in verdict.facts.examples:
        time = (_EPOCH + timedelta(microseconds=micros)).isoformat() if micros else "its arrival"
        examples.append(f"{what}: {verdict.sources[source]} at {time}: {_told(verdict.sources[source], values)}")
    examples += [f"dead letter {what}: {reason} of {topic}" for what, topic, reason in verdict.letters.examples]
    return [*examples, *(f"wrong figure: {topic}: {why}" for topic, why in verdict.figures.wrong.items())]


def _told(source: str, values: Sequence[float]) -> str:
    kind, *rest = source.split("/")
    if kind == "parking" and len(rest) == 1:
        return f"free {values[0]:.0f}, total {values[1]:.0f}"
    return f"{values[0]:g}"
