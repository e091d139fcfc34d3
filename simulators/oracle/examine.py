"""One look after the other at tables and retained figures, each compared with what has to be there."""

from collections.abc import Mapping
from datetime import UTC, datetime

from simulators.fleet import micros
from simulators.oracle import figures as live
from simulators.oracle.compare import (
    FactsFound,
    LettersFound,
    Untimed,
    compare_facts,
    compare_letters,
    compare_untimed,
    strays,
    windows,
)
from simulators.oracle.expected import Collected, Values
from simulators.oracle.origins import Origins
from simulators.oracle.subject import CLOCKS, Subject
from simulators.oracle.tables import Tables
from simulators.oracle.verdict import FiguresFound, Verdict
from simulators.oracle.watch import Watch

_DAY = 86_400_000_000


class Examination:
    """What has to be found, and the figures that were right once: of a city that lives, each at its moment."""

    def __init__(self, subject: Subject, secrets: Mapping[str, str], origins: Origins, collected: Collected) -> None:
        self._subject = subject
        self._secrets = secrets
        self._origins = origins
        self._collected = collected
        self._facts = collected.facts()
        self._right: set[str] = set()
        self._since = (subject.run.started or datetime.now(UTC)) - CLOCKS

    async def look(self, watch: Watch) -> Verdict:
        """Compare everything as it is now."""
        watch.check()
        collected = self._collected
        async with Tables.snapshot(self._subject.settings.database_url, collected.sources, self._secrets) as tables:
            newest = await tables.newest()
            figures = await self._figures(newest, watch)
            facts = await self._compare_facts(tables)
            letters = await self._compare_letters(tables)
            books = await tables.books()
        issued, acknowledged = collected.issued, collected.acknowledged
        return Verdict(issued, acknowledged, facts, letters, figures, books, [*collected.sources])

    async def _compare_facts(self, tables: Tables) -> FactsFound:
        found = FactsFound()
        stretches = self._stretches()
        untimed = Untimed(self._collected.untimed, micros(self._since))
        for limits in stretches:
            for first, last, facts in windows(self._facts, limits):
                compare_facts(facts, await tables.between(first, last), found, untimed)
        beyond = strays(self._facts, stretches)
        keys = {(time, source) for time, source in zip(beyond["time"].tolist(), beyond["source"].tolist(), strict=True)}
        rows = await tables.at(sorted({time for time, _ in keys}))
        # At the time of a clock that is off, others may have told what they will.
        compare_facts(beyond, [row for row in rows if (row.time, row.source) in keys], found, untimed)
        await self._compare_untimed(tables, untimed, found)
        return found

    def _stretches(self) -> list[tuple[int, int]]:
        """Give the time of the run, by its sensors' clocks and, for what tells no time, by ours: one or two stretches.

        What lies between two is another run's, perhaps.
        """
        if self._collected.limits is None:
            return []
        first, last = self._collected.limits
        began, seen = micros(self._since), micros(self._subject.run.seen or self._since)
        return [(first, max(last, seen))] if began <= last else [(first, last), (began, seen)]

    async def _compare_untimed(self, tables: Tables, untimed: Untimed, found: FactsFound) -> None:
        """Look for them since the run began, and a day before: a repeat of what was told last is stored there."""
        now = micros(datetime.now(UTC) + CLOCKS)
        left = set(untimed.told)
        held: set[tuple[int, Values]] = set()
        for first, last in ((untimed.since, now), (untimed.since - _DAY, untimed.since)):
            only = frozenset(source for source, _ in left)
            if only:
                rows = await tables.between(first, last, only)
                held |= {(row.source, row.values) for row in rows if row.may_be_untimed}
                left -= held
        compare_untimed(untimed, held, found)

    async def _compare_letters(self, tables: Tables) -> LettersFound:
        expected = self._collected.letters
        digests = [digest for (topic, _), wanted in expected.items() if "/dwellings/" not in topic for digest in wanted]
        until = (self._subject.run.seen or self._since) + CLOCKS if self._subject.run.has_ended else datetime.now(UTC)
        letters = [
            letter for letter in await tables.letters(self._since, digests) if self._origins.is_ours(letter.topic)
        ]
        return compare_letters(expected, letters, self._origins, until)

    async def _figures(self, newest: live.Newest, watch: Watch) -> FiguresFound:
        registry, topics = self._subject.registry, self._subject.topics
        found = FiguresFound()
        if self._subject.run.plan.kind == "dwellings":
            return found
        ours = frozenset({topics.live_city, *(topics.live(park.code) for park in registry.car_park)})
        await watch.wait_for(ours)
        states = live.states(registry, newest)
        for park in registry.car_park:
            topic = topics.live(park.code)
            retained = watch.figures.get(topic)
            self._judge(
                found,
                topic,
                None if retained is None else live.judge(park, states[park.code], retained, micros(datetime.now(UTC))),
            )
        wanted = live.city(watch.figures.get(topics.live(park.code), {}) for park in registry.car_park)
        retained = watch.figures.get(topics.live_city)
        self._judge(found, topics.live_city, None if retained is None else live.differences(wanted, retained))
        for topic in sorted(watch.figures.keys() - ours):
            found.wrong[topic] = "retained for a car park that the registry does not have"
        return found

    def _judge(self, found: FiguresFound, topic: str, unlike: list[str] | None) -> None:
        if unlike == []:
            self._right.add(topic)
        if topic in self._right:
            found.right += 1
        else:
            found.wrong[topic] = "nothing is retained: does the service run?" if unlike is None else "; ".join(unlike)
