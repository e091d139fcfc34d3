"""What a fault run is, and running one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from harness.databases import TestServer
from harness.rig import Result, Rig, open_rig


@dataclass(frozen=True, slots=True)
class Scale:
    """How hard a run is: how often the fault comes, how many seconds it lasts, how many messages a second."""

    times: int = 1
    seconds: float = 0
    rate: int = 500


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault run: `harm` sees for itself that the fault took place.

    `short` is None where the run cannot be short, or tests/faults has a test of its own for it. `database` is the
    kind of server.
    """

    harm: Callable[[Rig, Scale], Awaitable[None]]
    short: Scale | None = Scale()
    long: Scale = Scale()
    database: str = "timescaledb"

    def run(
        self,
        scale: Scale,
        server: TestServer,
        directory: Path,
        seed: int,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Result:
        """Build the rig, do the harm, judge."""

        async def run() -> Result:
            async with open_rig(directory, server, seed, tell) as rig:
                await self.harm(rig, scale)
                return await rig.judge()

        return asyncio.run(run())
