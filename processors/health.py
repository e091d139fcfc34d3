"""The health of parking sensors: one state for each, out of a closed set, and since when.

`observe` takes note of what a batch says of its sensors; `judge`, at most once a second, tells their states. Both are
pure. What each state means, and why, is told in docs/health.md. Sensors are numbered as in the layout's terms: the
spots', then the counters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from processors import health_clock
from processors.columns import FOREVER, NEVER, Records
from processors.decode import Decoded
from processors.health_clock import Clocks
from processors.layout import NO_ASSET, Layout
from processors.noise import Noisy
from processors.parking_state import CLOSED, CountStates, SpotStates
from processors.sequence import Sequences
from schemas.live import Domain, SensorState

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = Mapping[Domain, tuple[int, ...]]
"""How many sensors of a domain are in each of STATES."""

STATES: Final = tuple(SensorState)
"""In order of precedence, the sound one first; a state is an index of these."""
_JUDGED_EVERY: Final = 1_000_000

FLAPPING_FROM: Final = 10.0
"""Changes of late, see `SpotStates.flips`."""
_FLAPPING_UNTIL: Final = 5.0
_RETURNS_FROM, _RETURNS_UNTIL = 3.0, 1.5
_RETURNS_LAST: Final = 3_600_000_000
"""Microseconds in which a return comes to count for 1/e."""
_LONG_AGO: Final = 600_000_000
"""A dead letter that is replayed arrived longer ago: it says nothing of the clock as it is now."""
_RECOVERY: Final = 0.1
"""Volts by which a battery has to rise to be well again: the voltage of a cold one swings."""
_OK, _NOISY, _SILENT, _DUPLICATE, _SKEW, _STUCK, _FLAPPING, _LOW = range(len(STATES))


@dataclass(frozen=True, slots=True, eq=False)
class Health:
    """Arrays of shape (n + m,) over the sensors, but for `returns`, `returned_at` (n,), `missing` and `closed_at` (m,).

    `state` indexes STATES, `held` has a bit of each that holds, hidden or not; `since` is NEVER where the sensor is ok
    or was never heard. `returns` counts how often the sequence numbers of a spot went back and forth, as of
    `returned_at`, fading. `missing` are messages missing upstream, `closed_at` when a closed car park was last heard
    of. `counts` is None until first judged.
    """

    clocks: Clocks
    returns: Float64s
    returned_at: Int64s
    state: NDArray[np.uint8]
    held: NDArray[np.uint8]
    since: Int64s
    missing: Int64s
    closed_at: Int64s
    counts: Counts | None = None
    judged_at: int = NEVER

    @classmethod
    def unknown(cls, layout: Layout) -> Self:
        """Nothing heard of any sensor, and nothing judged."""
        spots, car_parks = len(layout.spot_id), len(layout.car_park_id)
        size = spots + car_parks
        return cls(
            clocks=Clocks.unknown(size),
            returns=np.zeros(spots),
            returned_at=np.full(spots, NEVER),
            state=np.zeros(size, dtype=np.uint8),
            held=np.zeros(size, dtype=np.uint8),
            since=np.full(size, NEVER),
            missing=np.zeros(car_parks, dtype=np.int64),
            closed_at=np.full(car_parks, NEVER),
        )

    def is_due(self, now: int) -> bool:
        """Tell whether to judge again."""
        return now - self.judged_at >= _JUDGED_EVERY

    def resume(self, sensor: int, state: SensorState, since: int, now: int) -> None:
        """Take up, in place, a state that was judged before a restart, with what it rested on taken to be of now.

        What a spot's changes come to is part of its own state.
        """
        code = STATES.index(state)
        self.state[sensor], self.held[sensor], self.since[sensor] = code, 1 << code, since
        if state is SensorState.CLOCK_SKEW:
            self.clocks.suspected[sensor], self.clocks.odd_at[sensor] = True, now
        elif state is SensorState.DUPLICATE_IDENTITY:
            self.returns[sensor], self.returned_at[sensor] = _RETURNS_FROM, now


class Troubles(NamedTuple):
    """Car parks of which a sensor that the figure rests on is stuck, or flaps; arrays of shape (m,)."""

    stuck: Bools
    flapping: Bools


class Sources(NamedTuple):
    """What states are judged by, besides what was observed."""

    spots: SpotStates
    counts: CountStates
    sequences: Sequences
    homes: tuple[int, ...]
    noisy: Mapping[str, Noisy]

    @property
    def heard_at(self) -> Int64s:
        """Newest event times of the sensors, NEVER where nothing was heard."""
        return np.append(self.spots.observed_at, self.counts.free_at)

    def noisy_since(self, layout: Layout) -> Int64s:
        """Since when they have been noisy, NEVER where they are not."""
        since = np.full(len(layout.terms.assets), NEVER)
        for topic, (began, _) in self.noisy.items():
            if (sensor := layout.sensor_of(topic)) != NO_ASSET:
                since[sensor] = began
        return since

    def of_homes(self, layout: Layout) -> tuple[int, ...]:
        """Give the counts of homes' sensors; of what is noisy, homes are counted, each once."""
        noisy = {layout.home_of(topic) for topic in self.noisy} - {NO_ASSET}
        return tuple(len(noisy) if code == _NOISY else count for code, count in enumerate(self.homes))


