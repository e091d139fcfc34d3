"""The statements of one batch's transaction, after the fence and before COMMIT."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.arrays import Int4s, Times
from ingest.database import Connection
from ingest.dead_letters import mark_replayed, write_dead_letters
from ingest.raw_tables import SQL, RawTable, copy, raw_rows, sensor_ids
from processors.aggregates import touched
from processors.availability import FIGURE_STATUSES, quality_names
from processors.columns import NEVER
from processors.dead_letters import DeadLetter, Tally, tally
from processors.gate import Press
from processors.health import STATES
from processors.last_told import Told
from processors.layout import Layout
from processors.pgcopy import Column
from processors.quota import Quota
from processors.reduce import Reduced
from processors.replays import Mark
from processors.times import to_datetime
from schemas.live import SensorState
from schemas.reasons import Reason
from schemas.topics import TABLES, Route, Table


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a committed batch came to."""

    tallies: Mapping[Route, Tally]
    dead_letters: Mapping[Reason, int]
    quota: Quota


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """All that one transaction writes. `marks` are of the dead letters that it replays, empty for what has arrived."""

    layout: Layout
    reduced: Reduced
    letters: tuple[DeadLetter, ...]
    marks: tuple[Mark, ...]
    now: datetime

    @property
    def messages(self) -> int:
        """How many messages it holds."""
        return self.reduced.decoded.messages.total()


class Transaction:
    """Writes batches. Holds what is learned from one for the next: whether repeats are about."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._tables = {table: RawTable(table) for table in Table}

    async def write(self, connection: Connection, batch: Batch, quota: Quota) -> Outcome:
        """Write everything of a batch inside the caller's transaction; `quota` is as of the last commit."""
        reduced = batch.reduced
        stored = {
            table: await self._tables[table].insert(
                connection, columns_of(batch.layout, readings), reduced.decoded.routes_of(readings)
            )
            for table, readings, columns_of in raw_rows(reduced)
        }
        readings = reduced.homes.readings
        await mark_minutes(connection, readings["time"], sensor_ids(batch.layout, readings))
        await _write_presses(connection, reduced.decoded.homes.presses)
        await _write_last_told(connection, batch.layout, reduced.homes.told)
        await _write_spot_states(connection, batch)
        await _write_rows(connection, "upsert_count_state", _count_state_rows(batch))
        await _write_figures(connection, batch)
        await _write_health(connection, batch)
        new_letters, quota = await write_dead_letters(connection, batch.letters, quota)
        tallies = tally(reduced.decoded, sum(stored.values(), Counter()), _seen(new_letters, "route"))
        if batch.marks:
            await mark_replayed(connection, batch.marks)
            stored = {table: Counter({Route.REPLAY: counts.total()}) for table, counts in stored.items()}
            tallies = {Route.REPLAY: Tally.total(tallies.values())}
        await _write_rows(connection, "add_to_destination", _destinations(stored))
        minute = batch.now.replace(second=0, microsecond=0)
        await _write_rows(
            connection, "add_to_ledger", [_ledger_row(minute, self._worker, *item) for item in tallies.items()]
        )
        return Outcome(tallies, _seen(new_letters, "reason"), quota)


async def mark_minutes(connection: Connection, times: NDArray[np.int64], sensors: NDArray[np.int32]) -> None:
    """Leave word to the roller of what readings touch, in the order of time; of repeats, too: they are rolled again."""
    if not len(times):
        return
    found = touched(times)
    columns = {
        "sensors": Int4s(sensors),
        "minutes": Times(found.minutes),
        "firsts": Int4s(found.starts + 1),  # subscripts from 1 on, the last one included
        "lasts": Int4s(found.ends),
    }
    await connection.execute(SQL["mark_minutes"], columns)


def _destinations(stored: Mapping[Table, Counter[Route]]) -> list[tuple[Any, ...]]:
    """Give how many rows went where, of the routes of which the ledger does not tell it."""
    return [
        (route, table, rows)
        for table, counts in stored.items()
        for route, rows in counts.items()
        if rows and len(TABLES[route]) > 1
    ]


