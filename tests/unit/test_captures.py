"""The format of captures: what is written is read, what a crash has cut is not, and nothing else is left out."""

import errno
import gzip
import json
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.topics import Topics
from simulators.captures.capture_file import MEMBER_SIZE, WriteError, create, reopen
from simulators.captures.homes import Owners, Whose
from simulators.captures.intake import FEW_IN_FLIGHT, LONGEST_WAIT, TICK, Intake
from simulators.captures.lines import Captured, LineError, Recording, header_line, message_line, read_line
from simulators.captures.members import make_member
from simulators.captures.playing import Capture
from simulators.captures.reading import CaptureReader
from simulators.captures.record import RecordOptions, open_capture
from simulators.readers.records import ArchiveError
from simulators.replaying.plan import Span
from simulators.replaying.rewrite import Rewriting

RECORDING = Recording(client_id="recorder", topics=("city/parking/#",), with_dwellings=False)
TOPICS = Topics("city")
MESSAGES = st.builds(
    Captured,
    st.integers(0, 2**53),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="+#\0"), min_size=1, max_size=20),
    st.one_of(st.binary(max_size=40), st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(str.encode)),
    st.booleans(),
)


@given(MESSAGES)
def test_a_message_is_read_as_it_was_written(message: Captured) -> None:
    """Byte by byte, whatever the payload is, in one line of JSON."""
    line = message_line(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert read_line(line[:-1]) == message


def test_lines_say_what_they_hold() -> None:
    """Text as text, other bytes in base64; `retain` only where it is true."""
    assert message_line(Captured(17, "a/é", '{"x": "é"}'.encode())) == (
        '{"at":17,"topic":"a/é","payload":"{\\"x\\": \\"é\\"}"}\n'.encode()
    )
    assert message_line(Captured(17, "a", b"\xff\x00", retain=True)) == (
        b'{"at":17,"topic":"a","base64":"/wA=","retain":true}\n'
    )
    assert header_line(RECORDING) == (
        b'{"arceaux":"capture","version":1,"client_id":"recorder","topics":["city/parking/#"],"with_dwellings":false}\n'
    )
    assert read_line(header_line(RECORDING)) == RECORDING


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "no JSON"),
        (b'{"at":1,"topic":"a"}', "neither"),
        (b'{"at":1,"topic":"a","payload":1}', "neither"),
        (b'{"at":1,"topic":"a","payload":"x","base64":"eA=="}', "neither"),
        (b'{"at":1,"topic":"a","base64":"x"}', "neither"),
        (b'{"at":1,"topic":"a","payload":"\\ud800"}', "no JSON"),
        (b'{"at":1.5,"topic":"a","payload":""}', "no message"),
        (b'{"at":true,"topic":"a","payload":""}', "no message"),
        (b'{"topic":"a","payload":""}', "no message"),
        (b'{"at":-1,"topic":"a","payload":""}', "no time from 1970 to 9999"),
        (b'{"at":253402300800000000,"topic":"a","payload":""}', "no time from 1970 to 9999"),
        (b'{"at":1,"topic":"","payload":""}', "nothing can be published"),
        (b'{"at":1,"topic":"a/#","payload":""}', "nothing can be published"),
        (b'{"at":1,"topic":"a\\u0000","payload":""}', "nothing can be published"),
        (b'{"at":1,"topic":"' + b"a" * 65_536 + b'","payload":""}', "nothing can be published"),
        (b'{"at":1,"topic":2,"payload":""}', "no message"),
        (b'{"at":1,"topic":"a","payload":"","retain":1}', "no message"),
        (b'{"arceaux":"plan"}', "no capture"),
        (b'{"arceaux":"capture","version":2}', "version 2; this Arceaux reads version 1"),
        (b'{"arceaux":"capture"}', "version None"),
        (b'{"arceaux":"capture","version":1}', "a header without"),
    ],
)
def test_another_line_is_told(line: bytes, told: str) -> None:
    with pytest.raises(LineError, match=told):
        read_line(line)


