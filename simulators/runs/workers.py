"""Several processes of a run, as the one that the user started sees them."""

import asyncio
import json
import logging
import signal
import sys
from asyncio.subprocess import PIPE
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import cast

import structlog

from simulators.runs.report import Report
from simulators.runs.share import Order
from simulators.stopping import GRACE_SECONDS

_COMMAND = (sys.executable, "-m", "simulators.runs.worker")
_LINES_KEPT = 10
_LONGEST_LINE = 2**24
"""Bytes; a report grows with what is acknowledged out of order."""

log = structlog.get_logger("simulators.runs.workers")


class WorkerError(Exception):
    """A process of a run ended by itself; the message says which, how, and with the last lines of its log."""


class _Worker:
    """One process. It is in a session of its own, so that a terminal's Ctrl-C reaches us only."""

    def __init__(self, order: Order, process: asyncio.subprocess.Process) -> None:
        self._number = order.process
        self._process = process
        self._orders = cast("asyncio.StreamWriter", process.stdin)
        self._reports = cast("asyncio.StreamReader", process.stdout)
        self._last_lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._logging = asyncio.create_task(self._pass_on(cast("asyncio.StreamReader", process.stderr)))
        self._say(order.model_dump_json())

    @classmethod
    async def start(cls, order: Order) -> "_Worker":
        """Start a process, and give it its order."""
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=_LONGEST_LINE, start_new_session=True
        )
        return cls(order, process)

    async def ready(self) -> None:
        """Wait until it can begin. Raises WorkerError where it ends instead."""
        if await self._reports.readline() == b"":
            raise await self._failure()

    def go(self) -> None:
        """Start its clock."""
        self._say("go")

    def stop(self) -> None:
        """Tell it to end."""
        self._orders.close()

    async def follow(self, tell: Callable[[Report], None]) -> None:
        """Pass its reports on to its end. Raises WorkerError where it was another one than it should have."""
        has_ended = False
        while line := await self._reports.readline():
            report = Report.model_validate_json(line)
            has_ended = report.ended
            tell(report)
        if not has_ended or await self._process.wait():
            raise await self._failure()

    async def end(self) -> None:
        """Leave nothing behind: tell it to end, and end it where it does not."""
        self.stop()
        try:
            async with asyncio.timeout(2 * GRACE_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._logging

    def _say(self, line: str) -> None:
        if not self._orders.is_closing():
            self._orders.write(line.encode() + b"\n")

    async def _failure(self) -> WorkerError:
        status = await self._process.wait()
        await self._logging
        how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
        lines = "\n".join(self._last_lines) or "(nothing)"
        return WorkerError(f"process {self._number} of the run ended {how}; its last lines:\n{lines}")

    async def _pass_on(self, said: asyncio.StreamReader) -> None:
        """Log what it logs; what is no log is kept for the error that comes of it."""
        while line := await said.readline():
            text = line.decode(errors="replace").rstrip()
            self._last_lines.append(text)
            if text.startswith("{"):
                record = json.loads(text)
                level = logging.getLevelNamesMapping()[record.pop("level").upper()]
                log.log(level, record.pop("event"), process=self._number, **record)


async def send_in_processes(orders: Sequence[Order], stop: asyncio.Event, tell: Callable[[Report], None]) -> None:
    """Send each share in a process of its own; they begin together. `tell` is given their reports.

    Where one ends by itself the others are told to stop, and WorkerError is raised.
    """
    workers: list[_Worker] = []

    def stop_all() -> None:
        for worker in workers:
            worker.stop()

    stopping = asyncio.create_task(stop.wait())
    try:
        for order in orders:
            workers.append(await _Worker.start(order))  # noqa: PERF401 - those that run have to be known if one fails
        stopping.add_done_callback(lambda _: stop_all())
        await _all([worker.ready() for worker in workers], stop_all)
        for worker in workers:
            worker.go()
        await _all([worker.follow(tell) for worker in workers], stop_all)
    finally:
        stopping.cancel()
        await asyncio.gather(*(worker.end() for worker in workers))


async def _all(works: Iterable[Coroutine[None, None, None]], stop_all: Callable[[], None]) -> None:
    """Do everything at once; where something fails, stop the others, and raise that when they have ended."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        if pending:
            stop_all()
            await asyncio.wait(pending, timeout=2 * GRACE_SECONDS)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [end for end in ends if isinstance(end, Exception)]
    if errors:
        raise errors[0]
