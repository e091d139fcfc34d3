"""`arceaux record` as a process of its own."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from harness.service import environment
from harness.waiting import eventually
from simulators.captures.lines import Captured
from simulators.captures.reading import CaptureReader


class Recording:
    """A recording to a file; its log is beside that."""

    def __init__(self, path: Path, settings: Mapping[str, str], *arguments: str) -> None:
        self.path = path
        self.log = path.parent / "record.log"
        command = [sys.executable, "-m", "ingest", "record", str(path), *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=environment(settings) | {"ARCEAUX_LOG_FORMAT": "json"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    async def listening(self, times: int = 1) -> None:
        """Wait until it is connected so often, all starts on this file together."""

        async def connected() -> int:
            assert self.process.poll() is None, self.log.read_text()
            return self.log.read_text().count('"event": "recording"')

        await eventually(connected, lambda count: count >= times)

    async def holds(self, count: int) -> list[Captured]:
        """Wait until so many messages are on the disk, and give them."""

        async def look() -> list[Captured]:
            return list(CaptureReader(self.path))

        return await eventually(look, lambda found: len(found) >= count)

    async def stop(self, number: int = signal.SIGINT) -> dict[str, Any]:
        """End it by a signal; give its summary, nothing where it was killed."""
        self.process.send_signal(number)
        output, _ = await asyncio.to_thread(self.process.communicate, timeout=30)
        if number == signal.SIGKILL:
            return {}
        assert self.process.returncode == 0, self.log.read_text()
        summary: dict[str, Any] = json.loads(output)
        return summary


@asynccontextmanager
async def recording(directory: Path, settings: Mapping[str, str], *arguments: str) -> AsyncIterator[Recording]:
    """Record to a new file while the context lasts."""
    started = Recording(directory / "a.jsonl.gz", settings, *arguments)
    try:
        await started.listening()
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.communicate()
