"""Uplinks of parking sensors: what each server and each maker writes, and what it comes to."""

from typing import Any

import numpy as np
import pytest
from unit.lorawan import BAY, NOBODYS, chirpstack, from_chirpstack, from_tts, nine_digits, tts
from unit.worlds import DAY, GATE, LAYOUT, LIMITS, NO_GAP, NOW, QUAY_SPOT, SECOND, TOPICS

from processors.bays import read_state
from processors.columns import NO_FRAME
from processors.dead_letters import dead_letters
from processors.decode import Decoded, decode
from processors.rejects import RejectedError
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route

PARKED = {"type": "parking status", "occupied": True}


def decoded(*deliveries: Delivery) -> Decoded:
    """Decode a batch."""
    return decode(deliveries, LAYOUT, LIMITS, GATE, NO_GAP)


def states(*deliveries: Delivery) -> list[tuple[int, int, bool, int]]:
    """Give spot, time, state and sequence number of the events of a batch."""
    events = decoded(*deliveries).events
    return [tuple(row) for row in events[["spot", "time", "occupied", "seq"]].tolist()]


def reason_of(delivery: Delivery) -> tuple[Reason, str]:
    """Give why one message was rejected."""
    (reject,) = decoded(delivery).rejects
    return reject.reason, reject.detail


@pytest.mark.parametrize(
    ("delivery", "spot"),
    [
        (from_chirpstack(chirpstack(PARKED)), 0),
        (from_chirpstack(chirpstack(PARKED), eui=BAY.upper()), 0),
        (from_chirpstack(chirpstack(PARKED), eui="70B3D57ED0000002"), QUAY_SPOT),
        (from_tts(tts(PARKED)), 0),
        (from_tts(tts(PARKED), application="another"), 0),
        (from_tts(tts(PARKED), device="bay-2"), 1),
    ],
    ids=["ChirpStack", "upper case", "another bay", "TTS", "any application", "its application"],
)
def test_an_uplink_leads_to_the_bay_of_its_device(delivery: Delivery, spot: int) -> None:
    """By its topic; nine digits of a second are cut to six, and the frame counter is the sequence number."""
    assert states(delivery) == [(spot, NOW - SECOND, True, 7)]


def test_a_bay_has_one_name_for_all_its_topics() -> None:
    """Noise, health and dead letters count what a device sends as its bay's, whatever the application."""
    own, home = TOPICS.spot("ANTI", "P-01"), TOPICS.senml("hut-01")
    uplinks = [from_chirpstack({}).topic, from_tts({}).topic, from_tts({}, application="x").topic, own]
    assert {LAYOUT.source_of(topic) for topic in uplinks} == {own}
    assert {LAYOUT.sensor_of(topic) for topic in uplinks} == {0}
    assert {LAYOUT.home_of(topic) for topic in uplinks} == {-1}
    fridge = from_tts({}, device="fridge-7").topic
    assert (LAYOUT.source_of(fridge), LAYOUT.home_of(fridge), LAYOUT.sensor_of(fridge)) == (home, 0, -1)
    nobody = from_chirpstack({}, eui=NOBODYS).topic
    assert (LAYOUT.source_of(nobody), LAYOUT.home_of(nobody), LAYOUT.sensor_of(nobody)) == (nobody, -1, -1)


@pytest.mark.parametrize(
    "delivery",
    [
        from_chirpstack(chirpstack(PARKED), eui=NOBODYS),
        from_chirpstack(chirpstack(PARKED), eui=""),
        from_tts(tts(PARKED), device="bay-9"),
        from_tts(tts(PARKED), device="bay-2", application="rooms@ttn"),
        from_tts(tts(PARKED), device="bay-2", application="parking"),
    ],
    ids=["ChirpStack", "no device", "TTS", "of another application", "of another tenant"],
)
def test_a_device_of_nobody_is_an_unknown_asset(delivery: Delivery) -> None:
    """An id at The Things Stack that names its application is that application's alone."""
    assert reason_of(delivery) == (Reason.UNKNOWN_ASSET, "the registry does not list it")


def test_of_a_device_of_nobody_nothing_is_kept() -> None:
    """It may be a home's: no payload, no id; one source for each kind of server."""
    sent = [
        from_chirpstack(chirpstack(PARKED), eui=NOBODYS),
        from_chirpstack(chirpstack(PARKED), eui="a81758fffe000002"),
        from_tts(tts(PARKED), device="bay-9"),
        from_chirpstack(b"no JSON", eui=""),
    ]
    letters = dead_letters(decoded(*sent).rejects, sent, LAYOUT)
    assert [(letter.topic, letter.payload, letter.seen, letter.source) for letter in letters] == [
        ("application/-/device/-/event/up", None, 3, "application/-/device/-/event/up"),
        ("v3/-/devices/-/up", None, 1, "v3/-/devices/-/up"),
    ]


