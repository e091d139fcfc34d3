"""The rule of pooled figures over random histories, in the database, as an attacker who keeps everything sees it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from integration.pooled_district import DISTRICTS, HALF_HOUR, District, Figure, homes_in

from ingest.database import Connection, connect
from ingest.pooled import Outcome, fix_groups, judge_next
from processors import pooled

pytestmark = pytest.mark.one_server

BEGAN = datetime(2026, 10, 31, 20, tzinfo=UTC)
"""A few hours before another month."""
DELAY = timedelta(hours=2)
"""In place of a day, so that a history is judged while it goes on."""
FIRST_HOMES = {"antigone": 8, "boutonnet": 7, "celleneuve": 3}
MOST_HOMES = 20

Events = Sequence[tuple[tuple[Any, ...], int, bool]]
"""What happens, how many steps then pass, and whether the judge looks after each of them."""
Run = Callable[[Events], int]

UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""To shrink a history takes longer than a test may."""
WHICH = st.integers(0, MOST_HOMES - 1)
EVENTS = st.one_of(
    st.tuples(st.just("nothing")),
    st.tuples(st.sampled_from(["leave", "return", "press", "pause shortly", "erase", "break", "mend"]), WHICH),
    st.tuples(st.just("move"), WHICH, st.sampled_from(DISTRICTS)),
    st.tuples(st.just("join"), st.sampled_from(DISTRICTS)),
    st.tuples(st.just("tell late"), WHICH, st.integers(1, 9)),
    st.tuples(st.just("lose energy"), WHICH),
    st.tuples(st.just("minimum"), st.integers(7, 9)),
    st.tuples(st.just("roller"), st.booleans()),
    st.tuples(st.just("clock"), st.integers(-6, 6)),
)
HISTORIES = st.lists(st.tuples(EVENTS, st.integers(1, 4), st.booleans()), max_size=12)


