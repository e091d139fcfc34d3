"""Uplinks of the devices of homes: behind the gate, every decoded field a reading, and nothing kept that names one."""

from typing import Any

import pytest
from hypothesis import given
from unit.hostile import UPLINK_TOPICS, deliveries_on
from unit.households import Household, Stored, paused, reasons
from unit.lorawan import FRIDGE, SILENT_DOOR, chirpstack, from_chirpstack, from_tts, tts
from unit.worlds import DAY, GATE, HOMES, HOUR, LAYOUT, LIMITS, MINUTE, NO_GAP, NOW, SECOND

from processors.dead_letters import DeadLetter, dead_letters
from processors.decode import decode
from processors.gate import Pause
from processors.layout import NO_ASSET
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import UPLINK_ROUTES, Route

AT = NOW - SECOND


def fridge(fields: dict[str, Any] | None, at: int = AT, **changes: Any) -> Delivery:  # noqa: ANN401 - fields of an uplink
    """Give an uplink of the device `fridge` of hut-01, by ChirpStack."""
    return from_chirpstack(chirpstack(fields, at, eui=FRIDGE, **changes), eui=FRIDGE)


def pot(fields: dict[str, Any] | None, at: int = AT, **changes: Any) -> Delivery:  # noqa: ANN401 - likewise
    """Give an uplink of the device `soil/pot-2` of hut-01, by The Things Stack."""
    return from_tts(tts(fields, at, device="pot", **changes), device="pot", application="rooms@ttn")


def roomy() -> Household:
    """Give homes that may have as many sensors as they like."""
    return Household([home | {"max_sensors": 50} for home in HOMES])


def stored(*deliveries: Delivery) -> list[Stored]:
    """Give what of a batch is stored."""
    homes = roomy()
    return homes.stored(homes.decode(*deliveries))


def letters(homes: Household, *deliveries: Delivery, **how: Any) -> tuple[DeadLetter, ...]:  # noqa: ANN401 - as decode
    """Give the dead letters of a batch."""
    return dead_letters(homes.decode(*deliveries, **how).rejects, deliveries, homes.layout)


def test_a_door_sensor_of_milesight_becomes_readings() -> None:
    """Quirk 31: its magnet is open where the door is; ours says 1 for closed."""
    fields = {"battery": 92, "temperature": 6.5, "humidity": 41.5, "magnet_status": "open"}
    assert stored(fridge(fields), fridge({"magnet_status": "close"}, NOW)) == [
        Stored("fridge/battery", "%EL", 92, AT),
        Stored("fridge/temperature", "Cel", 6.5, AT),
        Stored("fridge/humidity", "%RH", 41.5, AT),
        Stored("fridge/contact", "/", 0, AT),
        Stored("fridge/contact", "/", 1, NOW),
    ]


def test_a_soil_sensor_of_dragino_becomes_readings() -> None:
    """Quirk 16: numbers and numbers in quotes, in one object; a label may have several parts."""
    fields = {
        "BatV": 3.301,
        "temp_DS18B20": "0.00",
        "temp_SOIL": "13.25",
        "water_SOIL": "13.74",
        "conduct_SOIL": 35.0,
        "Sensor_flag": 1,
    }
    homes = roomy()
    decoded = homes.decode(pot(fields))
    found = {(name, unit): value for name, unit, value, time in homes.stored(decoded) if time == AT}
    assert found == {
        ("soil/pot-2/voltage", "V"): 3.301,
        ("soil/pot-2/probe_temperature", "Cel"): 0.0,
        ("soil/pot-2/soil_temperature", "Cel"): 13.25,
        ("soil/pot-2/soil_moisture", "/"): pytest.approx(0.1374),
        ("soil/pot-2/soil_conductivity", "S/m"): pytest.approx(0.0035),
    }
    assert decoded.refused == {Route.TTS: 1}


def test_a_number_of_movements_is_motion() -> None:
    """As some makers count them since the last uplink; what is no number of them is out of bounds."""
    told = [3, "17", 1, 0, True]
    sent = [fridge({"motion": value}, AT + at) for at, value in enumerate(told)]
    assert [one.value for one in stored(*sent)] == [1, 1, 1, 0, 1]
    assert [one.value for one in stored(fridge({"pir": 2}), fridge({"occupancy": 2}, NOW))] == [1, 1]
    homes = roomy()
    bad = homes.decode(fridge({"motion": -1}), fridge({"motion": "1e999"}), fridge({"contact": 2}))
    assert [reason for _, _, reason in reasons(bad)] == [Reason.VALUE_OUT_OF_RANGE] * 3


def test_what_makers_give_in_different_units_has_none() -> None:
    """A sensor without a unit: stored as it was told."""
    assert stored(fridge({"tvoc": 120})) == [Stored("fridge/voc", "", 120, AT)]