def write(path: Path, *batches: list[Captured]) -> Path:
    """Write a capture, each batch by itself."""
    file = create(path, RECORDING)
    for batch in batches:
        file.append(batch)
    file.close()
    return path


def some(count: int, begin: int = 0, size: int = 10) -> list[Captured]:
    """Make messages that can be told apart, incompressible enough to fill members."""
    return [Captured(at, f"city/{at % 7}", f"{at:0{size}}".encode()) for at in range(begin, begin + count)]


def test_a_capture_is_gzip_of_json_lines_readable_for_its_owner_alone(tmp_path: Path) -> None:
    """Other tools read it: it is one gzip file, a JSON object a line. A large batch is several members."""
    messages = some(5_000, size=100)
    path = write(tmp_path / "a.jsonl.gz", messages[:1], messages[1:])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert json.loads(lines[0])["arceaux"] == "capture"
    assert [json.loads(line)["at"] for line in lines[1:]] == [message.at for message in messages]
    assert sum(map(len, lines)) > 2 * MEMBER_SIZE
    assert path.read_bytes().count(b"\x1f\x8b\x08\x00\x00\x00\x00\x00") >= 4
    assert list(CaptureReader(path)) == messages


@given(st.lists(st.lists(MESSAGES, max_size=4), max_size=4), st.data())
def test_what_is_cut_is_left_out_and_all_before_is_read(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Captured]], data: st.DataObject
) -> None:
    """At whatever byte a crash cuts: every batch that was whole is read, and no part of another."""
    path = write(tmp_path_factory.mktemp("cut") / "a", *batches)
    whole = path.read_bytes()
    header = len(make_member(header_line(RECORDING)))
    cut = data.draw(st.integers(header, len(whole)))
    path.write_bytes(whole[:cut])
    reader = CaptureReader(path)
    found = list(reader)
    ends, expected, end = [], [], header
    for batch in (batch for batch in batches if batch):
        end += len(make_member(b"".join(map(message_line, batch))))
        ends.append(end)
        expected += batch if end <= cut else []
    assert found == expected
    assert reader.torn == cut - reader.end
    assert reader.end == max([header, *(end for end in ends if end <= cut)])


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 100, b"\x1f\x8b\x08\x00\x00\x00\x00\x00 no deflate", b"garbage"],
    ids=["zeros", "a head", "no gzip"],
)
def test_a_spoilt_end_is_left_out(tmp_path: Path, tail: bytes) -> None:
    """As a file system may leave it after a power cut; going on cuts it off."""
    messages = some(5)
    path = write(tmp_path / "a", messages)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(tail)
    reader = CaptureReader(path)
    assert list(reader) == messages
    assert (reader.end, reader.torn) == (size, len(tail))
    again, recording, torn = reopen(path)
    assert (recording, torn) == (RECORDING, len(tail))
    again.append(some(5, 5))
    again.close()
    assert list(CaptureReader(path)) == some(10)


def test_damage_in_the_middle_is_an_error(tmp_path: Path) -> None:
    """What follows was acknowledged, so it must not be left out without a word."""
    path = write(tmp_path / "a", some(200), some(200, 200), some(200, 400))
    content = bytearray(path.read_bytes())
    at = len(make_member(header_line(RECORDING))) + 100
    content[at : at + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="damaged at byte"):
        list(CaptureReader(path))
    with pytest.raises(ConfigurationError, match="damaged at byte"):
        reopen(path)
    assert path.read_bytes() == content


def test_times_are_shifted_by_where_they_go_or_came_from(tmp_path: Path) -> None:
    """Sent to another city, or come from one, a message tells its times as before."""
    messages = [Captured(10**6, f"{root}/parking/A/count", b'{"time":10}') for root in ("city", "other", "third")]
    path = write(tmp_path / "a", messages)
    rules = Rewriting(["city/#=elsewhere/#", "other/#=city/#"])
    played = Capture(path, TOPICS, Span(), rules).script(lambda: False).messages()
    assert [(message.topic.split("/")[0], message.payload(timedelta(seconds=7))) for message in played] == [
        ("elsewhere", (b'{"time":17}', True)),
        ("city", (b'{"time":17}', True)),
        ("third", (b'{"time":10}', False)),
    ]


