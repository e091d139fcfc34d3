"""The doctor's judgement of a broker: facts to status."""

from dataclasses import replace

import mqtt5
import pytest

from ingest.doctor.broker import (
    QUEUE_PROBE,
    BrokerFacts,
    judge_abilities,
    judge_broker,
    judge_dropped,
    judge_keep_alive,
    judge_packet_size,
    judge_queue,
    judge_read_rights,
    judge_refused,
    judge_session_expiry,
    judge_unreached,
    judge_version,
    judge_write_rights,
)
from ingest.doctor.report import Status, has_problem

GRANTED = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
SOUND = BrokerFacts(
    mqtt5.ConnAckPacket(max_packet_size=1024 * 1024, receive_max=20_000),
    version="mosquitto version 2.0.22",
    dropped=0,
    granted={"city/parking/#": GRANTED},
    written={"city/live/doctor/x": mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS},
    is_echoed=True,
    is_probed=True,
    kept=QUEUE_PROBE,
)
PAYLOAD = 256 * 1024
DAY = 86_400


def test_a_sound_broker_is_well_but_for_what_nobody_can_ask() -> None:
    """Persistence cannot be seen from outside, and is said to be unknown."""
    checks = judge_broker("mqtt://broker", SOUND, PAYLOAD)
    assert [check.check for check in checks if check.status is not Status.OK] == ["broker persistence"]
    assert checks[-1].status is Status.UNKNOWN


def test_each_fact_reaches_its_judgement() -> None:
    """A broker that is wrong in everything is told so in everything."""
    wrong = replace(
        SOUND,
        connack=mqtt5.ConnAckPacket(
            max_qos=mqtt5.QoS.AT_MOST_ONCE, session_expiry_interval=0, server_keep_alive=2, max_packet_size=None
        ),
        version="mosquitto version 1.6.9",
        dropped=7,
        granted={"city/parking/#": mqtt5.SubAckReasonCode.NOT_AUTHORIZED},
        written={"city/live/doctor/x": mqtt5.PubAckReasonCode.NOT_AUTHORIZED},
        is_echoed=False,
        kept=1000,
    )
    checks = judge_broker("mqtt://broker", wrong, PAYLOAD)
    assert [check.check for check in checks if check.status is Status.OK] == ["broker"]
    assert all(check.remedy for check in checks if check.status is not Status.OK)


@pytest.mark.parametrize(
    ("version", "status"),
    [
        (None, Status.UNKNOWN),
        ("EMQX 5.8", Status.UNKNOWN),
        ("mosquitto version 2.0.11", Status.WARNING),
        ("mosquitto version 2.0.12", Status.WARNING),
        ("mosquitto version 2.0.13", Status.WARNING),
        ("mosquitto version 2.0.15", Status.WARNING),
        ("mosquitto version 2.0.16", Status.OK),
        ("mosquitto version 2.1.2", Status.OK),
    ],
)
def test_versions(version: str | None, status: Status) -> None:
    """Before 2.0.16 mosquitto has security faults; of others nothing is known."""
    check = judge_version(version)
    assert check.status is status
    assert ("Receive Maximum" in check.found) is (version in ("mosquitto version 2.0.11", "mosquitto version 2.0.12"))


@pytest.mark.parametrize(
    ("largest", "payload", "status"),
    [
        (None, PAYLOAD, Status.PROBLEM),
        (8 * 1024 * 1024, PAYLOAD, Status.PROBLEM),
        (8 * 1024 * 1024 - 1, PAYLOAD, Status.OK),
        (PAYLOAD + 4096, PAYLOAD, Status.OK),
        (PAYLOAD + 4095, PAYLOAD, Status.WARNING),
        (1024 * 1024, 2 * 1024 * 1024, Status.WARNING),
    ],
)
def test_packet_sizes(largest: int | None, payload: int, status: Status) -> None:
    """Room for a payload and its topic, and below the 8 MiB that the service announces."""
    assert judge_packet_size(largest, payload).status is status


def test_the_packet_size_told_has_room_for_the_payload() -> None:
    """The remedy names a value that would be found well."""
    for payload in (64, PAYLOAD, 4 * 1024 * 1024):
        words = judge_packet_size(None, payload).remedy.split()
        told = int(words[words.index("max_packet_size") + 1])
        assert judge_packet_size(told, payload).status is Status.OK


def test_a_payload_that_no_packet_can_carry_is_told_to_lower_the_setting() -> None:
    """Beyond what the service announces there is no right value for the broker."""
    check = judge_packet_size(1024 * 1024, 8 * 1024 * 1024)
    assert check.status is Status.PROBLEM
    assert "ARCEAUX_MAX_PAYLOAD_BYTES" in check.remedy
    assert "max_packet_size" not in check.remedy


