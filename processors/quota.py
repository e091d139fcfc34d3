"""How many dead letters a source may write: beyond that its messages are only counted, in one row a minute.

So a flood of rubbish ends as a bounded number of rows, and every message of it is still accounted for.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from processors.dead_letters import MINUTE, DeadLetter, merge
from schemas.reasons import Reason

MOST_A_MINUTE: Final = 100
"""Rows of one source for one reason."""


class Rationed(NamedTuple):
    """Dead letters as they are to be written, and the quota after them."""

    rows: tuple[DeadLetter, ...]
    summaries: tuple[DeadLetter, ...]
    quota: "Quota"


@dataclass(frozen=True, slots=True)
class Quota:
    """Rows written of late, by minute of arrival, source and reason."""

    used: Mapping[tuple[int, str, Reason], int] = field(default_factory=dict)

    def ration(self, letters: Iterable[DeadLetter], held: Container[bytes]) -> Rationed:
        """Part letters into rows and summaries; `held` has the digests of rows that are there already.

        A repeat of a row that is there costs nothing: it makes no new one.
        """
        used = dict(self.used)
        rows, summaries = [], []
        for letter in letters:
            if letter.is_summary:
                summaries.append(letter)
                continue
            key = (letter.received_at // MINUTE, letter.source, letter.reason)
            if letter.digest in held:
                rows.append(letter)
            elif used.get(key, 0) < MOST_A_MINUTE:
                used[key] = used.get(key, 0) + 1
                rows.append(letter)
            else:
                summaries.append(letter.as_summary())
        return Rationed(tuple(rows), merge(summaries), Quota(_of_late(used)))


def _of_late(used: Mapping[tuple[int, str, Reason], int]) -> Mapping[tuple[int, str, Reason], int]:
    """Forget all but the newest minute and the one before it, so that memory stays bounded."""
    newest = max((minute for minute, _, _ in used), default=0)
    return {key: count for key, count in used.items() if key[0] >= newest - 1}
