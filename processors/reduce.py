"""One batch reduced: distinct facts, the next state of the world, and what of it has to be written."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from processors import availability
from processors.columns import NEVER, Records, distinct
from processors.decode import Decoded
from processors.layout import Layout
from processors.parking_state import CountStates, SpotStates, apply_counts, apply_events

Int64s = NDArray[np.int64]

_OBSERVED_AT_ALONE: Final = 60_000_000
"""A figure of which nothing but `observed_at` moved is written again after this many microseconds."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a batch is reduced, in microseconds: `now`, and `clock` against which freshness is judged."""

    now: int
    clock: int
    catching_up: bool


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """All that a worker keeps between batches. `figures` and `written_at` have the city as their last element."""

    spots: SpotStates
    counts: CountStates
    figures: Records
    written_at: Int64s

    @classmethod
    def unknown(cls, layout: Layout) -> Self:
        """Nothing heard, nothing written."""
        car_parks = len(layout.car_park_id)
        return cls(
            spots=SpotStates.unknown(len(layout.spot_id)),
            counts=CountStates.unknown(car_parks),
            figures=availability.blank_figures(car_parks + 1),
            written_at=np.full(car_parks + 1, NEVER),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """What a batch comes to: distinct readings, the world after it, and indexes of the rows that changed.

    `arrived_at` has shape (m + 1,): newest arrival per car park and city in this batch, NEVER where none.
    """

    decoded: Decoded
    events: Records
    counts: Records
    readings: Records
    world: World
    changed_spots: Int64s
    changed_counts: Int64s
    changed_figures: Int64s
    arrived_at: Int64s

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to write."""
        return not self.decoded.messages and not len(self.changed_figures)


def reduce(world: World, layout: Layout, decoded: Decoded, moment: Moment) -> Reduced:
    """Fold a decoded batch into the world. Pure: the world given stays as it is."""
    events, counts = distinct(decoded.events), distinct(decoded.counts)
    spot_states, changed_spots = apply_events(world.spots, events)
    count_states, changed_counts = apply_counts(world.counts, counts)
    figures = availability.figures(layout, spot_states, count_states, moment.clock, moment.catching_up)
    changed = _changed(world, figures, moment.now)
    after = World(
        spots=spot_states,
        counts=count_states,
        figures=np.where(changed, figures, world.figures),
        written_at=np.where(changed, moment.now, world.written_at),
    )
    return Reduced(
        decoded=decoded,
        events=events,
        counts=counts,
        readings=distinct(decoded.homes.readings),
        world=after,
        changed_spots=changed_spots,
        changed_counts=changed_counts,
        changed_figures=np.flatnonzero(changed),
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


def _arrivals(layout: Layout, events: Records, counts: Records) -> Int64s:
    arrived_at = np.full(len(layout.car_park_id) + 1, NEVER)
    np.maximum.at(arrived_at, layout.spot_car_park[events["spot"]], events["arrived"])
    np.maximum.at(arrived_at, counts["car_park"], counts["arrived"])
    arrived_at[-1] = arrived_at.max(initial=NEVER)
    return arrived_at