@pytest.mark.parametrize(
    ("connack", "status", "word"),
    [
        (mqtt5.ConnAckPacket(), Status.OK, "QoS 1"),
        (mqtt5.ConnAckPacket(max_qos=mqtt5.QoS.AT_LEAST_ONCE), Status.OK, "QoS 1"),
        (mqtt5.ConnAckPacket(max_qos=mqtt5.QoS.AT_MOST_ONCE), Status.PROBLEM, "QoS 1"),
        (mqtt5.ConnAckPacket(retain_available=False), Status.PROBLEM, "retained messages"),
        (mqtt5.ConnAckPacket(wildcard_subscription_available=False), Status.PROBLEM, "wildcard subscriptions"),
        (mqtt5.ConnAckPacket(receive_max=20), Status.OK, "20 in flight"),
        (mqtt5.ConnAckPacket(receive_max=19), Status.WARNING, "19 in flight"),
    ],
)
def test_abilities(connack: mqtt5.ConnAckPacket, status: Status, word: str) -> None:
    """What the service cannot do without is a problem, a small window a warning."""
    check = judge_abilities(connack)
    assert check.status is status
    assert word in check.found


@pytest.mark.parametrize(
    ("granted", "status"),
    [
        (None, Status.OK),
        (7 * DAY, Status.OK),
        (30 * DAY, Status.OK),
        (7 * DAY - 1, Status.WARNING),
        (60, Status.WARNING),
        (0, Status.PROBLEM),
    ],
)
def test_session_expiries(granted: int | None, status: Status) -> None:
    """Less than the seven days asked for is a warning, none at all a problem."""
    assert judge_session_expiry(granted).status is status


@pytest.mark.parametrize(("seconds", "status"), [(None, "ok"), (0, "ok"), (2, "problem"), (3, "ok"), (1200, "ok")])
def test_keep_alives(seconds: int | None, status: str) -> None:
    """A broker that waits for less than the service's slowest ping cuts it off."""
    assert judge_keep_alive(seconds).status == status


def test_what_is_not_granted_at_qos_1_is_named() -> None:
    """A refusal and a lower quality alike; and what is granted and not delivered."""
    codes = mqtt5.SubAckReasonCode
    granted = {"a/#": GRANTED, "b/#": codes.NOT_AUTHORIZED, "c/#": codes.GRANTED_QOS_AT_MOST_ONCE}
    check = judge_read_rights(granted, is_echoed=True)
    assert check.status is Status.PROBLEM
    assert "b/# (not_authorized), c/# (granted_qos_at_most_once)" in check.found
    assert "a/#" not in check.found
    assert judge_read_rights({"a/#": GRANTED}, is_echoed=False).status is Status.PROBLEM
    assert judge_read_rights({"a/#": GRANTED}, is_echoed=True).status is Status.OK


def test_what_may_not_be_written_is_named() -> None:
    """Whether the broker refuses or cuts the connection."""
    codes = mqtt5.PubAckReasonCode
    check = judge_write_rights({"a": codes.SUCCESS, "b": codes.NOT_AUTHORIZED, "c": None, "d": codes.QUOTA_EXCEEDED})
    assert check.status is Status.PROBLEM
    assert check.found.endswith("b (not_authorized), c (connection cut), d (quota_exceeded)")


@pytest.mark.parametrize(
    ("dropped", "version", "status"),
    [
        (0, None, Status.OK),
        (1, None, Status.PROBLEM),
        (None, None, Status.UNKNOWN),
        (None, "mosquitto version 2.0.11", Status.UNKNOWN),
    ],
)
def test_dropped_messages(dropped: int | None, version: str | None, status: Status) -> None:
    """One is one too many; silence is not none."""
    assert judge_dropped(dropped, version).status is status


@pytest.mark.parametrize(
    ("kept", "is_probed", "status"),
    [
        (None, False, Status.UNKNOWN),
        (None, True, Status.UNKNOWN),
        (0, True, Status.PROBLEM),
        (QUEUE_PROBE - 1, True, Status.PROBLEM),
        (QUEUE_PROBE, True, Status.OK),
    ],
)
def test_queues(kept: int | None, *, is_probed: bool, status: Status) -> None:
    """Every message sent has to come back; what was not tried, or did not end, is unknown."""
    assert judge_queue(kept, is_probed=is_probed).status is status


def test_a_broker_that_keeps_nothing_is_told_apart_from_one_that_keeps_little() -> None:
    """No limit has to be raised there: another broker, or its sessions, is what helps."""
    assert "sessions" in judge_queue(0, is_probed=True).remedy
    assert "max_queued_messages" in judge_queue(1, is_probed=True).remedy


def test_a_broker_without_a_connection_is_a_problem_and_its_limits_unknown() -> None:
    """Nothing about it is said to be well."""
    codes = mqtt5.ConnAckReasonCode
    for checks in (
        judge_unreached("mqtt://b", "gone"),
        judge_refused("mqtt://b", codes.BAD_USER_NAME_OR_PASSWORD),
        judge_refused("mqtt://b", codes.UNSUPPORTED_PROTOCOL_VERSION),
    ):
        assert has_problem(checks)
        assert all(check.status is not Status.OK for check in checks)
    assert "MQTT 5" in judge_refused("mqtt://b", codes.UNSUPPORTED_PROTOCOL_VERSION)[0].remedy
