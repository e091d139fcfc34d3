"""`arceaux privacy`: the rights of those who live in a home, and the register of what is collected."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ingest.cli_common import Json, connect, moment_of, registry_of, run, settings_in_force, shown_steps
from schemas.faults import ConfigurationError

if TYPE_CHECKING:
    from ingest.database import Connection
    from ingest.privacy.erase import Erased
    from schemas.settings import Settings

commands = typer.Typer(help="The rights of a home: export, erase, readmit; the public register.", no_args_is_help=True)

Dwelling = Annotated[str, typer.Argument(metavar="DWELLING", help="Its id, as in the registry.")]

_NO_FILE = (
    "arceaux: ARCEAUX_ERASED_FILE is not set: a backup of the database that is restored would bring this home back; "
    "see docs/privacy.md"
)


@commands.command()
def export(
    dwelling: Dwelling,
    *,
    output: Annotated[Path, typer.Option(help="A directory to be made, or a file that ends in .zip.")],
    since: Annotated[str | None, typer.Option(help="Only since: a time, or how long ago, such as 30d.")] = None,
    before: Annotated[str | None, typer.Option(help="Only before: likewise.")] = None,
) -> None:
    """Write all that is held of a dwelling into files, with a manifest that explains them."""
    from ingest.keys import privacy_for
    from ingest.privacy.export import Period, Request
    from ingest.privacy.export import export as export_home
    from ingest.privacy.export_files import export_to

    settings = settings_in_force()
    period = Period(moment_of(since, "--since"), moment_of(before, "--before"))
    request = Request(dwelling, period, privacy_for(settings, registry_of(settings)), settings)

    async def work() -> "Mapping[str, Any]":
        async with await _connect(settings) as connection:
            with export_to(output) as open_file, shown_steps() as told:
                return await export_home(connection, request, open_file, told)

    manifest = run(work())
    for file in manifest["files"]:
        typer.echo(f"{file['name']:<24}{file['rows']:>12} rows{file['bytes']:>16} bytes")
    typer.echo(f"written to {output}, readable for you alone; manifest.json explains the files")


@commands.command()
def erase(dwelling: Dwelling, *, as_json: Json = False) -> None:
    """Remove all that is held of a dwelling that does not consent, for good; exit status 1 where anything is left."""
    from ingest.keys import privacy_for
    from ingest.privacy.erase import erase as erase_home
    from ingest.privacy.erased_file import ErasedFile

    settings = settings_in_force()
    registry = registry_of(settings)
    privacy = privacy_for(settings, registry)
    if any(home.id == dwelling and home.consent for home in registry.dwelling):
        raise ConfigurationError(
            "the registry says that this dwelling consents: set `consent = false` for it, or take it out, and try again"
        )
    file = ErasedFile.of(settings)

    async def work() -> "Erased":
        async with await _connect(settings) as connection:
            with shown_steps() as told:
                return await erase_home(connection, privacy, dwelling, file, told)

    erased = run(work())
    typer.echo(json.dumps(_report_of(erased)) if as_json else "\n".join(_as_text(erased)))
    if file is None:
        typer.echo(_NO_FILE, err=True)
    if erased.found:
        raise typer.Exit(1)


@commands.command()
def readmit(dwelling: Dwelling) -> None:
    """Let in again what a dwelling that was erased sends, once the registry says that it consents."""
    from ingest.keys import privacy_for
    from ingest.privacy.erase import readmit as readmit_home
    from ingest.privacy.erased_file import ErasedFile

    settings = settings_in_force()
    privacy = privacy_for(settings, registry_of(settings))
    file = ErasedFile.of(settings)

    async def work() -> None:
        async with await _connect(settings) as connection:
            await readmit_home(connection, privacy, dwelling, file)

    run(work())
    typer.echo("readmitted: what it sends is stored again as soon as the registry says that it consents")


@commands.command()
def register(
    *,
    style: Annotated[Literal["markdown", "json"], typer.Option("--format", help="For people, or for programs.")] = (
        "markdown"
    ),
    language: Annotated[Literal["en", "fr"], typer.Option("--lang", help="English or French.")] = "en",
) -> None:
    """Write the public register: what is collected in dwellings, what for, and for how long. It names none."""
    from ingest.privacy.register import as_json, as_markdown, register_of

    settings = settings_in_force()
    made = register_of(registry_of(settings), settings, datetime.now(UTC), language)
    typer.echo(as_markdown(made) if style == "markdown" else json.dumps(as_json(made), indent=2, ensure_ascii=False))


async def _connect(settings: "Settings") -> "Connection":
    from ingest.migrate import check_schema

    connection = await connect(settings)
    await check_schema(connection)
    return connection


def _as_text(erased: "Erased") -> Iterator[str]:
    if erased.before is not None:
        yield f"was erased already, on {erased.before:%Y-%m-%d %H:%M} UTC"
    yield from (f"{table:<20}{rows:>12} removed" for table, rows in sorted(erased.removed.items()))
    if not erased.found:
        yield "searched every table for its pseudonym and its sensors: nothing is left"
        return
    yield from (f"{table:<20}{rows:>12} still there" for table, rows in sorted(erased.found.items()))
    yield "something is left: run this again, and report it if that does not help"


def _report_of(erased: "Erased") -> dict[str, object]:
    return {
        "erased_at": erased.at.isoformat(),
        "was_erased": erased.before is not None,
        "removed": dict(erased.removed),
        "found": dict(erased.found),
        "is_clean": not erased.found,
    }
