"""A replay: an archive read by a named reader, and played to the broker."""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import structlog

from schemas.registry import Registry
from schemas.settings import BrokerAddress
from schemas.topics import Topics
from simulators.captures.playing import Capture
from simulators.progress import shown
from simulators.readers import CAPTURE, READERS
from simulators.readers.table import TableFormat, read_table
from simulators.replaying.plan import Addresses, Script, Span, write_script
from simulators.replaying.player import Pacing, Player
from simulators.replaying.rewrite import Rewriting
from simulators.stopping import stop_on_signals, until_stopped

_MOST_SKIPPED_TOLD = 10


class ReplayError(Exception):
    """A replay cannot be done; the message says why."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What is replayed and how; made by simulators/replaying/options.py of what a user wrote."""

    file: Path
    reader: str
    pacing: Pacing = field(default_factory=Pacing)
    span: Span = field(default_factory=Span)
    dwelling: str | None = None
    table: TableFormat | None = None
    rewriting: Rewriting | None = None
    with_retained: bool = False


class Replay:
    """One replay and what became of it."""

    def __init__(self, options: ReplayOptions) -> None:
        self._options = options
        self._player: Player | None = None
        self.script = Script()
        self.is_complete = False

    def read(self, registry: Registry, topics: Topics, stopped: Callable[[], bool]) -> None:
        """Read the archive, or as much of it as comes before it is stopped. Raises ArchiveError."""
        options = self._options
        if options.reader == CAPTURE:
            capture = Capture(
                options.file, topics, options.span, options.rewriting, with_retained=options.with_retained
            )
            self.script = capture.script(stopped)
            return
        items = READERS[options.reader].read if options.table is None else partial(read_table, table=options.table)
        self.script = write_script(
            takewhile(lambda _: not stopped(), items(options.file)),
            Addresses(registry, topics, options.dwelling),
            options.span,
            options.rewriting,
        )

    async def play(self, address: BrokerAddress) -> None:
        """Publish what was read. Raises ReplayError where that is nothing, RefusedError where the broker refuses it."""
        if not self.script.count:
            losses = ", ".join(f"{number} {what}" for what, number in self._losses().items() if number)
            raise ReplayError(f"{self._options.file}: nothing in it can be replayed ({losses or 'no records'})")
        player = self._player = Player(address, self.script, self._options.pacing)
        # What was read stays: the collector need not look at it while messages are due.
        gc.collect()
        gc.freeze()
        with shown(player.look):
            await player.run()
        self.is_complete = True

    def summary(self) -> dict[str, Any]:
        """Tell what became of it."""
        player = self._player
        traffic = None if player is None else player.traffic
        return {
            "acknowledged": 0 if traffic is None else traffic.acknowledged,
            "messages": None if player is None else player.total,
            **self._losses(),
            "untimed": 0 if player is None else player.untimed,
            "seconds": 0.0 if player is None else round(player.elapsed, 3),
            "late": None if traffic is None else traffic.late.summary(),
            "publish_to_acknowledge": None if traffic is None else traffic.latency.summary(),
            "stopped": not self.is_complete,
        }

    def log_losses(self) -> None:
        """Log each unknown name, and the first of what was skipped."""
        log = structlog.get_logger("simulators.replay")
        for name, records in self.script.unknown.items():
            log.warning("name_unknown", name=name, records=records)
        for skipped in self.script.skipped[:_MOST_SKIPPED_TOLD]:
            log.warning("skipped", where=skipped.where, reason=skipped.reason)
        if len(self.script.skipped) > _MOST_SKIPPED_TOLD:
            log.warning("more_skipped", count=len(self.script.skipped) - _MOST_SKIPPED_TOLD)

    def _losses(self) -> dict[str, int]:
        """Count what of the archive is not sent."""
        script = self.script
        return {
            "skipped": len(script.skipped),
            "unknown_names": len(script.unknown),
            "retained_left_out": script.retained,
        }


async def run_replay(broker_url: str, registry: Registry, topics: Topics, options: ReplayOptions) -> Replay:
    """Play an archive to its end, or until SIGINT or SIGTERM.

    A broker that is away is waited for. What was skipped and which names are unknown is logged at the end. Raises
    ArchiveError where the archive cannot be read, ReplayError where nothing in it can be sent, RefusedError where the
    broker refuses a message.
    """
    replay = Replay(options)

    async def work() -> None:
        # In a thread, so that signals are heard meanwhile.
        await asyncio.to_thread(replay.read, registry, topics, stop.is_set)
        await replay.play(BrokerAddress(broker_url))

    with stop_on_signals() as stop:
        try:
            await until_stopped(stop, work())
        finally:
            replay.log_losses()
    return replay