def test_of_a_bays_device_all_is_kept() -> None:
    """As of any parking sensor: topic and payload, and its bay is the source."""
    sent = from_chirpstack(chirpstack({"x": 1}))
    (letter,) = dead_letters(decoded(sent).rejects, [sent], LAYOUT)
    assert (letter.topic, letter.payload, letter.source) == (sent.topic, sent.payload, TOPICS.spot("ANTI", "P-01"))


ZEROS: dict[str, Any] = {"fCnt": None, "fPort": None, "adr": None, "dr": None}


def test_a_missing_frame_counter_is_0() -> None:
    """Quirk 29: after a rejoin the first frame is number 0, and both servers leave a zero out."""
    assert [row[-1] for row in states(from_chirpstack(chirpstack(PARKED, **ZEROS)))] == [0]
    assert [row[-1] for row in states(from_tts(tts(PARKED, f_cnt=None, f_port=None)))] == [0]
    assert [row[-1] for row in states(from_chirpstack(chirpstack(PARKED, fCnt=0)))] == [0]


def test_a_frame_counter_of_32_bits_fits() -> None:
    """Where it passes what a sequence number may be, it counts on from 0; beyond 32 bits it is none."""
    assert [row[-1] for row in states(from_chirpstack(chirpstack(PARKED, fCnt=2**31 + 5)))] == [5]
    assert reason_of(from_tts(tts(PARKED, f_cnt=2**32)))[0] is Reason.VALUE_OUT_OF_RANGE
    assert reason_of(from_tts(tts(PARKED, f_cnt="7")))[0] is Reason.SCHEMA_VIOLATION


def test_the_time_is_the_network_servers() -> None:
    """Quirks 1 and 5: not the gateway's, nor its counter; the outer time at The Things Stack serves for want of it."""
    late = tts(PARKED, received_at=None)
    assert states(from_tts(late))[0][1] == NOW - SECOND // 2
    del late["received_at"]
    assert states(from_tts(late))[0][1] == NOW
    assert states(from_chirpstack(chirpstack(PARKED, time=None), received_at=NOW - 5))[0][1] == NOW - 5


def test_a_retained_uplink_without_a_time_is_refused() -> None:
    """Quirk 12: of unknown age, it is not the present state; with a time it counts for that."""
    retained = decoded(from_chirpstack(chirpstack(PARKED, time=None), retain=True))
    assert (len(retained.heard_events), retained.refused) == (0, {Route.CHIRPSTACK: 1})
    assert states(from_chirpstack(chirpstack(PARKED), retain=True)) == [(0, NOW - SECOND, True, 7)]


@pytest.mark.parametrize(
    ("delivery", "reason"),
    [
        (from_chirpstack(chirpstack(PARKED, time="2026-11-21T21:59:59.123456789")), Reason.TIME_MISSING_OFFSET),
        (from_chirpstack(chirpstack(PARKED, NOW - 9 * DAY)), Reason.TIME_TOO_LATE),
        (from_tts(tts(PARKED, 0)), Reason.TIME_TOO_LATE),
        (from_tts(tts(PARKED, NOW + DAY)), Reason.TIME_IN_FUTURE),
        (from_chirpstack(chirpstack(PARKED, time="2026-02-30T00:00:00Z")), Reason.SCHEMA_VIOLATION),
        (from_tts(tts(PARKED, received_at="today")), Reason.SCHEMA_VIOLATION),
        (from_tts(b'{"uplink_message": {"decoded_payload": {"occupied": NaN}}}'), Reason.MALFORMED_PAYLOAD),
        (from_tts({"end_device_ids": {}, "join_accept": {}}), Reason.SCHEMA_VIOLATION),
        (from_tts({"uplink_message": []}), Reason.SCHEMA_VIOLATION),
        (from_chirpstack(chirpstack({"occupied": True}, object="occupied")), Reason.SCHEMA_VIOLATION),
        (from_chirpstack(b"[]"), Reason.SCHEMA_VIOLATION),
        (from_chirpstack(b"gAc="), Reason.MALFORMED_PAYLOAD),
        (from_chirpstack(chirpstack(PARKED | {"x": "x" * 300_000})), Reason.PAYLOAD_TOO_LARGE),
    ],
)
def test_what_cannot_be_used_has_a_reason(delivery: Delivery, reason: Reason) -> None:
    """As any message: no JSON, another shape, another time."""
    found, detail = reason_of(delivery)
    assert (found, bool(detail)) == (reason, True)


