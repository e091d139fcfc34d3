"""The oracle: what a run issued, held against what the tables hold and what is retained.

It shares no code with the service. What a run issued is made again from its file; what was acknowledged has to be
found, what was sent and not acknowledged may be.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from simulators.oracle.examine import Examination
from simulators.oracle.expected import Collected
from simulators.oracle.origins import Origins
from simulators.oracle.subject import CLOCKS, Subject, secrets_of
from simulators.oracle.verdict import Verdict
from simulators.oracle.watch import Watch
from simulators.runs.pace import Issued
from simulators.runs.run_file import Run
from simulators.runs.stream import stream

_PAUSE = 0.5


def collect(subject: Subject, origins: Origins, horizon: timedelta) -> Collected:
    """Make the run's messages again; of one that goes on also those that may be sent within so long from its start."""
    run = subject.run
    collected = Collected(subject.registry, subject.topics, origins)
    for process in range(run.plan.processes):
        acknowledged = run.acknowledged[process]
        for number, issued in enumerate(_sent(subject, process, horizon)):
            collected.add(issued, sure=number in acknowledged)
    return collected


def horizon(run: Run, now: datetime, wait: timedelta) -> timedelta:
    """Tell how long after its start a run that goes on may send while it is verified.

    One that has told nothing of itself for a while was killed: it sends no more.
    """
    started, seen = run.started or now, run.seen or now
    was_killed = now - seen > 2 * CLOCKS
    return (seen if was_killed else now + wait) - started + CLOCKS


def _sent(subject: Subject, process: int, horizon: timedelta) -> Iterator[Issued]:
    run = subject.run
    for number, issued in enumerate(stream(run.plan, subject.registry, process)):
        if number >= run.sent[process] and (run.has_ended or issued.due > horizon.total_seconds()):
            return
        yield issued


async def verify(subject: Subject, wait: timedelta) -> Verdict:
    """Compare until nothing is missing, or for so long; what was acknowledged a moment ago may be on its way.

    Raises ConfigurationError before any connection, psycopg.Error, BrokenError and RefusedError.
    """
    subject.check()
    secrets = secrets_of(subject)
    origins = Origins(subject.registry, subject.topics, secrets)
    collected = await asyncio.to_thread(collect, subject, origins, horizon(subject.run, datetime.now(UTC), wait))
    examination = Examination(subject, secrets, origins, collected)
    deadline = datetime.now(UTC) + wait
    async with Watch.open(subject.settings.broker, f"{subject.topics.live_city}/#") as watch:
        while True:
            verdict = await examination.look(watch)
            if verdict.is_proven or datetime.now(UTC) >= deadline:
                return verdict
            await asyncio.sleep(_PAUSE)
