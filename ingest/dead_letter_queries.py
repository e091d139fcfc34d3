"""Dead letters as an operator looks at them: found, shown, and asked to be replayed."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row

from ingest.database import Connection
from ingest.sql import load_queries
from processors.privacy import KEPT_BYTES
from schemas.reasons import Reason

_SQL: Final = load_queries("dead_letters.sql")
_PORTION: Final = 10_000
"""Rows asked for at once: a second's work, so that no batch of the stream waits for long for one of them."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters: all that fit everything that is told. `topic` is an MQTT filter."""

    ids: Sequence[int] | None = None
    reason: Reason | None = None
    topic: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Give it as parameters of the queries."""
        return {
            "ids": None if self.ids is None else list(self.ids),
            "reason": self.reason,
            "topic": None if self.topic is None else _expression(self.topic),
            "since": self.since,
            "before": self.before,
            "most": KEPT_BYTES,
        }


def _expression(topic_filter: str) -> str:
    """Give a regular expression that matches the same topics as an MQTT filter."""
    levels = {"+": "[^/]*", "#": ".*"}
    expression = "/".join(levels.get(level) or re.escape(level) for level in topic_filter.split("/"))
    return f"^{expression.replace('/.*', '(/.*)?')}$"


async def find(connection: Connection, selection: Selection, limit: int) -> list[Row]:
    """Give the newest dead letters."""
    return await _rows(connection, "list", selection.parameters | {"limit": limit})


async def count(connection: Connection, selection: Selection) -> list[Row]:
    """Count rows, and the readings they stand for, by reason."""
    return await _rows(connection, "count", selection.parameters)


async def show(connection: Connection, number: int) -> Row | None:
    """Give everything of one dead letter."""
    rows = await _rows(connection, "show", (number,))
    return rows[0] if rows else None


async def clock(connection: Connection) -> datetime:
    """Give the time of the database, which also dates replays: this machine's may be another."""
    (row,) = await _rows(connection, "clock", ())
    moment: datetime = row["now"]
    return moment


async def request_replay(
    connection: Connection, selection: Selection, now: datetime, portion: int = _PORTION
) -> AsyncIterator[list[int]]:
    """Ask for a replay, part by part; gives the ids of each, in order. `now` is by the database's clock.

    Those replayed before are left out unless told by id.
    """
    parameters = selection.parameters | {"now": now, "after": 0, "portion": portion}
    ids = [0] * portion
    while len(ids) == portion:
        ids = sorted(row["id"] for row in await _rows(connection, "request", parameters))
        yield ids
        parameters["after"] = max(ids, default=0)


async def count_cut(connection: Connection, selection: Selection) -> int:
    """Count those that cannot be replayed since their payload is not kept whole."""
    (row,) = await _rows(connection, "count_cut", selection.parameters)
    return int(row["count"])


async def waiting(connection: Connection, requested_at: datetime) -> int:
    """Count those that were asked for until then and are still to be replayed."""
    (row,) = await _rows(connection, "waiting", (requested_at,))
    return int(row["count"])


async def outcome(connection: Connection, ids: Sequence[int], requested_at: datetime) -> list[Row]:
    """Tell what came of a replay: letters by `outcome`, whether those were replayed, and the detail of one of them."""
    return await _rows(connection, "outcome", {"ids": list(ids), "now": requested_at})


async def is_writer_at_work(connection: Connection) -> bool:
    """Tell whether a service is at work, under whatever name."""
    async with connection.transaction():
        row = await (await connection.execute(_SQL["try_writing"])).fetchone()
    return not (row and row[0])


async def _rows(connection: Connection, query: str, parameters: Any) -> list[Row]:  # noqa: ANN401 - as psycopg takes them
    text = _SQL[query].replace("{wanted}", _SQL["wanted"]).replace("{whole}", _SQL["whole"])
    async with connection.cursor(row_factory=dict_row) as cursor:
        return [*await (await cursor.execute(text, parameters)).fetchall()]
