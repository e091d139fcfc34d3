"""Live figures from the parking state: what is free, occupied and unknown in every car park and in the city.

The rules are the contract's (docs/delivery.md): a silent sensor is unknown, never free, and
free + occupied + unknown = capacity at all times.
"""

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.columns import NEVER, Records
from processors.health import Troubles
from processors.layout import Layout
from processors.parking_state import CLOSED, CountStates, SpotStates

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

FIGURE: Final = np.dtype(
    [
        ("capacity", "i8"),
        ("free", "i8"),
        ("occupied", "i8"),
        ("unknown", "i8"),
        ("status", "u1"),
        ("stale", "?"),
        ("quality", "u1"),
        ("observed_at", "i8"),
    ]
)
"""`status` indexes FIGURE_STATUSES, `quality` is a sum of QUALITIES' bits, `observed_at` microseconds or NEVER."""

FIGURE_STATUSES: Final = ("open", "almost_full", "full", "unknown", "closed")
QUALITIES: Final = (
    "over_capacity",
    "negative_free",
    "status_contradicts_count",
    "capacity_changed",
    "stuck",
    "flapping",
    "catching_up",
)
NOT_YET: Final = -1
"""The capacity of a figure that was never computed: it differs from every real one."""
_ALMOST_FULL: Final = 20
_FLIP_REMEMBERED: Final = 24 * 3600 * 1_000_000
"""A total that another one contradicted within a day is not to be relied on."""


class _Status(IntEnum):
    OPEN = FIGURE_STATUSES.index("open")
    ALMOST_FULL = FIGURE_STATUSES.index("almost_full")
    FULL = FIGURE_STATUSES.index("full")
    UNKNOWN = FIGURE_STATUSES.index("unknown")
    CLOSED = FIGURE_STATUSES.index("closed")


def blank_figures(size: int) -> Records:
    """Give figures that were never computed."""
    figures = np.zeros(size, dtype=FIGURE)
    figures["capacity"], figures["observed_at"] = NOT_YET, NEVER
    return figures


def figures(
    layout: Layout, spots: SpotStates, counts: CountStates, troubles: Troubles, clock: int, catching_up: bool
) -> Records:
    """Compute the figures of all car parks and, last, of the city: FIGURE records of shape (m + 1,).

    `clock` is the moment against which age is judged, in microseconds: now, or where expiry is held, when that began.
    """
    by_count = layout.by_count
    free_s, occupied_s = _count_spots(layout, spots, clock)
    capacity = np.where(by_count & (counts.total > 0), counts.total, layout.capacity)
    told = by_count & (clock - counts.free_at <= layout.stale_after) & (counts.free_at != NEVER)
    out = np.zeros(len(capacity) + 1, dtype=FIGURE)
    out["capacity"][:-1] = capacity
    out["free"][:-1] = np.where(by_count, np.where(told, np.clip(counts.free, 0, capacity), 0), free_s)
    out["occupied"][:-1] = np.where(by_count, np.where(told, capacity - out["free"][:-1], 0), occupied_s)
    out["unknown"] = out["capacity"] - out["free"] - out["occupied"]
    out["observed_at"][:-1] = np.where(
        by_count, np.maximum(counts.free_at, counts.total_at), _newest_per_car_park(layout, spots)
    )
    out["stale"] = out["free"] + out["occupied"] == 0
    out["status"][:-1] = _status(out[:-1], counts.status == CLOSED)
    is_recent = clock - counts.other_total_at <= _FLIP_REMEMBERED
    flipped = by_count & (counts.other_total_at != NEVER) & is_recent
    out["quality"][:-1] = _quality(layout, counts, out[:-1], _Circumstances(told, flipped, troubles, catching_up))
    _sum_up(out)
    return out


def _count_spots(layout: Layout, spots: SpotStates, clock: int) -> tuple[Int64s, Int64s]:
    observed_at = spots.observed_at
    fresh = (observed_at != NEVER) & (clock - observed_at <= layout.heartbeat)
    size = len(layout.capacity)
    free = np.bincount(layout.spot_car_park[fresh & ~spots.occupied], minlength=size)
    occupied = np.bincount(layout.spot_car_park[fresh & spots.occupied], minlength=size)
    return free, occupied


def _newest_per_car_park(layout: Layout, spots: SpotStates) -> Int64s:
    newest = np.full(len(layout.capacity), NEVER)
    np.maximum.at(newest, layout.spot_car_park, spots.observed_at)
    return newest


def _status(rows: Records, closed: Bools) -> NDArray[np.int64]:
    free_max = rows["free"] + rows["unknown"]
    return np.select(
        [closed, rows["stale"], free_max == 0, _ALMOST_FULL * free_max <= rows["capacity"]],
        [_Status.CLOSED, _Status.UNKNOWN, _Status.FULL, _Status.ALMOST_FULL],
        default=_Status.OPEN,
    )


class _Circumstances(NamedTuple):
    """Which car parks rest on a fresh counter, whose total flipped of late, and whose sensors are in trouble."""

    told: Bools
    flipped: Bools
    troubles: Troubles
    catching_up: bool


def _quality(layout: Layout, counts: CountStates, rows: Records, at: _Circumstances) -> NDArray[np.int64]:
    flags = (
        at.told & (counts.free > rows["capacity"]),
        at.told & (counts.free < 0),
        at.told & (counts.status == b"full") & (counts.free > 0),
        (rows["capacity"] != layout.capacity) | at.flipped,
        at.troubles.stuck,
        at.troubles.flapping,
        np.full(len(rows), at.catching_up),
    )
    bits = np.zeros(len(rows), dtype=np.int64)
    for bit, flag in enumerate(flags):
        bits |= flag.astype(np.int64) << bit
    return bits


def _sum_up(out: Records) -> None:
    for name in ("capacity", "free", "occupied", "unknown"):
        out[name][-1] = out[name][:-1].sum()
    out["observed_at"][-1] = out["observed_at"][:-1].max(initial=NEVER)
    out["status"][-1] = _Status.OPEN
    out["stale"][-1] = False


def quality_names(bits: int) -> list[str]:
    """Spell out the quality bits."""
    return [name for bit, name in enumerate(QUALITIES) if bits >> bit & 1]


def quality_bits(names: list[str]) -> int:
    """Pack quality names, leaving out those unknown to this version."""
    return sum(1 << QUALITIES.index(name) for name in names if name in QUALITIES)