def test_a_time_without_an_offset_is_in_the_zone_of_the_car_park() -> None:
    """Where the registry gives it one, as for every message of a bay."""
    local = from_chirpstack(chirpstack(PARKED, time="2026-11-21T22:59:59"), eui="70b3d57ed0000002")
    assert states(local) == [(QUAY_SPOT, NOW - SECOND, True, 7)]


def test_a_payload_that_nobody_decoded_says_what_to_do() -> None:
    """Raw bytes alone are a dead letter, of both servers."""
    for delivery in (
        from_chirpstack(chirpstack(None)),
        from_chirpstack(chirpstack(None) | {"object": None}),
        from_tts(tts(None)),
    ):
        reason, detail = reason_of(delivery)
        assert reason is Reason.SCHEMA_VIOLATION
        assert detail.startswith("no decoded payload: configure a payload codec")


def test_frames_without_a_state_are_refused_and_their_numbers_heard() -> None:
    """Of the network alone, of another kind, or with nothing for the codec: no state, and nothing missing upstream."""
    sent = [
        from_chirpstack(chirpstack(None, data=None, fCnt=8)),
        from_tts(tts(None, frm_payload=None, f_cnt=9)),
        from_tts(tts({"type": "debug", "debugCode": 3, "sequenceNumber": 2}, f_cnt=10)),
        from_chirpstack(chirpstack({}, fCnt=11)),
    ]
    found = decoded(*sent)
    assert (len(found.events), found.rejects) == (0, ())
    assert found.refused == {Route.CHIRPSTACK: 2, Route.TTS: 2}
    assert found.heard_events["seq"].tolist() == [8, 9, 10, 11]


def test_what_was_only_simulated_is_refused() -> None:
    """From a console somebody plays a device: nothing was measured, and no frame was counted."""
    found = decoded(from_tts(tts(PARKED) | {"simulated": True}))
    assert (len(found.heard_events), found.refused) == (0, {Route.TTS: 1})


@pytest.mark.parametrize(
    ("fields", "occupied"),
    [
        ({"type": "parking status", "occupied": False}, False),
        ({"type": "heartbeat", "occupied": True, "temperature": -4}, True),
        (
            {
                "type": "startup",
                "debugCodes": [211],
                "firmwareVersion": "1.42.3",
                "resetCause": "power on",
                "occupied": False,
            },
            False,
        ),
        (
            {
                "type": "parking_status",
                "occupied": True,
                "previous_state_duration": 35,
                "previous_state_duration_error": 0,
                "previous_state_duration_overflow": False,
            },
            True,
        ),
        ({"type": "startup", "firmware_version": "2.0.9", "reset_cause": "watchdog", "occupied": True}, True),
        ({"status": "OCCUPIED", "battery_low": False, "frame_type": "KEEP_ALIVE", "sequence": 255}, True),
        ({"status": "VACANT", "frame_type": "INFO", "sequence": 0}, False),
        ({"sensorId": "00003df2a1b4c5d6", "parkingSpace": "Space #12", "CarPresence": 1, "status": "vacant"}, False),
        ({"CarPresence": 3.0, "Confidence": 0}, True),
        ({"CarPresence": "3"}, True),
        ({"occupied": True}, True),
        ({"status": "free"}, False),
        ({"occupied": False, "type": "whatever our own codec says"}, False),
        ({"occupied": True, "tag_id": "A1B2C3D4", "sequenceNumber": 4}, True),
    ],
)
def test_the_state_of_a_bay_is_read_from_what_makers_write(fields: dict[str, Any], occupied: bool) -> None:
    """Bosch, Nwave, Libelium, PlacePod, and codecs of one's own; heartbeats and start-ups, too."""
    state = read_state(fields)
    assert state is not None
    assert state.occupied is occupied
    assert np.isnan(state.battery)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "device information", "bytes": [1, 2, 3]},
        {"type": "device usage", "bytes": [4]},
        {"type": "debug", "timestamp": 812, "debugCode": 201, "sequenceNumber": 4},
        {"type": "user_registration", "occupied": True, "previous_state_duration": 3, "tag_id": "A1B2C3D4"},
        {"type": "user_registration", "occupied": None, "tag_id": "A1B2C3D4"},
        {"user_registration": {"tag": "A1B2C3D4"}},
        {"tag_id": "A1B2C3D4"},
        {"debugCode": 201, "sequenceNumber": 4},
        {"sequenceNumber": 4, "type": None},
        {"CarPresence": 0},
        {"CarPresence": 2, "status": "car entering"},
        {"CarPresence": 4.0, "status": "car leaving"},
        {"status": "car leaving"},
        {"battery": 92, "distance": 1240, "position": "normal"},
        None,
    ],
)
def test_what_says_nothing_of_the_state_is_nothing_to_store(fields: dict[str, Any] | None) -> None:
    """Debugging and usage, a tag of a user, a car on its way in or out (quirk 20), and a distance."""
    assert read_state(fields) is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"occupied": 1}, "occupied: "),
        ({"type": "heartbeat", "sequenceNumber": 4}, "no state of a bay"),
        ({"occupied": "true"}, "occupied: "),
        ({"occupied": None, "type": "heartbeat"}, "occupied: "),
        ({"CarPresence": 7}, "CarPresence: "),
        ({"CarPresence": True}, "CarPresence: "),
        ({"CarPresence": [3]}, "CarPresence: "),
        ({"CarPresence": "1e999"}, "CarPresence: "),
        ({"status": 1}, "status: "),
        ({"status": ["free"]}, "status: "),
        ({"type": "heartbeat", "temperature": 4}, "no state of a bay"),
        ({"type": 3}, "no state of a bay"),
        ({"x": 1}, "no state of a bay"),
    ],
)
def test_what_should_be_a_state_and_is_none_is_rejected(fields: dict[str, Any], told: str) -> None:
    """Types are strict where they matter: 1 is not true."""
    with pytest.raises(RejectedError) as caught:
        read_state(fields)
    assert caught.value.reason is Reason.SCHEMA_VIOLATION
    assert caught.value.detail.startswith(told)


