"""A program of ours run as a child process: its log in a file, its end awaited, its leftovers ended."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from simulators.embedded.state import tail, write_private

_KILLED_SECONDS = 10


class ChildError(Exception):
    """A child ended by itself; the message says which, how, and with the last lines of its log."""


class Child:
    """One program; `directory` takes its `<name>.log`, which holds this run only, and its `<name>.pid`."""

    def __init__(self, name: str, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log_path = directory / f"{name}.log"
        self._command = command
        self._environment = environment
        self._pid_path = directory / f"{name}.pid"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """End what a killed run left behind, then start the program in a session of its own.

        So a terminal's Ctrl-C reaches us only, and the parts are stopped in order.
        """
        await asyncio.to_thread(self._end_leftover)
        with self.log_path.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        with suppress(psutil.NoSuchProcess):  # It may have ended at once.
            born = psutil.Process(self._process.pid).create_time()
            write_private(self._pid_path, f"{self._process.pid} {born}")

    async def wait(self) -> int:
        """Wait for the program's end; give its exit status, negative for a signal."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        status = await self._process.wait()
        self._pid_path.unlink(missing_ok=True)
        return status

    def check(self) -> None:
        """Raise ChildError where the program has ended: for programs that are to run on."""
        if self._process is not None and self._process.returncode is not None:
            raise self.failure(self._process.returncode)

    def failure(self, status: int) -> ChildError:
        """Tell how the program ended."""
        how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
        lines = tail(self.log_path) or "  (nothing)"
        return ChildError(f"{self.name} ended {how}; the last lines of {self.log_path}:\n{lines}")

    async def stop(self, seconds: float) -> None:
        """Send SIGTERM, after so many seconds SIGKILL; does nothing to a program that is not running."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(seconds):
                await self.wait()
        except TimeoutError:
            self._process.kill()
            await self.wait()

    def _end_leftover(self) -> None:
        try:
            pid, born = self._pid_path.read_text(encoding="utf-8").split()
            leftover = psutil.Process(int(pid))
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return
        # A number is used again; the time of birth tells whether it is still the same process.
        if leftover.create_time() == float(born) and leftover.pid != os.getpid():
            leftover.kill()
            leftover.wait(_KILLED_SECONDS)
