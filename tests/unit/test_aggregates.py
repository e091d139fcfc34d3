"""Minutes, hours and days against their definition, computed plainly; what a batch touches."""

import itertools
import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from unit.aggregate_reference import LENGTHS, Row, aggregate

from processors.aggregates import (
    AGGREGATE,
    DAY,
    HOUR,
    INSTANT,
    MINUTE,
    SAMPLE,
    aggregates_of,
    buckets_of,
    combine,
    distinct_keys,
    is_among,
    keys_of,
    slices_of,
    touched,
)
from processors.columns import Records

SENSORS = 3
START = 1_790_000_000_000_000 // DAY * DAY
"""A midnight of 2026."""

Reading = tuple[int, int, float]
"""Sensor, time, value."""


class Fold(NamedTuple):
    """Rows of each level, as a table would hold them."""

    minutes: Records
    hours: Records
    days: Records


def times() -> st.SearchStrategy[int]:
    """Draw times of some days: many to a minute, on the edges of buckets, and far apart; before 1970, too."""
    edges = st.sampled_from([0, MINUTE, HOUR, DAY]).flatmap(
        lambda length: st.tuples(st.integers(0, 3), st.integers(-2, 2)).map(lambda at: at[0] * length + at[1])
    )
    scattered = st.integers(0, 3 * DAY)
    close = st.integers(0, 2 * MINUTE)
    base = st.sampled_from([START, -2 * DAY])
    return st.tuples(base, edges | scattered | close).map(sum)