class Attacker:
    """Looks at everything that is published, after every look of the judge, and forgets nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.steps: dict[tuple[str, datetime], tuple[object, ...]] = {}
        self.figures: dict[tuple[str, datetime, str], Figure] = {}

    async def look(self) -> list[tuple[str, datetime]]:
        """Read the public tables; give the steps that are new. What was there before has to be there unchanged."""
        query = "SELECT district, began_at, suppressed, judged_at, revision FROM pooled_step"
        steps = {row[:2]: row for row in await (await self._connection.execute(query)).fetchall()}
        query = "SELECT district, began_at, kind, value, group_at_least FROM pooled_figure"
        rows = await (await self._connection.execute(query.encode())).fetchall()
        figures = {row[:3]: Figure(*row) for row in rows}
        new = [key for key in steps if key not in self.steps]
        assert self.steps.items() <= steps.items()
        assert {key: figure for key, figure in figures.items() if key[:2] not in new} == self.figures
        self.steps, self.figures = steps, figures
        return new

    def compare(self, minimum: int) -> None:
        """Take every pair of figures of one step: they must not differ by fewer than the least group."""
        sums = [(figure, homes_in(figure.value)) for figure in self.figures.values() if figure.kind == "energy"]
        for (one, some), (other, others) in combinations(sums, 2):
            if one.began_at == other.began_at:
                assert len(some ^ others) >= minimum, (one, other)
        for figure, homes in sums:
            assert len(homes) >= figure.group_at_least >= minimum


class History:
    """Lets things happen, and the judge look."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.district = District(connection, BEGAN)
        self.attacker = Attacker(connection)
        self._minimum = 7
        self._clock = timedelta(0)
        self._marked: datetime | None = None

    async def begin(self) -> None:
        """Let the first homes move in, the first groups be fixed, and some hours pass."""
        for name, count in FIRST_HOMES.items():
            for _ in range(count):
                await self.district.join(name)
        await self.judge()
        for _ in range(6):
            await self.district.live()

    async def happen(self, name: str, *details: object) -> None:
        """Let one thing happen."""
        district = self.district
        home = district.homes[details[0] % len(district.homes)] if details and isinstance(details[0], int) else None
        match name, *details:
            case "join", str(where) if len(district.homes) < MOST_HOMES:
                await district.join(where)
            case "minimum", int(minimum):
                self._minimum = minimum
            case "roller", bool(is_behind):
                await self._mark(is_behind=is_behind)
            case "clock", int(steps):
                self._clock = steps * HALF_HOUR
            case _ if home is not None and not home.is_erased:
                await self._happen_to(home.number, name, *details[1:])

    async def _happen_to(self, number: int, name: str, *details: object) -> None:
        district, home = self.district, self.district.homes[number]
        match name, *details:
            case "leave" | "return", *_:
                await district.consent(home, consents=name == "return")
            case "press", *_:
                await district.press(home)
            case "pause shortly", *_:
                await district.pause_shortly(home)
            case "erase", *_:
                await district.erase(home)
            case "break", *_:
                home.silent |= home.told.keys()
            case "lose energy", *_:
                home.silent.add("energy")
            case "mend", *_:
                home.silent.clear()
            case "move", str(where):
                await district.move(home, where)
            case "tell late", int(steps):
                await district.tell_late(home, steps)

    async def _mark(self, *, is_behind: bool) -> None:
        """Let the roller fall behind by a minute of three hours ago, or catch up."""
        await self._connection.execute("DELETE FROM touched_minute")
        self._marked = self.district.now - 6 * HALF_HOUR if is_behind else None
        if self._marked:
            query = "INSERT INTO touched_minute (minute, sensors) VALUES (%s, '{1}')"
            await self._connection.execute(query, (self._marked,))

    async def judge(self) -> None:
        """Let the judge do all that is due, by its clock; compare what it published with what really happened."""
        now = self.district.now + self._clock
        await fix_groups(self._connection, now)
        self.district.fix_groups(now)
        for name in DISTRICTS:
            while await judge_next(self._connection, name, now, self._minimum) in (
                Outcome.PUBLISHED,
                Outcome.SUPPRESSED,
            ):
                pass
        for name, start in await self.attacker.look():
            assert start + HALF_HOUR + DELAY <= now
            assert self._marked is None or not start - HALF_HOUR <= self._marked < start + HALF_HOUR
            told = {key[2]: figure.value for key, figure in self.attacker.figures.items() if key[:2] == (name, start)}
            assert told == self.district.expected(name, start, self._minimum), (name, start)
            assert self.attacker.steps[name, start][2] is (not told)


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs a history, leaving nothing behind; it gives how many figures were published."""
    monkeypatch.setattr(pooled, "DELAY", DELAY)

    async def work(events: Events) -> int:
        async with await connect(database_url, "test") as connection, connection.transaction(force_rollback=True):
            history = History(connection)
            await history.begin()
            for event, steps, is_judging in events:
                await history.happen(*event)
                for _ in range(steps):
                    await history.district.live()
                    if is_judging:
                        await history.judge()
            await history.judge()
            history.attacker.compare(minimum=7)
            return len(history.attacker.figures)

    return lambda events: asyncio.run(work(events))


@settings(max_examples=8, phases=UNSHRUNK, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=HISTORIES)
@example(events=[(("pause shortly", 0), 4, True), (("tell late", 9, 2), 3, True)])
@example(events=[(("lose energy", 1), 4, True), (("erase", 9), 4, True), (("join", "boutonnet"), 4, True)])
@example(events=[(("leave", 2), 4, True), (("return", 2), 4, True), (("move", 10, "antigone"), 4, True)])
def test_no_two_figures_differ_by_fewer_homes_than_the_least_group(run: Run, events: Events) -> None:
    """Whoever joins, leaves, moves, pauses, falls silent or is erased, and whatever clock, service and roller do."""
    run(events)


def test_a_quiet_city_is_published(run: Run) -> None:
    """Both kinds of both large districts, in every step but the first: a rule that says nothing keeps every secret."""
    assert run([(("nothing",), 4, True)] * 5) >= 60
