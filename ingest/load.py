"""At start: the registry into the database, and the state of the world out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from psycopg import AsyncCursor

from ingest.database import Connection
from ingest.errors import OutdatedLayoutError
from ingest.privacy.erased import Erasures, look, share
from ingest.sql import load_queries
from processors.availability import FIGURE_STATUSES, quality_bits
from processors.columns import FOREVER, NEVER, NO_FRAME, NO_SEQ
from processors.gate import Gate, Pause
from processors.health import FLAPPING_FROM
from processors.layout import Ids, Layout, Terms
from processors.privacy import Privacy
from processors.reduce import World
from processors.sensors import Sensor, Sensors
from processors.times import from_datetime, to_datetime
from schemas.live import SensorState
from schemas.registry import Registry

_SQL: Final = load_queries("load.sql")
_SENSORS_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Registered:
    """What the database knows of a registry: ids, the listed sensors with theirs, and which homes were erased.

    `generation` is that of the erasures, `homes` are the ids of all homes that were not erased, `gate` is without the
    pauses of those that were.
    """

    ids: Ids
    privacy: Privacy
    sensors: Sequence[Sensor]
    sensor_ids: Sequence[int]
    homes: frozenset[int]
    generation: int
    gate: Gate


async def register(connection: Connection, registry: Registry, privacy: Privacy, gate: Gate) -> Registered:
    """Write the registry's assets, and the pauses of homes that consent from now on, in a transaction of their own.

    What left the registry keeps its rows, since raw readings point to them, but has no live figure any more. A home
    that was erased is written no more than one that does not consent. One that was readmitted begins with a pause
    until then: what it measured before is not wanted any more, whoever still sends it.
    """
    async with connection.transaction():
        erasures = await look(connection)
        privacy = privacy.without(erasures.refused)
        gate = gate.forget(privacy.is_erased).since_readmitted(_readmitted(registry, privacy, erasures))
        await connection.execute(_SQL["lock_registry"])
        parks = registry.car_park
        attributes = ("code", "name", "zone", "capacity", "latitude", "longitude", "basis")
        columns = [[getattr(park, name) for park in parks] for name in attributes]
        changed = await (await connection.execute(_SQL["upsert_car_parks"], columns)).fetchall()
        # The name of a car park is part of its figure: another name is another revision.
        await connection.execute(_SQL["revise"], ([number for (number,) in changed],))
        car_parks = dict(await _rows(connection, "car_park_ids"))
        spots = [(car_parks[park.code], spot.label, spot.kind) for park in parks for spot in park.all_spots()]
        await connection.execute(_SQL["upsert_spots"], [[row[column] for row in spots] for column in range(3)])
        await connection.execute(_SQL["forget_departed"], ([car_parks[park.code] for park in parks],))
        await connection.execute(_SQL["end_departed_attention"], (_sensors(Terms.of(parks)),))
        spot_ids = {(code, label): number for code, label, number in await _rows(connection, "spot_ids")}
        homes = await _register_dwellings(connection, registry, privacy)
        dwellings = {plain: homes[secret] for plain, secret in privacy.pseudonyms.items() if secret in homes}
        sensors = _listed_sensors(registry, dwellings)
        sensor_ids = await _upsert_sensors(connection, sensors, is_listed=True) if sensors else ()
        await _write_pauses(connection, gate)
    ids = Ids(car_parks, spot_ids, dwellings)
    return Registered(ids, privacy, sensors, sensor_ids, frozenset(homes.values()), erasures.generation, gate)


def _readmitted(registry: Registry, privacy: Privacy, erasures: Erasures) -> Mapping[str, int]:
    """Give the homes that consent again since they were erased, by pseudonym, and when they were readmitted."""
    consenting = (privacy.pseudonyms[home.id] for home in registry.dwelling if home.consent and erasures.readmitted)
    moments = {secret: erasures.readmitted.get(privacy.mark(secret)) for secret in consenting}
    return {secret: from_datetime(moment) for secret, moment in moments.items() if moment is not None}


async def _register_dwellings(connection: Connection, registry: Registry, privacy: Privacy) -> Mapping[str, int]:
    """Write homes that consent; of one that never did, nothing is written. Give ids by pseudonym."""
    consenting = [home for home in registry.dwelling if home.consent and not privacy.is_erased_home(home.id)]
    pseudonyms = [privacy.pseudonyms[home.id] for home in consenting]
    await connection.execute(_SQL["upsert_dwellings"], (pseudonyms, [home.district for home in consenting]))
    await connection.execute(_SQL["withdraw_consent"], (pseudonyms,))
    return {
        secret: number for secret, number in await _rows(connection, "dwelling_ids") if not privacy.is_erased(secret)
    }


def _listed_sensors(registry: Registry, dwellings: Mapping[str, int]) -> list[Sensor]:
    """Give the sensors that the registry lists for consenting homes, with their bounds."""
    homes = [home for home in registry.dwelling if home.consent and home.id in dwellings]
    return [Sensor.listed(dwellings[home.id], entry) for home in homes for entry in home.sensor]


async def register_sensors(connection: Connection, sensors: Sequence[Sensor]) -> list[int]:
    """Write sensors met in messages, in a transaction of their own, and give their ids.

    Raises OutdatedLayoutError, with nothing written, where the home of one does not consent any more or was erased.
    """
    async with connection.transaction():
        await share(connection)
        return await _upsert_sensors(connection, sensors, is_listed=False)


async def _upsert_sensors(connection: Connection, sensors: Sequence[Sensor], *, is_listed: bool) -> list[int]:
    names = ("home", "name", "kind", "unit", "pooled")
    columns = {name: [getattr(sensor, name) for sensor in sensors] for name in names}
    rows = await (await connection.execute(_SQL["upsert_sensors"], columns | {"is_listed": is_listed})).fetchall()
    ids = {(home, name, unit): number for home, name, unit, number in rows}
    if len(ids) < len(sensors):
        raise OutdatedLayoutError("a home does not consent any more")
    return [ids[sensor.home, sensor.name, sensor.unit] for sensor in sensors]


async def load_sensors(connection: Connection, sensors: Sensors) -> None:
    """Make every sensor of the database known. A stream: a million rows at once would be more memory than all else."""
    async with connection.transaction(), connection.cursor("sensors") as cursor:
        await cursor.execute(_SQL["sensors"])
        while rows := await cursor.fetchmany(_SENSORS_AT_ONCE):
            known = [Sensor.seen(home, name, kind, unit) for _, home, name, kind, unit in rows]
            sensors.add(known, [row[0] for row in rows])


async def load_last_told(connection: Connection, sensors: Sensors) -> None:
    """Read back what devices told last, of the sensors that are known. A stream, as above."""
    numbers = np.argsort(sensors.ids)
    ids = sensors.ids[numbers]
    async with connection.transaction(), connection.cursor("last_told") as cursor:
        await cursor.execute(_SQL["last_told"])
        while rows := await cursor.fetchmany(_SENSORS_AT_ONCE):
            told, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
            place = np.searchsorted(ids, told)
            is_known = ids.take(place, mode="clip") == told
            sensors.told.adopt(numbers[place[is_known]], values[is_known])


async def _write_pauses(connection: Connection, gate: Gate) -> None:
    """Write the pauses of homes that have a row; those that are there already stay as they are."""
    rows = [
        (home, to_datetime(began), None if ended == FOREVER else to_datetime(ended))
        for home, pauses in gate.pauses.items()
        for began, ended in pauses
    ]
    if rows:
        await connection.execute(_SQL["add_pauses"], [list(column) for column in zip(*rows, strict=True)])


async def load_gate(connection: Connection) -> Gate:
    """Read the pauses back."""
    return Gate.of(
        (home, Pause(from_datetime(began), FOREVER if ended is None else from_datetime(ended)))
        for home, began, ended in await _rows(connection, "pauses")
    )


def _sensors(terms: Terms) -> list[str]:
    return [asset for asset, is_sensor in zip(terms.assets, terms.is_sensor, strict=True) if is_sensor]


async def load_world(connection: Connection, layout: Layout) -> World:
    """Read the state back, for the assets of the layout."""
    world = World.unknown(layout)
    spot_index = {number: index for index, number in enumerate(layout.spot_id.tolist())}
    car_park_index = {number: index for index, number in enumerate(layout.car_park_id.tolist())}
    for spot_id, *values in await _rows(connection, "spot_states"):
        if spot_id in spot_index:
            _set_spot(world, spot_index[spot_id], *values)
    for car_park_id, *values in await _rows(connection, "count_states"):
        if car_park_id in car_park_index:
            _set_count(world, car_park_index[car_park_id], *values)
    for car_park_id, *figure in await _rows(connection, "figures"):
        if car_park_id in car_park_index:
            _set_figure(world, car_park_index[car_park_id], *figure)
    for capacity, free, occupied, unknown, observed_at in await _rows(connection, "city", (len(car_park_index),)):
        _set_figure(world, -1, capacity, free, occupied, unknown, FIGURE_STATUSES[0], False, [], observed_at)  # noqa: FBT003 - a row
    sensors = {asset: number for number, asset in enumerate(layout.terms.assets)}
    for asset, *attention in await _rows(connection, "attention"):
        if asset in sensors:
            _set_attention(world, sensors[asset], *attention)
    return world


async def _rows(connection: Connection, query: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    cursor: AsyncCursor[tuple[Any, ...]] = await connection.execute(_SQL[query], parameters)
    return await cursor.fetchall()


def _micros(value: Any) -> int:  # noqa: ANN401 - a column that may be null
    return NEVER if value is None else from_datetime(value)


def _set_spot(world: World, index: int, *row: Any) -> None:  # noqa: ANN401 - a row of the query
    occupied, since, observed_at, battery, last_seq, seen, missing, frame = row
    spots, sequences, frames = world.spots, world.sequences, world.frames
    spots.key[index] = 2 * from_datetime(observed_at) + occupied
    spots.since[index] = from_datetime(since)
    spots.battery[index] = np.nan if battery is None else battery
    sequences.last[index] = NO_SEQ if last_seq is None else last_seq
    sequences.seen[index], sequences.missing[index] = np.int64(seen).view(np.uint64), missing
    sequences.newest_at[index] = frames.at[index, 0] = spots.observed_at[index]
    frames.last[index, 0] = NO_FRAME if frame is None else frame


def _set_count(world: World, index: int, *row: Any) -> None:  # noqa: ANN401 - a row of the query
    free, free_at, free_since, total, total_at, other_total_at, status, status_at = row
    counts = world.counts
    counts.free[index], counts.free_at[index] = free or 0, _micros(free_at)
    counts.free_since[index] = _micros(free_since)
    counts.total[index], counts.total_at[index] = total or 0, _micros(total_at)
    counts.other_total_at[index] = _micros(other_total_at)
    counts.status[index], counts.status_at[index] = (status or "").encode(), _micros(status_at)


def _set_attention(world: World, index: int, *row: Any) -> None:  # noqa: ANN401 - a row of the query
    state, since, now = row
    world.health.resume(index, SensorState(state), _micros(since), from_datetime(now))
    if state == SensorState.FLAPPING:
        world.spots.flips[index] = FLAPPING_FROM


def _set_figure(world: World, index: int, *row: Any) -> None:  # noqa: ANN401 - a row of the query
    capacity, free, occupied, unknown, status, stale, quality, observed_at = row
    world.figures[index] = (
        capacity,
        free,
        occupied,
        unknown,
        FIGURE_STATUSES.index(status),
        stale,
        quality_bits(quality),
        _micros(observed_at),
    )
