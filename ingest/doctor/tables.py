"""The doctor's judgement of what the tables tell: the worker, the registry's assets, dead letters, growth. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingest.doctor.report import Check, ok, plural, problem, some, warning
from schemas.live import SensorState
from schemas.reasons import EXPLANATIONS, Reason
from schemas.registry import CarPark, Registry

_RECENT: Final = timedelta(minutes=5)
_STALLED: Final = timedelta(minutes=1)
_BEHIND: Final = timedelta(minutes=10)
_CURES: Final = {
    SensorState.NOISY: "see what it sends so often; `noise` above tells what can be set at the broker",
    SensorState.DUPLICATE_IDENTITY: "find the second device of that name, and give it a topic of its own",
    SensorState.CLOCK_SKEW: "set the device's or its gateway's clock",
    SensorState.STUCK: "look after the sensor, or set stuck_after in ARCEAUX_REGISTRY",
    SensorState.FLAPPING: "look after the sensor and what stands near it",
    SensorState.LOW_BATTERY: "change the battery, or set low_battery in ARCEAUX_REGISTRY",
}
_COUNTER: Final = " (counter)"
_ENOUGH_ROWS: Final = 100_000
"""Readings below which the size of the database is mostly that of an empty one."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A row of the table `worker`; `idle` is the time since its last commit, None before the first."""

    name: str
    lease: int
    batch: int
    idle: timedelta | None
    filters: Sequence[str]


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Dead letters of the last hour for one reason: readings of new rows, and repeats of new and old ones, at least."""

    reason: Reason
    new: int
    repeats: int


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the tables hold.

    `spots` and `counters` give the newest event time of the bays, by code and label, and of the counters, by code, that
    ever spoke; `attention` names those in trouble, by state, newest first. `size` is the database's, in bytes; `held`
    the readings in it, `added` those of the last day. `marks` are those that the roller could take, `lag` is for how
    long the oldest of them has waited.
    """

    workers: tuple[Worker, ...]
    spots: Mapping[tuple[str, str], datetime]
    counters: Mapping[str, datetime]
    attention: Mapping[str, Sequence[str]]
    dead_letters: tuple[DeadLetters, ...]
    size: int
    held: int
    added: int
    marks: int
    lag: timedelta


def judge_tables(
    facts: TableFacts, registry: Registry, client_id: str, filters: Sequence[str], now: datetime
) -> list[Check]:
    """Judge what the tables tell, as of `now`."""
    return [
        judge_worker(facts.workers, client_id, filters),
        *judge_silence(facts, registry, now),
        *judge_attention(facts.attention),
        *judge_dead_letters(facts.dead_letters),
        judge_growth(facts.size, facts.held, facts.added),
        judge_roller(facts.marks, facts.lag),
    ]


def judge_worker(workers: Sequence[Worker], client_id: str, filters: Sequence[str]) -> Check:
    """Judge the row of the service, and those of others that write, too."""
    name = "service"
    ours = next((worker for worker in workers if worker.name == client_id), None)
    others = [w.name for w in workers if w is not ours and w.idle is not None and w.idle < _RECENT]
    if ours is None:
        found = f"none has run as {client_id}: the broker keeps nothing for it yet"
        return warning(name, found, "start `arceaux ingest` before the sensors, or correct ARCEAUX_CLIENT_ID")
    idle = "never committed" if ours.idle is None else f"last commit {_ago(ours.idle)}"
    found = f"{client_id}: lease {ours.lease}, batch {ours.batch}, {idle}"
    if others:
        found = f"{found}; {some(others)} committed within {_minutes(_RECENT)}, too"
        return problem(name, found, "stop all but one: two names on one database receive everything twice")
    if ours.filters and set(ours.filters) != set(filters):
        found = f"{found}; its session is subscribed to {some(sorted(ours.filters))}"
        return warning(name, found, "restart `arceaux ingest` with the settings of this command")
    return ok(name, found)


def judge_stall(workers: Sequence[Worker], client_id: str, messages: int) -> list[Check]:
    """Find a service that does not commit although sensors speak; `messages` is how many were heard."""
    ours = next((worker for worker in workers if worker.name == client_id), None)
    if not messages or ours is None or (ours.idle is not None and ours.idle < _STALLED):
        return []
    idle = "has never committed" if ours.idle is None else f"last committed {_ago(ours.idle)}"
    found = f"sensors speak, and {client_id} {idle}"
    return [problem("service stalled", found, "start `arceaux ingest`, or look at its log for what it waits for")]


