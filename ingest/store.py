"""The writer's connection: one transaction a batch behind the fence, tried again until it is certain."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import psycopg
import structlog

from ingest import load
from ingest.backoff import Backoff
from ingest.database import ASIDE, PUBLISHER, ROLLER, WRITER, Connection, connect, connect_patiently, session_name
from ingest.dead_letters import requested_letters
from ingest.errors import (
    ArceauxError,
    LeaseLostError,
    OutdatedBatchError,
    OutdatedLayoutError,
    SlowBatchError,
    Verdict,
    describe,
    judge,
)
from ingest.metrics import Metrics
from ingest.migrate import check_schema, find_server
from ingest.poison import PoisonError, find_poison
from ingest.privacy.erased import share
from ingest.privacy.erased_file import ErasedFile
from ingest.privacy.reapply import reapply
from ingest.raw_tables import SQL
from ingest.transaction import Batch, Outcome, Transaction
from processors.columns import NEVER
from processors.decode import Unfit
from processors.gate import Gate
from processors.layout import Layout
from processors.privacy import Privacy
from processors.quota import Quota
from processors.reduce import World
from processors.replays import Letter
from processors.sensors import Sensor, Sensors
from processors.times import from_datetime
from schemas.registry import Registry

_ATTEMPT_SECONDS: Final = 90
"""Longer than every time-out of the server: by then it is frozen or gone."""
_LOOK_SECONDS: Final = 2
_HASH_KEY_BYTES: Final = 32

log = structlog.get_logger()

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Start:
    """What the store gives when opened; `committed_at` is microseconds, NEVER before the first commit."""

    layout: Layout
    world: World
    gate: Gate
    committed_at: int


class Store:
    """One worker's door to the database. Not for concurrent use: batches commit one after the other."""

    def __init__(self, url: str, worker: str, metrics: Metrics, erased: ErasedFile | None = None) -> None:
        self._url = url
        self._erased = erased
        self._worker = worker
        self._metrics = metrics
        self._transaction = Transaction(worker)
        self._connection: Connection | None = None
        self._backend_pid = 0
        self._lease = 0
        self._batch = 0
        self._generation = 0
        self._registry: Registry
        self._privacy: Privacy
        self._sent: Outcome | None = None
        self._quota = Quota()
        self._sensors = Sensors(os.urandom(_HASH_KEY_BYTES))

    async def open(self, registry: Registry, privacy: Privacy) -> Start:
        """Take the lease, erase what was erased, then register and load.

        After the lease nobody else writes as this worker.

        Waits for an absent server. Raises ArceauxError where the schema is not the one this program needs.
        """
        return await self._until_done(lambda: self._open(registry, privacy))

    async def take_up(self, registry: Registry, privacy: Privacy, gate: Gate) -> tuple[Layout, World, Gate]:
        """Write another registry and load the state of its assets, trying until it is done.

        Pauses of homes that consent from now on are written, too: until now they were only in the gate. It is given
        back without those of homes that were erased.
        """

        async def write_and_load() -> tuple[Layout, World, Gate]:
            layout, left = await self._register(await self._connected(), registry, privacy, gate)
            return layout, await load.load_world(await self._connected(), layout), left

        return await self._until_done(write_and_load)

    async def reload(self, gate: Gate) -> tuple[Layout, Gate]:
        """Write and lay out the registry in force again, after an OutdatedLayoutError; its parking is as it was."""

        async def write() -> tuple[Layout, Gate]:
            return await self._register(await self._connected(), self._registry, self._privacy, gate)

        return await self._until_done(write)

    async def is_outdated(self) -> bool:
        """Tell whether homes were erased or readmitted since; False where that cannot be told now."""
        if self._connection is None:
            return False
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                row = await (await self._connection.execute(SQL["generation"])).fetchone()
        except (psycopg.Error, OSError):  # a time-out is an OSError, too
            return False
        return row is not None and row[0] != self._generation

    async def register(self, newcomers: Sequence[Sensor]) -> None:
        """Give sensors seen for the first time their ids, in a transaction of their own, and make them known.

        Raises OutdatedLayoutError, with nothing registered, where a home of theirs may have none any more.
        """

        async def write(connection: Connection) -> list[int]:
            return await load.register_sensors(connection, newcomers)

        self._sensors.add(newcomers, await self._aside(write))

    async def close(self) -> None:
        """Close the connection; an open transaction is rolled back by the server."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def before_connect(self) -> Sequence[str]:
        """Give the filters of the session at the broker; raise LeaseLostError where the lease is gone."""
        lease, _, filters = await self._aside(self._worker_row)
        self._check_lease(lease)
        return filters

    async def remember(self, filters: Sequence[str]) -> None:
        """Keep the filters of the session."""

        async def write(connection: Connection) -> None:
            await connection.execute(SQL["remember_filters"], (list(filters), self._worker, self._lease))

        await self._aside(write)

    async def commit(self, batch: Batch, is_outdated: Callable[[], bool]) -> Outcome:
        """Write a batch, trying until it is in, exactly once.

        Raises OutdatedBatchError, once it is certain that no try was committed, where `is_outdated` says that it must
        be decoded again, OutdatedLayoutError likewise where the layout has to be loaded again first, LeaseLostError
        where another process took over, PoisonError where the batch itself is refused, SlowBatchError where it takes
        too long, and ArceauxError for anything that trying again would not mend.
        """
        backoff = Backoff()
        tries = 0
        while True:
            tries += 1
            try:
                async with asyncio.timeout(_ATTEMPT_SECONDS):
                    outcome = await self._attempt(batch, is_outdated)
            except (psycopg.Error, OSError, TimeoutError, OverflowError, TypeError, UnicodeEncodeError) as error:
                # Not while it is unknown whether an earlier try was committed: a half would be taken for the whole.
                if judge(error, tries) is Verdict.HALVE and batch.messages > 1 and self._sent is None:
                    raise SlowBatchError(f"database: {describe(error)}; nothing was acknowledged") from error
                await self._after_failure(error, tries, backoff)
            else:
                self._batch += 1
                self._sent = None
                self._quota = outcome.quota
                self._metrics.database_up.set(1)
                return outcome

    async def find_poison(self, batch: Batch) -> Sequence[Unfit]:
        """Find the readings that the database refuses."""

        async def look() -> Sequence[Unfit]:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                return await find_poison(await self._connected(), batch)

        return await self._until_done(look)

    async def requested_letters(self) -> list[Letter]:
        """Give dead letters that somebody asked to replay, some at a time."""

        async def read() -> list[Letter]:
            return await requested_letters(await self._connected())

        return await self._until_done(read)

    async def _open(self, registry: Registry, privacy: Privacy) -> Start:
        self._connection = connection = await connect_patiently(self._url, f"{WRITER} {self._worker}")
        await check_schema(connection)
        log.info("database_connected", server=str(await find_server(connection)))
        # One that is frozen in mid-transaction would hold the row until it wakes; one that is well connects again.
        predecessors = [session_name(f"{purpose} {self._worker}") for purpose in (WRITER, ASIDE, PUBLISHER, ROLLER)]
        await connection.execute(SQL["end_sessions"], {"names": predecessors, "pid": None})
        # Before the lease: to load may take long, and nobody shall take this for an idle worker's place meanwhile.
        await self._prepare(connection)
        row = await (await connection.execute(SQL["raise_lease"], (self._worker,))).fetchone()
        if row is None:
            raise ArceauxError("the database gave no lease")
        self._lease, self._batch, committed_at = row
        await reapply(connection, self._erased, privacy)
        await load.load_sensors(connection, self._sensors)
        layout, _ = await self._register(connection, registry, privacy, Gate())
        world = await load.load_world(connection, layout)
        await load.load_last_told(connection, self._sensors)
        gate = await load.load_gate(connection)
        self._metrics.database_up.set(1)
        return Start(layout, world, gate, NEVER if committed_at is None else from_datetime(committed_at))

    async def _register(
        self, connection: Connection, registry: Registry, privacy: Privacy, gate: Gate
    ) -> tuple[Layout, Gate]:
        registered = await load.register(connection, registry, privacy, gate)
        self._sensors.add(registered.sensors, registered.sensor_ids)
        if registered.generation != self._generation:  # also where one was readmitted before we have looked
            self._sensors.forget_all_but(registered.homes)
        self._registry, self._privacy, self._generation = registry, privacy, registered.generation
        return Layout.of(registry, registered.ids, registered.privacy, self._sensors), registered.gate

    async def _attempt(self, batch: Batch, is_outdated: Callable[[], bool]) -> Outcome:
        """Try once. Where the COMMIT of an earlier try was cut off, find out whether it happened."""
        connection = await self._connected()
        async with connection.transaction():
            await share(connection)
            number = self._batch + 1
            fence = {
                "batch": number,
                "name": self._worker,
                "lease": self._lease,
                "is_replay": bool(batch.marks),
            }
            row = await (await connection.execute(SQL["fence"], fence)).fetchone()
            if row is None:
                lease, committed, _ = await self._worker_row(connection)
                self._check_lease(lease)
                if committed == number and self._sent is not None:
                    log.info("commit_had_happened", batch=number)
                    return self._sent
                raise ArceauxError(f"worker {self._worker}: batch {committed} in the database, {self._batch} here")
            self._sent = None
            if row[0] != self._generation:
                raise OutdatedLayoutError("homes were erased or readmitted")
            if is_outdated():
                raise OutdatedBatchError
            outcome = await self._transaction.write(connection, batch, self._quota)
            self._sent = outcome
        return outcome

    async def _until_done(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Do work on the writer's connection, again on another one where that fails in a way that passes."""
        backoff = Backoff()
        tries = 0
        while True:
            tries += 1
            try:
                return await work()
            except (psycopg.Error, OSError) as error:  # a time-out is an OSError, too
                await self._after_failure(error, tries, backoff)

    async def _aside(self, use: Callable[[Connection], Awaitable[ResultT]]) -> ResultT:
        """Use a connection beside the writer's, and another one where it fails in a way that passes."""
        backoff = Backoff()
        tries = 0
        while True:
            tries += 1
            try:
                async with (
                    await connect_patiently(self._url, f"{ASIDE} {self._worker}") as connection,
                    asyncio.timeout(_ATTEMPT_SECONDS),
                ):
                    return await use(connection)
            except (psycopg.Error, OSError) as error:
                if judge(error, tries) is not Verdict.RETRY:
                    raise ArceauxError(f"database: {describe(error)}") from error
                await asyncio.sleep(backoff.wait())

    async def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = await connect(self._url, f"{WRITER} {self._worker}")
            # Where the way was cut but not closed, the server still waits for the rest of a COPY, without any time-out.
            former = {"names": [session_name(f"{WRITER} {self._worker}")], "pid": self._backend_pid}
            await self._connection.execute(SQL["end_sessions"], former)
            await self._prepare(self._connection)
        return self._connection

    async def _prepare(self, connection: Connection) -> None:
        """Make the temporary tables, and show for as long as the connection lasts that a writer is at work."""
        self._backend_pid = connection.info.backend_pid
        await connection.execute(SQL["stage_tables"])
        await connection.execute(SQL["share_writing"])

    async def _after_failure(self, error: Exception, tries: int, backoff: Backoff) -> None:
        """Wait before the next try, on a new connection; or raise what cannot be tried again."""
        self._metrics.database_up.set(0)
        match judge(error, tries):
            case Verdict.STOP:
                raise ArceauxError(f"database: {describe(error)}; nothing was acknowledged") from error
            case Verdict.ISOLATE:
                raise PoisonError(f"database: {describe(error)}; nothing was acknowledged") from error
        await self.close()
        wait = backoff.wait()
        log.warning("commit_retried", error=describe(error), tries=tries, wait=round(wait, 1))
        await asyncio.sleep(wait)

    async def _worker_row(self, connection: Connection) -> tuple[int, int, list[str]]:
        row = await (await connection.execute(SQL["worker"], (self._worker,))).fetchone()
        if row is None:
            raise LeaseLostError(f"the row of worker {self._worker} is gone from the database")
        return (row[0], row[1], row[2])

    def _check_lease(self, lease: int) -> None:
        if lease != self._lease:
            raise LeaseLostError(f"another process took over as {self._worker}; give each its own ARCEAUX_CLIENT_ID")
