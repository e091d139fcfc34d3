"""Readings as numpy columns: one record array a kind of reading, all times int64 microseconds since 1970.

`delivery` is the index of the message in its batch: what is found wrong later still leads back to topic and payload.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.payloads import INT32_MAX, INT32_MIN

NEVER: Final = -(2**62)
"""A time before all others; doubled it is still an int64."""
FOREVER: Final = 2**62
NO_SEQ: Final = -1
NO_FRAME: Final = 0

SPOT_EVENT: Final = np.dtype(
    [
        ("delivery", "i4"),
        ("time", "i8"),
        ("spot", "i4"),
        ("occupied", "?"),
        ("arrived", "i8"),
        ("battery", "f8"),
        ("seq", "i4"),
        ("frame", "i8"),
        ("is_told", "?"),
    ]
)
"""`spot` indexes the layout's spots; `battery` is volts or NaN; `seq` is NO_SEQ where absent.

`frame` is what a LoRaWAN frame and the state that it tells come to, NO_FRAME where it came by other ways. Without
`is_told` it tells no state, and only its `seq` and its time were heard.
"""

COUNT: Final = np.dtype(
    [
        ("delivery", "i4"),
        ("time", "i8"),
        ("car_park", "i4"),
        ("free", "i4"),
        ("total", "i4"),
        ("status", "S6"),
        ("arrived", "i8"),
    ]
)
"""`car_park` indexes the layout's car parks; `total` 0 and `status` empty mean not told."""

READING: Final = np.dtype([("delivery", "i4"), ("record", "i4"), ("time", "i8"), ("sensor", "i4"), ("value", "f8")])
"""A reading of a home; `record` is its place in its pack, `sensor` a number of the known sensors."""

Records = NDArray[np.void]

_INT64_MAX: Final = 2**63 - 1
_KEYS: Final = {
    SPOT_EVENT: ("time", "spot", "occupied"),
    COUNT: ("time", "car_park", "free", "total", "status"),
    READING: ("time", "sensor", "value"),
}


def records(rows: list[tuple[Any, ...]], dtype: np.dtype[np.void]) -> Records:
    """Turn rows into a record array of shape (len(rows),)."""
    return np.array(rows, dtype=dtype)


def distinct(readings: Records) -> Records:
    """Keep the first arrival of every fact, in the order of the table's key, which leads with time."""
    keys = [readings[name] for name in _KEYS[readings.dtype]]
    if (order := _order_of_apart(keys[0], keys[1])) is not None:
        return readings.take(order)
    order = np.lexsort(keys[::-1])
    is_first = np.ones(len(order), dtype=bool)
    if len(order) > 1:
        is_first[1:] = np.logical_or.reduce([key[order[1:]] != key[order[:-1]] for key in keys])
    return readings.take(order[is_first])


def _order_of_apart(time: NDArray[np.int64], asset: NDArray[np.int32]) -> NDArray[np.int64] | None:
    """Give the order of readings, the usual ones, no two of which have time and asset in common; None for others.

    Both in one number: to sort that takes a tenth of the time that it takes to sort columns one after the other.
    """
    assets, earliest = int(asset.max(initial=0)) + 1, int(time.min(initial=FOREVER))
    if (int(time.max(initial=earliest)) - earliest + 1) * assets > _INT64_MAX:
        return None
    both = (time - earliest) * assets + asset
    order = np.argsort(both)
    both = both[order]
    return None if (both[1:] == both[:-1]).any() else order


def same_facts(readings: Records, others: Records) -> NDArray[np.bool_]:
    """Tell which readings tell a fact that is among the others, of the same kind."""
    names = list(_KEYS[readings.dtype])
    facts = set(others[names].tolist())
    is_same = np.isin(readings["time"], others["time"])  # few others, of few times
    is_same[is_same] = [key in facts for key in readings[names][is_same].tolist()]
    return is_same


def to_int4(column: NDArray[Any], name: str) -> NDArray[np.int32]:
    """Narrow to int32, checking first: numpy and the server's binary COPY would both truncate without a word.

    Raises OverflowError naming the column.
    """
    if column.size and (column.min() < INT32_MIN or column.max() > INT32_MAX):
        raise OverflowError(f"{name}: a value does not fit 32 bits")
    return column.astype(np.int32)
