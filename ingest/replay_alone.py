"""Replays dead letters while no service runs: as the worker itself, with its lease, by the same code."""

import time

from ingest.backlog import Backlog
from ingest.metrics import Metrics
from ingest.privacy.erased_file import ErasedFile
from ingest.settle import Settler
from ingest.store import Store
from processors.columns import FOREVER
from processors.privacy import Privacy
from schemas.registry import Registry
from schemas.settings import Settings


async def replay_alone(settings: Settings, registry: Registry, privacy: Privacy) -> None:
    """Settle all that was asked for, then leave. Raises LeaseLostError where a service starts meanwhile."""
    metrics = Metrics()
    store = Store(settings.database_url, settings.client_id, metrics, ErasedFile.of(settings))
    try:
        start = await store.open(registry, privacy)
        backlog = Backlog(start.committed_at, longest=FOREVER)
        # Nothing is heard here: what was fresh when the service was last at work stays so until it is back.
        backlog.connected(time.time_ns() // 1000, session_present=True)
        settler = Settler(
            start=start,
            store=store,
            backlog=backlog,
            metrics=metrics,
            settings=settings,
            window_ratio=lambda: 1.0,
            on_change=lambda: None,
            on_registry=lambda _: None,
        )
        while await settler.replay():
            pass
    finally:
        await store.close()
