"""Dead letters in the batch's transaction: those it brings, and those it replays."""

from collections.abc import Sequence
from typing import Final

from ingest.database import Connection
from ingest.sql import load_queries
from processors.dead_letters import DeadLetter
from processors.quota import Quota
from processors.replays import Letter, Mark
from processors.times import from_datetime, to_datetime

_SQL: Final = load_queries("dead_letters.sql")
_REPLAYED_AT_ONCE: Final = 200


async def write_dead_letters(
    connection: Connection, letters: Sequence[DeadLetter], quota: Quota
) -> tuple[list[DeadLetter], Quota]:
    """Write dead letters as far as the quota goes, and count the others; give what was not held before."""
    if not letters:
        return [], quota
    digests = [letter.digest for letter in letters if not letter.is_summary]
    held = await (await connection.execute(_SQL["held"], (digests,))).fetchall() if digests else []
    rationed = quota.ration(letters, {bytes(digest) for (digest,) in held})
    new = await _write_rows(connection, rationed.rows)
    await _add_to_summaries(connection, rationed.summaries)
    return [*new, *rationed.summaries], rationed.quota


async def mark_replayed(connection: Connection, marks: Sequence[Mark]) -> None:
    """Note what came of a replay."""
    columns = {
        "ids": [mark.id for mark in marks],
        "are_replayed": [mark.is_replayed for mark in marks],
        "details": [mark.detail for mark in marks],
    }
    await connection.execute(_SQL["mark_replayed"], columns)


async def requested_letters(connection: Connection) -> list[Letter]:
    """Give dead letters that somebody asked to replay, the oldest, some at a time."""
    rows = await (await connection.execute(_SQL["requested"], (_REPLAYED_AT_ONCE,))).fetchall()
    return [Letter(number, from_datetime(at), topic, bytes(payload)) for number, at, topic, payload in rows]


async def _write_rows(connection: Connection, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Write those that keep their payload; give the new ones."""
    if not letters:
        return []
    columns = [
        [to_datetime(letter.received_at) for letter in letters],
        *([getattr(letter, name) for letter in letters] for name in ("topic", "payload", "size", "digest")),
        *([str(getattr(letter, name)) for letter in letters] for name in ("reason", "detail")),
        [letter.repeats for letter in letters],
        [to_datetime(letter.last_seen_at) for letter in letters],
    ]
    rows = await (await connection.execute(_SQL["upsert_dead_letters"], columns)).fetchall()
    new = {bytes(digest) for digest, is_new in rows if is_new}
    return [letter for letter in letters if letter.digest in new]


async def _add_to_summaries(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """Count readings of which nothing else is kept."""
    if not letters:
        return
    columns = [
        [to_datetime(letter.received_at) for letter in letters],
        *([getattr(letter, name) for letter in letters] for name in ("topic", "size", "digest")),
        *([str(getattr(letter, name)) for letter in letters] for name in ("reason", "detail")),
        [letter.seen for letter in letters],
        [to_datetime(letter.last_seen_at) for letter in letters],
    ]
    await connection.execute(_SQL["add_to_summaries"], columns)
