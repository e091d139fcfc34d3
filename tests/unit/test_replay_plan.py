"""A replay's plan: whose each record is, when it is due, what is sent, and what is sent again."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import ConfigurationError
from schemas.payloads import COUNT
from schemas.registry import Registry
from schemas.topics import Topics
from simulators.progress import Standing, words
from simulators.readers.records import Count, Measurements, Record, Sensor, Skipped
from simulators.replay import ReplayOptions, check_options
from simulators.replay_plan import CarParkNames, Progress, Timeline, parse_speed, payload, write_script

NOON = datetime(2024, 2, 3, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 22, 0, 0, 123_456, tzinfo=UTC)
UNSHIFTED = timedelta(0)
TOPICS = Topics("city")
REGISTRY = Registry.model_validate(
    {
        "car_park": [
            {"code": "NORD", "name": "Nord", "capacity": 9, "basis": "count", "aliases": ["The North", "N1"]},
            {"code": "Sud", "name": "Sud", "capacity": 9, "basis": "count", "aliases": ["n2", "TWIN"]},
            {"code": "SUD", "name": "Autre sud", "capacity": 9, "basis": "count", "aliases": ["Twin", "ÉTOILE"]},
        ],
        "dwelling": [{"id": "hut-01", "district": "antigone", "consent": True}],
    }
)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - they get one


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("NORD", "NORD"),
        ("nord", "NORD"),
        ("The North", "NORD"),
        ("THE NORTH", "NORD"),
        ("N2", "Sud"),
        ("étoile", "SUD"),
        ("Sud", "Sud"),
        ("SUD", "SUD"),
        ("sud", None),
        ("TWIN", "Sud"),
        ("Twin", "SUD"),
        ("twin", None),
        ("Nord ", None),
        ("EST", None),
        ("", None),
    ],
)
def test_a_name_is_a_code_or_an_alias(name: str, code: str | None) -> None:
    """As it is written first, then in any case; what then fits two car parks is neither."""
    assert CarParkNames(REGISTRY).code(name) == code


def test_a_name_of_a_car_park_alone_is_no_key() -> None:
    """What people call it is not what feeds call it."""
    registry = Registry.model_validate({"car_park": [{"code": "A", "name": "Alpha", "capacity": 1, "basis": "count"}]})
    assert CarParkNames(registry).code("Alpha") is None


def test_a_script_is_in_the_order_of_time_and_counts_what_it_leaves_out() -> None:
    """Equal times keep the archive's order; an unknown name is counted, not sent."""
    items: list[Record | Skipped] = [
        Count(NOON + timedelta(seconds=2), "n1", 1),
        Count(NOON, "EST", 2),
        Count(NOON, "NORD", 3),
        Skipped("file:1", "half a line"),
        Count(NOON, "N2", 4),
        Count(NOON + timedelta(seconds=1), "EST", 5),
    ]
    script = write_script(items, REGISTRY, TOPICS)
    assert [(message.topic, message.record) for message in script.messages] == [
        ("city/parking/NORD/count", items[2]),
        ("city/parking/Sud/count", items[4]),
        ("city/parking/NORD/count", items[0]),
    ]
    assert script.skipped == [items[3]]
    assert script.unknown == Counter({"EST": 2})


def test_measurements_go_to_the_dwelling() -> None:
    measured = Measurements(NOON, (Sensor("kitchen/temperature", "Cel"),), (19.89,))
    script = write_script([measured], REGISTRY, TOPICS, "hut-01")
    assert [message.topic for message in script.messages] == ["city/dwellings/hut-01/senml"]
    with pytest.raises(ValueError, match="dwelling"):
        write_script([measured], REGISTRY, TOPICS)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (Count(NOON, "NORD", 12, 340, "Open"), '{"free":12,"total":340,"status":"Open","time":"2024-02-03T12:00:00Z"}'),
        (Count(NOON, "NORD", 0, 0), '{"free":0,"total":0,"time":"2024-02-03T12:00:00Z"}'),
        (Count(NOON.replace(microsecond=120), "NORD", -1), '{"free":-1,"time":"2024-02-03T12:00:00.000120Z"}'),
    ],
)
def test_a_count_says_only_what_it_was_told(count: Count, text: str) -> None:
    """And its time in UTC, with microseconds only where there are some."""
    assert payload(count, UNSHIFTED) == text.encode()
    assert COUNT.validate_json(payload(count, UNSHIFTED))["free"] == count.free


def test_a_pack_has_a_base_time_and_a_record_a_sensor() -> None:
    """Values are the archive's decimals, digit by digit."""
    sensors = (Sensor("kitchen/temperature", "Cel"), Sensor("kitchen/humidity", "%RH"))
    measured = Measurements(NOON, sensors, (6.6, 47.59666667))
    assert payload(measured, UNSHIFTED) == (
        b'[{"bt":1706961600,"n":"kitchen/temperature","u":"Cel","v":6.6},'
        b'{"n":"kitchen/humidity","u":"%RH","v":47.59666667}]'
    )


