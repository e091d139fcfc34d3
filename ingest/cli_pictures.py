"""The command that draws simulated days and says how they compare with real ones."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli_common import Json, registry_of, settings_in_force
from ingest.errors import ArceauxError
from schemas.faults import ConfigurationError
from schemas.topics import Topics

_YEARS = range(1970, 2101)


def pictures(
    directory: Annotated[Path, typer.Argument(help="Where the pictures go.")],
    *,
    seed: Annotated[int, typer.Option(help="The same seed makes the same pictures.")] = 1,
    day: Annotated[str, typer.Option(help="The first day that is drawn, local time.")] = "2023-01-13",
    archive: Annotated[Path | None, typer.Option(help="A directory of polls: real days, drawn over.")] = None,
    as_json: Json = False,
) -> None:
    """Draw simulated days, with real ones over them, and say how they compare."""
    try:
        from simulators.pictures import draw_days, draw_week
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        raise ConfigurationError("matplotlib draws the pictures: pip install 'arceaux[pictures]'") from None
    from simulators.dwellings.pictures import draw_flat_day
    from simulators.parking.resemblance import compare, curves
    from simulators.parking.resemblance_report import as_text, to_json
    from simulators.readers.records import ArchiveError

    settings = settings_in_force()
    registry = registry_of(settings)
    first = _day_of(day)
    try:
        kinds = curves(registry, seed, first, archive)
        directory.mkdir(parents=True, exist_ok=True)
        draw_days(directory / "simulated-days.svg", kinds, first)
        draw_week(directory / "simulated-week.svg", registry, seed, first)
        if registry.dwelling:
            draw_flat_day(directory / "simulated-flat.svg", registry, Topics(settings.topic_root), seed, first)
    except (ArchiveError, OSError) as error:
        raise ArceauxError(str(error)) from None
    found = compare(kinds, first)
    typer.echo(json.dumps(to_json(found)) if as_json else as_text(found))


def _day_of(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year not in _YEARS:
        raise ConfigurationError(f"--day: expected a day such as 2023-01-13, from {_YEARS[0]} to {_YEARS[-1]}")
    return day
