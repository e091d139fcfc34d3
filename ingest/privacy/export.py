"""Exports all that is held of one dwelling, in one snapshot, as files that people and programs can read.

Rows stream from the database into the files. Of other homes nothing is in them: what a message says of one is masked.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from psycopg import IsolationLevel, sql
from psycopg.rows import dict_row

from ingest.database import Connection
from ingest.errors import ArceauxError
from ingest.privacy.erasure import Told
from ingest.privacy.export_files import OpenFile, Written
from ingest.privacy.home_tables import (
    DEAD_LETTER,
    DWELLING,
    DWELLING_TABLES,
    LAST_TOLD,
    POOLED_MEMBER,
    RFC3339,
    SENSOR_TABLES,
    SensorTable,
)
from ingest.sql import load_queries
from processors.privacy import NOBODY, Privacy
from schemas.durations import format_duration
from schemas.settings import Settings

_SQL: Final = load_queries("export.sql")
FORMAT_VERSION: Final = 1
_LETTERS_AT_ONCE: Final = 1_000
_TOLD_EVERY: Final = 1_000_000
"""Bytes of a file between two words on how far it is."""
_PSEUDONYM: Final = re.compile(r"[0-9a-f]{64}")
_SENSOR_COLUMNS: Final = {
    "sensor": "name of the sensor in the dwelling",
    "kind": "what it measures",
    "unit": "unit of its values (SenML, RFC 8428); empty where it was never told",
}
_PAUSE_COLUMNS: Final = {
    "began_at": f"when the red button was pressed ({RFC3339}): nothing is recorded from then on; 1970 where it may "
    "have been at any time, or the dwelling was erased and readmitted",
    "ended_at": "when it was released, or the dwelling readmitted; empty while it is on",
}
_LIST_COLUMNS: Final = {**_SENSOR_COLUMNS, "pooled": "t where it counts in the figures of the district, else f"}
_LAST_TOLD_COLUMNS: Final = {**_SENSOR_COLUMNS, "value": "what it told last"}
_GROUP_COLUMNS: Final = {"month": "first day of the month", "district": "whose figures these are"}
_LETTER_COLUMNS: Final = {
    "received_at": f"when it came first ({RFC3339})",
    "last_seen_at": "when it came last",
    "topic": "where it was sent",
    "payload": "what was sent, as far as it is kept; null where it is not",
    "size": "bytes that were sent",
    "reason": "why it could not be used",
    "detail": "the same in words",
    "seen": "readings that the entry stands for",
    "repeats": "how often it came again",
    "replayed_at": "when it was used after all",
}
_KEPT_WHILE_IT_TAKES_PART: Final = "until it is erased"


class Period(NamedTuple):
    """From when on, and until when; None for no bound."""

    since: datetime | None
    before: datetime | None


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: a dwelling by its id, and a period; `settings` tell how long things are kept."""

    dwelling: str
    period: Period
    privacy: Privacy
    settings: Settings


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data it is: the id by which the dwelling is asked for, its pseudonym and its mark, and its row."""

    dwelling: str
    pseudonym: str
    mark: bytes
    id: int
    district: str
    consent: bool


async def export(connection: Connection, request: Request, open_file: OpenFile, told: Told) -> Mapping[str, Any]:
    """Write all files and their manifest, which is given. Raises ArceauxError where nothing is held."""
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)
    await connection.execute(_SQL["no_statement_timeout"])
    async with connection.transaction():
        await connection.execute(_hold())
        subject = await _find(connection, request)
        exporter = _Exporter(connection, subject, request, open_file, told)
        manifest = await exporter.write_all()
    with open_file("manifest.json") as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n")
    return manifest


async def _find(connection: Connection, request: Request) -> Subject:
    secret = request.privacy.pseudonym(request.dwelling)
    row = await (await connection.execute(_SQL["home"], (secret,))).fetchone()
    if row is None:
        raise ArceauxError("nothing is held of a dwelling of this id: it never consented, or was erased")
    return Subject(request.dwelling, secret, request.privacy.mark(secret), *row)


class _Exporter:
    """Writes the files of one export, and notes of each what the manifest tells."""

    def __init__(
        self, connection: Connection, subject: Subject, request: Request, open_file: OpenFile, told: Told
    ) -> None:
        self._connection, self._subject, self._settings = connection, subject, request.settings
        self._open_file, self._told = open_file, told
        own = [f"{topic}/" for topic in request.privacy.own_topics(subject.dwelling)]
        self._parameters = {"home": subject.id, "pseudonym": subject.pseudonym, "own": own, **request.period._asdict()}
        self._files: list[dict[str, Any]] = []

    async def write_all(self) -> dict[str, Any]:
        """Write the files; give the manifest."""
        for table in SENSOR_TABLES:
            columns = {table.time: f"when it was so ({RFC3339})", **_SENSOR_COLUMNS, **table.columns}
            await self._write_csv(table.file, _measured(table), columns, table.purpose, self._kept(table.retention))
        for name, columns, purpose in (
            ("sensors", _LIST_COLUMNS, "the sensors that are known of the dwelling"),
            ("last_told", _LAST_TOLD_COLUMNS, "what devices told last, so that a repeat is known"),
            ("groups", _GROUP_COLUMNS, "in which districts' pooled figures the dwelling counts"),
            ("pauses", _PAUSE_COLUMNS, "when the red button was on, so that nothing of that time is recorded"),
        ):
            query = sql.SQL(_SQL[name]).format(began_at=_time("began_at"), ended_at=_time("ended_at"))
            await self._write_csv(f"{name}.csv", query, columns, purpose, _KEPT_WHILE_IT_TAKES_PART)
        await self._write_letters()
        since, before = self._parameters["since"], self._parameters["before"]
        return {
            "format_version": FORMAT_VERSION,
            "made_at": _rfc3339(datetime.now(UTC)),
            "period": {"since": _rfc3339(since), "before": _rfc3339(before)},
            "dwelling": await self._dwelling(),
            "named_in_messages_of_others": await self._named_elsewhere(),
            "files": self._files,
        }

    async def _dwelling(self) -> dict[str, Any]:
        row = await (await self._connection.execute(_SQL["standing"], (self._subject.mark,))).fetchone()
        erased_at, readmitted_at = row or (None, None)
        return {
            "id": self._subject.dwelling,
            "district": self._subject.district,
            "consent": self._subject.consent,
            "erased_at": _rfc3339(erased_at),
            "readmitted_at": _rfc3339(readmitted_at),
        }

    async def _named_elsewhere(self) -> int:
        row = await (await self._connection.execute(_SQL["named_elsewhere"], self._parameters)).fetchone()
        return row[0] if row else 0

    async def _write_csv(
        self, name: str, query: sql.Composed, columns: Mapping[str, str], purpose: str, kept: str
    ) -> None:
        copy = sql.SQL(_SQL["csv"]).format(query=query)
        with self._open_file(name) as file:
            async with self._connection.cursor() as cursor:
                async with cursor.copy(copy, self._parameters) as rows:
                    async for data in rows:
                        self._write(name, file, bytes(data))
                self._note(name, file, cursor.rowcount, columns, purpose, kept)

    async def _write_letters(self) -> None:
        name, rows = "dead_letters.jsonl", 0
        with self._open_file(name) as file:
            async with self._connection.cursor("letters", row_factory=dict_row) as cursor:
                await cursor.execute(_SQL["letters"], self._parameters)
                while letters := await cursor.fetchmany(_LETTERS_AT_ONCE):
                    rows += len(letters)
                    for letter in letters:
                        line = json.dumps(self._letter(letter), ensure_ascii=False)
                        self._write(name, file, line.encode() + b"\n")
            purpose = "messages that could not be used, kept so that the fault can be found and mended"
            self._note(name, file, rows, _LETTER_COLUMNS, purpose, self._kept("retention_dead_letters"))

    def _letter(self, row: Mapping[str, Any]) -> dict[str, Any]:
        payload: bytes | None = row["payload"]
        letter = {name: _rfc3339(value) if isinstance(value, datetime) else value for name, value in row.items()}
        try:
            text = None if payload is None else self._unveil(bytes(payload).decode())
        except UnicodeDecodeError:
            text = None  # of a home no such payload is kept; in one that is there nobody's pseudonym could be masked
        return letter | {"topic": self._unveil(row["topic"]), "payload": text}

    def _unveil(self, text: str) -> str:
        """Put the dwelling's own id back in place of its pseudonym, and nobody's in place of any other's."""
        subject = self._subject
        return _PSEUDONYM.sub(lambda found: subject.dwelling if found[0] == subject.pseudonym else NOBODY, text)

    def _write(self, name: str, file: Written, data: bytes) -> None:
        if file.size % _TOLD_EVERY + len(data) >= _TOLD_EVERY or not file.size:
            self._told(f"writing {name}: {file.size // _TOLD_EVERY} MB")
        file.write(data)

    def _note(self, name: str, file: Written, rows: int, columns: Mapping[str, str], purpose: str, kept: str) -> None:
        described = [{"name": column, "meaning": meaning} for column, meaning in columns.items()]
        told = {"name": name, "rows": rows, "bytes": file.size, "sha256": file.sha256}
        self._files.append({**told, "purpose": purpose, "kept_for": kept, "columns": described})

    def _kept(self, setting: str) -> str:
        return format_duration(getattr(self._settings, setting))


def _hold() -> sql.Composed:
    names: Sequence[str] = (
        *(table.name for table in (*SENSOR_TABLES, LAST_TOLD, POOLED_MEMBER, *DWELLING_TABLES, DWELLING)),
        DEAD_LETTER,
    )
    return sql.SQL(_SQL["hold"]).format(tables=sql.SQL(", ").join(map(sql.Identifier, names)))


def _measured(table: SensorTable) -> sql.Composed:
    return sql.SQL(_SQL["measured"]).format(
        time=_time(table.time),
        order=sql.Identifier(table.time),
        columns=sql.SQL(", ").join(
            _time(column) if column.endswith("_at") else sql.Identifier(column) for column in table.columns
        ),
        table=sql.Identifier(table.name),
    )


def _time(column: str) -> sql.Composed:
    return sql.SQL(_SQL["time"]).format(column=sql.Identifier(column))


def _rfc3339(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
