"""Waiting for a condition, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")


async def eventually(
    look: Callable[[], Awaitable[ResultT]], until: Callable[[ResultT], bool] = bool, seconds: float = 30
) -> ResultT:
    """Look again and again until what is seen fits; fails with the last sight after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        seen = await look()
        if until(seen):
            return seen
        assert time.monotonic() < deadline, f"not within {seconds} s; last seen: {seen!r}"
        # Between two looks at another process, which needs the time that a look at the database takes.
        await asyncio.sleep(0.05)
