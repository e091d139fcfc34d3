"""The oracle's own arithmetic: facts and dead letters compared, figures folded."""

import hashlib
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.test_faults import bay

from schemas.registry import Registry
from schemas.topics import Topics
from simulators.fleet import ARRIVAL, Fact
from simulators.oracle import compare, figures
from simulators.oracle.compare import FactsFound, Untimed, compare_facts, compare_letters, strays, windows
from simulators.oracle.expected import FACT, Collected
from simulators.oracle.origins import Origins, pseudonyms
from simulators.oracle.tables import Letter, Row
from simulators.oracle.verify import horizon
from simulators.runs.pace import Issued
from simulators.runs.run_file import Mark, Run
from simulators.runs.stream import Plan

TOPICS = Topics("city")
NOW = datetime(2026, 11, 21, 22, tzinfo=UTC)
NOW_MICROS = int(NOW.timestamp()) * 1_000_000
MINUTE = 60_000_000
REGISTRY = Registry.model_validate(
    {
        "car_park": [
            {
                "code": "ANTI",
                "name": "Antigone",
                "zone": "centre",
                "capacity": 4,
                "basis": "spots",
                "spots": ["1", "2", "3"],
            },
            {"code": "COME", "name": "Comédie", "capacity": 100, "basis": "count"},
        ],
        "dwelling": [
            {"id": "hut-01", "district": "antigone", "consent": True},
            {"id": "hut-02", "district": "antigone", "consent": False},
        ],
    }
)
SECRETS = pseudonyms(REGISTRY, b"0123456789abcdef" * 2 + b"\n")
ORIGINS = Origins(REGISTRY, TOPICS, SECRETS)
NOTHING_UNTIMED = Untimed({}, 0)
SEED = random.randrange(10**6)


def collected(*messages: tuple[Issued, bool]) -> Collected:
    """Collect messages, each acknowledged or not."""
    all_of_them = Collected(REGISTRY, TOPICS, ORIGINS)
    for message, sure in messages:
        all_of_them.add(message, sure=sure)
    return all_of_them


def rejected(topic: str, payload: bytes, *letters: str) -> Issued:
    """Give a message that has to become dead letters."""
    message = replace(bay(0).message, topic=topic, payload=payload, facts=())
    return replace(bay(0), message=message, facts=(), letters=letters, fault="hostile")


def letter(topic: str, reason: str, payload: bytes = b"", seen: int = 1, *, is_summary: bool = False) -> Letter:
    """Give a row."""
    digest = hashlib.sha256(topic.encode() + b"\0" + payload).digest()
    return Letter(topic, reason, digest, seen, is_summary, NOW)


def test_a_fact_is_sure_where_one_of_its_messages_is() -> None:
    """A fact that is told twice is one; acknowledged once, it has to be there."""
    facts = collected((bay(0), False), (bay(1), False), (bay(0), True)).facts()
    assert facts["sure"].tolist() == [True, False]
    assert facts["time"].tolist() == [bay(0).facts[0].time, bay(1).facts[0].time]


def test_of_a_home_without_consent_nothing_is_expected() -> None:
    """Neither facts nor dead letters; what of it is there is unexplained."""
    facts = (Fact("dwellings/hut-02/t", 5, (1.0,)),)
    topic = TOPICS.senml("hut-02")
    good = replace(bay(0), message=replace(bay(0).message, topic=topic), facts=facts)
    found = collected((good, True), (rejected(topic, b"{", "malformed_payload"), True))
    assert len(found.facts()) == 0
    assert found.letters == {}
    assert list(found.sources) == ["dwellings/hut-02/t"]