def judge_silence(facts: TableFacts, registry: Registry, now: datetime) -> list[Check]:
    """Find registered bays and counters that never spoke, or not for longer than the registry allows."""
    never: list[str] = []
    silent: list[str] = []
    registered = 0
    skewed = facts.attention.get(SensorState.CLOCK_SKEW, ())
    for park in registry.car_park:
        for name, at, patience in _sources(park, facts):
            registered += 1
            if at is None:
                # One whose clock is wrong speaks, and yet nothing that it says can be used.
                never += [] if name.removesuffix(_COUNTER) in skewed else [name]
            elif patience and now - at > patience:
                silent.append(name)
    checks = []
    if never:
        remedy = "switch them on, correct their topics, or take them out of ARCEAUX_REGISTRY"
        checks.append(
            warning("never heard", f"{len(never):,} of {registered:,} bays and counters: {some(never)}", remedy)
        )
    if silent:
        remedy = "look after battery and radio, or raise heartbeat or stale_after in ARCEAUX_REGISTRY"
        checks.append(warning("silent", f"{len(silent):,} of {registered:,} bays and counters: {some(silent)}", remedy))
    return checks or [ok("never heard or silent", f"none of {registered:,} bays and counters")]


def judge_attention(attention: Mapping[str, Sequence[str]]) -> list[Check]:
    """Name the sensors that the service finds in trouble; the silent ones are judged by the registry."""
    return [
        warning(state, f"{plural(len(assets), 'sensor')}: {some(assets)}", _CURES[SensorState(state)])
        for state, assets in attention.items()
    ]


def judge_dead_letters(letters: Sequence[DeadLetters]) -> list[Check]:
    """Tell what was dead-lettered in the last hour, reason by reason."""
    if not letters:
        return [ok("dead letters", "none in the last hour")]
    return [
        warning(
            "dead letters",
            f"{letter.reason}: {plural(letter.new, 'reading')} in the last hour"
            + (f", and {letter.repeats:,} repeats or more" if letter.repeats else ""),
            EXPLANATIONS[letter.reason].remedy,
        )
        for letter in letters
    ]


def judge_growth(size: int, held: int, added: int) -> Check:
    """Tell the size of the database, and what a day like the last one adds to it."""
    name, found = "database size", _bytes(size)
    if held < _ENOUGH_ROWS:
        return ok(name, f"{found}; too few readings to tell its growth. SQL cannot ask for free space: watch the disk")
    growth = f"{added:,} readings in the last day, some {_bytes(size / held * added)}"
    return ok(name, f"{found}; {growth}. SQL cannot ask for free space: watch the disk")


def judge_roller(marks: int, lag: timedelta) -> Check:
    """Judge whether minutes, hours and days of homes are up to date."""
    name, found = "aggregates", f"{plural(marks, 'mark')} of minutes of homes to be rolled"
    if lag < _BEHIND:
        return ok(name, found)
    remedy = "start `arceaux ingest`, or look at its log for roller_postponed; after an outage, wait"
    return warning(name, f"{found}, the oldest since {_minutes(lag)}", remedy)


def _sources(park: CarPark, facts: TableFacts) -> list[tuple[str, datetime | None, timedelta]]:
    """Give name, newest event time and patience of the bays of a car park, and of its counter where it rests on one."""
    sources = [
        (f"{park.code}/{spot.label}", facts.spots.get((park.code, spot.label)), park.heartbeat)
        for spot in park.all_spots()
    ]
    if park.basis == "count":
        sources.append((f"{park.code}{_COUNTER}", facts.counters.get(park.code), park.stale_after))
    return sources


def _ago(span: timedelta) -> str:
    seconds = max(0, round(span.total_seconds()))
    if seconds < 120:  # noqa: PLR2004 - from two minutes on the seconds tell nobody anything
        return f"{seconds} s ago"
    return f"{_minutes(span)} ago" if seconds < 7200 else f"{seconds / 3600:.1f} h ago"  # noqa: PLR2004 - likewise


def _minutes(span: timedelta) -> str:
    return f"{round(span.total_seconds() / 60)} min"


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - the step from one unit to the next
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
