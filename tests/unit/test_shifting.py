"""Shifting the times of captured payloads: one constant for all, each in its own form, and nothing else touched."""

import json
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.times import to_micros
from schemas.topics import Route
from simulators.captures.json_places import EACH, places
from simulators.captures.shifting import shift_payload, shift_time

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "shifted"),
    [
        ('"2026-11-21T22:00:00Z"', '"2026-11-22T22:00:00Z"'),
        ('"2026-11-21T22:00:00.123Z"', '"2026-11-22T22:00:00.123Z"'),
        ('"2026-12-31t22:00:00.100000000z"', '"2027-01-01t22:00:00.100000000z"'),
        ('"2026-11-21T23:00:00+01:00"', '"2026-11-22T23:00:00+01:00"'),
        ('"2026-11-21 23:00:00.5-03:30"', '"2026-11-22 23:00:00.5-03:30"'),
        ('"2026-11-21T23:00:00"', '"2026-11-22T23:00:00"'),
        ("1795298400", "1795384800"),
        ("1795298400.120", "1795384800.120"),
        ("1795298400123", "1795384800123"),
        ("1795298400123.50", "1795384800123.50"),
        ("1795298400123456", "1795384800123456"),
        ("1795298400123456789", "1795384800123456789"),
        ("1.7952984e9", "1795384800"),
        ("17952984001e-1", "1795384800.1"),
        ("0", "86400"),
        ("-1", "86399"),
        ('"1795298400"', None),
        ('"2026-11-21"', None),
        ('"2026-11-21T22:00:00.123 Z"', None),
        ("true", None),
        ("null", None),
        ("1e30", None),
        ("1e400000", None),
    ],
)
def test_a_time_keeps_its_form(text: str, shifted: str | None) -> None:
    """Separator, digits, offset and unit; what is no time is none."""
    assert shift_time(text, 86_400) == shifted


@pytest.mark.parametrize(
    ("route", "said", "shifted"),
    [
        (
            Route.SPOT,
            '{"occupied": true ,"time":"2026-11-21T22:00:00.123Z", "battery": 3.60}',
            '{"occupied": true ,"time":"2026-11-22T22:00:00.123Z", "battery": 3.60}',
        ),
        (Route.SPOT, '{"a": {"time": 1}, "time" : 1795298400 }', '{"a": {"time": 1}, "time" : 1795384800 }'),
        (Route.SPOT, r'{"t\u0069me":1795298400}', r'{"t\u0069me":1795384800}'),
        (Route.SPOT, '{"time":1795298400,"time":1795298401}', '{"time":1795384800,"time":1795384801}'),
        (Route.COUNT, '\n{"free":1e0,"time":1795298400123}\r\n', '\n{"free":1e0,"time":1795384800123}\r\n'),
        (Route.SPOT, '{"occupied":true}', None),
        (Route.SPOT, '{"occupied":true,"time":null}', None),
        (Route.SPOT, '{"occupied":true,"time":"9999-12-31T22:00:00Z"}', None),
        (Route.SPOT, '{"time":1795298400', None),
        (Route.SPOT, '["time"]', None),
        (Route.SPOT, '"time"', None),
        (Route.SPOT, "", None),
        (Route.UNROUTABLE, '{"time":1795298400}', None),
        (Route.CONTROL, "on", None),
        (
            Route.SENML,
            '[{"bn":"a/","bt":1.7952984e9,"v":1},{"n":"x","v":21.50,"t":-30},{"bt":1795298400.25,"v":2}]',
            '[{"bn":"a/","bt":1795384800,"v":1},{"n":"x","v":21.50,"t":-30},{"bt":1795384800.25,"v":2}]',
        ),
        (Route.SENML, '[{"n":"a","v":1,"t":1795298400}, 7]', '[{"n":"a","v":1,"t":1795384800}, 7]'),
        (
            Route.SENML,
            '[{"n":"a","bt":100,"v":1,"t":1795298400},{"n":"b","v":1,"t":-5}]',
            '[{"n":"a","bt":100,"v":1,"t":1795384800},{"n":"b","v":1,"t":-5}]',
        ),
        (Route.SENML, '[{"n":"a","v":1,"t":-30},{"n":"b","v":1}]', None),
        (Route.SENML, '[{"n":"a","v":1,"bt":true}]', None),
        (Route.SENML, "{}", None),
        (
            Route.ZIGBEE2MQTT,
            '{"temperature":21,"last_seen":"2026-11-21T23:00:00.123+01:00"}',
            '{"temperature":21,"last_seen":"2026-11-22T23:00:00.123+01:00"}',
        ),
        (Route.ZIGBEE2MQTT, '{"last_seen":"2026-11-21T22:00:00.123Z"}', '{"last_seen":"2026-11-22T22:00:00.123Z"}'),
        (Route.ZIGBEE2MQTT, '{"last_seen":1795298400123}', '{"last_seen":1795384800123}'),
        (Route.ZIGBEE2MQTT, '{"temperature":21}', None),
        (
            Route.CHIRPSTACK,
            (
                '{"time":"2026-11-21T22:00:00.123456789+00:00","rxInfo":[{"gwTime":"2026-11-21T22:00:00Z","rssi":-1},'
                '{"nsTime":"2026-11-21T22:00:01Z"}],"object":{"time":1,"history":[{"timestamp":1795298400}]}}'
            ),
            (
                '{"time":"2026-11-22T22:00:00.123456789+00:00","rxInfo":[{"gwTime":"2026-11-22T22:00:00Z","rssi":-1},'
                '{"nsTime":"2026-11-22T22:00:01Z"}],"object":{"time":1,"history":[{"timestamp":1795384800}]}}'
            ),
        ),
        (
            Route.TTS,
            (
                '{"received_at":"2026-11-21T22:00:00.5Z","uplink_message":{"received_at":"2026-11-21T22:00:00.25Z",'
                '"settings":{"timestamp":2463457000,"time":"2026-11-21T22:00:00Z"},"rx_metadata":[{"timestamp":1,'
                '"time":"2026-11-21T22:00:00Z"}],"decoded_payload":{"history":[{"timestamp":1795298400}]}}}'
            ),
            (
                '{"received_at":"2026-11-22T22:00:00.5Z","uplink_message":{"received_at":"2026-11-22T22:00:00.25Z",'
                '"settings":{"timestamp":2463457000,"time":"2026-11-22T22:00:00Z"},"rx_metadata":[{"timestamp":1,'
                '"time":"2026-11-22T22:00:00Z"}],"decoded_payload":{"history":[{"timestamp":1795384800}]}}}'
            ),
        ),
        (Route.CHIRPSTACK, '{"fCnt":1,"object":{"temperature":1}}', None),
    ],
)
def test_a_payload_keeps_all_but_its_times(route: Route, said: str, shifted: str | None) -> None:
    """To the byte; None where it tells no time that is known."""
    assert shift_payload(route, said.encode(), DAY) == (None if shifted is None else shifted.encode())


