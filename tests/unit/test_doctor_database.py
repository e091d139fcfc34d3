"""The doctor's judgement of a database server: facts to status."""

from dataclasses import replace

import pytest

from ingest.doctor.database import (
    ServerFacts,
    judge_clock,
    judge_connections,
    judge_durability,
    judge_edition,
    judge_hypertables,
    judge_jobs,
    judge_locks,
    judge_rights,
    judge_schema,
    judge_server,
    judge_writable,
)
from ingest.doctor.report import Status
from ingest.migrate import HYPERTABLES, Server, migrations

SETTINGS = {
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "default_transaction_read_only": "off",
    "max_connections": "100",
    "superuser_reserved_connections": "3",
    "max_locks_per_transaction": "64",
    "max_worker_processes": "24",
    "timescaledb.max_background_workers": "16",
}
SOUND = ServerFacts(
    server=Server("17.6", "2.29.2", "community"),
    is_extension_available=True,
    schema=migrations()[-1].version,
    settings=SETTINGS,
    is_standby=False,
    connections=4,
    lacking=(),
    hypertables=frozenset(table.table for table in HYPERTABLES),
    chunks=40,
    policies=4,
    failed_jobs=(),
    clock_offset=0.0,
    clock_error=0.001,
)


def test_a_sound_server_is_well() -> None:
    """Every check is made, and none finds anything."""
    checks = judge_server("postgresql://db", SOUND)
    assert {check.status for check in checks} == {Status.OK}
    assert len(checks) == 11


def test_each_fact_reaches_its_judgement() -> None:
    """A server that is wrong in everything is told so in everything but that it lets us in."""
    wrong = replace(
        SOUND,
        server=Server("17.6", "2.20.0", "community"),
        schema=1,
        settings=SETTINGS
        | {
            "fsync": "off",
            "default_transaction_read_only": "on",
            "max_connections": "6",
            "max_locks_per_transaction": "1",
        },
        lacking=("INSERT on ledger",),
        hypertables=frozenset(),
        failed_jobs=("parking_event",),
        clock_offset=99.0,
    )
    checks = judge_server("postgresql://db", wrong)
    assert [check.check for check in checks if check.status is Status.OK] == ["database"]
    assert all(check.remedy for check in checks if check.status is not Status.OK)


def test_a_plain_server_is_not_asked_for_chunks_and_jobs() -> None:
    """Nor is one without our schema."""
    plain = replace(SOUND, server=Server("18.1", "", ""), is_extension_available=False, policies=0)
    names = {check.check for check in judge_server("postgresql://db", plain)}
    assert not names & {"database hypertables", "database locks", "database jobs"}
    empty = replace(SOUND, schema=0, policies=0, hypertables=frozenset())
    names = {check.check for check in judge_server("postgresql://db", empty)}
    assert not names & {"database hypertables", "database locks", "database jobs"}


@pytest.mark.parametrize(
    ("version", "edition", "is_available", "status", "word"),
    [
        ("", "", False, Status.OK, "without TimescaleDB"),
        ("", "", True, Status.WARNING, "not used"),
        ("2.19.3", "apache", True, Status.OK, "Apache-2"),
        ("2.12.2", "apache", True, Status.PROBLEM, "too old"),
        ("2.12.2", "community", True, Status.PROBLEM, "too old"),
        ("2.18.0", "community", True, Status.WARNING, "columnstore can be lost"),
        ("2.18.1", "community", True, Status.WARNING, "2.25.2 and 2.29.1"),
        ("2.23.0-dev", "community", True, Status.WARNING, "2.25.2 and 2.29.1"),
        ("2.25.2", "community", True, Status.WARNING, "fixes of 2.29.1"),
        ("2.29.1", "community", True, Status.OK, "Community"),
    ],
)
def test_editions(version: str, edition: str, *, is_available: bool, status: Status, word: str) -> None:
    """Faults are those of the version; the plain and the Apache-2 edition are as good as the other."""
    check = judge_edition(Server("17.6", version, edition), is_available=is_available)
    assert check.status is status
    assert word in check.found


def test_schemas() -> None:
    """Only the present one will do, and the remedy depends on the side it lies on."""
    current = migrations()[-1].version
    assert judge_schema(current).status is Status.OK
    assert "arceaux migrate" in judge_schema(0).remedy
    assert "arceaux migrate" in judge_schema(current - 1).remedy
    assert "newer Arceaux" in judge_schema(current + 1).remedy
    assert {judge_schema(version).status for version in (0, current - 1, current + 1)} == {Status.PROBLEM}


