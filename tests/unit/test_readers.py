"""The readers of archives: what they give, and that whatever is not whole is skipped and told."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import ConfigurationError
from schemas.registry import DwellingSensor
from simulators.readers import READERS, choose
from simulators.readers.appliances import COLUMNS
from simulators.readers.parsing import in_utc, time_of, whole_number
from simulators.readers.records import ArchiveError, Count, Measurements, Record, Sensor, Skipped

PARIS = ZoneInfo("Europe/Paris")
POLL = "data2024-02-03@04-05-06.dat"
POLLED = datetime(2024, 2, 3, 3, 5, 6, tzinfo=UTC)


def read(name: str, path: Path) -> tuple[list[Record], list[Skipped]]:
    """Read an archive: its records, and what was skipped."""
    items = list(READERS[name].read(path))
    records = [item for item in items if not isinstance(item, Skipped)]
    return records, [item for item in items if isinstance(item, Skipped)]


def read_poll(directory: Path, content: bytes, name: str = POLL) -> tuple[list[Record], list[Skipped]]:
    """Read a directory with one poll."""
    (directory / name).write_bytes(content)
    return read("polls", directory)


def test_a_poll_has_the_time_of_its_name_and_a_count_a_line(tmp_path: Path) -> None:
    records, skipped = read_poll(tmp_path, b"NORD;0012;0340\nSud;7;88\n")
    assert records == [Count(POLLED, "NORD", 12, 340), Count(POLLED, "Sud", 7, 88)]
    assert skipped == []


@pytest.mark.parametrize(
    "content",
    [
        b"NORD;0012;0340\r\nSud;7;88\r\n",
        b"\xef\xbb\xbfNORD;0012;0340\nSud;7;88\n",
        b"\n\nNORD;0012;0340\n \r\n\nSud;7;88\n\n",
        b" NORD ; 0012 ;0340 \n\tSud;7;88\n",
    ],
    ids=["CRLF", "BOM", "blank lines", "blanks"],
)
def test_a_poll_may_be_written_in_several_ways(tmp_path: Path, content: bytes) -> None:
    records, skipped = read_poll(tmp_path, content)
    assert records == [Count(POLLED, "NORD", 12, 340), Count(POLLED, "Sud", 7, 88)]
    assert skipped == []


@pytest.mark.parametrize(
    "line",
    [
        b"SUD\n",
        b"SUD;7\n",
        b"SUD;7;\n",
        b";7;88\n",
        b"SUD;7;88;9\n",
        b"SUD;7;8x\n",
        b"SUD;7.5;88\n",
        b"SUD;1_0;88\n",
        b"SUD;\xd9\xa3;88\n",
        b"S\xff;7;88\n",
        b"SUD;" + b"9" * 5000 + b";88\n",
    ],
)
def test_a_line_that_is_not_whole_is_skipped_and_told(tmp_path: Path, line: bytes) -> None:
    """The others of its poll are kept."""
    records, skipped = read_poll(tmp_path, b"NORD;1;2\n" + line + b"OUEST;3;4\n")
    assert records == [Count(POLLED, "NORD", 1, 2), Count(POLLED, "OUEST", 3, 4)]
    assert [skip.where for skip in skipped] == [f"{POLL}:2"]


def test_a_last_line_without_its_end_is_skipped_even_where_it_looks_whole(tmp_path: Path) -> None:
    """It may have been cut inside its last number."""
    records, skipped = read_poll(tmp_path, b"NORD;0012;0340\nSUD;7;8")
    assert records == [Count(POLLED, "NORD", 12, 340)]
    assert skipped == [Skipped(f"{POLL}:2", "the line has no end, so its last number may be cut")]


def test_a_counter_may_tell_less_than_none(tmp_path: Path) -> None:
    records, _ = read_poll(tmp_path, b"NORD;-3;340\n")
    assert records == [Count(POLLED, "NORD", -3, 340)]


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("data2024-01-15@12-00-00.dat", "2024-01-15T11:00:00"),
        ("data2024-07-15@12-00-00.dat", "2024-07-15T10:00:00"),
        # The clocks showed it twice that night; the first time it was still summer.
        ("data2024-10-27@02-30-00.dat", "2024-10-27T00:30:00"),
        # And left this one out.
        ("data2024-03-31@02-30-00.dat", "2024-03-31T01:30:00"),
    ],
)
def test_the_time_of_a_poll_is_that_of_paris(tmp_path: Path, name: str, time: str) -> None:
    records, _ = read_poll(tmp_path, b"NORD;1;2\n", name)
    assert [record.time for record in records] == [datetime.fromisoformat(f"{time}+00:00")]


@pytest.mark.parametrize("name", ["data.dat", "data2024-13-01@00-00-00.dat", "data0001-01-01@00-00-00.dat"])
def test_a_poll_without_a_time_is_skipped(tmp_path: Path, name: str) -> None:
    records, skipped = read_poll(tmp_path, b"NORD;1;2\n", name)
    assert records == []
    assert [skip.where for skip in skipped] == [name]


def test_polls_are_read_in_the_order_of_their_names_and_one_alone_too(tmp_path: Path) -> None:
    for hour in (9, 7, 8):
        (tmp_path / f"data2024-02-03@0{hour}-00-00.dat").write_bytes(b"NORD;%d;20\n" % hour)
    (tmp_path / "notes.txt").write_text("no poll")
    counts, _ = read("polls", tmp_path)
    assert [count.free for count in counts if isinstance(count, Count)] == [7, 8, 9]
    assert read("polls", tmp_path / "data2024-02-03@08-00-00.dat")[0] == [counts[1]]


XML = """<?xml version='1.0' encoding='UTF-8'?> \r
<park>\r
  <DateTime>2024-02-03T04:05:06.123456789</DateTime>\r
  <Name>Nord</Name>\r
  <Status>Open</Status>\r
  <Free>0012</Free>\r
  <Total>340</Total>\r
  <DisplayOpenIf>-1</DisplayOpenIf>\r
