"""How far a run is, shown on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

_WIDTH = 24
_LOOKS_PER_SECOND = 4


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is: messages, seconds since it started, and the messages' time of the newest one.

    `total` is None where nobody knows how many there will be; `done` is then the share of the messages' time that is
    over, None where there is no end. `last_due` is when the last message is due, in seconds since the start, None where
    only the broker sets the pace. `faults` are those that were put in.
    """

    acknowledged: int
    total: int | None
    elapsed: float
    last_due: float | None = None
    time: datetime | None = None
    in_flight: int | None = None
    faults: int | None = None
    done: float | None = None

    @property
    def rate(self) -> float:
        """Messages a second since the start."""
        return self.acknowledged / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def left(self) -> timedelta | None:
        """How long it will still take; None where nothing tells."""
        if self.last_due is not None:
            return timedelta(seconds=max(0.0, self.last_due - self.elapsed))
        if self.done:
            return timedelta(seconds=self.elapsed * (1 - self.done) / self.done)
        if self.total is None or not self.rate:
            return None
        return timedelta(seconds=(self.total - self.acknowledged) / self.rate)


def words(standing: Standing) -> str:
    """Tell a standing in a line."""
    total = "" if standing.total is None else f"/{standing.total}"
    told = [f"{standing.acknowledged}{total} messages", f"{standing.rate:.0f}/s"]
    if standing.in_flight is not None:
        told.append(f"{standing.in_flight} in flight")
    if standing.faults is not None:
        told.append(f"{standing.faults} faults")
    told.append(f"{'?' if standing.left is None else timedelta(seconds=round(standing.left.total_seconds()))} left")
    if standing.time is not None:
        told.append(f"{standing.time:%Y-%m-%d %H:%M:%S}Z")
    return "  ".join(told)


@contextmanager
def shown(look: Callable[[], Standing]) -> Iterator[None]:
    """Show what `look` gives while the context lasts, on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    live = Live(
        get_renderable=lambda: _line(look()),
        console=Console(stderr=True),
        refresh_per_second=_LOOKS_PER_SECOND,
        transient=True,
    )
    before = structlog.get_config()
    with live:
        # While it lasts, sys.stderr is one that writes above the line; the log wrote across it otherwise.
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        try:
            yield
        finally:
            structlog.configure(**before)


def _line(standing: Standing) -> Table:
    line = Table.grid(padding=(0, 2))
    if standing.done is None:
        bar = ProgressBar(standing.total, standing.acknowledged, width=_WIDTH, pulse=standing.total is None)
    else:
        bar = ProgressBar(1.0, standing.done, width=_WIDTH)
    line.add_row(bar, words(standing))
    return line
