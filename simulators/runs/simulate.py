"""A run: what a plan issues, published to the broker by one process or several."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from simulators.faults.kinds import parse_faults
from simulators.fleet import to_the_millisecond
from simulators.progress import Standing, shown
from simulators.runs.pace import parse_rate
from simulators.runs.report import Report, standing, summary
from simulators.runs.run_file import RunFile
from simulators.runs.share import Order, Share
from simulators.runs.stream import FleetKind, Plan, digest, stream
from simulators.runs.workers import send_in_processes
from simulators.stopping import stop_on_signals

_MARK_SECONDS = 0.95
"""Between two marks of a process in the run's file; reports come four times a second, not quite evenly."""

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def make_plan(  # noqa: PLR0913 - what a user may say
    kind: FleetKind,
    registry: Path,
    topic_root: str,
    *,
    seed: int,
    rate: str | None = None,
    speed: float | None = None,
    duration: timedelta | None = None,
    start: datetime | None = None,
    processes: int = 1,
    faults: str = "",
    now: datetime,
) -> Plan:
    """Make the plan of a run that begins at `start`.

    Without one it begins now, or so long before that its sensors' clocks never run ahead of ours. Raises
    ConfigurationError for what makes no sense together.
    """
    pace = _pace(rate, speed)
    _check_duration(*pace, duration)
    if start is not None and start > now:
        raise ConfigurationError("--start: lies in the future; sensors tell what was, not what will be")
    try:
        parse_faults(faults)
    except ValueError as error:
        raise ConfigurationError(f"--faults: {error}") from None
    begin = start or now - _gained(*pace, duration)
    if begin < _EARLIEST:
        raise ConfigurationError(f"--start: not before {_EARLIEST:%Y}, please")
    return Plan(
        kind=kind,
        seed=seed,
        begin=to_the_millisecond(begin.astimezone(UTC)),
        duration=None if duration is None else duration.total_seconds(),
        speed=pace[0],
        rate=pace[1],
        processes=processes,
        topic_root=topic_root,
        registry=registry.resolve(),
        registry_digest=digest(registry),
        faults=faults,
    )


def _pace(rate: str | None, speed: float | None) -> tuple[float | None, float | None]:
    """Give speed and rate as `Pace` has them."""
    if rate is None:
        return speed or 1.0, None
    if speed is not None:
        raise ConfigurationError("--rate: not together with --speed; one of them sets the pace")
    try:
        return None, parse_rate(rate)
    except ValueError as error:
        raise ConfigurationError(f"--rate: {error}") from None


def _check_duration(speed: float | None, rate: float | None, duration: timedelta | None) -> None:
    if duration is not None:
        if not duration:
            raise ConfigurationError("--duration: longer than nothing, please")
    elif rate is None and (speed is None or speed > 1):
        raise ConfigurationError(
            "--duration: say how much of the fleet's time, or its clocks run ahead of ours for ever"
        )


def _gained(speed: float | None, rate: float | None, duration: timedelta | None) -> timedelta:
    """Give by how much the sensors' clocks gain on ours, from begin to end."""
    if duration is None or rate is not None:
        return timedelta(0)
    return duration if speed is None else max(timedelta(0), duration * (1 - 1 / speed))


def ahead(plan: Plan, now: datetime) -> timedelta:
    """Tell how far the sensors' clocks are ahead of ours at the end of a run that starts now; 0 where never."""
    gained = _gained(plan.speed, plan.rate, plan.limit)
    return max(timedelta(0), plan.begin + gained - now)


class _Run:
    """A run under way: the newest report of each process, and the file that keeps them."""

    def __init__(self, plan: Plan, file: RunFile | None) -> None:
        self._plan = plan
        self._file = file
        self._reports = {process: Report(process=process) for process in range(plan.processes)}
        self._marked: dict[int, float] = {}
        self._began: float | None = None
        self._newest = 0.0

    def take(self, report: Report) -> None:
        """Take a report up. The run begins with the first."""
        now = time.monotonic()
        self._began, self._newest = self._began or now, now
        self._reports[report.process] = report
        marked = self._marked.get(report.process)
        if self._file is not None and (report.ended or marked is None or now - marked >= _MARK_SECONDS):
            self._marked[report.process] = now
            self._file.mark(report.mark(datetime.now(UTC)))

    def look(self) -> Standing:
        """Tell how far it is."""
        elapsed = 0.0 if self._began is None else time.monotonic() - self._began
        return standing(self._plan, self._reports.values(), elapsed)

    def summary(self, *, stopped: bool) -> dict[str, Any]:
        """Sum it up, when it has ended: its time is that from the first report to the last."""
        seconds = self._newest - (self._began or self._newest)
        return summary(self._plan, self._reports.values(), seconds, stopped=stopped)


async def run_plan(
    broker_url: str, plan: Plan, registry: Registry, *, in_flight: int, prepare: bool = False, file: Path | None = None
) -> dict[str, Any]:
    """Publish what a plan issues, to its end or until SIGINT or SIGTERM, and sum it up.

    A broker that is away is waited for. With `prepare` all is made before the first is sent. `file` is the run's, which
    is written anew. Raises ConfigurationError before anything is connected, RefusedError or WorkerError where the
    broker refuses a message or a process dies.
    """
    if prepare and plan.duration is None:
        raise ConfigurationError("--prepare: say how much with --duration")
    orders = [
        Order(plan=plan, process=process, broker_url=broker_url, in_flight=in_flight, prepare=prepare)
        for process in range(plan.processes)
    ]
    alone = Share(orders[0], registry) if plan.processes == 1 else None
    if alone is None:
        stream(plan, registry)  # what does not fit is told here, and not by each process
    if gained := ahead(plan, datetime.now(UTC)):
        structlog.get_logger("simulators.runs.simulate").warning("clocks_ahead", at_the_end=str(gained))
    with ExitStack() as stack:
        run = _Run(plan, None if file is None else stack.enter_context(RunFile(file, plan)))
        stop = stack.enter_context(stop_on_signals())
        stack.enter_context(shown(run.look))
        if alone is not None:
            await alone.prepare(stop)
            await alone.send(stop, run.take)
        else:
            await send_in_processes(orders, stop, run.take)
    return run.summary(stopped=stop.is_set())
