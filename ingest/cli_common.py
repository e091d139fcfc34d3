"""What commands have in common: settings, registry, connection, the event loop."""

import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import uvloop

from ingest.logs import configure_logs
from schemas.durations import parse_duration
from schemas.faults import ConfigurationError
from schemas.registry import Registry, load_registry
from schemas.settings import Settings, load_settings

if TYPE_CHECKING:
    from ingest.database import Connection

ResultT = TypeVar("ResultT")

Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def settings_in_force() -> Settings:
    """Read the settings, and write logs as they say."""
    settings = load_settings()
    configure_logs(settings.log_format)
    return settings


def registry_of(settings: Settings) -> Registry:
    """Read the registry."""
    return load_registry(settings.registry)


async def connect(settings: Settings) -> "Connection":
    """Connect to the database, waiting for one that is absent."""
    from ingest.database import connect_patiently

    return await connect_patiently(settings.database_url, "command")


@contextmanager
def shown_steps() -> Iterator[Callable[[str], None]]:
    """Give what shows the present step on standard error while the context lasts, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def run(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run to the end."""
    return uvloop.run(coroutine)


def duration_of(text: str, option: str) -> timedelta:
    """Read the duration that an option gives."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from None


def moment_of(text: str | None, option: str) -> datetime | None:
    """Read a time, or how long ago it was."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC) - duration_of(text, option)
    if moment.tzinfo is None:
        raise ConfigurationError(f"{option}: expected an offset such as Z or +01:00")
    return moment