def test_a_field_that_the_table_does_not_know_is_read_where_it_is_listed() -> None:
    """A number, in quotes or not, or a state; where the registry does not list it, it means nothing."""
    listed = [
        {"name": f"fridge/{name}", "kind": "told", "unit": "count"} for name in ("DOOR_OPEN_TIMES", "ALARM", "label")
    ]
    homes = Household([HOMES[0] | {"sensor": listed}])
    decoded = homes.decode(fridge({"DOOR_OPEN_TIMES": "17", "ALARM": True, "label": "a", "LAST_OPEN": 3}))
    assert homes.stored(decoded) == [
        Stored("fridge/DOOR_OPEN_TIMES", "count", 17, AT),
        Stored("fridge/ALARM", "count", 1, AT),
    ]
    assert (decoded.rejects, decoded.refused) == ((), {Route.CHIRPSTACK: 2})


def test_history_has_times_of_its_own() -> None:
    """Quirks 5 and 28: what could not be sent before comes in one message, in epoch seconds, each with its values."""
    entries = [
        {"timestamp": (NOW - 2 * HOUR) // SECOND, "temperature": 5.5, "magnet_status": "close"},
        {"timestamp": (NOW - HOUR) // SECOND, "temperature": 5.75},
    ]
    assert stored(fridge({"history": entries, "battery": 91})) == [
        Stored("fridge/temperature", "Cel", 5.5, NOW - 2 * HOUR),
        Stored("fridge/contact", "/", 1, NOW - 2 * HOUR),
        Stored("fridge/temperature", "Cel", 5.75, NOW - HOUR),
        Stored("fridge/battery", "%EL", 91, AT),
    ]


def test_an_entry_of_history_fails_alone() -> None:
    """A clock that was never set (quirk 6) is too late, one without a time is no reading; its neighbours are stored."""
    entries: list[dict[str, Any]] = [
        {"timestamp": 1980, "temperature": 1},
        {"timestamp": 0, "temperature": 2},
        {"temperature": 3},
        {"timestamp": "yesterday", "temperature": 4},
        {"timestamp": float("1e300"), "temperature": 5},
        {"timestamp": "1e999", "temperature": 5},
        {"timestamp": True, "temperature": 6},
        {"timestamp": str(AT // SECOND), "temperature": 7},
    ]
    homes = roomy()
    decoded = homes.decode(fridge({"history": entries}))
    assert [reading.value for reading in homes.stored(decoded)] == [7]
    assert [reason for _, _, reason in reasons(decoded)] == [
        *[Reason.TIME_TOO_LATE] * 2,
        *[Reason.SCHEMA_VIOLATION] * 2,
        Reason.TIME_IN_FUTURE,
        Reason.VALUE_OUT_OF_RANGE,
        Reason.SCHEMA_VIOLATION,
    ]


@pytest.mark.parametrize("at", [0, 12 * DAY])
def test_a_server_without_a_clock_tells_nothing_of_now(at: int) -> None:
    """A time of 1970 is too late, and not a few seconds from the arrival."""
    assert {reason for _, _, reason in reasons(roomy().decode(fridge({"temperature": 5}, at)))} == {
        Reason.TIME_TOO_LATE
    }


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"temperature": "warm"}, Reason.SCHEMA_VIOLATION),
        ({"temperature": True}, Reason.SCHEMA_VIOLATION),
        ({"temperature": [21]}, Reason.SCHEMA_VIOLATION),
        ({"magnet_status": "ajar"}, Reason.SCHEMA_VIOLATION),
        ({"temperature": -127}, Reason.VALUE_OUT_OF_RANGE),
        ({"temperature": "-100.0"}, Reason.VALUE_OUT_OF_RANGE),
        ({"humidity": "1e999"}, Reason.VALUE_OUT_OF_RANGE),
        ({"temperature": 10**400}, Reason.VALUE_OUT_OF_RANGE),
    ],
)
def test_a_value_that_is_none_fails_alone(fields: dict[str, Any], reason: Reason) -> None:
    """Quirks 14 and 17: sentinels and words are rejected, and what stands beside them is stored."""
    homes = roomy()
    decoded = homes.decode(fridge({"battery": 90, **fields}))
    assert reasons(decoded) == [(0, 1, reason)]
    assert [reading.name for reading in homes.stored(decoded)] == ["fridge/battery"]


