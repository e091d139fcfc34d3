"""The inbox: batches of one connection, bounded by count and by bytes."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worlds import deliver

from ingest.inbox import BATCH_BYTES, MAX_BYTES, Inbox
from schemas.delivery import Delivery

MANY = 10_000_000
"""More readings than any payload here may hold."""


def deliveries(*epochs: int, payload: bytes = b"") -> list[Delivery]:
    """Give deliveries of these connections."""
    return [deliver("t", payload, epoch=epoch) for epoch in epochs]


def state_of(inbox: Inbox) -> str:
    """Tell how much waits."""
    return "full" if inbox.is_full else "a batch" if inbox.has_batch else "less"


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9)), max_size=40), st.integers(1, 6))
def test_batches_hold_everything_in_order_and_one_connection_each(pairs: list[tuple[int, int]], size: int) -> None:
    """Nothing is lost or turned round, no batch is too large, and none mixes connections."""
    inbox = Inbox(size)
    put = [deliver("t", b"x" * length, epoch=epoch) for epoch, length in sorted(pairs)]
    inbox.put(put)
    taken: list[Delivery] = []
    while len(inbox):
        batch = inbox.take()
        assert 1 <= len(batch) <= size
        assert len({delivery.epoch for delivery in batch}) == 1
        taken += batch
    assert taken == put
    assert inbox.take() == []


def test_an_inbox_is_full_when_two_batches_wait() -> None:
    """Its owner stops reading then, and reads on when there is room."""
    inbox = Inbox(3)
    inbox.put(deliveries(*[1] * 5))
    assert state_of(inbox) == "a batch"
    inbox.put(deliveries(1))
    assert state_of(inbox) == "full"
    inbox.take()
    assert state_of(inbox) == "a batch"
    inbox.take()
    assert state_of(inbox) == "less"


def test_large_payloads_fill_an_inbox_by_bytes() -> None:
    """64 MiB of undecoded payload are held at the most, however few messages they are."""
    inbox = Inbox(MANY)
    chunk = bytes(MAX_BYTES // 8)
    inbox.put(deliveries(*[1] * 7, payload=chunk))
    assert state_of(inbox) == "a batch"
    inbox.put(deliveries(1, payload=chunk))
    assert state_of(inbox) == "full"
    assert len(inbox.take()) == BATCH_BYTES // len(chunk)
    assert state_of(inbox) == "a batch"


def test_a_batch_is_closed_by_bytes() -> None:
    """A few large messages are a batch; a message larger than that is a batch by itself."""
    inbox = Inbox(MANY)
    inbox.put(deliveries(1, 1, payload=bytes(BATCH_BYTES // 2)))
    assert state_of(inbox) == "a batch"
    inbox.put(deliveries(1, payload=bytes(2 * BATCH_BYTES)))
    assert [len(inbox.take()), len(inbox.take()), len(inbox.take())] == [2, 1, 0]
    assert state_of(inbox) == "less"


def test_what_will_return_is_dropped_and_makes_room() -> None:
    """Only deliveries of connections whose messages come again are dropped; the rest keeps its order."""
    inbox = Inbox(2)
    inbox.put(deliveries(1, 2, 2, 3, payload=bytes(BATCH_BYTES)))
    assert state_of(inbox) == "full"
    inbox.drop(lambda epoch: epoch == 2)
    assert len(inbox) == 2
    assert [delivery.epoch for delivery in (*inbox.take(), *inbox.take())] == [1, 3]
    inbox.put(deliveries(2, payload=bytes(MAX_BYTES)))
    assert state_of(inbox) == "full"
    inbox.drop(lambda _: True)
    assert len(inbox) == 0
    assert state_of(inbox) == "less"


def test_a_pack_counts_as_many_readings() -> None:
    """A batch is measured in readings, guessed by size: a pack of 60 records fills it about as 60 messages would."""
    pack = b"[" + b",".join([b'{"n":"kitchen/temperature","t":-17,"v":20.5}'] * 60) + b"]"
    inbox = Inbox(100)
    inbox.put([deliver("t", pack), *deliveries(1)])
    assert state_of(inbox) == "less"
    inbox.put([deliver("t", pack)])
    assert state_of(inbox) == "a batch"
    inbox.put([deliver("t", pack)] * 2)
    assert state_of(inbox) == "full"
    assert [len(inbox.take()) for _ in range(3)] == [3, 2, 0]
    assert state_of(inbox) == "less"


@pytest.mark.parametrize("wakes", ["put", "wake"])
async def test_whoever_waits_is_woken(wakes: str) -> None:
    """A delivery, or somebody who wants the inbox looked at, ends the wait."""
    inbox = Inbox(10)
    waiting = asyncio.create_task(inbox.wait(3600))
    await asyncio.sleep(0)  # lets the task begin to wait
    assert not waiting.done()
    if wakes == "put":
        inbox.put(deliveries(1))
    else:
        inbox.wake()
    async with asyncio.timeout(60):
        await waiting


async def test_waiting_ends_by_itself() -> None:
    """Without anything to do, a wait is over when its time is."""
    async with asyncio.timeout(60):
        await Inbox(10).wait(0)
