"""The command line. It and its parts may import every package, and they do so inside their commands."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import psycopg
import structlog
import typer

from ingest.cli_common import Json, connect, registry_of, run, settings_in_force, shown_steps
from ingest.cli_dead_letters import commands as dead_letters
from ingest.cli_doctor import doctor
from ingest.cli_pictures import pictures
from ingest.cli_privacy import commands as privacy_commands
from ingest.cli_replay import record, replay
from ingest.cli_simulate import commands as simulations
from ingest.cli_verify import verify
from ingest.errors import ArceauxError, describe
from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.settings import Settings, unknown_settings

app = typer.Typer(
    name="arceaux",
    help="Carries a city's sensor stream to where it is used. Settings: `arceaux config`; manual: docs/.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

simulations.command()(pictures)
app.add_typer(simulations, name="simulate")
app.add_typer(dead_letters, name="deadletters")
app.add_typer(privacy_commands, name="privacy")


def main() -> None:
    """Run a command. Exit status: 0 well, 1 failed at run time, 2 wrong usage or configuration."""
    try:
        app()
    except ConfigurationError as error:
        _fail(str(error), 2)
    except ArceauxError as error:
        _fail(str(error), 1)
    except psycopg.Error as error:
        _fail(f"database: {describe(error)}", 1)
    except BaseExceptionGroup as group:
        known, unknown = group.split(ArceauxError)
        if known is None or unknown is not None:
            raise
        _fail(str(_leaf(known)), 1)


@app.command()
def migrate() -> None:
    """Bring the database to the current schema and features."""
    from ingest import migrate as migration
    from ingest.keys import privacy_of
    from ingest.privacy.erased_file import ErasedFile
    from ingest.privacy.reapply import reapply

    settings = settings_in_force()
    erased_file = ErasedFile.of(settings)
    privacy = privacy_of(settings, Registry()) if erased_file else None

    async def work() -> None:
        async with await connect(settings) as connection:
            server = await migration.migrate(connection, settings.max_lateness)
            if privacy is not None:
                await reapply(connection, erased_file, privacy)
            typer.echo(f"schema {await migration.schema_version(connection)} on {server}")

    run(work())


@app.command()
def ingest() -> None:
    """Run the service: MQTT in, committed, acknowledged, live figures out. SIGTERM drains and exits."""
    from ingest.keys import privacy_of
    from ingest.service import run_service

    settings = settings_in_force()
    registry = registry_of(settings)
    privacy = privacy_of(settings, registry)
    for name in unknown_settings():
        structlog.get_logger().warning("setting_unknown", name=name)
    run(run_service(settings, registry, privacy))


@app.command()
def audit(*, as_json: Json = False) -> None:
    """Prove from the tables that every reading is accounted for; exit status 1 where one is not."""
    from ingest.audit import audit as audit_tables
    from ingest.audit_report import as_json as report_of
    from ingest.audit_report import as_text
    from ingest.migrate import check_schema

    settings = settings_in_force()

    async def work() -> bool:
        async with await connect(settings) as connection:
            await check_schema(connection)
            with shown_steps() as show:
                found = await audit_tables(connection, lambda table: show(f"counting {table}"))
        typer.echo(json.dumps(report_of(found)) if as_json else as_text(found))
        return found.is_right

    if not run(work()):
        raise typer.Exit(1)


app.command()(doctor)
app.command()(verify)


@app.command()
def config(*, as_json: Json = False) -> None:
    """Show the settings in force, secrets hidden."""
    settings = settings_in_force()
    if as_json:
        typer.echo(json.dumps(settings.shown(), indent=2))
        return
    descriptions = (field.description or "" for field in Settings.model_fields.values())
    for (name, value), description in zip(settings.shown().items(), descriptions, strict=True):
        typer.echo(f"# {description}\n{name}={value}")


@app.command()
def demo(
    state_dir: Annotated[Path, typer.Option(help="Where the demo keeps its data, over restarts too.")] = Path(".demo"),
) -> None:
    """Run the whole city on this machine: broker, database, service, sensors. Ctrl-C ends it."""
    from simulators.demo import DemoError, DemoOptions, run_demo

    settings = settings_in_force()
    registry_of(settings)
    options = DemoOptions(settings.registry, settings.topic_root, settings.pseudonym_key_file)
    try:
        asyncio.run(run_demo(state_dir, options, typer.echo))
    except DemoError as error:
        raise ArceauxError(str(error)) from None


app.command()(record)
app.command()(replay)


@app.command()
def bench(
    messages: Annotated[int, typer.Option(min=1_000, help="How many messages to send.")] = 400_000,
) -> None:
    """Measure messages a second and CPU a message, beside mosquitto_sub and beside an INSERT a message."""
    from simulators.bench import BenchError, run_bench
    from simulators.embedded.database import DatabaseError

    try:
        asyncio.run(run_bench(messages, typer.echo))
    except (BenchError, DatabaseError) as error:
        raise ArceauxError(str(error)) from None


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(message: str, status: int) -> None:
    for line in message.splitlines():
        sys.stderr.write(f"arceaux: {line}\n")
    sys.exit(status)