def readings() -> st.SearchStrategy[list[Reading]]:
    """Draw readings of some sensors in any order, some of them twice: small numbers, and meters of large ones."""
    values = st.floats(-1e6, 1e6) | st.integers(0, 5).map(float) | st.integers(0, 9).map(lambda n: 1e9 + n / 8)
    reading = st.tuples(st.integers(0, SENSORS - 1), times(), values)
    return st.lists(reading, max_size=40).flatmap(
        lambda told: st.permutations([*told, *told[: len(told) // 3]]).map(list)
    )


def samples_of(told: list[Reading]) -> Records:
    """Give distinct readings as records, in the order of their first arrival."""
    return np.array(list(dict.fromkeys(told)), dtype=SAMPLE)


def fold(told: list[Reading]) -> Fold:
    """Roll everything from nothing, level by level."""
    nothing = np.empty(0, SAMPLE)
    minutes = combine(aggregates_of(samples_of(told), nothing), nothing, INSTANT, MINUTE)
    hours = combine(minutes, nothing, MINUTE, HOUR)
    return Fold(minutes, hours, combine(hours, nothing, HOUR, DAY))


def rows_of(records: Records) -> dict[tuple[int, int], Row]:
    """Give rows by sensor and bucket."""
    rows = (Row._make(row) for row in records[list(Row._fields)].tolist())
    rows = (row._replace(stddev=None) if row.n == 1 and math.isnan(row.stddev or 0) else row for row in rows)
    return dict(zip(zip(records["sensor_id"].tolist(), records["bucket"].tolist(), strict=True), rows, strict=True))


def expected_rows(told: list[Reading], length: int) -> dict[tuple[int, int], Row]:
    """Give the rows that these readings come to, by definition."""
    by_sensor = defaultdict(list)
    for sensor, time, value in told:
        by_sensor[sensor].append((time, value))
    return {(sensor, start): row for sensor, own in by_sensor.items() for start, row in aggregate(own, length).items()}


def assert_like(records: Records, told: list[Reading], length: int) -> None:
    """Hold rows against the definition."""
    rows, expected = rows_of(records), expected_rows(told, length)
    assert rows.keys() == expected.keys()
    scale = max((abs(value) for _, _, value in told), default=0)
    for key, row in rows.items():
        assert row.is_like(expected[key], scale), (key, row, expected[key])


@given(readings())
@example([(0, START + 1, 1.0)])
@example([(0, START - 1, 5.0), (0, START + HOUR - 1, 7.0), (0, START + HOUR, 2.0)])
def test_every_level_is_what_its_definition_says(told: list[Reading]) -> None:
    """Minutes of samples, hours of minutes and days of hours equal what is computed plainly from all readings."""
    for records, length in zip(fold(told), LENGTHS.values(), strict=True):
        assert_like(records, told, length)


@given(readings(), st.data())
def test_a_part_of_the_buckets_needs_only_the_value_held_before_each(told: list[Reading], data: st.DataObject) -> None:
    """Any choice of minutes, rolled from their own samples and what was held before them, gives the same rows."""
    samples = samples_of(told)
    keys = keys_of(samples["sensor_id"], samples["time"], MINUTE)
    chosen = np.array(data.draw(st.lists(st.sampled_from(keys.tolist()), unique=True) if len(keys) else st.just([])))
    chosen = np.sort(chosen.astype(np.int64))
    is_chosen = is_among(keys, chosen)
    held = held_before(samples[~is_chosen], chosen)
    rolled = combine(aggregates_of(samples[is_chosen], held), held, INSTANT, MINUTE)
    whole = rows_of(fold(told).minutes)
    wanted = {(sensor, bucket): whole[sensor, bucket] for sensor, bucket in zip(*map(list, parts(chosen)), strict=True)}
    scale = max((abs(value) for _, _, value in told), default=0)
    rows = rows_of(rolled)
    assert rows.keys() == wanted.keys()
    assert all(rows[key].is_like(wanted[key], scale) for key in rows)


def parts(keys: np.ndarray) -> tuple[list[int], list[int]]:
    """Give sensors and buckets of keys of minutes."""
    sensors, buckets = buckets_of(keys, MINUTE)
    return sensors.tolist(), buckets.tolist()


def held_before(others: Records, keys: np.ndarray) -> Records:
    """Give the last of the other samples before each minute, as a query would find it."""
    found = []
    for sensor, bucket in zip(*parts(keys), strict=True):
        before = [(time, value) for of, time, value in others.tolist() if of == sensor and time < bucket]
        found += [(sensor, *max(before))] if before else []
    return np.array(found, dtype=SAMPLE)


def test_large_numbers_that_hardly_differ_keep_their_deviation() -> None:
    """A meter at a thousand million whose readings differ by a millionth: what a difference of squares would lose."""
    told = [(0, START + number * 1000, 1e9 + number % 7 * 2.0**-20) for number in range(1000)]
    for records, length in zip(fold(told), LENGTHS.values(), strict=True):
        (row,) = rows_of(records).values()
        (expected,) = expected_rows(told, length).values()
        assert row.stddev is not None
        assert expected.stddev is not None
        assert math.isclose(row.stddev, expected.stddev, rel_tol=1e-6)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e9 + 0.1, -7.7, 1e300])
def test_a_constant_is_its_own_mean_exactly(value: float) -> None:
    """However many samples, and however they lie: no rounding moves what never moved."""
    told = [(0, START + number * 7_777_777, value) for number in range(1, 999)]
    for records in fold(told):
        for row in rows_of(records).values():
            assert (row.mean, row.time_weighted_mean, row.increase) == (value, value, 0)
            assert row.stddev in (0, None)


def test_the_largest_numbers_warn_of_nothing_and_spoil_no_other_sensor() -> None:
    """What is beyond a double is told as infinite or as no number, for the sensor that sent it alone."""
    large = [(sensor, START + place, (-1) ** place * 1e308) for sensor in (0, 2) for place in range(3)]
    small = [(1, START + 3, 1.0), (1, START + 5, 3.0)]
    for records, alone in zip(fold(large + small), fold(small), strict=True):
        rows = rows_of(records)
        assert rows[0, START].increase == math.inf
        assert rows[1, START] == rows_of(alone)[1, START]


@given(st.lists(times(), max_size=30).map(sorted))
def test_touched_minutes_part_the_readings(told: list[int]) -> None:
    """Every minute of a batch once, with all readings that lie in it."""
    found = touched(np.array(told, np.int64))
    parts = zip(*(part.tolist() for part in found), strict=True)
    assert [(minute, told[start:end]) for minute, start, end in parts] == [
        (minute, list(inside)) for minute, inside in itertools.groupby(told, lambda time: time - time % MINUTE)
    ]


@given(st.integers(1, 50), st.integers(1, 500), st.integers(1, 100))
def test_slices_are_all_keys_in_order_and_none_is_too_large(keys: int, rows_each: int, most: int) -> None:
    """A slice stands for no more rows than allowed, unless it is a single key."""
    slices = slices_of(np.arange(keys), keys * rows_each, most)
    assert np.concatenate(slices).tolist() == list(range(keys))
    assert all(len(part) == 1 or (len(part) - 1) * rows_each < most for part in slices)


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), times()), max_size=20), st.sampled_from([MINUTE, HOUR, DAY]))
def test_keys_stand_for_sensor_and_bucket_in_their_order(pairs: list[tuple[int, int]], length: int) -> None:
    """A key comes apart into what it was made of, and keys are ordered as sensor and bucket are."""
    wanted = sorted({(sensor, time - time % length) for sensor, time in pairs})
    sensors, moments = (np.array(column, np.int64) for column in (zip(*pairs, strict=True) if pairs else ([], [])))
    keys = keys_of(sensors, moments, length)
    assert list(zip(*(part.tolist() for part in buckets_of(distinct_keys(keys, keys), length)), strict=True)) == wanted
    assert is_among(keys, distinct_keys(keys)).all()
    assert not is_among(distinct_keys(keys) + 1, distinct_keys(keys))[-1:].any()


def test_nothing_comes_to_nothing() -> None:
    """No samples, no rows."""
    assert [len(records) for records in fold([])] == [0, 0, 0]
    assert fold([]).days.dtype == AGGREGATE
    assert [len(part) for part in touched(np.empty(0, np.int64))] == [0, 0, 0]