@pytest.mark.parametrize(
    ("fields", "volts"),
    [
        ({"type": "heartbeat", "occupied": True, "battery_voltage": 3.52, "battery_health": "normal"}, 3.52),
        ({"CarPresence": 1, "Battery": 3.6, "Temperature": 12.5}, 3.6),
        ({"occupied": True, "BatV": "3.301"}, 3.301),
        ({"occupied": True, "voltage": 3135}, 3.135),
        ({"occupied": True, "battery": 92}, np.nan),
        ({"occupied": True, "Battery": 92}, np.nan),
        ({"occupied": True, "battery_voltage": "low"}, np.nan),
        ({"occupied": True, "battery_voltage": 1e999}, np.nan),
        ({"occupied": True, "battery_voltage": None}, np.nan),
    ],
)
def test_a_battery_is_read_where_it_is_told_in_volts(fields: dict[str, Any], volts: float) -> None:
    """Quirks 16 and 32: numbers in quotes, mV for V; per cent are no volts."""
    state = read_state(fields)
    assert state is not None
    assert state.battery == pytest.approx(volts, nan_ok=True)


def test_a_frame_is_known_again_by_session_counter_and_state() -> None:
    """By the address at ChirpStack and the key's id at The Things Stack; without either it cannot be told."""

    def frame(delivery: Delivery) -> int:
        return int(decoded(delivery).events["frame"][0])

    free = {"type": "parking status", "occupied": False}
    alike = [from_chirpstack(chirpstack(PARKED)), from_chirpstack(chirpstack(PARKED, NOW, deduplicationId="x"))]
    others = [
        from_chirpstack(chirpstack(PARKED, fCnt=8)),
        from_chirpstack(chirpstack(PARKED, devAddr="01a2b3c5")),
        from_chirpstack(chirpstack(free)),
        from_tts(tts(PARKED)),
        from_tts(tts(PARKED, session_key_id="AYQz8hUVEdrk4l2J6pYCKB==")),
    ]
    assert len({frame(delivery) for delivery in [*alike, *others]}) == 1 + len(others)
    assert frame(from_chirpstack(chirpstack(PARKED, devAddr=None))) == NO_FRAME
    assert frame(from_tts(tts(PARKED, session_key_id=None))) == NO_FRAME


def test_nine_digits_are_written_as_servers_do() -> None:
    """The messages of these tests have the shape that is meant."""
    assert nine_digits(NOW) == "2026-11-21T22:00:00.000000789"
