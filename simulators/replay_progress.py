"""How far a replay is, shown on a terminal."""

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
    """How far a replay is: messages, seconds since it started, and the archive's time of the newest message.

    `last_due` is when the last message is due, in seconds since the start, None where only the broker sets the pace.
    """

    acknowledged: int
    total: int
    elapsed: float
    last_due: float | None
    time: datetime | None

    @property
    def rate(self) -> float:
        """Messages a second since the start."""
        return self.acknowledged / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def left(self) -> timedelta | None:
        """How long it will still take; None where nothing tells."""
        if self.last_due is not None:
            return timedelta(seconds=max(0.0, self.last_due - self.elapsed))
        return timedelta(seconds=(self.total - self.acknowledged) / self.rate) if self.rate else None


def words(standing: Standing) -> str:
    """Tell a standing in a line."""
    left = "?" if standing.left is None else str(timedelta(seconds=round(standing.left.total_seconds())))
    time = "" if standing.time is None else f"  {standing.time:%Y-%m-%d %H:%M:%S}Z"
    return f"{standing.acknowledged}/{standing.total} messages  {standing.rate:.0f}/s  {left} left{time}"


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
    line.add_row(ProgressBar(standing.total, standing.acknowledged, width=_WIDTH), words(standing))
    return line
