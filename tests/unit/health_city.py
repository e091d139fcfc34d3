"""A city whose sensors have health: takes batches, and tells states."""

from dataclasses import replace
from typing import Any

import numpy as np
from unit.worlds import (
    COME,
    LAYOUT,
    MINUTE,
    NOW,
    SECOND,
    SPOTS,
    decoded_of,
    event,
)

from processors.availability import quality_names
from processors.decode import Decoded
from processors.health import FLAPPING_FROM, STATES, Health
from processors.noise import Noisy
from processors.reduce import Moment, World, reduce
from schemas.live import SensorState

Row = tuple[Any, ...]
COUNTER = SPOTS + COME
"""The sensor of a counter."""


class City:
    """A world that takes batches."""

    def __init__(self) -> None:
        self.world = World.unknown(LAYOUT)
        self.is_new = False
        self.is_empty = True
        self.spots_to_write: list[int] = []

    def take(
        self,
        now: int,
        *rows: Row,
        counts: tuple[Row, ...] = (),
        rejected: tuple[Row, ...] = (),
        clock: int | None = None,
        catching_up: bool = False,
        noisy: tuple[str, ...] = (),
    ) -> "City":
        """Take a batch; `rejected` are events refused for their time, `noisy` topics of sources that are too loud."""
        decoded: Decoded = decoded_of(rows, counts)
        if rejected:
            decoded = replace(decoded, heard_events=decoded_of([*rows, *rejected]).events)
        loud = {topic: Noisy(NOW, 100.0) for topic in noisy}
        moment = Moment(now=now, clock=now if clock is None else clock, catching_up=catching_up, noisy=loud)
        reduced = reduce(self.world, LAYOUT, decoded, moment)
        self.world, self.is_new, self.is_empty = reduced.world, reduced.is_health_new, reduced.is_empty
        self.spots_to_write = reduced.changed_spots.tolist()
        return self

    def state(self, sensor: int = 0) -> tuple[SensorState, int]:
        """Give the state of a sensor, and since when."""
        return STATES[self.world.health.state[sensor]], int(self.world.health.since[sensor])

    def quality(self, car_park: int) -> list[str]:
        """Give what is strange about a figure."""
        return quality_names(int(self.world.figures["quality"][car_park]))

    def restart(self, now: int) -> "City":
        """Keep what the database keeps of health: the states."""
        kept, flips = self.world.health, np.zeros(SPOTS)
        health = Health.unknown(LAYOUT)
        for sensor in np.flatnonzero(kept.state).tolist():
            health.resume(sensor, STATES[kept.state[sensor]], int(kept.since[sensor]), now)
            if STATES[kept.state[sensor]] is SensorState.FLAPPING:
                flips[sensor] = FLAPPING_FROM
        self.world = replace(self.world, spots=replace(self.world.spots, flips=flips), health=health)
        return self


def said(at: int, *, spot: int = 0, occupied: bool = True, arrived: int | None = None, **more: Any) -> Row:  # noqa: ANN401 - columns
    """Give an event that arrives half a second after its time."""
    return event(at, spot, occupied, arrived=at + SECOND // 2 if arrived is None else arrived, **more)


def late(city: City, *delays: int, begin: int = NOW, catching_up: bool = False) -> int:
    """Let a bay be late, minute by minute; give when it was last."""
    for minute, delay in enumerate(delays):
        arrived = begin + minute * MINUTE
        city.take(arrived, said(arrived - delay, arrived=arrived), catching_up=catching_up)
    return begin + (len(delays) - 1) * MINUTE
