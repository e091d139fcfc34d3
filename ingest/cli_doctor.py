"""`arceaux doctor`: check everything around the service, and say what to do."""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ingest.cli_common import Json, duration_of, registry_of, run, settings_in_force
from schemas.settings import unknown_settings

if TYPE_CHECKING:
    from ingest.doctor.report import Check

_COLOURS: Final = {"ok": "green", "warning": "yellow", "problem": "red", "unknown": "cyan", None: None}


def doctor(
    *,
    listen: Annotated[str, typer.Option(help="How long to listen to the sensors; 0 for not at all.")] = "10s",
    probe_queue: Annotated[
        bool, typer.Option("--probe-queue", help="Try how much the broker keeps for a client that is away.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check broker, database, clock, registry and traffic, and say what to do; exit status 1 for a problem."""
    from ingest.doctor.examine import Options, examine
    from ingest.doctor.report import has_problem

    settings = settings_in_force()
    registry = registry_of(settings)
    options = Options(duration_of(listen, "--listen"), probe_queue)
    checks = run(examine(settings, registry, unknown_settings(), options))
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2, ensure_ascii=False))
    else:
        _print(checks)
    if has_problem(checks):
        raise typer.Exit(1)


def _print(checks: "Sequence[Check]") -> None:
    """Write checks for people: in colour and wrapped where that is a terminal."""
    from ingest.doctor.report import STATUS_WIDTH, lines, summary

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for status, line in lines(checks, width):
        typer.echo(typer.style(line[:STATUS_WIDTH], fg=_COLOURS[status]) + line[STATUS_WIDTH:])
    typer.echo(summary(checks))