async def _write_rows(connection: Connection, query: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany(SQL[query], rows)


async def _write_last_told(connection: Connection, layout: Layout, told: Told) -> None:
    """Write what devices told that they had not told before."""
    if len(told.sensors):
        ids = layout.homes.sensors.ids[told.sensors]
        await connection.execute(SQL["upsert_last_told"], (ids.tolist(), told.values.tolist()))


async def _write_spot_states(connection: Connection, batch: Batch) -> None:
    world, changed = batch.reduced.world, batch.reduced.changed_spots
    spots, sequences = world.spots, world.sequences
    if not len(changed):
        return
    columns: tuple[Column, ...] = (
        ("spot_id", "int4", batch.layout.spot_id[changed]),
        ("occupied", "bool", spots.occupied[changed]),
        ("since", "timestamptz", spots.since[changed]),
        ("observed_at", "timestamptz", spots.observed_at[changed]),
        ("battery", "float8", spots.battery[changed]),
        ("last_seq", "int4", sequences.last[changed]),
        ("seq_seen", "int8", sequences.seen[changed].view(np.int64)),
        ("missing", "int8", sequences.missing[changed]),
        ("frame", "int8", world.frames.newest(changed)),
    )
    await copy(connection, "stage_spot_state", columns)
    await connection.execute(SQL["merge_spot_state"])


def _time(micros: int) -> datetime | None:
    return None if micros == NEVER else to_datetime(micros)


def _count_state_rows(batch: Batch) -> list[tuple[Any, ...]]:
    counts = batch.reduced.world.counts
    rows = []
    for index in batch.reduced.changed_counts.tolist():
        free, total, status = (
            (None, None) if at == NEVER else (value, to_datetime(at))
            for value, at in (
                (counts.free[index].item(), counts.free_at[index].item()),
                (counts.total[index].item(), counts.total_at[index].item()),
                (counts.status[index].decode(), counts.status_at[index].item()),
            )
        )
        free_since, other_total_at = (_time(at[index].item()) for at in (counts.free_since, counts.other_total_at))
        rows.append((batch.layout.car_park_id[index].item(), *free, free_since, *total, other_total_at, *status))
    return rows


async def _write_figures(connection: Connection, batch: Batch) -> None:
    """Write changed figures; each takes the next revision."""
    layout, reduced = batch.layout, batch.reduced
    city = len(layout.car_park_id)
    rows = []
    for index in reduced.changed_figures.tolist():
        capacity, free, occupied, unknown, status, stale, quality, observed_at = reduced.world.figures[index].item()
        if index == city:
            row = (city, capacity, free, occupied, unknown, _time(observed_at))
            await connection.execute(SQL["upsert_city"], row)
            continue
        # What is replayed arrived long ago: the delay of its publication is no delay of ours.
        arrived_at = None if batch.marks else _time(reduced.arrived_at[index].item())
        flags = (FIGURE_STATUSES[status], stale, quality_names(quality))
        counts = (free, occupied, unknown, capacity)
        rows.append((layout.car_park_id[index].item(), *counts, *flags, _time(observed_at), arrived_at))
    await _write_rows(connection, "upsert_availability", rows)


async def _write_health(connection: Connection, batch: Batch) -> None:
    """Write what changed of the health of sensors; the whole takes the next revision."""
    reduced, health = batch.reduced, batch.reduced.world.health
    if not reduced.is_health_new:
        return
    assets = batch.layout.terms.assets
    states = [
        (assets[index], STATES[health.state[index]], health.since[index].item()) for index in reduced.changed_sensors
    ]
    well = [asset for asset, state, _ in states if state is SensorState.OK]
    others = [(asset, state, _time(since)) for asset, state, since in states if state is not SensorState.OK]
    if well:
        await connection.execute(SQL["end_attention"], (well,))
    if others:
        await connection.execute(SQL["upsert_attention"], [list(column) for column in zip(*others, strict=True)])
    counts = [
        (domain, state, n)
        for domain, told in (health.counts or {}).items()
        for state, n in zip(STATES, told, strict=True)
    ]
    await connection.execute(SQL["upsert_sensor_health"], [list(column) for column in zip(*counts, strict=True)])


def _seen(letters: Sequence[DeadLetter], name: str) -> Counter[Any]:
    """Sum the readings that letters stand for, by one of their fields."""
    seen: Counter[Any] = Counter()
    for letter in letters:
        seen[getattr(letter, name)] += letter.seen
    return seen


async def _write_presses(connection: Connection, presses: Sequence[Press]) -> None:
    """Store what the red buttons did, in order."""
    for press in presses:
        query = "begin_pause" if press.is_on else "end_pause"
        await connection.execute(SQL[query], {"home": press.home, "at": to_datetime(press.at)})


def _ledger_row(minute: datetime, worker: str, route: Route, tally: Tally) -> tuple[Any, ...]:
    outcomes = (tally.stored, tally.duplicate, tally.dead_lettered, tally.refused)
    return (minute, worker, route, tally.messages, tally.readings, *outcomes)
