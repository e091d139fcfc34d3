"""States of zigbee2mqtt devices: each attribute a reading, refused, or a dead letter of its own."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.households import Household, Stored, paused, reasons
from unit.live_homes import ROOMY
from unit.worlds import DAY, GATE, HOMES, HOUR, MINUTE, NOW, SECOND, TOPICS, deliver

from processors import zigbee2mqtt
from processors.dead_letters import DeadLetter, dead_letters
from processors.decode import Decoded
from processors.gate import Pause
from processors.senml import PackError
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route

SEEN = "2026-11-21T22:59:30.941+01:00"
SEEN_AT = NOW - 30 * SECOND + 941_000


def state(device: str, attributes: bytes | dict[str, Any], *, retain: bool = False) -> Delivery:
    """Give a state of a device as it arrives."""
    body = attributes if isinstance(attributes, bytes) else json.dumps(attributes, ensure_ascii=False).encode()
    return deliver(TOPICS.zigbee2mqtt("hut-01", device), body, retain=retain)


def told(device: str, attributes: bytes | dict[str, Any], *, retain: bool = False) -> tuple[list[Stored], Decoded]:
    """Give what is stored of a state, and all that came of it."""
    homes = Household(ROOMY)
    decoded = homes.decode(state(device, attributes, retain=retain))
    return homes.stored(decoded), decoded


def letters_of(*deliveries: Delivery) -> tuple[DeadLetter, ...]:
    """Give the dead letters of messages."""
    homes = Household(ROOMY)
    return dead_letters(homes.decode(*deliveries).rejects, deliveries, homes.layout)


DEVICES: list[tuple[str, dict[str, Any], dict[str, tuple[float, str]], int]] = [
    (
        "bedroom/climate",
        {
            "battery": 97,
            "humidity": 48.31,
            "linkquality": 112,
            "pressure": 1012.4,
            "temperature": 19.62,
            "voltage": 2975,
        },
        {
            "battery": (97, "%EL"),
            "humidity": (48.31, "%RH"),
            "pressure": (101_240, "Pa"),
            "temperature": (19.62, "Cel"),
            "voltage": (2.975, "V"),
        },
        1,
    ),
    (
        "détecteur_pir",
        {"occupancy": True, "illuminance": 12, "illuminance_lux": 12, "linkquality": 70},
        {"motion": (1, "/"), "illuminance": (12, "lx")},
        2,
    ),
    ("hall [motion]", {"no_occupancy_since": 60}, {}, 1),
    (
        "Hue motion",
        {
            "battery": 88,
            "illuminance": 0,
            "linkquality": 54,
            "occupancy": False,
            "temperature": 21.07,
            "update": {"state": "idle"},
            "update_available": None,
        },
        {"battery": (88, "%EL"), "illuminance": (0, "lx"), "motion": (0, "/"), "temperature": (21.07, "Cel")},
        3,
    ),
    (
        "front door",
        {"battery": 100, "contact": True, "linkquality": 33, "voltage": 3045},
        {"battery": (100, "%EL"), "contact": (1, "/"), "voltage": (3.045, "V")},
        1,
    ),
    (
        "kitchen/sink/leak",
        {"battery": 61, "battery_low": False, "tamper": False, "voltage": 2785, "water_leak": True},
        {
            "battery": (61, "%EL"),
            "battery_low": (0, "/"),
            "tamper": (0, "/"),
            "voltage": (2.785, "V"),
            "leak": (1, "/"),
        },
        0,
    ),
    (
        "washing machine",
        {
            "consumption": 80.5,
            "current": 1.21,
            "device_temperature": 31,
            "energy": 80.5,
            "power": 271,
            "power_outage_memory": True,
            "state": "ON",
            "update": {"installed_version": -1, "latest_version": -1, "state": None},
            "voltage": 231.4,
        },
        {
            "current": (1.21, "A"),
            "device_temperature": (31, "Cel"),
            "energy": (289_800_000, "J"),
            "power": (271, "W"),
            "voltage": (231.4, "V"),
        },
        4,
    ),
    (
        "living/air",
        {"co2": 734, "formaldehyd": 6, "pm25": 9, "voc": 210},
        {"co2": (734, "ppm"), "formaldehyd": (6, ""), "pm25": (9e-9, "kg/m3"), "voc": (210, "")},
        0,
    ),
    ("button", {"action": "single", "battery": 74, "click": "single"}, {"battery": (74, "%EL")}, 2),
]


@pytest.mark.parametrize(("device", "attributes", "readings", "refused"), DEVICES)
def test_the_state_of_a_device_becomes_readings(
    device: str, attributes: dict[str, Any], readings: dict[str, tuple[float, str]], refused: int
) -> None:
    """Of a climate sensor, motion, contact, leak, plug, air and button: names, units and values, the rest refused."""
    stored, decoded = told(device, attributes)
    assert {one.name for one in stored} == {f"{device}/{name}" for name in readings}
    assert {one.time for one in stored} <= {NOW}
    for one in stored:
        value, unit = readings[one.name.removeprefix(f"{device}/")]
        assert one.value == pytest.approx(value)
        assert one.unit == unit
    assert decoded.rejects == ()
    assert decoded.refused[Route.ZIGBEE2MQTT] == refused
    assert len(stored) + refused == len(attributes)


def test_the_kinds_of_what_devices_tell_are_found() -> None:
    """Motion, contact and leak are kinds, whatever the attribute is called."""
    homes = Household(ROOMY)
    homes.decode(state("a", {"occupancy": True, "contact": True, "water_leak": False, "co2": 500, "voc": 3}))
    kinds = {sensor.name: sensor.kind for sensor in homes.sensors}
    assert kinds["a/motion"] == "motion"
    assert kinds["a/contact"] == "contact"
    assert kinds["a/leak"] == "leak"
    assert kinds["a/co2"] == "co2"
    assert kinds["a/voc"] == "other"


@pytest.mark.parametrize(
    "last_seen",
    [
        SEEN,
        "2026-11-21T21:59:30.941Z",
        "2026-11-21T21:59:30.941999999Z",
        SEEN_AT // 1000,
        SEEN_AT / 1e6,
    ],
)
def test_last_seen_is_the_time_of_all_attributes(last_seen: object) -> None:
    """ISO 8601 in UTC, or local with an offset, with up to nine digits, or epoch milliseconds; it is no reading."""
    stored, decoded = told("plug", {"power": 5, "last_seen": last_seen, "voltage": 230})
    assert {one.time // 1000 for one in stored} == {SEEN_AT // 1000}
    assert len(stored) == 2
    assert (decoded.homes.untimed, decoded.refused.total()) == ((), 0)


def test_last_seen_without_a_fraction_is_read() -> None:
    """As ISO_8601_local is also seen."""
    ((_, _, _, time),), _ = told("plug", {"power": 5, "last_seen": "2026-11-21T22:59:30+01:00"})
    assert time == NOW - 30 * SECOND


@pytest.mark.parametrize("attributes", [{"power": 5}, {"power": 5, "last_seen": None}, {"last_seen": None, "power": 5}])
def test_without_last_seen_the_arrival_is_the_time(attributes: dict[str, Any]) -> None:
    """That is zigbee2mqtt's default; such a message is remembered, for what it repeats."""
    ((_, _, _, time),), decoded = told("plug", attributes)
    assert time == NOW
    assert decoded.homes.untimed == (0,)


