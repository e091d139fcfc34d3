"""`arceaux verify`: the oracle."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli_common import Json, duration_of, registry_of, run, settings_in_force
from ingest.errors import ArceauxError


def verify(
    file: Annotated[Path, typer.Argument(metavar="RUN_FILE", help="What `arceaux simulate --run` wrote.")],
    *,
    wait: Annotated[str, typer.Option(help="How long to wait for what is on its way.")] = "30s",
    as_json: Json = False,
) -> None:
    """Compare what a fleet issued with what is stored and retained; exit status 1 where something is wrong."""
    from simulators.oracle.subject import Subject
    from simulators.oracle.verdict import as_json as report_of
    from simulators.oracle.verdict import as_text
    from simulators.oracle.verify import verify as verify_run
    from simulators.runs.run_file import read_run
    from simulators.sending.connection import BrokenError, RefusedError

    settings = settings_in_force()
    subject = Subject(read_run(file), registry_of(settings), settings)
    try:
        verdict = run(verify_run(subject, duration_of(wait, "--wait")))
    except (BrokenError, RefusedError) as error:
        raise ArceauxError(f"broker: {error}") from None
    typer.echo(json.dumps(report_of(verdict)) if as_json else as_text(verdict))
    if not verdict.is_proven:
        raise typer.Exit(1)