@given(TIMES, st.timedeltas(timedelta(0), timedelta(days=3650)))
def test_a_base_time_is_exact_to_the_microsecond(time: datetime, shift: timedelta) -> None:
    measured = Measurements(time, (Sensor("a", "Cel"),), (1.0,))
    told = json.loads(payload(measured, shift))[0]["bt"]
    since = (time + shift - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    # In floats the product itself is off from the year 2041 on.
    assert round(Fraction(told) * 1_000_000) == since


@given(TIMES, st.integers(-14, 14))
def test_a_time_is_told_in_utc_whatever_its_offset(time: datetime, hours: int) -> None:
    there = time.astimezone(timezone(timedelta(hours=hours)))
    told = json.loads(payload(Count(there, "NORD", 1), UNSHIFTED))["time"]
    assert told.endswith("Z")
    assert datetime.fromisoformat(told) == time


def timeline(seconds: float, speed: float | None, *, shift_to_now: bool = True) -> Timeline:
    """Make a timeline of an archive that lasts so long."""
    return Timeline(NOON, NOON + timedelta(seconds=seconds), NOW, speed, shift_to_now)


def test_records_are_due_at_the_archives_own_pace() -> None:
    """A factor makes it faster or slower; at most, everything is due at once."""
    later = NOON + timedelta(seconds=60)
    assert timeline(600, 1).due(NOON) == 0
    assert timeline(600, 1).due(later) == 60
    assert timeline(600, 30).due(later) == 2
    assert timeline(600, 0.5).due(later) == 120
    assert timeline(600, None).due(later) == 0


@given(st.floats(0, 1e8), st.one_of(st.none(), st.floats(1e-3, 1e6)))
def test_shifting_makes_the_last_time_when_it_is_due(seconds: float, speed: float | None) -> None:
    """With `max` that is the start."""
    line = timeline(seconds, speed)
    assert line.last + line.shift == NOW + timedelta(seconds=line.due(line.last))
    if speed is None:
        assert line.last + line.shift == NOW


def test_times_are_kept_without_a_shift() -> None:
    assert timeline(600, 60, shift_to_now=False).shift == UNSHIFTED


@given(st.integers(0, 40), st.lists(st.tuples(st.integers(0, 30), st.data()), max_size=8), st.data())
def test_what_was_not_acknowledged_is_sent_again_in_order(
    total: int, breaks: list[tuple[int, st.DataObject]], data: st.DataObject
) -> None:
    """Whenever a connection breaks and whatever was acknowledged by then; all that was is not sent again."""
    progress = Progress(total)
    acknowledged: set[int] = set()
    for sent, choice in [*breaks, (total, data)]:
        turns = progress.turns()
        places = [place for place, _ in zip(turns, range(sent), strict=False)]
        # Taking from a zip may have taken one more than it gave, as a sender that was stopped might.
        assert places == sorted(set(places) - acknowledged)
        assert not places or places[0] == min(set(range(total)) - acknowledged)
        for place in places:
            if choice is data or choice.draw(st.booleans()):
                progress.acknowledge(place)
                acknowledged.add(place)
    for place in progress.turns():
        progress.acknowledge(place)
        assert place not in acknowledged
        acknowledged.add(place)
    assert acknowledged == set(range(total))
    assert progress.acknowledged == total
    assert progress.is_complete


@pytest.mark.parametrize(("text", "speed"), [("1", 1.0), ("60", 60.0), ("0.5", 0.5), ("1e3", 1000.0), ("max", None)])
def test_a_speed_is_a_factor_or_max(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", "", "MAX", "1e9", "1e-9"])
def test_another_speed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="max"):
        parse_speed(text)


def options(path: Path, **changes: object) -> ReplayOptions:
    """Check options of a replay."""
    told: dict[str, object] = {"reader": None, "speed": "1", "shift_to_now": False, "dwelling": None}
    return check_options(REGISTRY, path, **(told | changes))  # type: ignore[arg-type]


def test_options_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    """The home is needed by the reader that reads a home, has to be registered, and is refused by the others."""
    polls, table = tmp_path / "a.dat", tmp_path / "a.csv"
    polls.touch()
    table.touch()
    assert options(polls, speed="max", shift_to_now=True) == ReplayOptions(polls, "polls", None, shift_to_now=True)
    assert options(table, dwelling="hut-01") == ReplayOptions(table, "appliances", dwelling="hut-01")
    for path, wrong, told in (
        (polls, {"speed": "fast"}, "--speed: expected a factor"),
        (polls, {"reader": "csv"}, "--reader: 'csv'"),
        (polls, {"dwelling": "hut-01"}, "--dwelling: only the reader appliances"),
        (table, {}, "--dwelling: the reader appliances needs"),
        (table, {"dwelling": "hut-02"}, "--dwelling: no .* has the id 'hut-02'"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            options(path, **wrong)


@pytest.mark.parametrize(
    ("standing", "told"),
    [
        (Standing(0, 10, 0.0, None, None), "0/10 messages  0/s  ? left"),
        (Standing(5, 20, 2.0, None, NOON), "5/20 messages  2/s  0:00:06 left  2024-02-03 12:00:00Z"),
        (Standing(5, 20, 2.0, 3602.4, NOON), "5/20 messages  2/s  1:00:00 left  2024-02-03 12:00:00Z"),
        (Standing(5, 20, 9.0, 3.0, NOON), "5/20 messages  1/s  0:00:00 left  2024-02-03 12:00:00Z"),
    ],
)
def test_progress_is_a_line(standing: Standing, told: str) -> None:
    """The time left is that to the last message's due time, or by the rate so far where nothing is due."""
    assert words(standing) == told
