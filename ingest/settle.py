"""The second half of a batch's way: reduce, commit, adopt. One writer, one batch after the other.

What it holds (layout, state of the world, gate) is as of the last commit. Batches come decoded, perhaps by a registry
or behind a gate that changed since: then they are decoded again here, from their messages.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, NamedTuple

import structlog

from ingest.backlog import Backlog
from ingest.errors import OutdatedBatchError, OutdatedLayoutError, SlowBatchError
from ingest.metrics import Metrics
from ingest.poison import PoisonError, UnisolatedError
from ingest.store import Start, Store
from ingest.transaction import Batch, Outcome
from processors.dead_letters import dead_letters
from processors.decode import Decoded, Unfit, decode
from processors.gate import Gap, Gate
from processors.layout import Layout
from processors.noise import Noise
from processors.privacy import Privacy
from processors.reduce import Moment, Reduced, reduce
from processors.reduce_homes import adopt
from processors.rejects import Limits
from processors.replays import Letter, marks, new_rejects, to_delivery
from processors.times import to_datetime
from schemas.delivery import Delivery
from schemas.registry import Registry
from schemas.settings import Settings

_MICROSECOND: Final = timedelta(microseconds=1)
_SLACK: Final = timedelta(days=2)
"""Letters are removed by whole days, and up to an hour later."""

log = structlog.get_logger()


class Gathered(NamedTuple):
    """A batch on its way to the database, empty on a tick: decoded by that layout, behind the gate as it was before.

    `letters` are the dead letters that it replays, one a message. `is_outdated` where the database would not register
    a sensor of it: consent was withdrawn meanwhile, or a home erased.
    """

    deliveries: Sequence[Delivery]
    letters: Sequence[Letter]
    layout: Layout
    gate: Gate
    gap: Gap
    decoded: Decoded
    is_outdated: bool


class Settler:
    """Decodes, and settles what was decoded."""

    def __init__(  # noqa: PLR0913 - the parts it connects
        self,
        *,
        start: Start,
        store: Store,
        backlog: Backlog,
        metrics: Metrics,
        settings: Settings,
        window_ratio: Callable[[], float],
        on_change: Callable[[], None],
        on_registry: Callable[[Registry], None],
    ) -> None:
        self._layout, self._world, self.gate = start.layout, start.world, start.gate
        self._store, self._backlog, self._metrics = store, backlog, metrics
        self._limits = _limits(settings)
        # As long as a dead letter may be replayed, a pause that its reading lies in has to be known.
        self._pauses_kept = (settings.max_lateness + settings.retention_dead_letters + _SLACK) // _MICROSECOND
        self._window_ratio = window_ratio
        self._on_change, self._on_registry = on_change, on_registry
        self._noise = Noise()
        self._decoding = asyncio.Lock()
        self._new_registry: tuple[Registry, Privacy] | None = None
        self.has_committed = False

    def take_up(self, registry: Registry, privacy: Privacy) -> None:
        """Go on with another registry: from the next batch on, and for batches that are not written yet."""
        self._new_registry = (registry, privacy)

    async def decode(
        self, deliveries: Sequence[Delivery], gate: Gate, gap: Gap, letters: Sequence[Letter] = ()
    ) -> Gathered:
        """Decode a batch behind a gate, and register the sensors it brings."""
        async with self._decoding:
            layout = self._layout
            decoded = decode(deliveries, layout, self._limits, gate, gap)
            is_outdated = not await self._is_registered(decoded)
        return Gathered(deliveries, letters, layout, gate, gap, decoded, is_outdated)

    async def _is_registered(self, decoded: Decoded) -> bool:
        """Register the sensors that a batch brings; tell whether that could be done."""
        try:
            if decoded.homes.newcomers:
                await self._store.register(decoded.homes.newcomers)
        except OutdatedLayoutError:
            return False
        return True

    def listen(self, deliveries: Sequence[Delivery]) -> None:
        """Note who has sent what, for the case that it is too much."""
        was, is_busy = self._noise, self._backlog.is_overrun
        sources = [self._layout.source_of(delivery.topic) for delivery in deliveries] if is_busy else []
        self._noise = was.heard(sources, self._layout.routes, _now(), is_busy=is_busy)
        if self._noise.noisy.keys() - was.noisy.keys():
            log.warning("sources_noisy", count=len(self._noise.noisy), remedy="see arceaux_noisy_messages_per_second")

    async def settle(self, gathered: Gathered) -> Gathered:
        """Settle a batch by the registry in force, however often that changes meanwhile; give it as it was settled."""
        while True:
            if self._new_registry is not None:
                await self._change_registry(*self._new_registry)
            if gathered.is_outdated and gathered.layout is self._layout:
                await self._reload()
            # Decoded ahead, by a registry that changed since, or after presses of a batch that was dropped.
            if gathered.layout is not self._layout or gathered.gate != self.gate:
                gathered = await self._decode_again(gathered)
                continue
            try:
                await self._settle_once(gathered)
            except OutdatedLayoutError:
                await self._reload()
                continue
            except OutdatedBatchError:
                continue
            except SlowBatchError:
                await self._settle_halves(gathered)
            return gathered

    async def replay(self) -> bool:
        """Settle dead letters that somebody asked to replay, some at a time; tell whether there were any."""
        letters = await self._store.requested_letters()
        if letters:
            await self.settle(await self.decode(self._messages(letters), self.gate, self._backlog.gap, letters))
        return bool(letters)

    def _messages(self, letters: Sequence[Letter]) -> list[Delivery]:
        return [to_delivery(letter, self._layout.privacy) for letter in letters]

    async def _decode_again(self, gathered: Gathered, part: slice = slice(None)) -> Gathered:
        letters = gathered.letters[part]
        # Letters anew, too: of a home that left the registry meanwhile the id must not be put back.
        deliveries = self._messages(letters) if letters else gathered.deliveries[part]
        return await self.decode(deliveries, self.gate, gathered.gap, letters)

    async def _change_registry(self, registry: Registry, privacy: Privacy) -> None:
        self._new_registry = None
        self._layout, self._world, self.gate = await self._store.take_up(registry, privacy, self.gate)
        self._noise = Noise()  # a topic may lead elsewhere now, or nowhere
        self._metrics.forget_figures()
        log.info("registry_taken_up", car_parks=len(registry.car_park), dwellings=len(registry.dwelling))
        self._on_registry(registry)

    async def _reload(self) -> None:
        """Load the layout again, since homes were erased or readmitted: nothing held in memory may bring one back."""
        self._layout, self.gate = await self._store.reload(self.gate)
        log.info("erasures_taken_up", erased=len(self._layout.privacy.erased))

    async def _settle_halves(self, gathered: Gathered) -> None:
        middle = len(gathered.deliveries) // 2
        log.warning("batch_halved", messages=len(gathered.deliveries))
        for part in (slice(middle), slice(middle, None)):
            await self.settle(await self._decode_again(gathered, part))

    async def _settle_once(self, gathered: Gathered) -> None:
        """Reduce, commit, adopt."""
        moment = self._moment(gathered)
        homes = self._layout.homes
        homes.judge(self.gate, moment.now, moment.clock)
        reduced = reduce(self._world, self._layout, gathered.decoded, moment)
        if not (reduced.is_empty and self.has_committed):
            began = time.monotonic()
            reduced, outcome = await self._commit(reduced, gathered)
            self.has_committed = True
            self._metrics.committed(outcome, time.monotonic() - began, time.time())
        elif await self._store.is_outdated():
            raise OutdatedLayoutError("homes were erased or readmitted, and nobody sends anything")
        self._world = reduced.world
        adopt(homes, reduced.homes)
        self.gate = gathered.decoded.homes.gate
        if not gathered.deliveries:
            self.gate = self.gate.since(moment.now - self._pauses_kept)
        self._metrics.show_figures(self._layout.codes, self._world.figures)
        self._metrics.show_health(self._layout.codes, self._world.health)
        self._metrics.show_noise(self._layout, moment.noisy)
        if len(reduced.changed_figures) or reduced.is_health_new:
            self._on_change()

    async def _commit(self, reduced: Reduced, gathered: Gathered) -> tuple[Reduced, Outcome]:
        """Commit; where the database refuses single readings, dead-letter those and commit the rest."""
        batch = self._batch(reduced, gathered)
        try:
            return reduced, await self._store.commit(batch, self._is_outdated)
        except PoisonError:
            poison = await self._find_poison(batch)
        # Of the batch as it was decoded: without the poison, others may be impossible.
        fit = gathered.decoded.without(poison)
        reduced = reduce(self._world, self._layout, fit, self._moment(gathered))
        return reduced, await self._store.commit(self._batch(reduced, gathered), self._is_outdated)

    async def _find_poison(self, batch: Batch) -> Sequence[Unfit]:
        """Find the readings that the database refuses: of a replay all, where it cannot be told which.

        Those stay dead letters, to be replayed again; the stream must not stop for them.
        """
        try:
            return await self._store.find_poison(batch)
        except UnisolatedError as error:
            if not batch.marks:
                raise
            return [Unfit(table, readings, str(error)) for table, readings in batch.reduced.decoded.readings.items()]

    def _moment(self, gathered: Gathered) -> Moment:
        moment = self._backlog.judge(_now(), self._window_ratio())
        return replace(moment, noisy=self._noise.noisy, is_replay=bool(gathered.letters))

    def _is_outdated(self) -> bool:
        return self._new_registry is not None

    def _batch(self, reduced: Reduced, gathered: Gathered) -> Batch:
        letters, decoded = gathered.letters, reduced.decoded
        rejects = new_rejects(letters, decoded) if letters else decoded.rejects
        found = dead_letters(rejects, gathered.deliveries, self._layout)
        return Batch(self._layout, reduced, found, marks(letters, decoded), to_datetime(_now()))


def _now() -> int:
    return time.time_ns() // 1000


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.max_payload_bytes, settings.max_lateness // _MICROSECOND, settings.max_future // _MICROSECOND
    )
