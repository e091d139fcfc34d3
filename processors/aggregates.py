"""Minutes, hours and days of homes: aggregates from samples, and of longer buckets from those of shorter ones.

n, mean, stddev (the sample's), minimum, maximum, first and last are over the samples of the bucket, ordered by time and
value. `increase` is the sum over consecutive samples a, b with b in the bucket of b - a, or of b where b < a: a meter
began anew; a may lie before the bucket. `time_weighted_mean` is the mean over time of the last value held, from the
start of the bucket, or from its first sample where there is none before, to the end of the bucket.

A sample is an aggregate of itself over no time, so that one function makes minutes of samples, hours of minutes and
days of hours. Means and squared deviations are combined as by Chan, Golub and LeVeque, "Algorithms for computing the
sample variance" (1983), never as a difference of large sums.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.columns import Records

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]

SAMPLE: Final = np.dtype([("sensor_id", "i4"), ("time", "i8"), ("value", "f8")])
"""What a sensor told, or the value it held; times are microseconds since 1970."""

AGGREGATE: Final = np.dtype(
    [
        *(("bucket", "i8"), ("sensor_id", "i4"), ("n", "i4"), ("mean", "f8"), ("stddev", "f8")),
        *(("minimum", "f8"), ("maximum", "f8"), ("first", "f8"), ("last", "f8")),
        *(("time_weighted_mean", "f8"), ("increase", "f8"), ("first_at", "i8"), ("last_at", "i8")),
    ]
)
"""`stddev` is NaN where n is 1; `first_at` and `last_at` are the times of the first and the last sample."""

INSTANT: Final = 0
"""The length of a sample."""
MINUTE: Final = 60_000_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_HALF: Final = 32
"""Bits of either part of a key; minutes since 1970 fit, before it they borrow from the sensor and keep their order."""


class Touched(NamedTuple):
    """The minutes that readings lie in: those of minute i are the readings from `starts[i]` up to `ends[i]`."""

    minutes: Int64s
    starts: Int64s
    ends: Int64s


def touched(times: Int64s) -> Touched:
    """Tell what readings touch; times of shape (n,), in order."""
    minutes = times // MINUTE
    starts = np.flatnonzero(_is_first(minutes))
    return Touched(minutes[starts] * MINUTE, starts, np.append(starts, len(times))[1:])


def keys_of(sensors: NDArray[Any], times: Int64s, length: int) -> Int64s:
    """Give, for each sensor and time, the key of the bucket of this length; keys are ordered as (sensor, bucket)."""
    return (sensors.astype(np.int64) << _HALF) + times // length


def buckets_of(keys: Int64s, length: int) -> tuple[Int64s, Int64s]:
    """Take keys apart: sensors, and the starts of their buckets."""
    half = 1 << _HALF
    sensors = (keys + half // 2) >> _HALF
    return sensors, (keys - (sensors << _HALF)) * length


def distinct_keys(*keys: Int64s) -> Int64s:
    """Give all keys, each once, in order."""
    every = np.sort(np.concatenate(keys))
    return every[_is_first(every)]


def slices_of(keys: Int64s, rows: int, most: int) -> list[Int64s]:
    """Part keys, in order, that stand for so many rows, so that each part stands for about so many at most."""
    return np.array_split(keys, min(len(keys), -(-rows // most))) if rows > most else [keys]


def is_among(keys: Int64s, others: Int64s) -> NDArray[np.bool_]:
    """Tell which keys are among others that are in order."""
    places = np.searchsorted(others, keys)
    found = places < len(others)
    found[found] = others[places[found]] == keys[found]
    return found


def aggregates_of(samples: Records, held: Records) -> Records:
    """Give samples as aggregates of themselves, in order; `held` as below."""
    rows = np.empty(len(samples), AGGREGATE)
    rows["n"], rows["stddev"] = 1, np.nan
    rows["bucket"] = rows["first_at"] = rows["last_at"] = samples["time"]
    rows["sensor_id"] = samples["sensor_id"]
    for name in ("mean", "minimum", "maximum", "first", "last", "time_weighted_mean"):
        rows[name] = samples["value"]
    rows = rows[np.lexsort((rows["last"], rows["bucket"], rows["sensor_id"]))]
    before = _before(rows, held, INSTANT)
    with np.errstate(over="ignore"):
        rise = np.where(rows["last"] >= before.value, rows["last"] - before.value, rows["last"])
    rows["increase"] = np.where(before.is_there, rise, 0)
    return rows


def combine(parts: Records, held: Records, part: int, length: int) -> Records:
    """Combine aggregates over `part` microseconds into aggregates over `length`, in order of sensor and bucket.

    `parts` are all the AGGREGATE records of the buckets that are wanted. `held` are SAMPLE records outside of these
    buckets, among them for each bucket the last one before it, where there is one: the value held when it began.
    """
    if not len(parts):
        return parts
    parts = parts[np.lexsort((parts["last"], parts["bucket"], parts["sensor_id"]))]
    keys = keys_of(parts["sensor_id"], parts["bucket"], length)
    starts = np.flatnonzero(_is_first(keys))
    ends = np.append(starts[1:], len(parts)) - 1
    group = np.cumsum(_is_first(keys)) - 1
    rows = np.empty(len(starts), AGGREGATE)
    rows["sensor_id"], rows["bucket"] = buckets_of(keys[starts], length)
    for name, places in (("first", starts), ("first_at", starts), ("last", ends), ("last_at", ends)):
        rows[name] = parts[name][places]
    rows["minimum"] = np.minimum.reduceat(parts["minimum"], starts)
    rows["maximum"] = np.maximum.reduceat(parts["maximum"], starts)
    # What is out of the range of doubles is told as infinite.
    with np.errstate(over="ignore", invalid="ignore"):
        rows["n"], rows["mean"], rows["stddev"] = _moments(parts, starts, group)
        rows["increase"] = np.add.reduceat(parts["increase"], starts)
        rows["time_weighted_mean"] = _over_time(parts, _before(parts, held, part), rows, group, (part, length))
    return rows


class _Before(NamedTuple):
    """What is before each part: whether there is anything, the value then held, and the end of what told it."""

    is_there: NDArray[np.bool_]
    value: Float64s
    end: Int64s


def _before(parts: Records, held: Records, part: int) -> _Before:
    """Find what is before each part, among the parts themselves, which are in order, and the values held."""
    sensors = np.append(parts["sensor_id"], held["sensor_id"])
    times = np.append(parts["bucket"], held["time"])
    values = np.append(parts["last"], held["value"])
    ends = np.append(parts["bucket"] + part, held["time"])
    order = np.lexsort((values, times, sensors))
    before = np.empty_like(order)
    before[order[1:]] = order[:-1]
    before[order[:1]] = order[:1]
    is_there = sensors[before] == sensors
    is_there[order[:1]] = False
    mine = slice(len(parts))
    return _Before(is_there[mine], np.where(is_there[mine], values[before[mine]], 0), ends[before[mine]])


def _moments(parts: Records, starts: Int64s, group: Int64s) -> tuple[Int64s, Float64s, Float64s]:
    """Give number, mean and standard deviation of each group."""
    n = np.add.reduceat(parts["n"].astype(np.int64), starts)
    weights = parts["n"] / n[group]
    means = np.add.reduceat(weights * parts["mean"], starts)
    # Once more for what is left, since the sum was rounded.
    means += np.add.reduceat(weights * (parts["mean"] - means[group]), starts)
    apart = parts["mean"] - means[group]
    inside = np.where(parts["n"] > 1, (parts["n"] - 1) * np.square(parts["stddev"]), 0)
    squares = np.add.reduceat(inside + parts["n"] * np.square(apart), starts)
    squares -= n * np.square(np.add.reduceat(weights * apart, starts))  # the mean itself is rounded
    return n, means, np.sqrt(np.where(n > 1, np.maximum(squares, 0) / np.maximum(n - 1, 1), np.nan))


def _over_time(parts: Records, before: _Before, rows: Records, group: Int64s, lengths: tuple[int, int]) -> Float64s:
    """Give the mean over time of each group, by deviations from its first value, so that a constant stays exact."""
    part, length = lengths
    buckets = rows["bucket"][group]
    is_first, is_last = _is_first(group), np.append(group[1:] != group[:-1], True)
    # A part speaks of the time from its start, or from its first sample where nothing was before it.
    begins = np.where(before.is_there, parts["bucket"], parts["first_at"])
    since = np.where(before.is_there, np.maximum(before.end, buckets), begins)
    reference = rows["first"][group]
    integral = (before.value - reference) * (begins - since)
    integral += (parts["time_weighted_mean"] - reference) * (parts["bucket"] + part - begins)
    integral += np.where(is_last, (parts["last"] - reference) * (buckets + length - parts["bucket"] - part), 0)
    starts = np.flatnonzero(is_first)
    times = rows["bucket"] + length - since[starts]
    means: Float64s = rows["first"] + np.add.reduceat(integral, starts) / times
    return means


def _is_first(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell, of values in order, which differ from the one before."""
    is_first = np.ones(len(values), dtype=bool)
    is_first[1:] = values[1:] != values[:-1]
    return is_first
