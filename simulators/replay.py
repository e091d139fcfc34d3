"""A replay: an archive read by a named reader, and played to the broker."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import structlog

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.settings import BrokerAddress
from schemas.topics import Topics
from simulators.progress import shown
from simulators.readers import READERS, choose
from simulators.replay_plan import Script, parse_speed, write_script
from simulators.replay_player import Player
from simulators.stopping import stop_on_signals, until_stopped

_MOST_SKIPPED_TOLD = 10
_HOME_READER = "appliances"


class ReplayError(Exception):
    """A replay cannot be done; the message says why."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What is replayed and how: `speed` is a factor, None for as fast as the broker acknowledges."""

    file: Path
    reader: str
    speed: float | None = 1.0
    shift_to_now: bool = False
    dwelling: str | None = None


def check_options(
    registry: Registry, file: Path, *, reader: str | None, speed: str, shift_to_now: bool, dwelling: str | None
) -> ReplayOptions:
    """Make options of what a user wrote. Raises ConfigurationError."""
    try:
        factor = parse_speed(speed)
    except ValueError as error:
        raise ConfigurationError(f"--speed: {error}") from None
    name = choose(file, reader)
    _check_dwelling(registry, name, dwelling)
    return ReplayOptions(file, name, factor, shift_to_now, dwelling)


def _check_dwelling(registry: Registry, reader: str, dwelling: str | None) -> None:
    if reader != _HOME_READER:
        if dwelling is not None:
            raise ConfigurationError(f"--dwelling: only the reader {_HOME_READER} takes it, and this is {reader}")
    elif dwelling is None:
        raise ConfigurationError(f"--dwelling: the reader {_HOME_READER} needs the id of a dwelling of the registry")
    elif dwelling not in {home.id for home in registry.dwelling}:
        raise ConfigurationError(f"--dwelling: no [[dwelling]] of the registry has the id {dwelling!r}")


class Replay:
    """One replay and what became of it; `str()` tells that in a line."""

    def __init__(self, options: ReplayOptions) -> None:
        self._options = options
        self.script = Script()
        self.acknowledged = 0

    def __str__(self) -> str:
        unsent = len(self.script.messages) - self.acknowledged
        end = f"; stopped with {unsent} to go" if unsent else ""
        return f"{self.acknowledged} messages acknowledged by the broker, {self.losses}{end}"

    @property
    def losses(self) -> str:
        """What of the archive is not sent."""
        things = READERS[self._options.reader].things
        return f"{len(self.script.skipped)} {things} skipped, {len(self.script.unknown)} unknown names"

    def read(self, registry: Registry, topics: Topics, stopped: Callable[[], bool]) -> None:
        """Read the archive, or as much of it as comes before it is stopped. Raises ArchiveError."""
        items = takewhile(lambda _: not stopped(), READERS[self._options.reader].read(self._options.file))
        self.script = write_script(items, registry, topics, self._options.dwelling)

    async def play(self, address: BrokerAddress) -> None:
        """Publish what was read. Raises ReplayError where that is nothing, RefusedError where the broker refuses it."""
        options = self._options
        if not self.script.messages:
            raise ReplayError(f"{options.file}: nothing in it can be replayed: {self.losses}")
        player = Player(address, self.script.messages, speed=options.speed, shift_to_now=options.shift_to_now)
        try:
            with shown(player.look):
                await player.run()
        finally:
            self.acknowledged = player.progress.acknowledged

    def log_losses(self) -> None:
        """Log each unknown name, and the first of what was skipped."""
        log = structlog.get_logger("simulators.replay")
        for name, records in self.script.unknown.items():
            log.warning("name_unknown", name=name, records=records)
        for skipped in self.script.skipped[:_MOST_SKIPPED_TOLD]:
            log.warning("skipped", where=skipped.where, reason=skipped.reason)
        if len(self.script.skipped) > _MOST_SKIPPED_TOLD:
            log.warning("more_skipped", count=len(self.script.skipped) - _MOST_SKIPPED_TOLD)


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