def test_what_is_no_text_is_left_alone() -> None:
    assert shift_payload(Route.SPOT, b'{"time":1795298400,"x":"\xff"}', DAY) is None
    assert shift_payload(Route.SPOT, b"[" * 100_000, DAY) is None
    assert shift_payload(Route.SENML, b"\x9f\xff\xff", DAY) is None


@pytest.mark.parametrize(
    ("pack", "shifted"),
    [
        ([{-3: 1795298400.123, 0: "a", 2: 1}, {0: "b", 6: -5}], [{-3: 1795384800.123, 0: "a", 2: 1}, {0: "b", 6: -5}]),
        ([{"bt": 1795298400, "n": "a", "v": 1.5}], [{"bt": 1795384800, "n": "a", "v": 1.5}]),
        ([{0: "a", 2: 1, 6: 1795298400}, {0: "b"}], [{0: "a", 2: 1, 6: 1795384800}, {0: "b"}]),
        ([{0: "a", 2: 1, 6: -30}], None),
        ({-3: 1795298400}, None),
    ],
)
def test_a_cbor_pack_tells_the_same_later(pack: object, shifted: object) -> None:
    found = shift_payload(Route.SENML, cbor2.dumps(pack), DAY)
    assert (None if found is None else cbor2.loads(found)) == shifted


FORMS = st.sampled_from(["seconds", "milliseconds", "microseconds", "float", "iso", "local", "nine digits"])


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - they get one
    st.integers(0, 10**9),
    FORMS,
)
def test_the_service_reads_exactly_the_constant(time: datetime, seconds: int, form: str) -> None:
    """Whatever the form of the time: what it stores then is so much later, to the microsecond."""
    whole = round(time.timestamp())
    content: object = {
        "seconds": whole,
        "milliseconds": whole * 1000 + 123,
        "microseconds": whole * 10**6 + 123_456,
        "float": whole + 0.25,
        "iso": time.isoformat(),
        "local": time.replace(tzinfo=None).isoformat(timespec="milliseconds"),
        "nine digits": f"{time:%Y-%m-%dT%H:%M:%S.%f}789Z",
    }[form]
    payload = json.dumps({"time": content}).encode()
    shifted = shift_payload(Route.SPOT, payload, timedelta(seconds=seconds))
    assert shifted is not None
    before, after = (to_micros(json.loads(text)["time"], UTC) for text in (payload, shifted))  # type: ignore[arg-type]
    assert after - before == seconds * 10**6


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=12,
)


@given(JSON, st.sampled_from([(",", ":"), (" , ", " :\n"), (",\t", ": ")]))
def test_places_are_where_the_values_stand(content: object, separators: tuple[str, str]) -> None:
    """In any JSON, however it is written: each is found, and its text is the value."""
    text = f" {json.dumps(content, separators=separators)}\n"
    found = list(places(text, {"a": None, "b": {EACH: {"a": None}}}))
    assert [json.loads(text[place.begin : place.end]) for place in found] == [place.value for place in found]
    expected = []
    for key, value in content.items() if isinstance(content, dict) else ():
        expected += [value] if key == "a" else []
        inner = value if key == "b" and isinstance(value, list) else []
        expected += [one["a"] for one in inner if isinstance(one, dict) and "a" in one]
    assert [place.value for place in found] == expected
