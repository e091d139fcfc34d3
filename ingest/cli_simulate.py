"""`arceaux simulate`: fleets of sensors that publish to the broker."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from ingest.cli_common import duration_of, moment_of, registry_of, run, settings_in_force
from ingest.errors import ArceauxError

FleetKind = Literal["parking", "dwellings", "city"]

Seed = Annotated[int, typer.Option(help="The same seed makes the same city.")]
Rate = Annotated[str | None, typer.Option(help="Messages a second, or max; without it each when it is due.")]
Speed = Annotated[
    float | None, typer.Option(min=0.001, max=1_000_000, help="A factor of the fleet's own pace; 1 without it.")
]
HowLong = Annotated[
    str | None,
    typer.Option("--duration", help="How long by the sensors' clocks, such as 10m; until Ctrl-C without it."),
]
Start = Annotated[
    str | None,
    typer.Option(help="What the sensors' clocks show first: a time, or how long ago; else as long ago as is needed."),
]
Processes = Annotated[int, typer.Option(min=1, max=64, help="How many processes share the devices.")]
InFlight = Annotated[
    int, typer.Option(min=1, max=65_535, help="Most messages of a process that wait for their acknowledgement.")
]
Faults = Annotated[
    str,
    typer.Option(
        help="What goes wrong: all, or kinds such as drop,delay=0.05; see docs/verify.md. Nothing without it."
    ),
]
Prepare = Annotated[
    bool, typer.Option("--prepare", help="Make all messages before the first is sent: for more a second.")
]
RunPath = Annotated[Path | None, typer.Option("--run", help="Write the run's file, which verify needs.")]

commands = typer.Typer(help="Simulate a fleet of sensors.", no_args_is_help=True)


def _command(kind: FleetKind) -> Callable[..., None]:
    def simulate(  # noqa: PLR0913 - each is an option
        *,
        seed: Seed = 1,
        rate: Rate = None,
        speed: Speed = None,
        duration: HowLong = None,
        start: Start = None,
        processes: Processes = 1,
        in_flight: InFlight = 1_000,
        faults: Faults = "",
        prepare: Prepare = False,
        file: RunPath = None,
    ) -> None:
        from simulators.runs.simulate import make_plan, run_plan
        from simulators.runs.workers import WorkerError
        from simulators.sending.connection import RefusedError

        settings = settings_in_force()
        registry = registry_of(settings)
        plan = make_plan(
            kind,
            settings.registry,
            settings.topic_root,
            seed=seed,
            rate=rate,
            speed=speed,
            duration=None if duration is None else duration_of(duration, "--duration"),
            start=moment_of(start, "--start"),
            processes=processes,
            faults=faults,
            now=datetime.now(UTC),
        )
        try:
            summary = run(
                run_plan(settings.broker_url, plan, registry, in_flight=in_flight, prepare=prepare, file=file)
            )
        except (RefusedError, WorkerError) as error:
            raise ArceauxError(str(error)) from None
        typer.echo(json.dumps(summary, indent=2))

    return simulate


_HELP: dict[FleetKind, str] = {
    "parking": "Simulate bay sensors and counters that publish to the broker.",
    "dwellings": "Simulate the gateways of instrumented homes, with and without consent.",
    "city": "Simulate parking and dwellings at once.",
}
for _kind, _help in _HELP.items():
    commands.command(_kind, help=_help)(_command(_kind))