@pytest.mark.parametrize(
    ("last_seen", "reason"),
    [
        ('"2026-11-21T22:59:30"', Reason.TIME_MISSING_OFFSET),
        ('"1970-01-01T00:33:28Z"', Reason.TIME_TOO_LATE),
        ("2008000", Reason.TIME_TOO_LATE),
        ('"1795298400"', Reason.SCHEMA_VIOLATION),
        ('"2026-02-30T00:00:00Z"', Reason.SCHEMA_VIOLATION),
        ("true", Reason.SCHEMA_VIOLATION),
        ("[]", Reason.SCHEMA_VIOLATION),
        ("1e400", Reason.SCHEMA_VIOLATION),
    ],
)
def test_a_last_seen_that_is_no_time_is_one_dead_letter(last_seen: str, reason: Reason) -> None:
    """It is the time of all: none of them can be stored. A clock that was never set is in 1970, not near now."""
    body = f'{{"power":5,"state":"ON","last_seen":{last_seen}}}'.encode()
    (letter,) = letters_of(state("plug", body))
    assert (letter.reason, letter.route, letter.seen) == (reason, Route.ZIGBEE2MQTT, 1)
    assert letter.payload == (None if reason is Reason.TIME_TOO_LATE else body)


@pytest.mark.parametrize(
    ("ahead", "reason"),
    [(-8 * DAY, None), (-8 * DAY - SECOND, Reason.TIME_TOO_LATE), (5 * MINUTE, None), (HOUR, Reason.TIME_IN_FUTURE)],
)
def test_the_window_of_time_is_that_of_all_readings(ahead: int, reason: Reason | None) -> None:
    """A gateway's clock that is wrong, or a state of last week."""
    _, decoded = told("plug", {"power": 5, "current": 1, "last_seen": (NOW + ahead) // 1000})
    assert [found for _, _, found in reasons(decoded)] == ([reason] * 2 if reason else [])


@pytest.mark.parametrize(
    "device",
    [
        "bridge/state",
        "bridge/devices",
        "bridge/response/device/remove",
        "bridge",
        "plug/set",
        "plug/set/state",
        "kitchen/plug/get",
        "plug/get/power",
        "kitchen/plug/availability",
        "button/action",
    ],
)
@pytest.mark.parametrize("payload", [b'{"power":5}', b"online", b"[" + b" " * 300_000, b""])
def test_what_is_no_state_of_a_device_is_refused_unread(device: str, payload: bytes) -> None:
    """The bridge's own topics, commands and availability make no sensor and no dead letter, however long they are."""
    stored, decoded = told(device, payload)
    assert (stored, decoded.rejects, decoded.homes.newcomers) == ([], (), ())
    assert decoded.refused == {Route.ZIGBEE2MQTT: 1}


@pytest.mark.parametrize("device", ["set", "get/plug", "availability", "my bridge", "bridgehead/plug", "Bridge/x"])
def test_a_device_may_be_called_almost_anything(device: str) -> None:
    """A word of zigbee2mqtt's own in another place is a name."""
    ((name, *_),), _ = told(device, {"power": 5})
    assert name == f"{device}/power"


def test_an_empty_message_tells_nothing() -> None:
    """It clears what was retained for a device that was removed."""
    stored, decoded = told("plug", b"")
    assert (stored, decoded.rejects, decoded.refused) == ([], (), {Route.ZIGBEE2MQTT: 1})


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"temperature": nan}', Reason.MALFORMED_PAYLOAD),
        (b'{"temperature": NaN}', Reason.MALFORMED_PAYLOAD),
        (b"nan", Reason.MALFORMED_PAYLOAD),
        (b"21.5", Reason.SCHEMA_VIOLATION),
        (b"ON", Reason.MALFORMED_PAYLOAD),
        (b'[{"temperature": 21}]', Reason.SCHEMA_VIOLATION),
        (b'"on"', Reason.SCHEMA_VIOLATION),
        (b"null", Reason.SCHEMA_VIOLATION),
        (b'{"a": "\\ud800"}', Reason.MALFORMED_PAYLOAD),
        (b"\xff", Reason.MALFORMED_PAYLOAD),
    ],
)
def test_what_is_no_object_is_one_dead_letter(payload: bytes, reason: Reason) -> None:
    """A bare nan is no JSON, and a bare value (output mode `attribute`) no state."""
    _, decoded = told("plug", payload)
    assert reasons(decoded) == [(0, -1, reason)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('"21.5"', Reason.SCHEMA_VIOLATION),
        ('"007970903"', Reason.SCHEMA_VIOLATION),
        ('"unavailable"', Reason.SCHEMA_VIOLATION),
        ('"nan"', Reason.SCHEMA_VIOLATION),
        ("true", Reason.SCHEMA_VIOLATION),
        ("{}", Reason.SCHEMA_VIOLATION),
        ("1e400", Reason.VALUE_OUT_OF_RANGE),
        ("-127", Reason.VALUE_OUT_OF_RANGE),
        ("-100", Reason.VALUE_OUT_OF_RANGE),
    ],
)
def test_a_bad_attribute_is_a_dead_letter_alone(value: str, reason: Reason) -> None:
    """With its own topic and the time of the state; the other attributes are stored."""
    message = state("bed/climate", f'{{"humidity":40,"temperature":{value},"last_seen":"{SEEN}"}}'.encode())
    homes = Household(ROOMY)
    decoded = homes.decode(message)
    assert [one.name for one in homes.stored(decoded)] == ["bed/climate/humidity"]
    assert reasons(decoded) == [(0, 1, reason)]
    (letter,) = dead_letters(decoded.rejects, [message], homes.layout)
    assert letter.topic == TOPICS.zigbee2mqtt(homes.pseudonym("hut-01"), "bed/climate")
    told_again = value.replace("1e400", "1e999")
    assert letter.payload == f'{{"temperature":{told_again},"last_seen":"{SEEN}"}}'.encode()
    again = homes.decode(deliver(message.topic, letter.payload))
    assert [found for _, _, found in reasons(again)] == [reason]
    (same,) = dead_letters(again.rejects, [deliver(message.topic, letter.payload)], homes.layout)
    assert same.digest == letter.digest


