"""`arceaux privacy`: the rights of those who live in a home, and the register of what is collected."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.cli_common import Json, connect, registry_of, run, settings_in_force, shown_steps
from schemas.faults import ConfigurationError

if TYPE_CHECKING:
    from ingest.database import Connection
    from ingest.privacy_erase import Erased
    from schemas.settings import Settings

commands = typer.Typer(help="The rights of a home: export, erase, readmit; the public register.", no_args_is_help=True)

Dwelling = Annotated[str, typer.Argument(metavar="DWELLING", help="Its id, as in the registry.")]

_NO_FILE = (
    "arceaux: ARCEAUX_ERASED_FILE is not set: a backup of the database that is restored would bring this home back; "
    "see docs/privacy.md"
)


@commands.command()
def erase(dwelling: Dwelling, *, as_json: Json = False) -> None:
    """Remove all that is held of a dwelling that does not consent, for good; exit status 1 where anything is left."""
    from ingest.erased_file import ErasedFile
    from ingest.keys import privacy_for
    from ingest.privacy_erase import erase as erase_home

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
    typer.echo(json.dumps(_as_json(erased)) if as_json else "\n".join(_as_text(erased)))
    if file is None:
        typer.echo(_NO_FILE, err=True)
    if erased.found:
        raise typer.Exit(1)


@commands.command()
def readmit(dwelling: Dwelling) -> None:
    """Let in again what a dwelling that was erased sends, once the registry says that it consents."""
    from ingest.erased_file import ErasedFile
    from ingest.keys import privacy_for
    from ingest.privacy_erase import readmit as readmit_home

    settings = settings_in_force()
    privacy = privacy_for(settings, registry_of(settings))
    file = ErasedFile.of(settings)

    async def work() -> None:
        async with await _connect(settings) as connection:
            await readmit_home(connection, privacy, dwelling, file)

    run(work())
    typer.echo("readmitted: what it sends is stored again as soon as the registry says that it consents")


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


def _as_json(erased: "Erased") -> dict[str, object]:
    return {
        "erased_at": erased.at.isoformat(),
        "was_erased": erased.before is not None,
        "removed": dict(erased.removed),
        "found": dict(erased.found),
        "is_clean": not erased.found,
    }
