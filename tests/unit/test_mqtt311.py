"""Translation between MQTT 3.1.1 and 5, against the codec of MQTT 5."""

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.embedded.mqtt311 import Packets, to_mqtt5, to_mqtt311


@given(packets=st.lists(st.binary(max_size=300)), cuts=st.lists(st.integers(1, 50), min_size=1))
def test_packets_are_cut_however_they_arrive(packets: list[bytes], cuts: list[int]) -> None:
    """What goes in as bytes in any pieces comes out as the packets it was."""
    encoded = [mqtt5.PublishPacket("a", payload).write() for payload in packets]
    stream, cutter, out, at = b"".join(encoded), Packets(), [], 0
    for turn in range(len(stream)):
        size = cuts[turn % len(cuts)]
        out += cutter.feed(stream[at : at + size])
        at += size
    assert out == encoded


def test_a_length_that_never_ends_is_refused() -> None:
    """Five bytes of remaining length are no packet."""
    with pytest.raises(ValueError, match="remaining length"):
        Packets().feed(b"\x30" + b"\xff" * 5)


@pytest.mark.parametrize("qos", [mqtt5.QoS.AT_MOST_ONCE, mqtt5.QoS.AT_LEAST_ONCE, mqtt5.QoS.EXACTLY_ONCE])
def test_a_publication_survives_both_ways(qos: mqtt5.QoS) -> None:
    """Topic, payload and flags stay; properties are what 3.1.1 cannot say."""
    packet_id = None if qos is mqtt5.QoS.AT_MOST_ONCE else 17
    bare = mqtt5.PublishPacket("a/b", b"x" * 200, qos=qos, retain=True, packet_id=packet_id)
    dressed = mqtt5.PublishPacket(
        "a/b", b"x" * 200, qos=qos, retain=True, packet_id=packet_id, message_expiry_interval=9
    )
    assert to_mqtt5(to_mqtt311(dressed.write())) == bare.write()


def test_answers_lose_what_is_new() -> None:
    """A refusal stays one, a reason becomes a failure, DISCONNECT from a broker does not exist."""
    refused = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED, reason_str="no")
    assert to_mqtt311(refused.write()) == b"\x20\x02\x00\x05"
    codes = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE, mqtt5.SubAckReasonCode.NOT_AUTHORIZED]
    assert to_mqtt311(mqtt5.SubAckPacket(5, codes).write()) == b"\x90\x04\x00\x05\x01\x80"
    assert to_mqtt311(mqtt5.UnsubAckPacket(5, [mqtt5.UnsubAckReasonCode.SUCCESS]).write()) == b"\xb0\x02\x00\x05"
    assert (
        to_mqtt311(mqtt5.PubAckPacket(5, reason_code=mqtt5.PubAckReasonCode.QUOTA_EXCEEDED).write())
        == b"\x40\x02\x00\x05"
    )
    assert to_mqtt311(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SERVER_BUSY).write()) == b""