@pytest.mark.parametrize("value", ["null", '"ON"', "{}", "[1]", "120", "true"])
def test_what_no_table_knows_is_refused(value: str) -> None:
    """Settings, actions, updates and what tells nothing."""
    stored, decoded = told("lamp", f'{{"brightness":{value}}}'.encode())
    assert (stored, decoded.rejects, decoded.refused.total()) == ([], (), 1)
    assert decoded.homes.newcomers == ()


def test_null_tells_nothing() -> None:
    """A sensor that has not measured yet says so by null."""
    stored, decoded = told("bed", {"temperature": None, "humidity": 40})
    assert [one.name for one in stored] == ["bed/humidity"]
    assert (decoded.rejects, decoded.refused.total()) == ((), 1)


def test_what_the_registry_lists_is_stored_beyond_the_table() -> None:
    """Link quality, brightness or a lock: a number or a truth value of a sensor that is listed, in its unit."""
    homes = Household(
        [
            {
                **ROOMY[0],
                "sensor": [
                    {"name": "café/linkquality", "kind": "link", "unit": "lqi"},
                    {"name": "café/child_lock", "kind": "lock", "unit": "/"},
                ],
            }
        ]
    )
    sent = {"linkquality": 89, "child_lock": True, "state": "ON"}
    decoded = homes.decode(state("café", sent), state("elsewhere", sent))
    assert homes.stored(decoded) == [("café/linkquality", "lqi", 89, NOW), ("café/child_lock", "/", 1, NOW)]
    assert decoded.refused.total() == 4