@pytest.mark.parametrize(
    "delivery",
    [
        fridge({"temperature": None}),
        fridge({"firmware_version": "v1.2"}),
        fridge({"history": []}),
        fridge({"history": "none"}),
        fridge({"history": [{"timestamp": 1795298400}]}),
        fridge(None, data=None),
        from_tts(tts({"temperature": 5}) | {"simulated": True}, device="fridge-7"),
    ],
    ids=["null", "a version", "no history", "no list", "empty history", "no payload", "simulated"],
)
def test_what_has_nothing_to_store_is_refused(delivery: Delivery) -> None:
    """Counted as one, and nothing is kept."""
    decoded = roomy().decode(delivery)
    assert (len(decoded.homes.readings), decoded.rejects, decoded.refused.total()) == (0, (), 1)


def test_of_two_names_for_one_reading_one_is_stored() -> None:
    """The other is refused, so that no sensor has two values at one instant."""
    homes = roomy()
    decoded = homes.decode(fridge({"illuminance": 3, "light": 30, "illuminance_lux": 30}))
    assert homes.stored(decoded) == [Stored("fridge/illuminance", "lx", 30, AT)]
    assert decoded.refused == {Route.CHIRPSTACK: 2}


def test_without_consent_nothing_is_read() -> None:
    """Whose it is stands in the topic: not even broken syntax is looked at."""
    homes = roomy()
    decoded = homes.decode(from_chirpstack(b"no JSON", eui=SILENT_DOOR))
    assert (decoded.rejects, decoded.refused) == ((), {Route.CHIRPSTACK: 1})


def test_a_pause_holds_for_uplinks() -> None:
    """One that lasts refuses them unread; a past one refuses what was measured in it, history too."""
    homes = roomy()
    home = homes.pseudonym("hut-01")
    lasting = homes.decode(fridge({"temperature": 5}), gate=paused(home, Pause(NOW - HOUR)))
    assert (len(lasting.homes.readings), lasting.refused) == (0, {Route.CHIRPSTACK: 1})
    entries = [{"timestamp": (NOW - back * MINUTE) // SECOND, "temperature": back} for back in (50, 30, 10)]
    past = homes.decode(fridge({"history": entries}), gate=paused(home, Pause(NOW - 40 * MINUTE, NOW - 20 * MINUTE)))
    assert [reading.value for reading in homes.stored(past)] == [50, 10]
    assert past.refused == {Route.CHIRPSTACK: 1}


def test_a_dead_letter_of_a_home_keeps_nothing_but_whose_it_is() -> None:
    """No payload, no application, the pseudonym for the device; one row a route and reason."""
    homes = roomy()
    home = homes.pseudonym("hut-01")
    sent = [
        fridge({"temperature": "warm", "humidity": 200}),
        fridge({"temperature": "cold"}),
        fridge(None),
        from_tts(b"no JSON", device="fridge-7"),
        pot({"temperature": 5, "humidity": -1}),
    ]
    found = [
        (letter.topic, letter.payload, letter.size, letter.reason, letter.seen) for letter in letters(homes, *sent)
    ]
    own, at_tts = f"application/-/device/{home}/event/up", f"v3/-/devices/{home}/up"
    assert found == [
        (own, None, 0, Reason.SCHEMA_VIOLATION, 3),
        (at_tts, None, 0, Reason.MALFORMED_PAYLOAD, 1),
        (own, None, 0, Reason.VALUE_OUT_OF_RANGE, 1),
        (at_tts, None, 0, Reason.VALUE_OUT_OF_RANGE, 1),
    ]


@given(deliveries_on([*UPLINK_TOPICS]))
def test_no_dead_letter_of_an_uplink_tells_of_a_home_or_of_nobody(sent: Delivery) -> None:
    """Whatever it holds: no payload, no size, no digest of it, and no name of the device; a bay's keeps all."""
    decoded = decode([sent], LAYOUT, LIMITS, GATE, NO_GAP)
    is_bays = LAYOUT.sensor_of(sent.topic) != NO_ASSET
    for letter in dead_letters(decoded.rejects, [sent], LAYOUT):
        if LAYOUT.topics.parse(sent.topic).route not in UPLINK_ROUTES:
            continue
        assert (letter.payload is not None) == is_bays
        device = LAYOUT.topics.parse(letter.topic).part
        assert is_bays or device in {"-", *LAYOUT.privacy.pseudonyms.values()}
        assert is_bays or (letter.size, letter.source) == (0, letter.topic)
        assert sent.topic.split("/")[1] not in letter.topic.split("/") or is_bays or sent.topic.split("/")[1] == "-"


def test_an_uplink_has_no_more_sensors_than_its_home_may_have() -> None:
    """A codec that invents names is stopped as a gateway is."""
    homes = Household()
    fields = dict.fromkeys(("temperature", "humidity", "co2", "battery", "pressure", "voltage"), 1)
    found = [reason for _, _, reason in reasons(homes.decode(fridge(fields)))]
    assert found.count(Reason.SENSOR_LIMIT_REACHED) == len(fields) - 3
