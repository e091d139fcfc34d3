"""The service: opens its parts sink first, runs their tasks in one group, drains and closes them source first.

A task that dies ends the process: nothing here is restarted behind the operator's back.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import structlog

from ingest.backlog import Backlog
from ingest.errors import ArceauxError
from ingest.inbox import Inbox
from ingest.metrics import Metrics
from ingest.mqtt import Consumer, Identity
from ingest.ops import serve_ops
from ingest.pipeline import Pipeline
from ingest.pooled import PooledFigures
from ingest.privacy.erased_file import ErasedFile
from ingest.publisher import Publisher
from ingest.registry_watch import RegistryWatch
from ingest.retention import Retention
from ingest.roller import Roller
from ingest.settle import Settler
from ingest.store import Start, Store
from ingest.window import Window
from processors.privacy import Privacy
from processors.times import from_datetime
from schemas.live import ServiceStatus
from schemas.registry import Registry
from schemas.settings import Settings
from schemas.topics import Topics

_LAST_FIGURES_SECONDS: Final = 3.0
"""How long the last figures may take at the end; a broker that is away gets them at the next start."""

log = structlog.get_logger()


async def run_service(settings: Settings, registry: Registry, privacy: Privacy) -> None:
    """Run until SIGTERM or SIGINT, then drain.

    Raises ArceauxError, LeaseLostError among them, for what a restart or an operator has to mend.
    """
    stop = _stop_on_signals()
    watch = RegistryWatch(settings, registry, privacy)
    metrics = Metrics()
    store = Store(settings.database_url, settings.client_id, metrics, ErasedFile.of(settings))
    try:
        start = await _unless(stop, store.open(registry, privacy))
        if start is not None:
            parts = _assemble(settings, registry, metrics, store, start)
            with serve_ops(
                settings.ops_host,
                settings.ops_port,
                metrics.registry,
                lambda: parts.consumer.is_subscribed and parts.settler.has_committed,
            ) as address:
                log.info("started", ops=address, client_id=settings.client_id)
                watching = watch.run(parts.pipeline.take_up)
                await _run(parts, watching, store, stop, settings.drain_timeout.total_seconds())
    finally:
        await store.close()
    log.info("stopped")


@dataclass(frozen=True, slots=True)
class _Parts:
    inbox: Inbox
    consumer: Consumer
    settler: Settler
    pipeline: Pipeline
    publisher: Publisher
    retention: Retention
    roller: Roller
    pooled: PooledFigures


def _assemble(settings: Settings, registry: Registry, metrics: Metrics, store: Store, start: Start) -> _Parts:
    inbox = Inbox(settings.batch_max_readings)
    window = Window(settings.receive_maximum)
    consumer = Consumer(settings.broker, _identity(settings, start.layout.topics), inbox, window, metrics)
    backlog = Backlog(start.committed_at)
    consumer.on_connected = lambda present: backlog.connected(_now(), session_present=present)
    consumer.on_lost = lambda silent_seconds: backlog.lost(_now() - round(silent_seconds * 1e6))
    publisher = Publisher(settings, registry, metrics)
    pooled = PooledFigures(settings, registry, metrics, lambda: not backlog.gap.is_open)

    def take_up(changed: Registry) -> None:
        publisher.take_up(changed)
        pooled.take_up(changed)

    settler = Settler(
        start=start,
        store=store,
        backlog=backlog,
        metrics=metrics,
        settings=settings,
        window_ratio=lambda: window.ratio,
        on_change=publisher.changed,
        on_registry=take_up,
    )
    pipeline = Pipeline(
        inbox=inbox,
        window=window,
        consumer=consumer,
        settler=settler,
        backlog=backlog,
        metrics=metrics,
        max_delay=settings.batch_max_delay.total_seconds(),
    )
    return _Parts(
        inbox=inbox,
        consumer=consumer,
        settler=settler,
        pipeline=pipeline,
        publisher=publisher,
        retention=Retention(settings, metrics),
        roller=Roller(settings, metrics, lambda: pipeline.is_busy),
        pooled=pooled,
    )


async def _run(
    parts: _Parts, watch: Coroutine[None, None, None], store: Store, stop: asyncio.Event, drain_timeout: float
) -> None:
    async with asyncio.TaskGroup() as tasks:

        def start_task(name: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
            return tasks.create_task(_until_stopping(stop, name, work), name=name)

        gathering = start_task("gather", parts.pipeline.gather_and_decode())
        publishing = start_task("publish", parts.publisher.run())
        settling = start_task("settle", parts.pipeline.settle_batches())
        consuming = start_task("consume", parts.consumer.run(store))
        watching = start_task("watch registry", watch)
        retaining = start_task("retain", parts.retention.run())
        rolling = start_task("roll", parts.roller.run())
        pooling = start_task("pool", parts.pooled.run())
        await stop.wait()
        await _drain(parts, gathering, publishing, drain_timeout)
        for task in (consuming, gathering, settling, publishing, watching, retaining, rolling, pooling):
            task.cancel()


async def _drain(
    parts: _Parts, gathering: asyncio.Task[None], publishing: asyncio.Task[None], drain_timeout: float
) -> None:
    """Stop taking in, commit and acknowledge what was received, publish what came of it, say that we are offline."""
    log.info("draining", waiting=len(parts.inbox))
    parts.consumer.stop_intake()
    parts.pipeline.stop()
    try:
        async with asyncio.timeout(drain_timeout):
            await asyncio.wait([gathering])
            await parts.pipeline.drained()
            parts.publisher.stop()
            await asyncio.wait([publishing], timeout=_LAST_FIGURES_SECONDS)
    except TimeoutError:
        log.warning("drain_cut_short", remedy="what was not committed comes again at the next start")
    await parts.consumer.close()


async def _until_stopping(stop: asyncio.Event, name: str, work: Coroutine[None, None, None]) -> None:
    """Do endless work; its end before the service's is a failure, also one without an error.

    A task group takes a task that was cancelled for one that ended well, and would run on without it.
    """
    try:
        await work
    except asyncio.CancelledError:
        if stop.is_set():
            raise
    if not stop.is_set():
        raise ArceauxError(f"the task {name} ended by itself")


async def _unless(stop: asyncio.Event, opening: object) -> Start | None:
    """Await the opening of the store, giving up on a signal."""
    task = asyncio.ensure_future(opening)  # type: ignore[call-overload] # a coroutine
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        return task.result()  # type: ignore[no-any-return] # as above
    task.cancel()
    await asyncio.wait([task])
    return None


def _identity(settings: Settings, topics: Topics) -> Identity:
    since = datetime.now(UTC)
    status: Callable[[str], bytes] = lambda state: ServiceStatus(  # noqa: E731 - closes over since
        state=state, version=version("arceaux"), since=since
    ).payload()
    return Identity(
        client_id=settings.client_id,
        control_filters=topics.control_filters,
        data_filters=topics.data_filters,
        status_topic=topics.status(settings.client_id),
        status=status,
    )


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _now() -> int:
    return from_datetime(datetime.now(UTC))