def test_the_units_of_the_registry_hold_for_devices() -> None:
    """A meter that is listed in kWh is stored in kWh."""
    homes = Household([{**ROOMY[0], "sensor": [{"name": "plug/energy", "kind": "energy", "unit": "kWh"}]}])
    assert homes.stored(homes.decode(state("plug", {"energy": 80.5}))) == [("plug/energy", "kWh", 80.5, NOW)]


@pytest.mark.parametrize("key", ["a", "last_seen"])
def test_of_an_attribute_told_twice_the_last_one_counts(key: str) -> None:
    """As in every object of JSON."""
    body = f'{{"{key}":"x","power":1,"{key}":{SEEN_AT // 1000},"power":2}}'.encode()
    ((_, _, value, _),), _ = told("plug", body)
    assert value == 2


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("hut-02/lamp", Reason.IDENTITY_MISMATCH),
        ("lamp of [hut-02]", Reason.IDENTITY_MISMATCH),
        ("x" * 250, Reason.SCHEMA_VIOLATION),
        ("a\x01b", Reason.SCHEMA_VIOLATION),
        ("a\x85b", Reason.SCHEMA_VIOLATION),
        ("hut-01/lamp", None),
        ("hut-022", None),
        ("/x//y/", None),
    ],
)
def test_the_name_of_a_device_is_checked(device: str, reason: Reason | None) -> None:
    """No id of another home as a whole word, no control characters, and 255 characters with the attribute."""
    _, decoded = told(device, {"power": 5, "brightness": 3})
    assert [found for _, _, found in reasons(decoded)] == ([reason] if reason else [])
    assert decoded.refused.total() == 1


def test_one_device_more_than_a_home_may_have() -> None:
    """Attributes count against `max_sensors`; those that are known go on."""
    homes = Household([{**HOMES[0], "max_sensors": 3, "sensor": []}])
    decoded = homes.decode(state("a", {"power": 1, "voltage": 230}), state("b", {"power": 1, "voltage": 230}))
    assert len(homes.stored(decoded)) == 3
    assert reasons(decoded) == [(1, 1, Reason.SENSOR_LIMIT_REACHED)]


def test_a_retained_state_tells_only_what_has_a_time() -> None:
    """A state of unknown age is never a state of now."""
    stored, decoded = told("plug", {"power": 5, "state": "ON"}, retain=True)
    assert (stored, decoded.refused.total()) == ([], 2)
    stored, _ = told("plug", {"power": 5, "last_seen": SEEN}, retain=True)
    assert [one.time for one in stored] == [SEEN_AT]


