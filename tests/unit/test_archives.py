"""The readers on real archives: what is known of these is what comes out of them."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice, pairwise
from pathlib import Path

import pytest
from harness.archives import archive

from schemas.payloads import COUNT
from schemas.registry import Registry, load_registry
from schemas.topics import Topics
from simulators.readers import READERS, choose
from simulators.readers.records import Count, Measurements, Record, Skipped
from simulators.replaying.plan import Addresses, write_script

FROZEN = {"COME": 174, "CIRC": 585, "GAUMONT-EST": 99, "GAUMONT-OUEST": 216}
POLLS = "montpellier/polls_2023-01"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(Path(__file__).parents[2] / "deploy/registry.toml")


def records(name: str) -> list[Record]:
    """Read an archive, its reader guessed, in which there is nothing to skip."""
    path = archive(name)
    whole = []
    for item in READERS[choose(path, None)].read(path):
        assert not isinstance(item, Skipped)
        whole.append(item)
    return whole


def counts(name: str) -> list[Count]:
    """Read an archive of counts."""
    return [record for record in records(name) if isinstance(record, Count)]


def test_all_lines_of_the_polls_are_counts() -> None:
    """943 polls and 22,581 lines; five polls were cut short, each after a whole line."""
    read = counts(POLLS)
    lines = Counter(count.time for count in read)
    assert len(read) == 22_581
    assert len(lines) == len(list(archive(POLLS).iterdir())) == 943
    assert Counter(lines.values()) == {24: 938, 16: 2, 2: 1, 15: 1, 20: 1}
    assert min(lines) == datetime(2023, 1, 12, 23, 0, 56, tzinfo=UTC)
    assert max(lines) == datetime(2023, 1, 15, 20, 18, 8, tzinfo=UTC)


def test_the_polls_keep_what_is_strange_about_them() -> None:
    """The total of ARCE flips in 366 polls, with up to 1131 free; four counters stand still."""
    read = counts(POLLS)
    arceaux = [count for count in read if count.name == "ARCE"]
    assert Counter(count.total for count in arceaux) == {230: 572, 1230: 366}
    assert max(count.free for count in arceaux) == 1131
    for name, free in FROZEN.items():
        assert {count.free for count in read if count.name == name} == {free}


def test_the_registry_knows_every_name_of_the_feeds(registry: Registry) -> None:
    """Also those that are not the feed's own codes."""
    for name in (POLLS, "montpellier/FR_MTP_POLY_2023-01-28.xml", "montpellier/ngsi_offstreetparking_2026-01-04.json"):
        read = counts(name)
        script = write_script(read, Addresses(registry, Topics("city")))
        assert script.count == len(read)
        assert not script.unknown
        for message in islice(script.messages(), 500):
            COUNT.validate_json(message.payload(timedelta(0))[0])


def test_garcia_lorca_is_found_by_the_name_inside_its_file(registry: Registry) -> None:
    """The feed calls GARC by GARD."""
    script = write_script(counts(POLLS), Addresses(registry, Topics("city")))
    told = Counter(message.topic for message in script.messages())
    assert told["city/parking/GARC/count"] == 942
    assert len(told) == 24


def test_the_answer_of_the_xml_feed() -> None:
    """Nine fraction digits are cut to six."""
    time = datetime(2023, 1, 28, 16, 43, 22, 337_386, tzinfo=UTC)
    assert records("montpellier/FR_MTP_POLY_2023-01-28.xml") == [Count(time, "POLY", 551, 1911, "Open")]


def test_the_answer_of_the_ngsi_interface() -> None:
    """24 entities, all open, of which some have stood still for days."""
    read = counts("montpellier/ngsi_offstreetparking_2026-01-04.json")
    assert len({count.name for count in read}) == len(read) == 24
    assert {count.status for count in read} == {"Open"}
    assert read[0] == Count(datetime(2026, 1, 4, 17, 35, 7, tzinfo=UTC), "urn:ngsi-ld:parking:001", 157, 239, "Open")
    assert min(count.time for count in read) == datetime(2025, 12, 23, 15, 36, 31, tzinfo=UTC)


def test_all_rows_of_the_appliances_are_measurements() -> None:
    """19,735 rows of 26 values, the last row too, which has no line end."""
    read = records("uci_appliances_energy/energydata_complete.csv")
    rows = [record for record in read if isinstance(record, Measurements)]
    assert len(rows) == len(read) == 19_735
    assert {len(row.values) for row in rows} == {26}
    assert rows[0].time == datetime(2016, 1, 11, 16, tzinfo=UTC)
    assert rows[-1].time == datetime(2016, 5, 27, 17, tzinfo=UTC)
    first = {sensor.name: value for sensor, value in zip(rows[0].sensors, rows[0].values, strict=True)}
    assert first["kitchen/humidity"] == 47.59666667
    assert first["weather/temperature"] == 6.6


def test_the_stuck_humidity_outside_is_kept() -> None:
    """It sits at 1.0 in 1,452 rows, up to 79 on end."""
    rows = [row for row in records("uci_appliances_energy/energydata_complete.csv") if isinstance(row, Measurements)]
    place = [sensor.name for sensor in rows[0].sensors].index("outside-north/humidity")
    runs = [len(list(run)) for value, run in groupby(row.values[place] for row in rows) if value == 1.0]
    assert (sum(runs), max(runs)) == (1_452, 79)


def test_the_clock_of_the_appliances_was_not_put_forward() -> None:
    """Its rows go on through the hour that Belgium left out: one clock for all of them, ten minutes apart."""
    times = [row.time for row in records("uci_appliances_energy/energydata_complete.csv")]
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=10)}
