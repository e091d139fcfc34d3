"""Working until a signal says stop."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

GRACE_SECONDS = 5.0
"""What work that is asked to end has for that."""


@contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Give an event that SIGINT and SIGTERM set, while the context lasts."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def until_stopped(
    stop: asyncio.Event, work: Coroutine[Any, Any, None], ask: Callable[[], None] | None = None
) -> None:
    """Do the work until it ends, fails or is told to stop.

    Where there is an `ask`, that asks the work to end by itself then, and it has some seconds to do so.
    """
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if ask is not None and not working.done():
            ask()
            await asyncio.wait({working}, timeout=GRACE_SECONDS)
    finally:
        stopping.cancel()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
