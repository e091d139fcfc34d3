"""Event times in: RFC 3339 and epoch numbers."""

from calendar import timegm
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.times import MissingOffsetError, from_datetime, to_datetime, to_micros

PARIS = ZoneInfo("Europe/Paris")
NOON = 1_795_298_400_000_000
"""2026-11-21T22:00:00Z."""
FAR = 2**61


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-11-21T22:00:00Z", 0),
        ("2026-11-21t22:00:00z", 0),
        ("2026-11-21 22:00:00Z", 0),
        ("2026-11-21T23:00:00+01:00", 0),
        ("2026-11-21T16:30:00-05:30", 0),
        ("2026-11-21T22:00:00-00:00", 0),
        ("2026-11-22T21:59:00+23:59", 0),
        ("2026-11-21T22:00:00.1Z", 100_000),
        ("2026-11-21T22:00:00.12Z", 120_000),
        ("2026-11-21T22:00:00.123Z", 123_000),
        ("2026-11-21T22:00:00.1234Z", 123_400),
        ("2026-11-21T22:00:00.12345Z", 123_450),
        ("2026-11-21T22:00:00.123456Z", 123_456),
        ("2026-11-21T22:00:00.1234567Z", 123_456),
        ("2026-11-21T22:00:00.12345678Z", 123_456),
        ("2026-11-21T22:00:00.123456789Z", 123_456),
        ("2026-11-21T22:00:00.999999999Z", 999_999),
        ("2026-11-21T22:00:00.000000999Z", 0),
    ],
)
def test_every_form_of_rfc_3339_is_read(text: str, micros: int) -> None:
    """Case, blank, offset and 0 to 9 fraction digits are read; digits past six are cut."""
    assert to_micros(text, None) == NOON + micros


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the offset is drawn apart
    st.text("0123456789", min_size=0, max_size=9),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_a_time_with_an_offset_is_that_moment(local: datetime, digits: str, offset: int) -> None:
    """Any date, fraction and offset gives the moment that plain arithmetic gives."""
    sign, size = "-" if offset < 0 else "+", abs(offset)
    fraction = f".{digits}" if digits else ""
    text = f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{sign}{size // 60:02d}:{size % 60:02d}"
    seconds = timegm(local.timetuple()) - offset * 60
    assert to_micros(text, PARIS) == seconds * 1_000_000 + int(digits.ljust(9, "0")[:6])


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+99:99",
    ],
)
def test_a_date_that_does_not_exist_is_a_value_error(text: str) -> None:
    """No calendar date, clock time or offset is made up."""
    with pytest.raises(ValueError) as caught:
        to_micros(text, PARIS)
    assert not isinstance(caught.value, MissingOffsetError)


def test_a_time_without_an_offset_is_read_in_the_zone_of_its_asset() -> None:
    """The registry's time zone serves winter and summer."""
    assert to_micros("2026-11-21T23:00:00.5", PARIS) == NOON + 500_000
    assert to_micros("2026-07-01T12:00:00", PARIS) == to_micros("2026-07-01T10:00:00Z", None)


def test_a_time_without_an_offset_needs_a_zone() -> None:
    """Without a zone nothing is guessed."""
    with pytest.raises(MissingOffsetError):
        to_micros("2026-11-21T22:00:00", None)


def test_a_zone_does_not_move_a_time_with_an_offset() -> None:
    """An offset told wins over the registry's zone."""
    assert to_micros("2026-11-21T22:00:00Z", PARIS) == NOON


@pytest.mark.parametrize("zone", ["Europe/Paris", "Pacific/Kiritimati", "America/Anchorage", "UTC"])
@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"])
def test_the_ends_of_the_calendar_are_read_in_any_zone(text: str, zone: str) -> None:
    """The first and the last moment of the calendar are times like others, whatever the zone."""
    assert abs(to_micros(text, ZoneInfo(zone)) - to_micros(f"{text}Z", None)) <= 26 * 3600 * 1_000_000


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_datetime_is_exactly_its_microseconds(moment: datetime) -> None:
    """Conversion loses nothing in either direction."""
    assert to_datetime(from_datetime(moment)) == moment
    assert from_datetime(moment) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("number", "micros"),
    [
        (0, 0),
        (-0.0, 0),
        (1, 1_000_000),
        (1_795_298_400, NOON),
        (1_795_298_400.123, NOON + 123_000),
        (99_999_999_999, 99_999_999_999_000_000),
        (100_000_000_000, 100_000_000_000_000),
        (1_795_298_400_123, NOON + 123_000),
        (1_795_298_400_123.456, NOON + 123_456),
        (99_999_999_999_999, 99_999_999_999_999_000),
        (100_000_000_000_000, 100_000_000_000_000),
        (NOON + 7, NOON + 7),
        (99_999_999_999_999_999, 99_999_999_999_999_999),
        (100_000_000_000_000_000, 100_000_000_000_000),
        (1_795_298_400_123_456_789, NOON + 123_457),
    ],
)
def test_the_size_of_an_epoch_number_tells_its_unit(number: float, micros: int) -> None:
    """Below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds."""
    assert to_micros(number, None) == micros


@pytest.mark.parametrize(
    ("number", "micros"),
    [
        (0.0000004, 0),
        (0.0000006, 1),
        (-0.0000006, -1),
        (1_795_298_400.000_001_4, NOON + 1),
        (NOON * 1000 + 499, NOON),
        (NOON * 1000 + 501, NOON + 1),
        (-NOON * 1000 - 499, -NOON),
        (-NOON * 1000 - 501, -NOON - 1),
        (NOON + 0.25, NOON),
        (NOON + 0.75, NOON + 1),
    ],
)
def test_an_epoch_number_is_rounded_to_the_nearest_microsecond(number: float, micros: int) -> None:
    """Nothing is cut off an epoch number, before 1970 neither."""
    assert to_micros(number, None) == micros


@given(st.integers(946_684_800_000_000, 4_102_444_800_000_000))
def test_every_unit_gives_the_same_microsecond(micros: int) -> None:
    """A moment told in seconds, milliseconds, microseconds or nanoseconds is the same fact."""
    assert to_micros(float(f"{micros // 10**6}.{micros % 10**6:06d}"), None) == micros
    assert to_micros(float(f"{micros // 10**3}.{micros % 10**3:03d}"), None) == micros
    assert to_micros(micros, None) == micros
    assert to_micros(micros * 1000 + 1, None) == micros


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(300, 4000).map(lambda n: 10**n))
def test_any_number_gives_a_time_that_fits(number: float) -> None:
    """However large a number, its time is an int64 with room to double, on the right side of 1970."""
    micros = to_micros(number, None)
    assert -FAR <= micros <= FAR
    assert micros == 0 or (micros > 0) == (number > 0)
