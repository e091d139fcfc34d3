"""What a process of a run tells of itself, and what its user is told of all of them. No I/O and no clock."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from simulators.progress import Standing
from simulators.runs.run_file import Mark
from simulators.runs.stream import Plan
from simulators.sending.spread import Spread


class Report(BaseModel):
    """How far a process is: its own messages, and its share of the figures.

    `acknowledged` are ranges of messages by their number in the process, `written` the bytes of their packets,
    `faults` how many were put in by kind, `shown` what the sensors' clocks showed last. `late` and `latency` are the
    counts of spreads.
    """

    model_config = ConfigDict(frozen=True)

    process: int
    sent: int = 0
    acknowledged: list[tuple[int, int]] = []
    in_flight: int = 0
    written: int = 0
    faults: dict[str, int] = {}
    shown: AwareDatetime | None = None
    late: list[int] = []
    latency: list[int] = []
    ended: bool = False

    @property
    def count(self) -> int:
        """How many messages are acknowledged."""
        return sum(last - first + 1 for first, last in self.acknowledged)

    def mark(self, at: datetime) -> Mark:
        """Give the line of the run's file; `at` is by our clock."""
        return Mark(process=self.process, at=at, sent=self.sent, acknowledged=self.acknowledged, ended=self.ended)


def standing(plan: Plan, reports: Collection[Report], elapsed: float) -> Standing:
    """Tell how far a run is, so many seconds after its start."""
    # The slowest process' clock is the run's.
    shown = min((report.shown for report in reports if report.shown is not None), default=None)
    done = None
    if plan.limit is not None:
        done = 0.0 if shown is None else min(1.0, (shown - plan.begin) / plan.limit)
    return Standing(
        acknowledged=sum(report.count for report in reports),
        total=None,
        elapsed=elapsed,
        last_due=plan.seconds,
        time=shown,
        in_flight=sum(report.in_flight for report in reports),
        faults=sum(sum(report.faults.values()) for report in reports) if plan.faults else None,
        done=done,
    )


def summary(plan: Plan, reports: Collection[Report], seconds: float, *, stopped: bool) -> dict[str, Any]:
    """Sum up a run that has ended: what was planned, what came of it, and how long that took."""
    acknowledged = sum(report.count for report in reports)
    faults: Counter[str] = Counter()
    for report in reports:
        faults.update(report.faults)
    return {
        "plan": plan.model_dump(mode="json"),
        "sent": sum(report.sent for report in reports),
        "acknowledged": acknowledged,
        "seconds": round(seconds, 3),
        "rate": round(acknowledged / seconds, 1) if seconds else None,
        "bytes": sum(report.written for report in reports),
        "faults": dict(sorted(faults.items())),
        "publish_to_acknowledge": _together([report.latency for report in reports]),
        "late": _together([report.late for report in reports]) if plan.is_paced else None,
        "stopped": stopped,
    }


def _together(counts: Collection[list[int]]) -> dict[str, float | None]:
    """Give the quantiles of all spreads together, in milliseconds."""
    spread = Spread()
    for one in counts:
        spread.update(Spread(one or None))
    return spread.summary()
