"""Tables as CSV: the command line says which column is what, and what is wrong is told by line and column."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.faults import ConfigurationError
from simulators.readers.records import ArchiveError, BayState, Count, Measurements, Record, Sensor, Skipped
from simulators.readers.table import read_table
from simulators.readers.table_options import table_format

NOON = datetime(2024, 2, 3, 12, tzinfo=UTC)
COUNTS = ["time=Timestamp", "free=Libres", "name=Parking"]
BAYS = ["time=t", "name=park", "spot=bay", "occupied=state"]
ROWS = ["time=t", "sensor=s", "value=v"]


def read(path: Path, content: str, columns: list[str], **options: object) -> tuple[list[Record], list[Skipped]]:
    """Read a table: its records, and what was skipped."""
    file = path / "a.csv"
    file.write_bytes(content.encode())
    items = list(read_table(file, table_format(columns, **options)))  # type: ignore[arg-type]
    records = [item for item in items if not isinstance(item, Skipped)]
    return records, [item for item in items if isinstance(item, Skipped)]


def test_counts_by_the_names_of_their_columns(tmp_path: Path) -> None:
    """In any order, among others; total and status where they are told, and blanks around cells do not matter."""
    content = (
        "\ufeffx;Libres;Parking;Timestamp;Total;Etat\r\n"
        '1;12;"Nord; le grand";03/02/2024 13:00;340;Open\r\n'
        "\r\n2; -3 ;Sud;03/02/2024 13:00;;\r\n"
    )
    columns = [*COUNTS, "total=Total", "status=Etat"]
    records, skipped = read(
        tmp_path, content, columns, delimiter=";", zone="Europe/Paris", time_format="%d/%m/%Y %H:%M"
    )
    assert records == [Count(NOON, "Nord; le grand", 12, 340, "Open"), Count(NOON, "Sud", -3)]
    assert skipped == []


@pytest.mark.parametrize(
    ("told", "time"),
    [
        ("2024-02-03T12:00:00Z", NOON),
        ("2024-02-03 13:00:00+01:00", NOON),
        ("2024-02-03 13:00:00", NOON),
        ("2024-02-03T13:00:00.123456789", NOON.replace(microsecond=123456)),
        ("1706961600", NOON),
        ("1706961600.25", NOON.replace(microsecond=250_000)),
        ("1706961600123", NOON.replace(microsecond=123_000)),
        ("1706961600123456", NOON.replace(microsecond=123_456)),
        ("1706961600123456789", NOON.replace(microsecond=123_457)),
    ],
)
def test_times_in_their_usual_forms(tmp_path: Path, told: str, time: datetime) -> None:
    """With an offset, in the zone that is told, or as a number since 1970."""
    content = f"Timestamp,Parking,Libres\n{told},A,1\n"
    assert read(tmp_path, content, COUNTS, zone="Europe/Paris") == ([Count(time, "A", 1)], [])


def test_bays_are_taken_by_the_words_that_say_so(tmp_path: Path) -> None:
    """In any case; the usual ones, or those that the command line tells. All others say free."""
    states = ["true", "1", "Yes", "OCCUPIED", "taken", "false", "0", "free", "BUSY"]
    content = "t,park,bay,state\n" + "".join(f"1706961600,A,P-{n},{state}\n" for n, state in enumerate(states))

    def occupied(**options: object) -> list[bool]:
        records, _ = read(tmp_path, content, BAYS, **options)
        assert [record.spot for record in records if isinstance(record, BayState)] == [f"P-{n}" for n in range(9)]
        return [record.occupied for record in records if isinstance(record, BayState)]

    assert occupied() == [True] * 5 + [False] * 4
    assert occupied(true=["busy", "Free"]) == [False] * 7 + [True] * 2


def test_sensors_in_rows(tmp_path: Path) -> None:
    """One a row, with its unit where there is one."""
    content = "t,s,v,u\n1706961600,kitchen/temperature,2.15e1,Cel\n1706961600,door,1,\n"
    expected: list[Record] = [
        Measurements(NOON, (Sensor("kitchen/temperature", "Cel"),), (21.5,)),
        Measurements(NOON, (Sensor("door", ""),), (1.0,)),
    ]
    assert read(tmp_path, content, [*ROWS, "unit=u"]) == (expected, [])


def test_sensors_in_columns(tmp_path: Path) -> None:
    """One pack a row; an empty cell tells nothing."""
    content = "t,T1,W\n1706961600,21.5,1\n1706961600,,0\n1706961600,,\n"
    columns = ["time=t", "value:kitchen/temperature:Cel=T1", "value:kitchen/window=W"]
    records, skipped = read(tmp_path, content, columns)
    temperature, window = Sensor("kitchen/temperature", "Cel"), Sensor("kitchen/window", "")
    assert records == [Measurements(NOON, (temperature, window), (21.5, 1.0)), Measurements(NOON, (window,), (0.0,))]
    assert skipped == [Skipped("a.csv:4", "no value in columns T1, W")]


@pytest.mark.parametrize(
    ("line", "columns", "reason"),
    [
        ("1706961600,A,x", COUNTS, "column 'Libres': 'x' is no whole number"),
        ("1706961600,A,1.5", COUNTS, "column 'Libres': '1.5' is no whole number"),
        ("1706961600,A,", COUNTS, "column 'Libres': '' is no whole number"),
        ("1706961600,,1", COUNTS, "column 'Parking': the cell is empty"),
        ("noon,A,1", COUNTS, "column 'Timestamp': 'noon' is no time such as 2023-01-28T17:43:22"),
        ("2024-02-03T12:00:00,A,1", COUNTS, "column 'Timestamp': the time 2024-02-03T12:00:00 has no offset"),
        ("2024-02-30T12:00:00Z,A,1", COUNTS, "column 'Timestamp': day is out of range for month"),
        ("1706961600,A", COUNTS, "expected 3 cells, not 2"),
        ("1706961600,A,1,2", COUNTS, "expected 3 cells, not 4"),
        ("1706961600,A,1,5", ["time=Timestamp", "sensor=Parking", "value=Libres"], "expected 3 cells, not 4"),
        (
            "1706961600,A,1_0",
            ["time=Timestamp", "sensor=Parking", "value=Libres"],
            "column 'Libres': '1_0' is no number",
        ),
        ("1706961600,A,1e999", ["time=Timestamp", "value:a=Libres"], "column 'Libres': '1e999' is no number"),
    ],
)
def test_a_wrong_row_is_skipped_and_told(tmp_path: Path, line: str, columns: list[str], reason: str) -> None:
    """By its line and column; the rows around it are read."""
    content = f"Timestamp,Parking,Libres\n1706961600,A,1\n{line}\n1706961600,A,2\n"
    records, skipped = read(tmp_path, content, columns)
    assert len(records) == 2
    (found,) = skipped
    assert found.where == "a.csv:3"
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "a.csv:1: column 'Timestamp' is none of the header"),
        ("Timestamp,Libres\n", "a.csv:1: column 'Parking' is none of the header: Timestamp, Libres"),
        ("Timestamp,Parking,Libres,Libres\n", "a.csv:1: column 'Libres' stands twice in the header"),
    ],
)
def test_a_header_without_a_column_is_an_error(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(ArchiveError, match=told):
        read(tmp_path, content, COUNTS)


@pytest.mark.parametrize(
    ("columns", "options", "told"),
    [
        ([], {}, "--column: nothing is no table"),
        (["time"], {}, "--column time: expected FIELD=HEADER"),
        (["time="], {}, "--column time=: expected FIELD=HEADER"),
        (["when=t"], {}, "'when' is none of free, name"),
        (["time=t", "time=u"], {}, "'time' is told twice"),
        (["time=t", "free=f"], {}, r"free, time is no table that is known \(counts: free, name, time"),
        (["time=t", "name=n", "free=f", "occupied=o"], {}, "is no table that is known"),
        (["time=t", "value:a:Cel=x", "name=n"], {}, "beside value:SENSOR:UNIT=HEADER there has to be time"),
        (["value:a:Cel=x"], {}, "beside value:SENSOR:UNIT=HEADER there has to be time"),
        (["time=t", "value::Cel=x"], {}, "expected value:SENSOR:UNIT=HEADER"),
        (COUNTS, {"zone": "Paris"}, "--zone: 'Paris' is no time zone"),
        (COUNTS, {"delimiter": ""}, "--delimiter: expected one character"),
        (COUNTS, {"delimiter": ";;"}, "--delimiter: expected one character"),
        (COUNTS, {"time_format": "%Q"}, "--time-format: "),
        (["time=t", "value:a=T1", "value:b=T1"], {}, "told twice"),
        (["time=t", "value:a:Cel=T1", "value:a:K=T2"], {}, "told twice"),
    ],
)
def test_a_wrong_mapping_is_refused(columns: list[str], options: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        table_format(columns, **options)


def test_a_format_may_have_an_offset(tmp_path: Path) -> None:
    """Times then need no zone."""
    records, _ = read(
        tmp_path, "t,n,f\n03/02/2024 13:00 +0100,A,1\n", ["time=t", "name=n", "free=f"], time_format="%d/%m/%Y %H:%M %z"
    )
    assert [record.time for record in records] == [NOON]


def test_a_tabulator_can_be_written() -> None:
    assert table_format(COUNTS, delimiter=r"\t").delimiter == "\t"
