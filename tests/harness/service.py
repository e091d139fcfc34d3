"""The service as its own process, run as a user would."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psutil

from simulators.embedded.ports import free_port


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Give the environment without settings of the outside, with these."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("ARCEAUX_")}
    return outside | dict(settings)


async def run_command(*arguments: str, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `arceaux` to its end."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ingest", *arguments],
        env=environment(settings or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Service:
    """`arceaux ingest` with these settings; its log is kept."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.ops_port = free_port()
        self.settings = {"ARCEAUX_OPS_PORT": str(self.ops_port), "ARCEAUX_LOG_FORMAT": "json", **settings}
        self.log_path = directory / f"service-{self.ops_port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, not waiting."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ingest", "ingest"], env=environment(self.settings), stdout=log, stderr=log
            )

    async def start_ready(self) -> None:
        """Start and wait until it is ready."""
        self.start()
        await self.ready()

    async def ready(self, seconds: float = 30) -> None:
        """Wait until all subscriptions are granted and a batch has committed."""
        deadline = time.monotonic() + seconds
        while await asyncio.to_thread(self._status, "/readyz") != 200:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, f"not ready:\n{self.log}"
            await asyncio.sleep(0.05)  # between two looks at another process

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; gives the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return await self.wait()

    def kill(self) -> None:
        """End it by SIGKILL, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop it where it stands, by SIGSTOP; its connections stay open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    @property
    def resident(self) -> int:
        """Resident memory in bytes."""
        assert self.process is not None
        return psutil.Process(self.process.pid).memory_info().rss

    async def wait(self, seconds: float = 30) -> int:
        """Wait for its end; gives the exit status."""
        assert self.process is not None
        try:
            return await asyncio.to_thread(self.process.wait, seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {seconds} s:\n{self.log}") from None
        finally:
            self.process = None

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self.log_path.read_text() if self.log_path.exists() else ""

    def metric(self, name: str, **labels: str) -> float:
        """Read one sample from /metrics."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in self.page("/metrics").splitlines():
            match = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
            if match and wanted <= set((match[1] or "").split(",")):
                return float(match[2])
        raise AssertionError(f"no sample {name} {labels}")

    def page(self, path: str) -> str:
        """Get a page of the ops endpoint."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ops_port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def _status(self, path: str) -> int:
        try:
            self.page(path)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0
        return 200
