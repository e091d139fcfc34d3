"""A settler in this process, in the worker's place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness.homes import KEY
from ingest.backlog import Backlog
from ingest.metrics import Metrics
from ingest.settle import Settler
from ingest.store import Store
from processors.columns import NEVER
from processors.privacy import Privacy
from schemas.registry import Registry
from schemas.settings import Settings
from schemas.topics import Topics


@asynccontextmanager
async def settler_of(settings: Settings, registry: Registry) -> AsyncIterator[Settler]:
    """Take the worker's place in this process."""
    metrics = Metrics()
    store = Store(settings.database_url, settings.client_id, metrics)
    try:
        start = await store.open(registry, Privacy.of(registry, Topics("city"), KEY))
        yield Settler(
            start=start,
            store=store,
            backlog=Backlog(NEVER),
            metrics=metrics,
            settings=settings,
            window_ratio=lambda: 0.0,
            on_change=lambda: None,
            on_registry=lambda _: None,
        )
    finally:
        await store.close()
