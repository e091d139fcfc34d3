"""A process of a run with several: `python -m simulators.runs.worker`, started by the one that the user started.

It reads its order from standard input, a line of JSON, and writes an empty report to standard output when it is ready.
The next line of standard input starts its clock; then it writes reports. When standard input ends, it ends, too: so it
outlives nobody. Its log goes to standard error as JSON.
"""

import asyncio
import logging
import sys

import structlog
import uvloop

from schemas.registry import load_registry
from simulators.runs.report import Report
from simulators.runs.share import Order, Share
from simulators.sending.connection import RefusedError


def main() -> None:
    """Work until the end; exit status 1 where the broker refuses."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        uvloop.run(_work())
    except RefusedError as error:
        sys.exit(str(error))


async def _work() -> None:
    said = await _standard_input()
    order = Order.model_validate_json(await said.readline())
    go, stop = asyncio.Event(), asyncio.Event()
    listening = asyncio.create_task(_listen(said, go, stop))
    share = Share(order, load_registry(order.plan.registry))
    await share.prepare(stop)
    _tell(Report(process=order.process))
    await go.wait()
    await share.send(stop, _tell)
    listening.cancel()


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _listen(said: asyncio.StreamReader, go: asyncio.Event, stop: asyncio.Event) -> None:
    if await said.readline():
        go.set()
        await said.read()
    stop.set()
    go.set()


def _tell(report: Report) -> None:
    sys.stdout.write(report.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