</park>\r
"""


def read_xml(directory: Path, text: str, encoding: str = "utf-8") -> tuple[list[Record], list[Skipped]]:
    """Read one answer of the feed."""
    path = directory / "answer.xml"
    path.write_bytes(text.encode(encoding))
    return read("xml", path)


def test_an_answer_of_the_feed_is_a_count_with_its_status(tmp_path: Path) -> None:
    """The time is cut, not rounded, to microseconds."""
    time = datetime(2024, 2, 3, 3, 5, 6, 123_456, tzinfo=UTC)
    assert read_xml(tmp_path, XML) == ([Count(time, "Nord", 12, 340, "Open")], [])


def test_the_feed_comes_in_variants(tmp_path: Path) -> None:
    bare = (
        '\ufeff<?xml version="1.0"?>\n<park xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        "<Free>12</Free><Status/><Name> Nord </Name><DateTime>2024-02-03T04:05:06</DateTime></park>"
    )
    expected: tuple[list[Record], list[Skipped]] = ([Count(POLLED, "Nord", 12)], [])
    assert read_xml(tmp_path, bare) == expected
    assert read_xml(tmp_path, bare.replace("04:05:06", "05:05:06+02:00")) == expected
    assert read_xml(tmp_path, bare, "utf-16-le") == expected


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("<Name>Nord</Name>", "", "no Name"),
        ("<Free>0012</Free>", "<Free></Free>", "no Free"),
        ("0012", "many", "whole number"),
        ("340", "34O", "whole number"),
        ("2024-02-03T", "yesterday ", "no time"),
        ("2024-02-03T", "2024-02-30T", "day is out of range"),
        ("</park>", "", "well-formed"),
    ],
)
def test_an_answer_that_is_not_whole_is_skipped(tmp_path: Path, old: str, new: str, told: str) -> None:
    records, (skipped,) = read_xml(tmp_path, XML.replace(old, new))
    assert records == []
    assert skipped.where == "answer.xml"
    assert told in skipped.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE park [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE park SYSTEM "file:///etc/hostname">',
        '<!DOCTYPE park [<!ENTITY name SYSTEM "file:///etc/hostname">]>',
        "<!DOCTYPE park>",
    ],
)
def test_an_answer_that_could_declare_entities_is_refused(tmp_path: Path, declared: str, encoding: str) -> None:
    """Whatever its encoding; and the whole archive with it, naming the file."""
    text = f"<?xml version='1.0'?>{declared}<park><Name>&b;</Name></park>"
    with pytest.raises(ArchiveError, match=r"answer\.xml: has a DOCTYPE"):
        read_xml(tmp_path, text, encoding)


def entity(**changes: object) -> Mapping[str, object]:
    """Make a car park as the NGSI interface tells it; None takes an attribute away."""
    whole: dict[str, object] = {
        "id": "urn:ngsi-ld:parking:901",
        "type": "OffStreetParking",
        "availableSpotNumber": {
            "type": "Number",
            "value": 12,
            "metadata": {"timestamp": {"type": "DateTime", "value": "2024-02-03T03:05:06.000Z"}},
        },
        "totalSpotNumber": {"type": "Number", "value": 340, "metadata": {}},
        "status": {"type": "Text", "value": "Open", "metadata": {}},
        "name": {"type": "Text", "value": "Nord", "metadata": {}},
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def read_ngsi(directory: Path, content: object) -> tuple[list[Record], list[Skipped]]:
    """Read one answer of the interface."""
    path = directory / "answer.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8-sig")
    return read("ngsi", path)


def test_an_entity_is_a_count_by_its_id(tmp_path: Path) -> None:
    records, skipped = read_ngsi(tmp_path, [entity(), entity(status=None, totalSpotNumber=None)])
    assert records == [
        Count(POLLED, "urn:ngsi-ld:parking:901", 12, 340, "Open"),
        Count(POLLED, "urn:ngsi-ld:parking:901", 12),
    ]
    assert skipped == []


def available(value: object, time: object = "2024-02-03T03:05:06Z") -> Mapping[str, object]:
    """Make an attribute of free places."""
    return {"value": value, "metadata": {"timestamp": {"value": time}}}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (entity(availableSpotNumber=None), "no availableSpotNumber"),
        (entity(availableSpotNumber=available(None)), "no availableSpotNumber"),
        (entity(availableSpotNumber=available(value=True)), "whole number"),
        (entity(availableSpotNumber=available("12")), "whole number"),
        (entity(availableSpotNumber=available(12.5)), "whole number"),
        (entity(availableSpotNumber=available(float("nan"))), "whole number"),
        (entity(availableSpotNumber=available(12, "2024-02-03T03:05:06")), "no offset"),
        (entity(availableSpotNumber=available(12, 1706929506)), "no timestamp"),
        (entity(availableSpotNumber={"value": 12}), "no timestamp"),
        (entity(totalSpotNumber={"value": "many"}), "whole number"),
        (entity(id=None), "an id"),
        ("urn:ngsi-ld:parking:901", "an id"),
    ],
)
def test_an_entity_that_is_not_whole_is_skipped(tmp_path: Path, wrong: object, told: str) -> None:
    """The others of its answer are kept."""
    records, (skipped,) = read_ngsi(tmp_path, [wrong, entity(availableSpotNumber=available(12.0))])
    assert records == [Count(POLLED, "urn:ngsi-ld:parking:901", 12, 340, "Open")]
    assert skipped.where == "answer.json[0]"
    assert told in skipped.reason


@pytest.mark.parametrize("content", ["", "[", "{}", "null", "[" * 100_000, "[1" + "0" * 5000 + "]"])
def test_an_answer_that_is_no_list_is_skipped(tmp_path: Path, content: str) -> None:
    records, skipped = read_ngsi(tmp_path, content)
    assert records == []
    assert len(skipped) == 1


TABLE = """date,Appliances,T1,RH_1,Press_mm_hg,T_out
2016/2/3 4:05,60,19.89,47.59666667,750,6.60E+00
2016/2/3 14:15,70,20,47.6,750.5,-1.25E-01"""


def read_table(directory: Path, text: str) -> tuple[list[Record], list[Skipped]]:
    """Read a table of appliances."""
    path = directory / "energy.csv"
    path.write_text(text, encoding="utf-8")
    return read("appliances", path)


def test_a_row_is_what_the_sensors_of_a_home_measured(tmp_path: Path) -> None:
    """Numbers are the file's own decimals, but for the pressure, which becomes pascals."""
    sensors = (
        Sensor("appliances/energy", "Wh"),
        Sensor("kitchen/temperature", "Cel"),
        Sensor("kitchen/humidity", "%RH"),
        Sensor("weather/pressure", "Pa"),
        Sensor("weather/temperature", "Cel"),
    )
    pascals = (750 * 133.322387415, 750.5 * 133.322387415)
    records, skipped = read_table(tmp_path, TABLE)
    assert skipped == []
    assert records == [
        Measurements(datetime(2016, 2, 3, 3, 5, tzinfo=UTC), sensors, (60.0, 19.89, 47.59666667, pascals[0], 6.6)),
        Measurements(datetime(2016, 2, 3, 13, 15, tzinfo=UTC), sensors, (70.0, 20.0, 47.6, pascals[1], -0.125)),
    ]


