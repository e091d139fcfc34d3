"""Takes up a changed registry file while running, on SIGHUP or when the file's time changes. A wrong one is refused."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from ingest.keys import privacy_of
from processors.privacy import Privacy
from schemas.faults import ConfigurationError
from schemas.registry import Registry, load_registry
from schemas.settings import Settings

_LOOK_EVERY: Final = 0.25
"""Consent that is withdrawn in the file has to hold within a second."""

log = structlog.get_logger()

TakeUp = Callable[[Registry, Privacy], None]


class RegistryWatch:
    """Looks at the file while it runs; SIGHUP is heeded from the beginning, and never ends the process."""

    def __init__(self, settings: Settings, registry: Registry, privacy: Privacy) -> None:
        self._settings = settings
        self._registry = registry
        self._privacy = privacy
        self._asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._asked.set)

    async def run(self, take_up: TakeUp) -> None:
        """Look for ever; once at the beginning, since the start may have waited long for the database."""
        taken = before = None
        while True:
            stamp = _stamp(self._settings.registry)
            # Once it rests: a file that is still being written may look like a registry with nothing in it.
            if (stamp != taken and stamp == before) or self._asked.is_set():
                self._asked.clear()
                taken = stamp
                await self._load(take_up)
            before = stamp
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._asked.wait()
            except TimeoutError:
                pass  # nobody asked; the file may have changed all the same

    async def _load(self, take_up: TakeUp) -> None:
        try:
            registry = await asyncio.to_thread(load_registry, self._settings.registry)
            privacy = self._privacy.of_homes(registry) if self._privacy.key else privacy_of(self._settings, registry)
        except ConfigurationError as error:
            log.warning("registry_refused", faults=str(error).splitlines(), remedy="the old one stays in force")
            return
        if registry != self._registry:
            self._registry, self._privacy = registry, privacy
            take_up(registry, privacy)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Give what changes when a file is written or replaced; None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
