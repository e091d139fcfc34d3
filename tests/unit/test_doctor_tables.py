"""The doctor's judgement of what the tables hold: the worker, silence, dead letters, growth."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest.doctor.report import Status
from ingest.doctor.tables import (
    DeadLetters,
    TableFacts,
    Worker,
    judge_attention,
    judge_dead_letters,
    judge_growth,
    judge_roller,
    judge_silence,
    judge_stall,
    judge_tables,
    judge_worker,
)
from schemas.live import SensorState
from schemas.reasons import EXPLANATIONS, Reason
from schemas.registry import Registry

NOW = datetime(2026, 11, 21, 22, tzinfo=UTC)
FILTERS = ("city/parking/#", "city/dwellings/#")
REGISTRY = Registry.model_validate(
    {
        "car_park": [
            {"code": "A", "name": "A", "capacity": 9, "basis": "spots", "spots": ["1..3"], "heartbeat": "1h"},
            {"code": "Q", "name": "Q", "capacity": 9, "basis": "spots", "spots": ["1"], "heartbeat": "0"},
            {"code": "C", "name": "C", "capacity": 9, "basis": "count", "stale_after": "10m"},
        ]
    }
)
ALL_HEARD = TableFacts(
    workers=(),
    spots={("A", "1"): NOW, ("A", "2"): NOW - timedelta(minutes=59), ("A", "3"): NOW, ("Q", "1"): NOW},
    counters={"C": NOW - timedelta(minutes=9)},
    attention={},
    dead_letters=(),
    size=1,
    held=0,
    added=0,
    marks=0,
    lag=timedelta(0),
)


def worker(
    name: str = "arceaux", idle: timedelta | None = timedelta(seconds=3), filters: tuple[str, ...] = FILTERS
) -> Worker:
    """Make a worker's row."""
    return Worker(name, 2, 17, idle, filters)


@pytest.mark.parametrize(
    ("workers", "status", "word"),
    [
        ([], Status.WARNING, "none has run as arceaux"),
        ([worker("other", timedelta(days=1))], Status.WARNING, "none has run as arceaux"),
        ([worker()], Status.OK, "last commit 3 s ago"),
        ([worker(idle=None)], Status.OK, "never committed"),
        ([worker(idle=timedelta(hours=30))], Status.OK, "30.0 h ago"),
        ([worker(filters=FILTERS[::-1])], Status.OK, "batch 17"),
        ([worker(filters=())], Status.OK, "batch 17"),
        ([worker(filters=("town/parking/#",))], Status.WARNING, "town/parking/#"),
        ([worker(), worker("other", timedelta(days=1))], Status.OK, "batch 17"),
        ([worker(), worker("other")], Status.PROBLEM, "other committed within 5 min"),
    ],
)
def test_workers(workers: list[Worker], status: Status, word: str) -> None:
    """One service writes, under our name and with our filters."""
    check = judge_worker(workers, "arceaux", FILTERS)
    assert check.status is status
    assert word in check.found


@pytest.mark.parametrize(
    ("idle", "messages", "is_stalled"),
    [
        (timedelta(seconds=59), 5, False),
        (timedelta(seconds=61), 5, True),
        (timedelta(seconds=61), 0, False),
        (None, 5, True),
    ],
)
def test_a_service_that_does_not_commit_while_sensors_speak(
    idle: timedelta | None, messages: int, *, is_stalled: bool
) -> None:
    """Silence of both is no fault; one that never ran is told elsewhere."""
    checks = judge_stall([worker(idle=idle)], "arceaux", messages)
    assert [check.status for check in checks] == ([Status.PROBLEM] if is_stalled else [])
    assert judge_stall([], "arceaux", messages) == []


def test_nobody_silent_is_well() -> None:
    """Within the heartbeat, and for ever where a sensor speaks only on change."""
    facts = replace(ALL_HEARD, spots={**ALL_HEARD.spots, ("Q", "1"): NOW - timedelta(days=400)})
    (check,) = judge_silence(facts, REGISTRY, NOW)
    assert check.status is Status.OK
    assert "none of 5 bays and counters" in check.found


def test_the_never_heard_and_the_silent_are_told_apart_and_named() -> None:
    """Bays by their heartbeat, counters by stale_after; what the registry does not list does not count."""
    spots = {("A", "1"): NOW - timedelta(minutes=61), ("A", "2"): NOW, ("GONE", "1"): NOW - timedelta(days=9)}
    facts = replace(ALL_HEARD, spots=spots, counters={"C": NOW - timedelta(minutes=11)})
    never, silent = judge_silence(facts, REGISTRY, NOW)
    assert (never.status, silent.status) == (Status.WARNING, Status.WARNING)
    assert never.found == "2 of 5 bays and counters: A/3, Q/1"
    assert silent.found == "2 of 5 bays and counters: A/1, C (counter)"


def test_sensors_in_trouble_are_named_with_a_cure() -> None:
    """Each state in a line; a bay with a wrong clock is not taken for one that was never heard."""
    troubled: dict[str, list[str]] = {
        state: ["A/3"] for state in SensorState if state not in (SensorState.OK, SensorState.SILENT)
    }
    for check in judge_attention(troubled):
        assert (check.status, check.found) == (Status.WARNING, "1 sensor: A/3")
        assert check.remedy
    spots = {key: at for key, at in ALL_HEARD.spots.items() if key != ("A", "3")}
    heard = replace(ALL_HEARD, spots=spots, attention={SensorState.CLOCK_SKEW: ["A/3"]})
    (check,) = judge_silence(heard, REGISTRY, NOW)
    assert check.status is Status.OK


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_comes_with_its_remedy(reason: Reason) -> None:
    """The one that the other commands tell, too."""
    (check,) = judge_dead_letters([DeadLetters(reason, 1, 0)])
    assert check.status is Status.WARNING
    assert check.found == f"{reason}: 1 reading in the last hour"
    assert check.remedy == EXPLANATIONS[reason].remedy


def test_dead_letters_are_counted_with_their_repeats() -> None:
    """None at all is well."""
    assert [check.status for check in judge_dead_letters([])] == [Status.OK]
    (check,) = judge_dead_letters([DeadLetters(Reason.MALFORMED_PAYLOAD, 1200, 3)])
    assert check.found == "malformed_payload: 1,200 readings in the last hour, and 3 repeats or more"


def test_growth_is_what_a_day_adds_by_the_bytes_a_reading_takes() -> None:
    """Told only where the readings outweigh an empty database."""
    assert "too few readings" in judge_growth(11_000_000, 99_999, 50_000).found
    found = judge_growth(20_000_000_000, 200_000_000, 8_640_000).found
    assert found.startswith("20 GB; 8,640,000 readings in the last day, some 864 MB")
    assert judge_growth(3 * 10**12, 10**9, 0).found.startswith("3.0 TB")


def test_all_of_it_is_judged() -> None:
    """The worker, silence, dead letters, size and aggregates, each."""
    names = [check.check for check in judge_tables(ALL_HEARD, REGISTRY, "arceaux", FILTERS, NOW)]
    assert names == ["service", "never heard or silent", "dead letters", "database size", "aggregates"]


@pytest.mark.parametrize(("minutes", "status"), [(0, Status.OK), (9, Status.OK), (10, Status.WARNING)])
def test_aggregates_that_lag_behind_are_told(minutes: int, status: Status) -> None:
    """Marks wait for a minute or two as a rule; some that wait for longer mean that nobody rolls."""
    check = judge_roller(1234, timedelta(minutes=minutes))
    assert check.status is status
    assert "1,234 marks" in check.found
    assert not minutes or status is Status.OK or "since 10 min" in check.found
