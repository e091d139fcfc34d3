"""One batch reduced: distinct facts, the next state of the world, and what of it has to be written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from processors import availability, frames, health, sequence
from processors.columns import NEVER, Records, distinct
from processors.decode import Decoded
from processors.frames import Frames
from processors.health import Health, Sources
from processors.layout import Layout
from processors.noise import Noisy
from processors.parking_state import CountStates, SpotStates, apply_counts, apply_events
from processors.reduce_homes import ReducedHomes, reduce_homes
from processors.sequence import Sequences

Int64s = NDArray[np.int64]

_OBSERVED_AT_ALONE: Final = 60_000_000
"""A figure of which nothing but `observed_at` moved is written again after this many microseconds."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a batch is reduced, in microseconds: `now`, and `clock` against which freshness is judged.

    `noisy` are the topics of sources that are judged noisy then; `is_replay` tells that the batch is of dead letters.
    """

    now: int
    clock: int
    catching_up: bool
    noisy: Mapping[str, Noisy] = field(default_factory=dict)
    is_replay: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """All that a worker keeps between batches. `figures` and `written_at` have the city as their last element."""

    spots: SpotStates
    counts: CountStates
    sequences: Sequences
    frames: Frames
    health: Health
    figures: Records
    written_at: Int64s

    @classmethod
    def unknown(cls, layout: Layout) -> Self:
        """Nothing heard, nothing written."""
        car_parks = len(layout.car_park_id)
        return cls(
            spots=SpotStates.unknown(len(layout.spot_id)),
            counts=CountStates.unknown(car_parks),
            sequences=Sequences.unknown(len(layout.spot_id)),
            frames=Frames.unknown(len(layout.spot_id)),
            health=Health.unknown(layout),
            figures=availability.blank_figures(car_parks + 1),
            written_at=np.full(car_parks + 1, NEVER),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """What a batch comes to: distinct readings, the world after it, and indexes of the rows that changed.

    `decoded` is the batch after those of its readings were rejected that are impossible after others.
    `changed_sensors` index the layout's terms; `is_health_new` tells whether anything of the health topic changed.
    `arrived_at` has shape (m + 1,): newest arrival per car park and city in this batch, NEVER where none.
    """

    decoded: Decoded
    events: Records
    counts: Records
    homes: ReducedHomes
    world: World
    changed_spots: Int64s
    changed_counts: Int64s
    changed_figures: Int64s
    changed_sensors: Int64s
    is_health_new: bool
    arrived_at: Int64s

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to write."""
        return not (self.decoded.messages or len(self.changed_figures) or self.is_health_new)


def reduce(world: World, layout: Layout, decoded: Decoded, moment: Moment) -> Reduced:
    """Fold a decoded batch into the world. Pure: the world given stays as it is."""
    told = frames.observe(world.frames, decoded.events)
    events, counts = distinct(told.events), distinct(decoded.counts)
    homes = reduce_homes(layout.homes, decoded, is_replay=moment.is_replay)
    spots, changed_spots = apply_events(world.spots, events)
    counters, changed_counts = apply_counts(world.counts, counts)
    counted = sequence.observe(world.sequences, decoded.heard_events)
    sources = Sources(spots, counters, counted.state, layout.homes.sensors.health.counts, moment.noisy)
    noted = health.observe(world.health, layout, decoded, counted.returns, moment.now, catching_up=moment.catching_up)
    judged = health.judge(noted, layout, sources, moment.now, moment.clock) if noted.is_due(moment.now) else noted
    troubles = health.troubles(judged, layout)
    figures = availability.figures(layout, spots, counters, troubles, moment.clock, moment.catching_up)
    changed = _changed(world, figures, moment.now)
    changed_sensors = health.changed(world.health, judged)
    return Reduced(
        decoded=decoded.without(homes.unfit) if homes.unfit else decoded,
        events=events,
        counts=counts,
        homes=homes,
        world=World(
            spots=spots,
            counts=counters,
            sequences=counted.state,
            frames=told.state,
            health=judged,
            figures=np.where(changed, figures, world.figures),
            written_at=np.where(changed, moment.now, world.written_at),
        ),
        changed_spots=_either(changed_spots, counted.spots, spots),
        changed_counts=changed_counts,
        changed_figures=np.flatnonzero(changed),
        changed_sensors=changed_sensors,
        is_health_new=len(changed_sensors) > 0 or judged.counts != world.health.counts,
        arrived_at=_arrivals(layout, events, counts),
    )


def _changed(world: World, figures: Records, now: int) -> NDArray[np.bool_]:
    """Tell which figures have to be written: any real change at once, a mere `observed_at` once a minute."""
    old = world.figures
    real = np.zeros(len(figures), dtype=bool)
    for name in ("capacity", "free", "occupied", "unknown", "status", "stale", "quality"):
        real |= old[name] != figures[name]
    is_due = now - world.written_at >= _OBSERVED_AT_ALONE
    real |= is_due & (figures["observed_at"] != old["observed_at"])
    return real


def _either(some: Int64s, others: Int64s, spots: SpotStates) -> Int64s:
    """Give the spots that are among either, of those that have a row: that begins with the first good event."""
    chosen = np.zeros(len(spots.key), dtype=bool)
    chosen[some] = chosen[others] = True
    return np.flatnonzero(chosen & (spots.observed_at != NEVER))


def _arrivals(layout: Layout, events: Records, counts: Records) -> Int64s:
    arrived_at = np.full(len(layout.car_park_id) + 1, NEVER)
    np.maximum.at(arrived_at, layout.spot_car_park[events["spot"]], events["arrived"])
    np.maximum.at(arrived_at, counts["car_park"], counts["arrived"])
    arrived_at[-1] = arrived_at.max(initial=NEVER)
    return arrived_at