@pytest.mark.parametrize("seed", [SEED])
def test_facts_are_told_apart_however_they_are_parted(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, altered, unexplained, doubled and stray: as many as there are, whatever the window."""
    rng = random.Random(seed)
    keys = sorted({(rng.randrange(500), rng.randrange(5), float(rng.randrange(2))) for _ in range(300)})
    facts = np.array([(time, source, value, 0, 0, True) for time, source, value in keys], dtype=FACT)
    rows = {(time, source, (value, 0.0, 0.0)) for time, source, value in keys}
    times = {(time, source) for time, source, _ in keys}
    lost = set(rng.sample(sorted(rows), 7))
    altered = {(time, source, (9.0, 0.0, 0.0)) for time, source in rng.sample(sorted(times), 4)}
    strange = {(time, 7, (1.0, 0.0, 0.0)) for time in rng.sample(range(500), 3)}
    held = sorted((rows - lost) | altered | strange) + sorted(rows - lost)[:2]
    limits = int(facts["time"][0]), int(facts["time"][-1])
    for size in (1, 7, 1000):
        monkeypatch.setattr(compare, "WINDOW", size)
        found = FactsFound()
        seen = []
        for first, last, part in windows(facts, limits):
            assert len(strays(part, [(first, last)])) == 0
            seen.append((first, last))
            compare_facts(
                part,
                [Row(*key, may_be_untimed=False) for key in held if first <= key[0] <= last],
                found,
                NOTHING_UNTIMED,
            )
        assert seen[0][0] == limits[0]
        assert seen[-1][1] == limits[1]
        assert all(before[1] + 1 == after[0] for before, after in pairwise(seen))
        in_limits = sum(limits[0] <= time <= limits[1] for time, _, _ in strange)
        counts = found.expected, found.stored, found.missing, found.altered, found.unexplained, found.doubled
        assert counts == (len(rows), len(rows) - 7, 7, 4, in_limits, 2)


def test_what_has_no_time_of_its_own_is_explained_by_its_arrival_only() -> None:
    """A row at another time than its arrival, before the run, or of another value is no such fact."""
    untimed = Untimed({(0, (1.0, 0.0, 0.0)): True}, since=100)
    for row, is_explained in (
        (Row(100, 0, (1.0, 0.0, 0.0), may_be_untimed=True), True),
        (Row(100, 0, (1.0, 0.0, 0.0), may_be_untimed=False), False),
        (Row(99, 0, (1.0, 0.0, 0.0), may_be_untimed=True), False),
        (Row(100, 0, (0.0, 0.0, 0.0), may_be_untimed=True), False),
        (Row(100, 1, (1.0, 0.0, 0.0), may_be_untimed=True), False),
    ):
        found = FactsFound()
        compare_facts(np.empty(0, dtype=FACT), [row], found, untimed)
        assert found.unexplained == (not is_explained)
    message = replace(bay(0), facts=(bay(0).facts[0]._replace(time=ARRIVAL),))
    assert list(collected((message, True)).untimed.values()) == [True]


def test_dead_letters_of_parking_are_known_by_their_digest() -> None:
    """Another payload at the same topic for the same reason is unexpected, and does not stand for the one expected."""
    topic = TOPICS.spot("ANTI", "1")
    wanted = collected(
        (rejected(topic, b"{", "malformed_payload"), True), (rejected(topic, b"{}", "schema_violation"), True)
    ).letters
    right = [letter(topic, "malformed_payload", b"{"), letter(topic, "schema_violation", b"{}")]
    assert compare_letters(wanted, right, ORIGINS, NOW).is_right
    found = compare_letters(wanted, [right[0], letter(topic, "schema_violation", b"[]")], ORIGINS, NOW)
    assert (dict(found.missing), dict(found.unexpected)) == ({"schema_violation": 1}, {"schema_violation": 1})
    found = compare_letters(wanted, [right[0], letter(topic, "value_out_of_range", b"{}")], ORIGINS, NOW)
    assert (dict(found.missing), dict(found.unexpected)) == ({"schema_violation": 1}, {"value_out_of_range": 1})
    later = [*right, letter(topic, "unknown_asset", b"x")]
    assert compare_letters(wanted, later, ORIGINS, NOW - timedelta(seconds=1)).is_right, "sent after the run"


def test_dead_letters_of_homes_are_counted_by_pseudonym_and_reason() -> None:
    """Kept or summed up; what must not name its home is counted for all homes together."""
    topic, unknown = TOPICS.senml("hut-01"), TOPICS.senml("ghost")
    wanted = collected(
        (rejected(topic, b"[1]", "time_too_late", "time_too_late", "time_too_late"), True),
        (rejected(topic, b"[2]", "identity_mismatch"), True),
        (rejected(unknown, b"[3]", "unknown_asset"), True),
    ).letters
    secret = TOPICS.senml(SECRETS["hut-01"])
    right = [
        letter(secret, "time_too_late", b"k"),
        letter(secret, "time_too_late", seen=2, is_summary=True),
        letter(TOPICS.senml("-"), "identity_mismatch", is_summary=True),
        letter(TOPICS.senml("-"), "unknown_asset", is_summary=True),
    ]
    assert compare_letters(wanted, right, ORIGINS, NOW).is_right
    for place in range(len(right)):
        assert not compare_letters(wanted, right[:place] + right[place + 1 :], ORIGINS, NOW).is_right


def test_all_that_is_not_registered_is_one_source_a_route() -> None:
    """As docs/delivery.md tells; a flood of it ends as a summary there."""
    for topic, origin in (
        (TOPICS.spot("ANTI", "1"), TOPICS.spot("ANTI", "1")),
        (TOPICS.spot("ANTI", "ghost"), TOPICS.spot("-", "-")),
        (TOPICS.count("GHOST"), TOPICS.count("-")),
        ("city/parking/ANTI/doors/1", "city/parking/-"),
        (TOPICS.zigbee2mqtt("hut-01", "plug/1"), f"city/dwellings/{SECRETS['hut-01']}"),
    ):
        assert ORIGINS.of_message(topic) == origin
        assert ORIGINS.of_letter(origin) == origin


def state_of(**newest: list[tuple[Any, ...]]) -> dict[str, figures.State]:
    """Fold newest rows; times are minutes before now."""
    rows: dict[str, list[tuple[Any, ...]]] = {
        name: newest.get(name, []) for name in ("events", "free", "total", "status")
    }
    return dict(figures.states(REGISTRY, rows))


def test_a_figure_by_spots_counts_what_is_fresh() -> None:
    """A bay older than its heartbeat is unknown, as is one that never spoke, or has no sensor."""
    old = NOW_MICROS - 26 * 60 * MINUTE
    events = [
        ("ANTI", "1", NOW_MICROS, True),
        ("ANTI", "2", NOW_MICROS, False),
        ("ANTI", "3", old, False),
        ("ANTI", "gone", NOW_MICROS, True),
    ]
    made = figures.figure(REGISTRY.car_park[0], state_of(events=events)["ANTI"], NOW_MICROS)
    assert [made[name] for name in ("capacity", "free", "occupied", "unknown", "status", "stale")] == [
        4,
        1,
        1,
        2,
        "open",
        False,
    ]
    assert (made["free_min"], made["free_max"], made["occupancy"], made["confidence"]) == (1, 3, 0.5, 0.5)
    full = figures.figure(REGISTRY.car_park[0], state_of(events=events[2:])["ANTI"], NOW_MICROS)
    assert (full["status"], full["stale"], full["occupancy"]) == ("unknown", True, None)


@pytest.mark.parametrize(
    ("free", "total", "status", "expected"),
    [
        (30, None, None, (100, 30, 70, "open", [])),
        (30, 80, "full", (80, 30, 50, "open", ["status_contradicts_count"])),
        (120, None, "open", (100, 100, 0, "open", ["over_capacity"])),
        (-3, None, None, (100, 0, 100, "full", ["negative_free"])),
        (5, None, None, (100, 5, 95, "almost_full", [])),
        (5, None, "closed", (100, 5, 95, "closed", [])),
    ],
)
def test_a_figure_by_count_follows_the_contract(
    free: int, total: int | None, status: str | None, expected: tuple[Any, ...]
) -> None:
    """Clipped, with the newest total; each number by its own newest time."""
    newest = {"free": free, "total": total, "status": status}
    rows = {name: [("COME", NOW_MICROS, value)] for name, value in newest.items() if value is not None}
    made = figures.figure(REGISTRY.car_park[1], state_of(**rows)["COME"], NOW_MICROS)
    assert tuple(made[name] for name in ("capacity", "free", "occupied", "status", "quality")) == expected
    silent = figures.figure(REGISTRY.car_park[1], state_of(**rows)["COME"], NOW_MICROS + 16 * MINUTE)
    assert silent["unknown"] == expected[0]


def test_a_figure_may_have_been_judged_a_moment_ago_and_no_longer() -> None:
    """Five seconds before a counter expires or after are both right; where expiry is held, a quarter of an hour."""
    park, state = REGISTRY.car_park[1], state_of(free=[("COME", NOW_MICROS, 30)])["COME"]
    fresh = {"observed_at": None, "revision": 1, **figures.figure(park, state, NOW_MICROS)}
    expired = NOW_MICROS + 15 * MINUTE
    assert figures.judge(park, state, fresh, expired + 1_000_000) == []
    assert figures.judge(park, state, fresh, expired + 10_000_000) != []
    assert figures.judge(park, state, fresh | {"quality": ["catching_up"]}, expired + 10_000_000) == []
    assert figures.judge(park, state, fresh | {"quality": ["stuck"]}, NOW_MICROS) == []
    assert figures.judge(park, state, fresh | {"free": 31}, NOW_MICROS) == ["free is 31 instead of 30"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"quality": None}, "quality is None instead of []"),
        ({"quality": 5}, "quality is 5 instead of []"),
        ({"stale": 0}, "stale is 0 instead of False"),
        ({"fre": 30}, "fre is told, and is no field"),
    ],
)
def test_a_figure_has_its_fields_and_no_others(changes: dict[str, Any], told: str) -> None:
    """Each of the right type; one that is left out is named, too."""
    park, state = REGISTRY.car_park[1], state_of(free=[("COME", NOW_MICROS, 30)])["COME"]
    right = {"observed_at": None, "revision": 1, **figures.figure(park, state, NOW_MICROS)}
    assert figures.judge(park, state, right, NOW_MICROS) == []
    assert figures.judge(park, state, right | changes, NOW_MICROS) == [told]
    for name in right:
        rest = {key: value for key, value in right.items() if key != name}
        assert figures.judge(park, state, rest, NOW_MICROS) == [f"{name} is not told"]


def test_a_city_of_what_is_no_figure_has_a_sum() -> None:
    """What a car park says that is no number counts as nothing."""
    assert figures.city([{"free": "many"}, {"free": 3}])["free"] == 3


def test_facts_between_two_stretches_of_time_are_strays() -> None:
    """A run of yesterday's times, sent today, is compared in both: what lies between may be another run's."""
    facts = np.array([(time, 1, 0, 0, 0, True) for time in (1, 2, 5, 8, 9)], dtype=FACT)
    assert strays(facts, [(2, 2), (8, 9)])["time"].tolist() == [1, 5]


def test_a_time_without_facts_is_looked_at_all_the_same() -> None:
    """Of homes without consent nothing is a fact, and what is stored of them has to be found."""
    assert [(first, last, len(part)) for first, last, part in windows(np.array([], dtype=FACT), (3, 9))] == [(3, 9, 0)]


def test_a_run_that_was_killed_sends_no_more() -> None:
    """What may be sent while it is verified ends with its newest mark, where that is old."""
    now, minute = datetime(2026, 11, 22, 12, tzinfo=UTC), timedelta(minutes=1)
    run = Run(Plan(kind="city", seed=1, begin=now, registry=Path("x"), registry_digest=""))
    run.take(Mark(process=0, at=now - 3 * minute, sent=1, acknowledged=[]))
    assert horizon(run, now, wait=minute / 2) == minute
    run.take(Mark(process=0, at=now, sent=2, acknowledged=[]))
    assert horizon(run, now, wait=minute / 2) == 4.5 * minute


def test_the_city_is_the_sum_of_its_car_parks() -> None:
    """By what is retained of them."""
    parks = [
        {"capacity": 4, "free": 1, "occupied": 2, "unknown": 1},
        {"capacity": 9, "free": 9, "occupied": 0, "unknown": 0},
    ]
    assert figures.city(parks) == {"car_parks": 2, "capacity": 13, "free": 10, "occupied": 2, "unknown": 1}