@pytest.mark.parametrize("setting", ["synchronous_commit", "fsync", "full_page_writes"])
def test_each_setting_of_durability_is_told_by_itself(setting: str) -> None:
    """With the setting and the value to set."""
    (check,) = judge_durability(SETTINGS | {setting: "off"})
    assert check.status is Status.PROBLEM
    assert check.found.startswith(f"{setting} is off")
    assert f"{setting} = on" in check.remedy
    assert len(judge_durability(dict.fromkeys(SETTINGS, "off"))) == 3


@pytest.mark.parametrize("value", ["on", "local", "remote_write", "remote_apply"])
def test_other_ways_of_synchronous_commit_are_durable(value: str) -> None:
    """All but off wait for this server's disk."""
    assert [check.status for check in judge_durability(SETTINGS | {"synchronous_commit": value})] == [Status.OK]


def test_a_server_that_takes_no_writes_is_a_problem() -> None:
    """As a standby, or by its settings."""
    assert judge_writable(SETTINGS, is_standby=False).status is Status.OK
    assert judge_writable(SETTINGS, is_standby=True).status is Status.PROBLEM
    read_only = SETTINGS | {"default_transaction_read_only": "on"}
    assert judge_writable(read_only, is_standby=False).status is Status.PROBLEM


@pytest.mark.parametrize(("used", "status"), [(1, "ok"), (93, "ok"), (94, "warning"), (100, "warning")])
def test_room_for_connections(used: int, status: str) -> None:
    """Four have to be free beside those kept for administrators."""
    assert judge_connections(SETTINGS, used).status == status


def test_rights_that_lack_are_named() -> None:
    """Ten at most."""
    assert judge_rights(()).status is Status.OK
    check = judge_rights(tuple(f"INSERT on t{number}" for number in range(12)))
    assert check.status is Status.PROBLEM
    assert check.found.endswith("INSERT on t9 and 2 more")


def test_plain_tables_on_timescaledb_are_named() -> None:
    """They become hypertables by the next migrate."""
    check = judge_hypertables(frozenset(table.table for table in HYPERTABLES) - {"availability_history"})
    assert check.status is Status.WARNING
    assert check.found == "plain tables: availability_history"


@pytest.mark.parametrize("chunks", [0, 100, 1_066, 1_067, 5_000, 100_000])
def test_locks(chunks: int) -> None:
    """Half of the lock table has to hold three locks a chunk; the value told does."""
    check = judge_locks(SETTINGS, chunks)
    assert (check.status is Status.OK) is (2 * 3 * chunks <= 100 * 64)
    if check.status is not Status.OK:
        told = check.remedy.split("= ")[1].split()[0]
        assert judge_locks(SETTINGS | {"max_locks_per_transaction": told}, chunks).status is Status.OK


@pytest.mark.parametrize(
    ("changed", "failed", "status"),
    [
        ({}, (), Status.OK),
        ({}, ("parking_event",), Status.WARNING),
        ({"timescaledb.max_background_workers": "6"}, (), Status.OK),
        ({"timescaledb.max_background_workers": "5"}, (), Status.WARNING),
        ({"max_worker_processes": "5"}, (), Status.WARNING),
    ],
)
def test_jobs(changed: dict[str, str], failed: tuple[str, ...], status: Status) -> None:
    """Policies need workers, and have not to fail."""
    assert judge_jobs(SETTINGS | changed, 4, failed).status is status
    without = {name: value for name, value in SETTINGS.items() if not name.startswith("timescaledb.")}
    assert judge_jobs(without, 4, failed).status is Status.WARNING


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("offset", "error", "status"),
    [
        (0.0, 0.001, Status.OK),
        (1.0, 0.0, Status.OK),
        (1.01, 0.0, Status.WARNING),
        (1.5, 1.0, Status.OK),
        (30.0, 0.0, Status.WARNING),
        (30.1, 0.0, Status.PROBLEM),
        (40.0, 20.0, Status.WARNING),
    ],
)
def test_clocks(offset: float, error: float, status: Status, sign: int) -> None:
    """What a slow answer alone could explain is not held against a clock."""
    check = judge_clock(sign * offset, error)
    assert check.status is status
    if offset > error:
        assert ("ahead of" if sign > 0 else "behind") in check.found
