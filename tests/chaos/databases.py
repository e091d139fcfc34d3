"""Faults of the database: it crashes, freezes, is cut off, refuses to write, has no room, or is locked crosswise."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from harness.missing import missing
from harness.proxy import Origin
from harness.rig import WRITER, Rig
from harness.waiting import eventually

from chaos.scenario import Scale

_ROOM = "16m"
_TABLES = ("parking_event", "parking_count")


async def crashed(rig: Rig, scale: Scale) -> None:
    """Crash the server in mid-stream; it recovers from its log."""
    for number in range(scale.times):
        async with rig.stream(scale.rate):
            rig.tell(f"crashes, {number + 1} of {scale.times}")
            await asyncio.to_thread(rig.server.crash)
            rig.fault_ended()
            await rig.logged("commit_retried")


async def frozen(rig: Rig, scale: Scale) -> None:
    """Freeze every process of the server for a while."""
    async with rig.stream(scale.rate):
        rig.tell(f"is frozen for {scale.seconds:.0f} s")
        with rig.server.frozen():
            await asyncio.sleep(scale.seconds)  # the fault is a duration
        rig.fault_ended()


async def cut_in_mid_copy(rig: Rig, scale: Scale) -> None:
    """Cut the writer's connection when half of a COPY's data has gone through; at times the server is not told."""
    async with rig.stream(scale.rate):
        for number in range(scale.times):
            reached = rig.to_database.stop_at(WRITER, Origin.CLIENT, "d", passing=0.5)
            await reached.reached()
            if number % 2:
                reached.leave()
            else:
                reached.cut()
            rig.fault_ended()
            await rig.stored_more(1)
    assert rig.service.log.count("commit_retried") >= scale.times


async def cut_at_the_answer_to_commit(rig: Rig, scale: Scale) -> None:
    """Cut the writer's connection when the database has committed, before it can say so."""
    async with rig.stream(scale.rate):
        for _ in range(scale.times):
            reached = rig.to_database.stop_at(WRITER, Origin.SERVER, "C", b"COMMIT\0")
            await reached.reached()
            reached.cut()
            rig.fault_ended()
            await rig.stored_more(1)
    assert rig.service.log.count("commit_had_happened") == scale.times


async def half_open(rig: Rig, scale: Scale) -> None:
    """Freeze the connections on the way, one in mid-COPY: nothing goes through, nothing tells so; new ones may pass."""
    async with rig.stream(scale.rate):
        await rig.to_database.stop_at(WRITER, Origin.CLIENT, "d", passing=0.5).reached()
        rig.to_database.freeze()
        rig.to_database.admit()
        rig.fault_ended()
        await rig.logged("commit_retried", seconds=120)


async def read_only(rig: Rig, scale: Scale) -> None:
    """Let the server refuse to write, as one does that is a standby now; then let it write again."""
    async with rig.stream(scale.rate):
        try:
            await _set(rig, "SET default_transaction_read_only = on")
            await rig.logged("25006")
            await asyncio.sleep(scale.seconds)  # the fault is a duration
        finally:
            await _set(rig, "RESET default_transaction_read_only")
        rig.fault_ended()


async def out_of_disk(rig: Rig, scale: Scale) -> None:
    """Fill the disk under the tables of readings, then make room again."""
    async with _small_disk(rig) as disk, rig.stream(scale.rate):
        filler = disk / "filler"
        rig.tell("has no room")
        await asyncio.to_thread(_fill, filler)
        await rig.logged("53100")
        await asyncio.sleep(scale.seconds)  # the fault is a duration
        filler.unlink()
        rig.fault_ended()
        await rig.stored_more(1)


async def deadlock(rig: Rig, scale: Scale) -> None:
    """Lock a table that a batch needs, then the row that the batch holds: the server has to end one of us."""
    async with rig.stream(scale.rate):
        for number in range(scale.times):
            rig.tell(f"is locked crosswise, {number + 1} of {scale.times}")
            await _lock_crosswise(rig)
            rig.fault_ended()
        await rig.logged("40P01")


async def _lock_crosswise(rig: Rig) -> None:
    # Our own session looks for deadlocks so late that the service is always the one that is ended.
    options = "-c deadlock_timeout=600s -c search_path=arceaux"
    async with await psycopg.AsyncConnection.connect(rig.database_url, options=options) as other:
        await other.execute("LOCK TABLE parking_event IN SHARE ROW EXCLUSIVE MODE")
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
        await eventually(lambda: rig.ask(waiting, WRITER), lambda count: count == 1)
        await other.execute("SELECT FROM worker FOR UPDATE")


async def _set(rig: Rig, change: str) -> None:
    await rig.server.administer(f"ALTER SYSTEM {change}")
    await rig.server.administer("SELECT pg_reload_conf()")


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(64 * 1024)):
            pass


@asynccontextmanager
async def _small_disk(rig: Rig) -> AsyncIterator[Path]:
    """Mount a small disk and move the tables of bays and counters there."""
    disk = rig.server.make_directory("disk")
    if await _run("mount", "-t", "tmpfs", "-o", f"size={_ROOM},mode=0777", "tmpfs", str(disk)):
        disk.rmdir()
        missing("a small disk", "run as root, where a tmpfs may be mounted")
    try:
        store = disk / "tables"
        store.mkdir()
        rig.server.give(store)
        await rig.server.administer(f"CREATE TABLESPACE small LOCATION '{store}'")
        for table in _TABLES:
            await rig.ask(f"ALTER TABLE {table} SET TABLESPACE small")
        yield disk
    finally:
        for table in _TABLES:
            await rig.ask(f"ALTER TABLE {table} SET TABLESPACE pg_default")
        await rig.server.administer("DROP TABLESPACE IF EXISTS small")
        assert not await _run("umount", "--lazy", str(disk))
        disk.rmdir()


async def _run(*command: str) -> int:
    """Run a program; give its exit status."""
    return await (await asyncio.create_subprocess_exec(*command)).wait()
