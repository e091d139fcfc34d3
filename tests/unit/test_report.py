"""What a run tells of itself: on a terminal, in its file, at its end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulators.progress import words
from simulators.runs.report import Report, standing, summary
from simulators.runs.stream import Plan
from simulators.sending.spread import Spread

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def plan(**options: Any) -> Plan:  # noqa: ANN401 - whatever a plan has
    told = {"duration": 600, "processes": 2, "registry": Path("registry.toml"), "registry_digest": "a"} | options
    return Plan(kind="city", seed=7, begin=NOON, **told)


def spread(*durations: float) -> list[int]:
    made = Spread()
    for duration in durations:
        made.add(duration)
    return made.counts


def report(process: int, minutes: float, **options: Any) -> Report:  # noqa: ANN401 - whatever a report has
    told: dict[str, Any] = {"sent": 12, "acknowledged": [(0, 8), (10, 10)], "in_flight": 2} | options
    return Report(process=process, shown=NOON + timedelta(minutes=minutes), **told)


BOTH = [
    report(0, 5, written=1000, faults={"drop": 2, "stuck": 1}, late=spread(0.001, 0.002), latency=spread(0.01)),
    report(1, 6, written=500, faults={"drop": 1}, late=spread(0.003), latency=spread(0.02, 0.04)),
]


def test_a_standing_is_that_of_all_processes() -> None:
    """Messages, what is in flight and faults add up; the time is that of the slowest."""
    told = standing(plan(faults="all"), BOTH, 10.0)
    assert (told.acknowledged, told.in_flight, told.faults) == (20, 4, 4)
    assert (told.time, told.done, told.left) == (NOON + timedelta(minutes=5), 0.5, timedelta(seconds=590))
    assert words(told) == "20 messages  2/s  4 in flight  4 faults  0:09:50 left  2026-11-21 12:05:00Z"


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"speed": 10.0}, timedelta(seconds=50)),
        ({"speed": None, "rate": 5.0}, timedelta(seconds=590)),
        ({"speed": None}, timedelta(seconds=10)),
        ({"duration": None}, None),
    ],
)
def test_the_time_left_follows_the_pace(options: dict[str, Any], left: timedelta | None) -> None:
    """From the plan where that sets the pace, from how far it came where the broker does; unknown without an end."""
    assert standing(plan(**options), BOTH, 10.0).left == left


def test_a_run_that_just_began_has_a_standing() -> None:
    told = standing(plan(speed=None), [Report(process=0), Report(process=1)], 0.0)
    assert (told.acknowledged, told.done, told.left, told.faults) == (0, 0.0, None, None)
    assert words(told) == "0 messages  0/s  0 in flight  ? left"


def test_a_summary_adds_up() -> None:
    """Its figures are those of all processes together; durations are milliseconds, right to a tenth."""
    told = summary(plan(), BOTH, 8.0, stopped=True)
    assert told["plan"]["seed"] == 7
    assert {key: told[key] for key in ("sent", "acknowledged", "seconds", "rate", "bytes", "stopped")} == {
        "sent": 24,
        "acknowledged": 20,
        "seconds": 8.0,
        "rate": 2.5,
        "bytes": 1500,
        "stopped": True,
    }
    assert told["faults"] == {"drop": 3, "stuck": 1}
    assert told["late"] == pytest.approx({"p50": 2, "p90": 3, "p99": 3, "max": 3}, rel=0.1)
    assert told["publish_to_acknowledge"] == pytest.approx({"p50": 20, "p90": 40, "p99": 40, "max": 40}, rel=0.1)


def test_what_follows_each_other_is_never_late() -> None:
    """Where only the broker sets the pace, no message has a time at which it is due."""
    assert summary(plan(speed=None), BOTH, 8.0, stopped=False)["late"] is None


def test_a_run_of_nothing_has_a_summary() -> None:
    told = summary(plan(), [Report(process=0), Report(process=1)], 0.0, stopped=True)
    assert (told["acknowledged"], told["rate"], told["faults"]) == (0, None, {})
    assert told["late"] == {"p50": None, "p90": None, "p99": None, "max": None}


def test_a_report_survives_the_way_between_processes() -> None:
    assert Report.model_validate_json(BOTH[0].model_dump_json()) == BOTH[0]