def test_a_home_that_is_silent_is_not_read() -> None:
    """Without consent nothing is read, in a pause nothing is stored, and of an unknown home nothing is kept."""
    homes = Household(ROOMY)
    pause = paused(homes.pseudonym("hut-01"), Pause(NOW - HOUR))
    assert homes.decode(state("plug", b"rubbish"), gate=pause).refused == {Route.ZIGBEE2MQTT: 1}
    silent = deliver(TOPICS.zigbee2mqtt("hut-02", "plug"), b'{"power":5}')
    assert homes.decode(silent).refused == {Route.ZIGBEE2MQTT: 1}
    stranger = deliver(TOPICS.zigbee2mqtt("cottage", "plug"), b'{"power":5}')
    (letter,) = dead_letters(homes.decode(stranger).rejects, [stranger], homes.layout)
    assert (letter.topic, letter.payload, letter.reason) == ("city/dwellings/-", None, Reason.UNKNOWN_ASSET)


def test_what_was_seen_in_a_pause_is_refused() -> None:
    """Also when it arrives after it."""
    homes = Household(ROOMY)
    gate = paused(homes.pseudonym("hut-01"), Pause(SEEN_AT - 1, SEEN_AT + 1))
    decoded = homes.decode(state("plug", {"power": 5, "current": "x", "last_seen": SEEN}), gate=gate)
    assert (homes.stored(decoded), decoded.rejects, decoded.refused.total()) == ([], (), 2)


def test_nothing_is_kept_of_a_bad_attribute_of_a_home_with_a_pause() -> None:
    """It may have been measured in the pause."""
    homes = Household(ROOMY)
    message = state("plug", {"power": "x"})
    decoded = homes.decode(message, gate=paused(homes.pseudonym("hut-01"), Pause(NOW - DAY, NOW - HOUR)))
    (letter,) = dead_letters(decoded.rejects, [message], homes.layout)
    assert (letter.payload, letter.topic) == (None, f"city/dwellings/{homes.pseudonym('hut-01')}")


ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ["temperature", "humidity", "contact", "consumption", "energy", "state", "linkquality", "é", "update"]
    )
    | st.text(max_size=3),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.just({"a": [1]}),
    max_size=6,
)


@given(ATTRIBUTES, st.sampled_from([{}, {"last_seen": None}, {"last_seen": SEEN}, {"last_seen": 1}]), st.booleans())
def test_every_attribute_is_accounted_for_once(attributes: dict[str, Any], time: dict[str, Any], retain: bool) -> None:
    """Each is stored, refused or a dead letter that is the same bad attribute when it is read again."""
    attributes.pop("last_seen", None)
    message = state("living room/[x]", attributes | time, retain=retain)
    homes = Household(ROOMY)
    decoded = homes.decode(message)
    total = len(decoded.homes.readings) + len(decoded.rejects) + decoded.refused.total()
    is_whole = time == {"last_seen": 1}
    assert total == (1 if is_whole else len(attributes))
    for reject in () if is_whole else decoded.rejects:
        alone = zigbee2mqtt.excerpt(message.payload, reject.record)
        assert alone is not None
        (same,) = homes.decode(message._replace(payload=alone)).rejects
        assert (same.reason, same.record) == (reject.reason, 0)
        assert zigbee2mqtt.excerpt(alone, 0) == alone


@given(st.binary(max_size=40) | ATTRIBUTES.map(lambda one: json.dumps(one).encode()))
def test_parsing_raises_nothing_but_pack_errors(payload: bytes) -> None:
    """Whatever a device sends."""
    try:
        records = zigbee2mqtt.parse(payload, "x")
    except PackError:
        return
    assert len(records) == len({*json.loads(payload)} - {"last_seen"})


def test_a_batch_of_packs_and_states_is_read_together() -> None:
    """A home's gateway and its zigbee2mqtt in one batch do not disturb each other."""
    homes = Household(ROOMY)
    packs = [
        deliver(TOPICS.senml("hut-01"), b'[{"bn":"b/","bt":1795298399,"n":"t","u":"Cel","v":1},{"n":"h","v":2}]'),
        state("plug", {"power": 5, "state": "ON", "last_seen": SEEN}),
        deliver(TOPICS.senml("hut-01"), b'[{"n":"x","vb":true},{"n":"plug/power","u":"kW","v":0.007}]'),
        state("plug", {"power": 6}),
        state("plug", {}),
    ]
    decoded = homes.decode(*packs, gate=GATE)
    assert [(one.name, one.value, one.time) for one in homes.stored(decoded)] == [
        ("b/t", 1, NOW - SECOND),
        ("b/h", 2, NOW - SECOND),
        ("plug/power", 5, SEEN_AT),
        ("x", 1, NOW),
        ("plug/power", 7, NOW),
        ("plug/power", 6, NOW),
    ]
    assert decoded.homes.untimed == (3, 4)
    assert decoded.messages == {Route.SENML: 2, Route.ZIGBEE2MQTT: 3}
