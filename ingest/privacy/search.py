"""Looks through every table for a home that was erased."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from psycopg import sql

from ingest.database import Connection
from ingest.privacy.erasure import Home, Told
from ingest.sql import load_queries

_SQL: Final = load_queries("erasure.sql")


async def search(connection: Connection, pseudonym: str, home: Home | None, told: Told) -> Mapping[str, int]:
    """Give the rows, by table, that still hold something: the pseudonym, or an id of what was removed.

    The pseudonym is looked for in every column that could hold it, as text, as bytes and inside of bytes; the ids in
    every column whose name says that it holds one.
    """
    parameters: dict[str, Any] = {"home": pseudonym, "in_bytes": pseudonym.encode().hex()}
    if home is not None:
        parameters |= {"sensor_id": list(home.sensors), "dwelling_id": [home.id]}
    found = {}
    for table, conditions in (await _conditions(connection, parameters)).items():
        told(f"searching {table}")
        query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
            sql.Identifier(table), sql.SQL(" OR ").join(conditions)
        )
        async with connection.transaction():
            await connection.execute(_SQL["take_your_time"])
            row = await (await connection.execute(query, parameters)).fetchone()
        if row and row[0]:
            found[table] = int(row[0])
    return found


async def _conditions(connection: Connection, parameters: Mapping[str, Any]) -> Mapping[str, list[sql.Composed]]:
    """Tell, of every table that could hold a home, how a row that does is told."""
    texts: defaultdict[str, list[sql.Identifier]] = defaultdict(list)
    conditions: defaultdict[str, list[sql.Composed]] = defaultdict(list)
    for table, column, parameter, is_array in await (await connection.execute(_SQL["columns"])).fetchall():
        if parameter is None:
            texts[table].append(sql.Identifier(column))
        elif parameter in parameters:
            holds = sql.SQL("{} && {}::integer[]" if is_array else "{} = ANY({})")
            conditions[table].append(holds.format(sql.Identifier(column), sql.Placeholder(parameter)))
    for table, columns in texts.items():
        # A row as text shows bytes in hexadecimal: there the pseudonym's own bytes read as the pseudonym.
        row = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(columns))
        for needle in ("home", "in_bytes"):
            conditions[table].append(sql.SQL("strpos({}, {}) > 0").format(row, sql.Placeholder(needle)))
    return conditions
