"""How far the doctor's listening is, shown on a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ingest.doctor.report import plural
from ingest.doctor.traffic import Traffic

_LOOKS_PER_SECOND = 4


@contextmanager
def listening(traffic: Traffic, seconds: float) -> Iterator[None]:
    """Show how long it will take and what was heard, on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    began = time.monotonic()

    def look() -> Text:
        heard = f"{plural(traffic.messages, 'message')} on {plural(len(traffic.counts), 'topic')}"
        return Text(f"listening, {time.monotonic() - began:.0f} of {seconds:.0f} s: {heard}")

    console = Console(stderr=True)
    with Live(get_renderable=look, console=console, refresh_per_second=_LOOKS_PER_SECOND, transient=True):
        yield
