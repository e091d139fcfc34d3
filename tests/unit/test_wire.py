"""Bytes on the wire, cut into frames."""

from itertools import pairwise

import mqtt5
import pytest
from harness.wire import Cutter, Frame, Measure, measure_answer, measure_mqtt, measure_request, peer_of
from hypothesis import given
from hypothesis import strategies as st

CONNECT = mqtt5.ConnectPacket("a-client", session_expiry_interval=60, receive_max=7).write()
PACKETS = [
    Frame("CONNECT", CONNECT),
    Frame("PUBLISH", mqtt5.PublishPacket("a/topic", b"x" * 300, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1).write()),
    Frame("PUBACK", mqtt5.PubAckPacket(1).write()),
    Frame("PINGREQ", mqtt5.PingReqPacket().write()),
]
STARTUP = b"\0\3\0\0user\0me\0application_name\0us\0\0"
REQUESTS = [
    Frame("startup", (len(STARTUP) + 4).to_bytes(4, "big") + STARTUP),
    Frame("Q", b"Q\0\0\0\x0bCOMMIT\0"),
    Frame("d", b"d\0\1\0\4" + bytes(65536)),
]
ANSWERS = [Frame("R", b"R\0\0\0\x08\0\0\0\0"), Frame("C", b"C\0\0\0\x0bCOMMIT\0")]
STREAMS = [(measure_mqtt, PACKETS), (measure_request, REQUESTS), (measure_answer, ANSWERS)]


@pytest.mark.parametrize(("measure", "frames"), STREAMS)
@given(cuts=st.lists(st.integers(0, 66_000), max_size=10))
def test_frames_are_the_same_however_they_are_read(measure: Measure, frames: list[Frame], cuts: list[int]) -> None:
    """Whatever a read holds, the frames come out whole and in order."""
    data = b"".join(frame.data for frame in frames)
    cutter = Cutter(measure)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert [frame for start, end in pairwise(edges) for frame in cutter.take(data[start:end])] == frames


def test_a_peer_is_known_by_its_first_frame() -> None:
    """A broker's client by its id, a database's by the name of its application."""
    assert peer_of(PACKETS[0]) == "a-client"
    assert peer_of(REQUESTS[0]) == "us"