def test_the_table_as_it_was_first_published_is_read_too(tmp_path: Path) -> None:
    """With quotes, dates with seconds, and two columns of random numbers, which measure nothing."""
    text = '"date","lights","rv1","rv2"\n"2016-02-03 04:05:00","30","13.2","13.2"\r\n'
    records, skipped = read_table(tmp_path, text)
    assert skipped == []
    assert records == [Measurements(datetime(2016, 2, 3, 3, 5, tzinfo=UTC), (Sensor("lights/energy", "Wh"),), (30.0,))]


@pytest.mark.parametrize(
    "row",
    [
        "2016/2/3 4:05,60,19.89,47.6,750",
        "2016/2/3 4:05,60,19.89,47.6,750,6.6,1",
        "2016/2/3,60,19.89,47.6,750,6.6",
        "2016/2/30 4:05,60,19.89,47.6,750,6.6",
        "2016/2/3 4:05,60,,47.6,750,6.6",
        "2016/2/3 4:05,60,nan,47.6,750,6.6",
        "2016/2/3 4:05,60,1e999,47.6,750,6.6",
        "2016/2/3 4:05,1_0,19.89,47.6,750,6.6",
        "2016/2/3 4:05,60,19.89,47.6,750,\ufffd",
    ],
)
def test_a_row_that_is_not_whole_is_skipped_and_told(tmp_path: Path, row: str) -> None:
    """No value of it is sent, and no other row suffers."""
    head, first, second = TABLE.splitlines()
    records, skipped = read_table(tmp_path, f"{head}\n{first}\n{row}\n{second}\n")
    whole, _ = read_table(tmp_path, TABLE)
    assert (records, [skip.where for skip in skipped]) == (whole, ["energy.csv:3"])