def observe(
    health: Health, layout: Layout, decoded: Decoded, returns: Records, now: int, *, catching_up: bool
) -> Health:
    """Take note of what a batch says of clocks and names.

    While a backlog is read, messages are late through no fault of their clocks.
    """
    events, counts = decoded.heard_events, decoded.heard_counts
    if not catching_up and len(events) + len(counts):
        sensors = np.append(events["spot"], counts["car_park"] + len(layout.spot_id)).astype(np.int64)
        times, arrived = (np.append(events[name], counts[name]) for name in ("time", "arrived"))
        is_of_now = now - arrived < _LONG_AGO
        told = (column[is_of_now] for column in (sensors, times, arrived))
        health = replace(health, clocks=health_clock.observe(health.clocks, *told))
    if len(returns):
        health = _note_returns(health, returns)
    return health


def _note_returns(health: Health, returns: Records) -> Health:
    count, at = health.returns.copy(), health.returned_at.copy()
    np.maximum.at(at, returns["spot"], returns["at"])
    count *= _fading(at - health.returned_at)
    np.add.at(count, returns["spot"], _fading(at[returns["spot"]] - returns["at"]))
    return replace(health, returns=count, returned_at=at)


def _fading(age: Int64s) -> Float64s:
    return np.exp(np.maximum(age, 0) / -_RETURNS_LAST)


def judge(health: Health, layout: Layout, of: Sources, now: int, clock: int) -> Health:
    """Tell the state of every sensor; age is judged as of `clock`, and what begins now began at `now`."""
    is_closed = of.counts.status == CLOSED
    health = replace(health, closed_at=np.where(is_closed, of.counts.free_at, health.closed_at))
    holds = _holds(health, layout, of, clock)
    # A counter that no figure rests on is a sensor while it is noisy: the stream suffers from it all the same.
    sensors = layout.terms.is_sensor | holds[_NOISY]
    holds = {code: condition & sensors for code, condition in holds.items()}
    state = np.select(list(holds.values()), list(holds), default=_OK).astype(np.uint8)
    held = np.bitwise_or.reduce([condition.astype(np.uint8) << code for code, condition in holds.items()])
    began = np.where(state == health.state, health.since, now)
    told = [np.full(len(state), NEVER), of.noisy_since(layout), of.heard_at, _same_since(health, of)]
    since = np.select([state == code for code in (_OK, _NOISY, _SILENT, _STUCK)], told, default=began)
    parking = np.bincount(state[sensors], minlength=len(STATES))
    missing = np.zeros(len(layout.car_park_id), dtype=np.int64)
    np.add.at(missing, layout.spot_car_park, of.sequences.missing)
    return replace(
        health,
        state=state,
        held=held,
        since=since,
        missing=missing,
        counts=MappingProxyType({Domain.PARKING: tuple(parking.tolist()), Domain.DWELLINGS: of.of_homes(layout)}),
        judged_at=now,
    )


def _same_since(health: Health, of: Sources) -> Int64s:
    """Give since when sensors have said the same; while a car park is closed, that is no sign of anything."""
    return np.append(of.spots.since, np.maximum(of.counts.free_since, health.closed_at))


def _holds(health: Health, layout: Layout, of: Sources, clock: int) -> dict[int, Bools]:
    """Tell which sensors each state holds of, in order of precedence."""
    terms, spots = layout.terms, len(layout.spot_id)
    heard_at = of.heard_at
    no_counters = np.zeros(len(layout.car_park_id), dtype=bool)
    skewed = health.clocks.is_skewed
    # All that a clock far off tells is too old or not yet true, and yet the sensor speaks.
    speaks = skewed & (clock - health.clocks.odd_at <= terms.patience)
    is_fresh = (heard_at != NEVER) & (clock - heard_at <= terms.patience)
    was = {code: (health.held[:spots] >> code & 1).astype(bool) for code in (_DUPLICATE, _FLAPPING, _LOW)}
    returns = health.returns * _fading(clock - health.returned_at)
    duplicate = returns >= np.where(was[_DUPLICATE], _RETURNS_UNTIL, _RETURNS_FROM)
    flapping = of.spots.flips_at(clock) >= np.where(was[_FLAPPING], _FLAPPING_UNTIL, FLAPPING_FROM)
    low = of.spots.battery < terms.low_battery + np.where(was[_LOW], _RECOVERY, 0.0)
    return {
        _NOISY: of.noisy_since(layout) != NEVER,
        _SILENT: ~is_fresh & ~speaks & (terms.patience != FOREVER),
        _DUPLICATE: np.append(duplicate, no_counters),
        _SKEW: skewed,
        _STUCK: (heard_at != NEVER) & (heard_at - _same_since(health, of) >= terms.stuck_after),
        _FLAPPING: np.append(flapping, no_counters),
        _LOW: np.append(low, no_counters),
    }


def changed(before: Health, after: Health) -> Int64s:
    """Give the sensors whose state, or its beginning, is another one."""
    return np.flatnonzero((before.state != after.state) | (before.since != after.since))


def troubles(health: Health, layout: Layout) -> Troubles:
    """Tell which figures rest on a sensor in trouble: the counter's, or one of the spots'."""
    return Troubles(*(_any_of(layout, health.state == code) for code in (_STUCK, _FLAPPING)))


def _any_of(layout: Layout, is_troubled: Bools) -> Bools:
    spots = len(layout.spot_id)
    some = np.zeros(len(layout.car_park_id), dtype=bool)
    some[layout.spot_car_park[is_troubled[:spots]]] = True
    return np.where(layout.by_count, is_troubled[spots:], some)
