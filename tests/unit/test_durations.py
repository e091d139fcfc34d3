"""Durations as people write them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.durations import format_duration, parse_duration

LONGEST = timedelta(days=36_500)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50ms", timedelta(milliseconds=50)),
        ("20s", timedelta(seconds=20)),
        ("20 s", timedelta(seconds=20)),
        ("  15m ", timedelta(minutes=15)),
        ("25h", timedelta(hours=25)),
        ("8d", timedelta(days=8)),
        ("1 day", timedelta(days=1)),
        ("400 days", timedelta(days=400)),
        ("1.5h", timedelta(minutes=90)),
        ("0", timedelta(0)),
        ("90", timedelta(seconds=90)),
        (90, timedelta(seconds=90)),
        (0.25, timedelta(milliseconds=250)),
        ("36500d", LONGEST),
        (timedelta(hours=3), timedelta(hours=3)),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: object, expected: timedelta) -> None:
    """A number with a unit, or a bare number of seconds, is that long."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "-1s", "1w", "1h30m", "1,5h", "s", "nan", "inf", "1e3", "٣s", "0x10", True, False, None, [], {}),
        *("36501d", "9" * 400, "9" * 5000, float("nan"), float("inf"), -1),
    ],
)
def test_anything_else_is_refused_with_an_example_of_what_is_expected(value: object) -> None:
    """What is no duration is refused, and the message tells what one looks like."""
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(value)


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans() | st.binary())
def test_reading_either_gives_a_duration_or_a_value_error(value: Any) -> None:  # noqa: ANN401 - anything at all
    """No input raises anything but ValueError, and none gives a negative duration or one beyond a century."""
    try:
        duration = parse_duration(value)
    except ValueError:
        return
    assert timedelta(0) <= duration <= LONGEST


@given(st.timedeltas(timedelta(0), LONGEST))
def test_a_written_duration_reads_back_as_itself(duration: timedelta) -> None:
    """Every duration survives being written and read again."""
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("microseconds", [1, 10, 99, 100, 999, 1_001])
def test_a_duration_below_a_millisecond_reads_back_as_itself(microseconds: int) -> None:
    """The shortest durations too survive being written and read again."""
    duration = timedelta(microseconds=microseconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(days=8), "8d"),
        (timedelta(hours=25), "25h"),
        (timedelta(minutes=15), "15m"),
        (timedelta(seconds=90), "90s"),
        (timedelta(milliseconds=50), "50ms"),
    ],
)
def test_a_duration_is_written_in_its_largest_whole_unit(duration: timedelta, expected: str) -> None:
    """A duration is shown short, with nothing lost."""
    assert format_duration(duration) == expected
