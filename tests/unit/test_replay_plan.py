"""A replay's plan: whose each record is, when it is due, what is sent, and what is sent again."""

import json
from collections import Counter
from dataclasses import replace
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
from simulators.readers.records import BayState, Count, Measurements, Record, Sensor, Skipped
from simulators.replaying.options import Written, check_options
from simulators.replaying.plan import Addresses, CarParkNames, RecordMessage, Script, Span, record_payload, write_script
from simulators.replaying.player import Pacing
from simulators.replaying.replay import ReplayOptions
from simulators.replaying.rewrite import Rewriting
from simulators.replaying.timeline import Timeline

NOON = datetime(2024, 2, 3, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 22, 0, 0, 123_456, tzinfo=UTC)
UNSHIFTED = timedelta(0)
TOPICS = Topics("city")
REGISTRY = Registry.model_validate(
    {
        "car_park": [
            {
                "code": "NORD",
                "name": "Nord",
                "capacity": 9,
                "basis": "count",
                "aliases": ["The North", "N1"],
                "spots": ["P-01..P-03"],
            },
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
    script = write_script(items, Addresses(REGISTRY, TOPICS))
    assert sent(script) == [
        ("city/parking/NORD/count", items[2]),
        ("city/parking/Sud/count", items[4]),
        ("city/parking/NORD/count", items[0]),
    ]
    assert (script.count, script.first, script.last) == (3, NOON, NOON + timedelta(seconds=2))
    assert script.skipped == [items[3]]
    assert script.unknown == Counter({"EST": 2})


def sent(script: Script) -> list[tuple[str, Record]]:
    """Give what a script of records sends, and where to."""
    messages = list(script.messages())
    assert messages == list(script.messages()), "a script can be played again"
    return [(message.topic, message.record) for message in messages if isinstance(message, RecordMessage)]


def test_states_of_bays_go_to_their_bays() -> None:
    """A label that the registry does not list is an unknown name, told with its car park."""
    items = [BayState(NOON, "The North", "P-02", occupied=True), BayState(NOON, "NORD", "P-9", occupied=True)]
    script = write_script(items, Addresses(REGISTRY, TOPICS))
    assert sent(script) == [("city/parking/NORD/spots/P-02", items[0])]
    assert script.unknown == Counter({"NORD/P-9": 1})
    assert record_payload(items[0], timedelta(seconds=1)) == b'{"occupied":true,"time":"2024-02-03T12:00:01Z"}'


def test_measurements_go_to_the_dwelling() -> None:
    measured = Measurements(NOON, (Sensor("kitchen/temperature", "Cel"),), (19.89,))
    assert sent(write_script([measured], Addresses(REGISTRY, TOPICS, "hut-01"))) == [
        ("city/dwellings/hut-01/senml", measured)
    ]
    with pytest.raises(ValueError, match="dwelling"):
        write_script([measured], Addresses(REGISTRY, TOPICS))


def test_only_what_is_asked_for_is_played() -> None:
    """From the start on, and before the end; the rest is neither counted as unknown nor played."""
    items = [Count(NOON + timedelta(seconds=number), name, number) for number in range(4) for name in ("NORD", "EST")]
    span = Span(NOON + timedelta(seconds=1), NOON + timedelta(seconds=3))
    script = write_script(items, Addresses(REGISTRY, TOPICS), span)
    assert [record for _, record in sent(script)] == items[2:6:2]
    assert (script.count, script.unknown) == (2, Counter({"EST": 2}))
    assert write_script(items, Addresses(REGISTRY, TOPICS), Span(end=NOON)).count == 0


def test_topics_are_written_anew() -> None:
    script = write_script([Count(NOON, "NORD", 1)], Addresses(REGISTRY, TOPICS), rewriting=Rewriting(["city/#=test/#"]))
    assert [topic for topic, _ in sent(script)] == ["test/parking/NORD/count"]


@pytest.mark.parametrize(
    ("rules", "topic", "expected"),
    [
        (["city/#=test/a/#"], "city/parking/X/count", "test/a/parking/X/count"),
        (["city/#=test/#"], "city", "test"),
        (["city/#=test/#"], "citys/parking", "citys/parking"),
        (["#=copy/#"], "a/b", "copy/a/b"),
        (["copy/#=#"], "copy/a/b", "a/b"),
        (["a/+/b/+=+/x/+"], "a/1/b/2", "1/x/2"),
        (["a/+/#=b/+/#"], "a/1/2/3", "b/1/2/3"),
        (["a/+/#=b/+/#"], "a/1", "b/1"),
        (["a/b=c"], "a/b", "c"),
        (["a/b=c"], "a/b/d", "a/b/d"),
        (["a/b=c", "a/#=d/#"], "a/b", "c"),
        (["a/b=c", "a/#=d/#"], "a/e", "d/e"),
        (["a.c=x"], "abc", "abc"),
        (["a/+=b/+"], "a/", "b/"),
        (["city/#=#"], "city", "city"),
    ],
)
def test_the_first_rule_that_fits_gives_the_topic(rules: list[str], topic: str, expected: str) -> None:
    """Wildcards stand for the same on both sides; without a rule that fits, a topic stays."""
    assert Rewriting(rules).topic(topic) == expected


@pytest.mark.parametrize("rule", ["city", "a/+=b", "a/+/#=b/#/+", "a/#/b=c/#/b", "a+=b+", "=x", "x=", "a/+/+=b/+"])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Rewriting([rule])


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
    assert record_payload(count, UNSHIFTED) == text.encode()
    assert COUNT.validate_json(record_payload(count, UNSHIFTED))["free"] == count.free


def test_a_pack_has_a_base_time_and_a_record_a_sensor() -> None:
    """Values are the archive's decimals, digit by digit."""
    sensors = (Sensor("kitchen/temperature", "Cel"), Sensor("kitchen/humidity", "%RH"))
    measured = Measurements(NOON, sensors, (6.6, 47.59666667))
    assert record_payload(measured, UNSHIFTED) == (
        b'[{"bt":1706961600,"n":"kitchen/temperature","u":"Cel","v":6.6},'
        b'{"n":"kitchen/humidity","u":"%RH","v":47.59666667}]'
    )


@given(TIMES, st.timedeltas(timedelta(0), timedelta(days=3650)))
def test_a_base_time_is_exact_to_the_microsecond(time: datetime, shift: timedelta) -> None:
    measured = Measurements(time, (Sensor("a", "Cel"),), (1.0,))
    told = json.loads(record_payload(measured, shift))[0]["bt"]
    since = (time + shift - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    # In floats the product itself is off from the year 2041 on.
    assert round(Fraction(told) * 1_000_000) == since


@given(TIMES, st.integers(-14, 14))
def test_a_time_is_told_in_utc_whatever_its_offset(time: datetime, hours: int) -> None:
    there = time.astimezone(timezone(timedelta(hours=hours)))
    told = json.loads(record_payload(Count(there, "NORD", 1), UNSHIFTED))["time"]
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
    assert line.last + line.shift() == NOW + timedelta(seconds=line.due(line.last))
    if speed is None:
        assert line.last + line.shift() == NOW


def test_times_are_kept_without_a_shift() -> None:
    assert timeline(600, 60, shift_to_now=False).shift() == UNSHIFTED


@given(st.floats(0, 1e7), st.floats(1e-2, 1e4), st.integers(2, 9), st.booleans())
def test_rounds_follow_each_other(seconds: float, speed: float, rounds: int, shift_to_now: bool) -> None:
    """Each is later than the one before by whole seconds, more than the archive's length; due times and times agree.

    With a shift to now the last record of the last round tells the time when it is due.
    """
    line = replace(timeline(seconds, speed, shift_to_now=shift_to_now), rounds=rounds)
    length = line.shift(1) - line.shift(0)
    assert line.last - line.first < length <= line.last - line.first + timedelta(seconds=1)
    assert not length.microseconds
    assert line.shift(rounds - 1) - line.shift(0) == (rounds - 1) * length
    assert line.due(line.first, 1) == pytest.approx(length.total_seconds() / speed)
    if shift_to_now:
        late = line.last + line.shift(rounds - 1) - (NOW + timedelta(seconds=line.due(line.last, rounds - 1)))
        assert abs(late) <= timedelta(microseconds=1)
    else:
        assert line.shift(0) == UNSHIFTED


def test_captures_are_shifted_by_whole_seconds() -> None:
    """Down to the second before, so that no time is after it is due."""
    line = replace(timeline(600.5, 1), whole_seconds=True)
    assert not line.shift().microseconds
    assert timedelta(0) <= NOW + timedelta(seconds=600.5) - (line.last + line.shift()) < timedelta(seconds=1)


def options(path: Path, **changes: object) -> ReplayOptions:
    """Check options of a replay."""
    return check_options(REGISTRY, replace(Written(path), **changes))  # type: ignore[arg-type]


def test_options_are_made_of_what_is_written(tmp_path: Path) -> None:
    polls, table, capture = tmp_path / "a.dat", tmp_path / "a.csv", tmp_path / "a.jsonl.gz"
    for path in (polls, table, capture):
        path.touch()
    assert options(polls, speed="max", shift_to_now=True) == ReplayOptions(
        polls, "polls", Pacing(None, shift_to_now=True)
    )
    assert options(table, dwelling="hut-01") == ReplayOptions(table, "appliances", dwelling="hut-01")
    assert options(capture, loop="forever", start="2024-02-03T12:00:00Z") == ReplayOptions(
        capture, "capture", Pacing(rounds=None), Span(NOON)
    )
    assert options(capture, loop="3", end="2024-02-03T13:00:00+01:00", retained=True) == ReplayOptions(
        capture, "capture", Pacing(rounds=3), Span(None, NOON), with_retained=True
    )
    assert options(table, column=["time=a", "name=b", "free=c"]).reader == "csv"


SENSORS = {"column": ["time=a", "value:x:Cel=b"]}


@pytest.mark.parametrize(
    ("name", "wrong", "told"),
    [
        ("a.dat", {"speed": "fast"}, "--speed: expected a factor"),
        ("a.dat", {"reader": "tar"}, "--reader: 'tar'"),
        ("a.dat", {"dwelling": "hut-01"}, "--dwelling: only what was measured in a home"),
        ("a.csv", {}, "--dwelling: the reader appliances needs"),
        ("a.csv", {"dwelling": "hut-02"}, "--dwelling: no .* has the id 'hut-02'"),
        ("a.csv", SENSORS, "--dwelling: the reader csv needs"),
        ("a.dat", {"zone": "Europe/Paris"}, "--zone: only the reader csv"),
        ("a.dat", {"retained": True}, "--retained: only captures"),
        ("a.dat", {"loop": "0"}, "--loop: expected"),
        ("a.dat", {"loop": "-1"}, "--loop: expected"),
        ("a.dat", {"loop": "twice"}, "--loop: expected"),
        ("a.dat", {"loop": "forever", "shift_to_now": True, "speed": "2"}, "--loop forever: faster"),
        ("a.dat", {"start": "noon"}, "--start: expected a time"),
        ("a.dat", {"end": "2024-02-03T12:00:00"}, "--end: expected an offset"),
        ("a.dat", {"rewrite": ["city"]}, "--rewrite: expected FROM=TO"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(
    tmp_path: Path, name: str, wrong: dict[str, object], told: str
) -> None:
    """Each by its name, with what is expected."""
    path = tmp_path / name
    path.touch()
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
