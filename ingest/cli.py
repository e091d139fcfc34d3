"""The command line. The only module that may import every package, and it does so inside its commands."""

import json
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import structlog
import typer
import uvloop

from ingest.errors import ArceauxError
from ingest.logs import configure_logs
from schemas.faults import ConfigurationError
from schemas.registry import Registry, load_registry
from schemas.settings import Settings, load_settings, unknown_settings

app = typer.Typer(
    name="arceaux",
    help="Carries a city's sensor stream to where it is used. Settings: `arceaux config`; manual: docs/.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ResultT = TypeVar("ResultT")
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def main() -> None:
    """Run a command. Exit status: 0 well, 1 failed at run time, 2 wrong usage or configuration."""
    try:
        app()
    except ConfigurationError as error:
        _fail(str(error), 2)
    except ArceauxError as error:
        _fail(str(error), 1)
    except BaseExceptionGroup as group:
        known, unknown = group.split(ArceauxError)
        if known is None or unknown is not None:
            raise
        _fail(str(_leaf(known)), 1)


@app.command()
def migrate() -> None:
    """Bring the database to the current schema and features."""
    from ingest import migrate as migration

    settings = _settings()

    async def run() -> None:
        async with await _connect(settings) as connection:
            server = await migration.migrate(connection, settings.max_lateness)
            typer.echo(f"schema {await migration.schema_version(connection)} on {server}")

    _run(run())


@app.command()
def ingest() -> None:
    """Run the service: MQTT in, committed, acknowledged, live figures out. SIGTERM drains and exits."""
    from ingest.service import run_service

    settings = _settings()
    registry = _registry(settings)
    for name in unknown_settings():
        structlog.get_logger().warning("setting_unknown", name=name)
    _run(run_service(settings, registry))


@app.command()
def audit(*, as_json: Json = False) -> None:
    """Prove from the tables that every reading is accounted for; exit status 1 where one is not."""
    from ingest.audit import audit as audit_tables
    from ingest.migrate import check_schema

    settings = _settings()

    async def run() -> bool:
        async with await _connect(settings) as connection:
            await check_schema(connection)
            balances = await audit_tables(connection)
        if as_json:
            typer.echo(json.dumps({b.name: {"ledger": b.ledger, "tables": b.tables} for b in balances}))
        else:
            for balance in balances:
                verdict = "balances" if not balance.difference else f"DIFFERS by {balance.difference:+d}"
                typer.echo(f"{balance.name:14} ledger {balance.ledger:>12}  tables {balance.tables:>12}  {verdict}")
        return all(balance.difference == 0 for balance in balances)

    if not _run(run()):
        raise typer.Exit(1)


@app.command()
def config(*, as_json: Json = False) -> None:
    """Show the settings in force, secrets hidden."""
    settings = _settings()
    if as_json:
        typer.echo(json.dumps(settings.shown(), indent=2))
        return
    descriptions = (field.description or "" for field in Settings.model_fields.values())
    for (name, value), description in zip(settings.shown().items(), descriptions, strict=True):
        typer.echo(f"# {description}\n{name}={value}")


def _settings() -> Settings:
    settings = load_settings()
    configure_logs(settings.log_format)
    return settings


def _registry(settings: Settings) -> Registry:
    return load_registry(settings.registry)


async def _connect(settings: Settings) -> Any:  # noqa: ANN401 - ingest.database.Connection, imported inside commands
    from ingest.database import connect_patiently

    return await connect_patiently(settings.database_url, "command")


def _run(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    return uvloop.run(coroutine)


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(message: str, status: int) -> None:
    for line in message.splitlines():
        sys.stderr.write(f"arceaux: {line}\n")
    sys.exit(status)
