"""What the tables hold, read by SQL of the oracle's own."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any, LiteralString, NamedTuple, Self

import psycopg

from simulators.oracle.expected import Values, numbers

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TABLES = ("parking_event", "parking_count", "dwelling_reading")
_TIMES_AT_ONCE = 1_000


def _load_queries() -> Mapping[str, LiteralString]:
    text = resources.files(__package__).joinpath("reading.sql").read_text(encoding="utf-8")
    named = (block.partition("\n") for block in text.split("-- name: ")[1:])
    return {name.strip(): body.strip() for name, _, body in named}


_SQL = _load_queries()


class Row(NamedTuple):
    """A stored reading of a source of the run: when, in microseconds since 1970, the source's number, what.

    `may_be_untimed` is false where the time is known to be another one than the arrival.
    """

    time: int
    source: int
    values: Values
    may_be_untimed: bool


class Letter(NamedTuple):
    """A row of `dead_letter`; a summary has no payload, and its `seen` counts."""

    topic: str
    reason: str
    digest: bytes
    seen: int
    is_summary: bool
    received_at: datetime


class Books(NamedTuple):
    """The sums of the ledger, and what is there or was removed, by the tables."""

    stored: int
    held: int
    removed: int
    dead_lettered: int
    seen: int
    letters_removed: int


class Tables:
    """One snapshot of the database. `ids` are the numbers of the run's sources by table and id.

    What is held of a home of the run under another sensor's name is a source, too: one that nobody issued.
    """

    def __init__(self, connection: "psycopg.AsyncConnection[tuple[Any, ...]]") -> None:
        self._connection = connection
        self.ids: dict[str, dict[int, int]] = {}

    @classmethod
    @asynccontextmanager
    async def snapshot(cls, url: str, sources: dict[str, int], secrets: Mapping[str, str]) -> AsyncIterator[Self]:
        """Open one, of these sources; `secrets` are the homes' pseudonyms by their ids. Strange sensors are added."""
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await connection.set_read_only(True)
            tables = cls(connection)
            await tables._find(sources, secrets)
            yield tables

    async def between(self, first: int, last: int, only: frozenset[int] | None = None) -> list[Row]:
        """Give the rows from one time to another, both included, of the run's sources, or of some of them."""
        limits = _datetime(first), _datetime(last)
        return [
            row
            for table, ids in self._chosen(only)
            for row in self._rows(table, await self._ask(f"{table} between", *limits, ids))
        ]

    async def at(self, times: Sequence[int]) -> list[Row]:
        """Give the rows of the run's sources at these times."""
        rows: list[Row] = []
        for begin in range(0, len(times), _TIMES_AT_ONCE):
            part = [_datetime(time) for time in times[begin : begin + _TIMES_AT_ONCE]]
            for table, ids in self._chosen(None):
                rows += self._rows(table, await self._ask(f"{table} at", part, ids))
        return rows

    async def letters(self, since: datetime, digests: Sequence[bytes]) -> list[Letter]:
        """Give the dead letters that came since then, or have one of these digests."""
        return [Letter(*row) for row in await self._ask("letters", since, [*digests])]

    async def books(self) -> Books:
        """Give what the ledger says, and what is there."""
        ((*sums,),) = await self._ask("books")
        return Books(*map(int, sums))

    async def newest(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """Give the newest events of bays, and the newest free, total and status of counters, by their names."""
        return {name: await self._ask(f"newest_{name}") for name in ("events", "free", "total", "status")}

    async def _find(self, sources: dict[str, int], secrets: Mapping[str, str]) -> None:
        told = {name.split("/")[1] for name in sources if name.startswith("dwellings/")}
        homes = {secret: home for home, secret in secrets.items() if home in told}
        sensors = [
            (number, f"dwellings/{homes[secret]}/{name}")
            for number, secret, name in await self._ask("sensors")
            if secret in homes
        ]
        for _, name in sensors:
            sources.setdefault(name, len(sources))
        named: dict[str, list[tuple[int, str]]] = {
            "parking_event": await self._ask("bays"),
            "parking_count": await self._ask("counters"),
            "dwelling_reading": sensors,
        }
        for table, rows in named.items():
            self.ids[table] = {number: sources[name] for number, name in rows if name in sources}

    def _chosen(self, only: frozenset[int] | None) -> Iterator[tuple[str, list[int]]]:
        for table in _TABLES:
            ids = [number for number, source in self.ids[table].items() if only is None or source in only]
            if ids:
                yield table, ids

    def _rows(self, table: str, found: list[tuple[Any, ...]]) -> Iterator[Row]:
        ids = self.ids[table]
        for time, number, may_be_untimed, *values in found:
            yield Row(time, ids[number], numbers(values), may_be_untimed)

    async def _ask(self, name: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await (await self._connection.execute(_SQL[name], parameters)).fetchall()


def _datetime(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
