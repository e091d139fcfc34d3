"""`make chaos`: fault runs in their long form, and a table of what became of the messages."""

import logging
import random
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from chaos.catalogue import SCENARIOS
from chaos.report import table
from chaos.runner import Runner

_LOG_WIDTH = 120


def main(
    only: Annotated[str, typer.Option(help="Run faults whose name contains one of these words; commas between.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of the devices and of random moments.")] = None,
    *,
    short: Annotated[bool, typer.Option("--short", help="Run the short forms, as the tests do.")] = False,
) -> None:
    """Run the faults; exit status 1 if anything was lost, doubled or altered, or did not balance."""
    words = [word.strip() for word in only.split(",") if word.strip()] or [""]
    runs = {
        name: (scenario, scale)
        for name, scenario in SCENARIOS.items()
        if (scale := scenario.short if short else scenario.long) and any(word in name for word in words)
    }
    if not runs:
        raise typer.BadParameter(f"no fault has such a name; there are: {'; '.join(SCENARIOS)}")
    seed = random.randrange(10**6) if seed is None else seed
    console = Console()
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console.print(f"{len(runs)} faults, seed {seed}")
    directory = Path(tempfile.mkdtemp(prefix="arceaux-chaos-"))
    rows = list(Runner(directory, seed, console).run(runs))
    console.print(table(rows, seed))
    if any(row.has_failed for row in rows):
        console.print(f"logs: {directory}")
        raise typer.Exit(1)
    shutil.rmtree(directory)


if __name__ == "__main__":
    typer.run(main)
