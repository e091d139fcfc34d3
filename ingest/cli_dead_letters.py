"""`arceaux deadletters`: look at what could not be used, take it in after a fix, and throw it away."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.cli_common import Json, connect, duration_of, moment_of, registry_of, run, settings_in_force
from ingest.errors import ArceauxError, LeaseLostError
from schemas.faults import ConfigurationError
from schemas.reasons import Reason

if TYPE_CHECKING:
    from ingest.database import Connection
    from ingest.dead_letter_queries import Row, Selection
    from ingest.retention import Purged
    from schemas.settings import Settings

_LOOK_AGAIN = 0.2
_LARGEST_ID = 2**63 - 1

commands = typer.Typer(help="What could not be used: look at it, replay it, purge it.", no_args_is_help=True)

OfReason = Annotated[Reason | None, typer.Option(help="Only of this reason.")]
OfTopic = Annotated[str | None, typer.Option(help="Only of topics that fit this MQTT filter.")]
Since = Annotated[str | None, typer.Option(help="Only received since: a time, or how long ago, such as 2h.")]
Before = Annotated[str | None, typer.Option(help="Only received before: likewise.")]


@commands.command(name="list")
def list_(
    *,
    reason: OfReason = None,
    topic: OfTopic = None,
    since: Since = None,
    before: Before = None,
    limit: Annotated[int, typer.Option(min=0, max=100_000, help="Most rows; the sums are of all.")] = 20,
    as_json: Json = False,
) -> None:
    """List dead letters, the newest first, and sum them up by reason."""
    from ingest import dead_letter_queries as queries
    from ingest.dead_letter_text import as_json as plain
    from ingest.dead_letter_text import table

    settings = settings_in_force()
    selection = _selection(None, reason, topic, since, before)

    async def look() -> "tuple[list[Row], list[Row]]":
        async with await _connect(settings) as connection:
            return await queries.find(connection, selection, limit), await queries.count(connection, selection)

    rows, counts = run(look())
    if as_json:
        typer.echo(json.dumps({"dead_letters": [plain(row) for row in rows], "reasons": [dict(row) for row in counts]}))
    else:
        typer.echo("\n".join(table(rows, counts)))


@commands.command()
def show(
    number: Annotated[int, typer.Argument(metavar="ID", max=_LARGEST_ID, help="Its id, as listed.")],
    *,
    as_json: Json = False,
) -> None:
    """Show one dead letter: its payload, and what was wrong with it."""
    from ingest import dead_letter_queries as queries
    from ingest.dead_letter_text import as_json as plain
    from ingest.dead_letter_text import details

    settings = settings_in_force()

    async def look() -> "Row | None":
        async with await _connect(settings) as connection:
            return await queries.show(connection, number)

    row = run(look())
    if row is None:
        raise ArceauxError(f"there is no dead letter {number}; see `arceaux deadletters list`")
    typer.echo(json.dumps(plain(row)) if as_json else "\n".join(details(row)))


@commands.command()
def replay(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", max=_LARGEST_ID, help="These; else all that were not yet.")
    ] = None,
    *,
    reason: OfReason = None,
    topic: OfTopic = None,
    since: Since = None,
    before: Before = None,
) -> None:
    """Decode dead letters again, after a fix, as of the time they arrived. Nothing is stored twice."""
    settings = settings_in_force()
    selection = _selection(ids or None, reason, topic, since, before)
    run(_replay(settings, selection))


@commands.command()
def purge(
    older_than: Annotated[str, typer.Option("--older-than", help="How long ago received, such as 30d.")],
) -> None:
    """Delete old dead letters; the ledger counts them as removed."""
    from ingest.retention import purge_dead_letters

    settings = settings_in_force()
    limit = datetime.now(UTC) - duration_of(older_than, "--older-than")

    async def delete() -> "Purged":
        async with await _connect(settings) as connection:
            return await purge_dead_letters(connection, limit)

    purged = run(delete())
    typer.echo(f"{purged.letters} dead letters purged, which stood for {purged.readings} readings")


async def _replay(settings: "Settings", selection: "Selection") -> None:
    from ingest import dead_letter_queries as queries

    async with await _connect(settings) as connection:
        now = await queries.clock(connection)
        ids = [number async for part in queries.request_replay(connection, selection, now) for number in part]
        if cut := await queries.count_cut(connection, selection):
            typer.echo(f"{cut} cannot be replayed: their payload is not kept, or not whole")
        if not ids:
            typer.echo("nothing to replay")
            return
        await _until_replayed(settings, connection, now)
        for row in await queries.outcome(connection, ids, now):
            verdict = "replayed" if row["is_replayed"] else "still not usable"
            typer.echo(f"{row['letters']} {verdict}: {row['example']}")


async def _until_replayed(settings: "Settings", connection: "Connection", requested_at: datetime) -> None:
    """Wait for the service to take them in; where none is at work, do it here, until one is."""
    from rich.console import Console
    from rich.progress import Progress

    from ingest import dead_letter_queries as queries
    from ingest.keys import privacy_of
    from ingest.replay_alone import replay_alone

    with Progress(transient=True, disable=not sys.stderr.isatty(), console=Console(stderr=True)) as progress:
        task = progress.add_task("replaying", total=await queries.waiting(connection, requested_at))
        while left := await queries.waiting(connection, requested_at):
            progress.update(task, completed=(progress.tasks[task].total or left) - left)
            if await queries.is_writer_at_work(connection):
                await asyncio.sleep(_LOOK_AGAIN)
                continue
            registry = registry_of(settings)
            with suppress(LeaseLostError):
                await replay_alone(settings, registry, privacy_of(settings, registry))


async def _connect(settings: "Settings") -> "Connection":
    from ingest.migrate import check_schema

    connection = await connect(settings)
    await check_schema(connection)
    await connection.execute("SET statement_timeout = 0")  # to look through millions takes as long as it takes
    return connection


def _selection(
    ids: Sequence[int] | None, reason: Reason | None, topic: str | None, since: str | None, before: str | None
) -> "Selection":
    from ingest.dead_letter_queries import Selection

    if topic is not None and not _is_filter(topic):
        raise ConfigurationError("--topic: expected an MQTT filter, such as city/parking/+/count")
    return Selection(ids, reason, topic, moment_of(since, "--since"), moment_of(before, "--before"))


def _is_filter(text: str) -> bool:
    *above, last = text.split("/")
    is_wild = any({"+", "#"} & set(level) and level != "+" for level in above)
    return text.isprintable() and not is_wild and (last in {"+", "#"} or not {"+", "#"} & set(last))