def test_captures_can_be_joined(tmp_path: Path) -> None:
    """As files are: each begins with a header, which may also stand between messages."""
    one, other = write(tmp_path / "a", some(3)), write(tmp_path / "b", some(3, 3))
    one.write_bytes(one.read_bytes() + other.read_bytes())
    assert list(CaptureReader(one)) == some(6)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no capture"),
        (b"no gzip", "no capture"),
        (gzip.compress(b'{"at":1,"topic":"a","payload":""}\n'), "its first line is no header"),
        (gzip.compress(b'{"arceaux":"capture","version":9}\n'), "a:1: a capture of version 9"),
        (gzip.compress(header_line(RECORDING) + b"x\n"), "a:2: no JSON"),
    ],
    ids=["empty", "no gzip", "no header", "another version", "no JSON"],
)
def test_what_is_no_capture_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=told):
        list(CaptureReader(path))
    with pytest.raises(ConfigurationError, match=f"--append: .*{told}"):
        reopen(path)
    assert path.read_bytes() == content


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a", some(1))
    with pytest.raises(ConfigurationError, match="is there already: go on with it by --append"):
        create(path, RECORDING)
    with pytest.raises(ConfigurationError, match=r"--append: .* cannot be written"):
        reopen(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        create(tmp_path / "no/where", RECORDING)


def test_a_full_disk_leaves_no_file_without_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could be neither gone on with nor made again. A capture that is there stays as it was."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = write(tmp_path / "a", some(1))
    before = list(CaptureReader(path))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        create(tmp_path / "b", RECORDING)
    with pytest.raises(WriteError, match="No space left"):
        reopen(path)
    assert not (tmp_path / "b").exists()
    assert list(CaptureReader(path)) == before


def test_each_member_is_on_the_disk_before_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a crash spoils the last one only."""
    file = create(tmp_path / "a", RECORDING)
    sizes: list[int] = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        fsync(descriptor)
        sizes.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", look)
    file.append(some(3, size=MEMBER_SIZE))
    assert len(set(sizes)) == 3
    file.close()


def test_a_capture_has_one_writer(tmp_path: Path) -> None:
    file = create(tmp_path / "a", RECORDING)
    with pytest.raises(ConfigurationError, match="another `arceaux record` writes to it"):
        reopen(tmp_path / "a")
    file.close()
    reopen(tmp_path / "a")[0].close()


def test_going_on_records_what_was_recorded(tmp_path: Path) -> None:
    """Under the same client id; whoever asks for something else is told what the file has."""
    path = tmp_path / "a"
    file, recording = open_capture(RecordOptions(path, ("a/#", "b"), with_dwellings=True), TOPICS)
    file.close()
    assert (recording.topics, recording.with_dwellings) == (("a/#", "b"), True)
    for options in (
        RecordOptions(path, append=True),
        RecordOptions(path, ("a/#", "b"), with_dwellings=True, append=True),
    ):
        file, again = open_capture(options, TOPICS)
        file.close()
        assert again == recording
    for wrong in (RecordOptions(path, ("a/#",), append=True), RecordOptions(path, append=True, client_id="other")):
        with pytest.raises(ConfigurationError, match="has a/#, b with dwellings as arceaux-record-"):
            open_capture(wrong, TOPICS)


def test_homes_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    """By default not even subscribed to."""
    file, recording = open_capture(RecordOptions(tmp_path / "a"), TOPICS)
    file.close()
    uplinks = ("application/+/device/+/event/up", "v3/+/devices/+/up")
    assert recording.topics == ("city/parking/#", *uplinks)
    file, recording = open_capture(RecordOptions(tmp_path / "b", with_dwellings=True), TOPICS)
    file.close()
    assert recording.topics == ("city/parking/#", "city/dwellings/#", *uplinks)
    with pytest.raises(ConfigurationError, match="--topic a/#/b: expected an MQTT topic filter"):
        open_capture(RecordOptions(tmp_path / "c", ("a/#/b",)), TOPICS)
    with pytest.raises(ConfigurationError, match="--topic city/dwellings/hut-01/#: homes are left out unless"):
        open_capture(RecordOptions(tmp_path / "c", ("city/dwellings/hut-01/#",)), TOPICS)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("topic", "whose"),
    [
        ("city/parking/A/count", Whose.PUBLIC),
        ("city/dwellings/h/senml", Whose.HOME),
        ("city/dwellings/nobody/anything", Whose.HOME),
        ("city/dwellings", Whose.HOME),
        ("rehearsal/dwellings/nobody/senml", Whose.HOME),
        ("zigbee2mqtt/h/television", Whose.HOME),
        ("city/parking/h/count", Whose.PUBLIC),
        ("city/live/dwellings/district", Whose.PUBLIC),
        ("rehearsal/live/dwellings/district", Whose.PUBLIC),
        ("eu868/application/1/device/00000000000000BB/event/up", Whose.HOME),
        ("application/1/device/00000000000000aa/event/up", Whose.PUBLIC),
        ("application/1/device/00000000000000BB/event/up", Whose.HOME),
        ("application/1/device/00000000000000bb/event/join", Whose.HOME),
        ("application/1/device/00000000000000cc/event/up", Whose.UNKNOWN_DEVICE),
        ("v3/app@tenant/devices/bay/up", Whose.PUBLIC),
        ("v3/any/devices/room/up", Whose.HOME),
        ("v3/one/devices/cellar/up", Whose.HOME),
        ("v3/two/devices/cellar/up", Whose.UNKNOWN_DEVICE),
        ("v3/one/devices/room/down/push", Whose.HOME),
        ("elsewhere/x", Whose.PUBLIC),
    ],
)
def test_a_topic_tells_whose_it_is(topic: str, whose: Whose) -> None:
    """A device that the registry does not list may be in a home."""
    bay = {"label": "1", "dev_eui": "00000000000000AA", "tts_device_id": "bay"}
    devices = [
        {"label": "a", "dev_eui": "00000000000000Bb", "tts_device_id": "room"},
        {"label": "b", "tts_device_id": "one/cellar"},
    ]
    registry = Registry.model_validate(
        {
            "car_park": [{"code": "A", "name": "A", "capacity": 2, "basis": "count", "spot": [bay]}],
            "dwelling": [{"id": "h", "district": "d", "consent": True, "device": devices}],
        }
    )
    assert Owners(registry, TOPICS).whose(topic) is whose


def test_an_intake_is_written_when_there_is_much_or_it_has_waited() -> None:
    """At the latest a second after its first message; sooner where the broker sends no more."""
    message = Captured(0, "t", b"x")
    intake = Intake(100)
    assert not intake.is_ripe(1e9)
    intake.add(message, 1, 10.0)
    assert not intake.is_ripe(10.0 + LONGEST_WAIT / 2)
    assert intake.is_ripe(10.0 + LONGEST_WAIT)
    for packet_id in range(2, FEW_IN_FLIGHT + 1):
        intake.add(message, packet_id, 10.1)
    assert not intake.is_ripe(10.1)
    assert intake.is_ripe(10.1 + 2 * TICK)
    for packet_id in range(FEW_IN_FLIGHT + 1, 101):
        intake.add(None, packet_id, 10.1)
    assert intake.is_ripe(10.1), "half of the window is used"
    assert intake.take() == ([message] * FEW_IN_FLIGHT, list(range(1, 101)))
    assert not intake.is_ripe(1e9)
    intake.add(Captured(0, "t", bytes(MEMBER_SIZE)), 0, 11.0)
    assert intake.is_ripe(11.0)


def test_what_comes_again_is_not_written_twice() -> None:
    """With the session QoS 1 comes again, QoS 0 never; without it nothing does."""
    once, again = Captured(0, "once", b""), Captured(1, "again", b"")
    intake = Intake(100)
    intake.add(once, 0, 0.0)
    intake.add(again, 7, 0.0)
    assert intake.without_repeats(session_present=True) == [once]
    assert intake.without_repeats(session_present=False) == [once, again]