def test_a_quote_that_is_not_closed_swallows_no_row(tmp_path: Path) -> None:
    records, skipped = read_table(tmp_path, TABLE.replace("2016/2/3 4:05", '"2016/2/3 4:05'))
    assert (len(records), skipped) == (2, [])


@pytest.mark.parametrize("head", ["", "date", "date,T1,T1", "T1,date", "date,T1,CO2", "date,rv1", "a,b"])
def test_another_table_is_refused(tmp_path: Path, head: str) -> None:
    with pytest.raises(ArchiveError, match=r"energy\.csv: not the appliances data set"):
        read_table(tmp_path, f"{head}\n1,2\n")


def test_every_column_becomes_a_sensor_that_could_be_registered() -> None:
    """Names and units are SenML's, and no two columns share a name."""
    sensors = [column.sensor for column in COLUMNS.values()]
    assert len({sensor.name for sensor in sensors}) == len(sensors) == 26
    for name, unit in sensors:
        assert DwellingSensor(name=name, kind="other", unit=unit).stored_unit == unit


@pytest.mark.parametrize(
    ("name", "reader"),
    [("a.dat", "polls"), ("a.DAT", "polls"), ("a.xml", "xml"), ("a.json", "ngsi"), ("a.csv", "appliances")],
)
def test_a_reader_is_guessed_from_a_file_or_from_those_of_a_directory(tmp_path: Path, name: str, reader: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / "README.md").touch()
    assert choose(tmp_path / name, None) == choose(tmp_path, None) == reader
    assert choose(tmp_path, "ngsi") == "ngsi"


def test_what_cannot_be_guessed_names_the_readers(tmp_path: Path) -> None:
    """An unknown ending, a directory of two kinds or none; a reader that is none, a file that is not there."""
    unknown = tmp_path / "a.zip"
    unknown.touch()
    for path in (unknown, tmp_path):
        with pytest.raises(ConfigurationError, match="--reader with one of polls, xml, ngsi, appliances"):
            choose(path, None)
    (tmp_path / "a.xml").touch()
    (tmp_path / "a.json").touch()
    with pytest.raises(ConfigurationError, match="--reader with one of"):
        choose(tmp_path, None)
    with pytest.raises(ConfigurationError, match="'tar' is none of polls, xml, ngsi, appliances, capture, csv"):
        choose(tmp_path, "tar")
    with pytest.raises(ConfigurationError, match="gone: cannot be read"):
        choose(tmp_path / "gone", "xml")


@pytest.mark.parametrize("reader", READERS)
def test_what_cannot_be_read_is_an_error_of_the_archive(tmp_path: Path, reader: str) -> None:
    """A directory without such files, or a directory where a file is expected; never an error of the system."""
    with pytest.raises(ArchiveError, match=str(tmp_path)):
        read(reader, tmp_path)


@given(st.integers(-(10**17), 10**17), st.integers(0, 12))
def test_zeros_in_front_change_no_number(number: int, zeros: int) -> None:
    sign, digits = ("-", str(-number)) if number < 0 else ("", str(number))
    text = f"{sign}{'0' * zeros}{digits}"
    if len(text.lstrip("-")) <= 18:
        assert whole_number(text) == number
    else:
        with pytest.raises(ValueError, match="whole number"):
            whole_number(text)


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(0, 999))  # noqa: DTZ001 - local times
def test_digits_past_the_sixth_are_cut(time: datetime, nanoseconds: int) -> None:
    text = f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond:06}{nanoseconds:03}"
    assert time_of(text, PARIS) == in_utc(time.replace(tzinfo=PARIS, fold=0))
    assert time_of(f"{text}Z") == time.replace(tzinfo=UTC)
