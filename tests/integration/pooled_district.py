"""Homes that join, leave, move, pause, fall silent and are erased, in the database; and what they truly contributed.

Nothing here comes from the rule that is tested. A home's energy holds a bit of its own, so that a published sum tells
exactly which homes are in it, as an attacker would wish.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from ingest.database import Connection

HALF_HOUR = timedelta(minutes=30)
DISTRICTS = ("antigone", "boutonnet", "celleneuve")
JOULES = 360_000
"""What a published sum is rounded to."""
_BASE = 2**26
"""So much more than the bits of all homes that none holds 15 % of seven."""

_JOIN = "INSERT INTO dwelling (pseudonym, district, consent) VALUES (%s, %s, true) RETURNING id"
_SENSORS = """INSERT INTO sensor (dwelling_id, name, kind, unit)
VALUES (%(id)s, 't', 'temperature', 'Cel'), (%(id)s, 'e', 'energy', 'J')"""
_MINUTES = """INSERT INTO dwelling_minute (bucket, sensor_id, n, mean, minimum, maximum, first, last,
                                           time_weighted_mean, increase, first_at, last_at)
SELECT %(at)s, sensor.id, 1, 0, 0, 0, 0, 0, told.temperature, told.energy, %(at)s, %(at)s
FROM unnest(%(ids)s::integer[], %(kinds)s::text[], %(temperatures)s::float8[], %(energies)s::float8[])
     AS told (id, kind, temperature, energy)
JOIN sensor ON sensor.dwelling_id = told.id AND sensor.kind = told.kind"""
_ERASE = (
    "DELETE FROM dwelling_minute WHERE sensor_id IN (SELECT id FROM sensor WHERE dwelling_id = %s)",
    "DELETE FROM sensor WHERE dwelling_id = %s",
    "DELETE FROM pause WHERE dwelling_id = %s",
    "DELETE FROM dwelling WHERE id = %s",
)


class Figure(NamedTuple):
    """A published figure, as everybody can read it."""

    district: str
    began_at: datetime
    kind: str
    value: float
    group_at_least: int


class Home:
    """One home, by what really happened in it. `told` has the beginnings of steps in which it was heard, by kind."""

    def __init__(self, number: int, identity: int, district: str) -> None:
        self.number, self.id, self.district = number, identity, district
        self.consents, self.is_erased = True, False
        self.silent: set[str] = set()
        self.told: dict[str, set[datetime]] = {"temperature": set(), "energy": set()}
        self.pauses: list[list[datetime]] = []

    @property
    def temperature(self) -> float:
        """What it always measures."""
        return 15 + self.number

    @property
    def energy(self) -> float:
        """What it always uses in a step."""
        return float(JOULES * (_BASE + (1 << self.number)))

    @property
    def is_paused(self) -> bool:
        """Whether its button is on."""
        return bool(self.pauses) and len(self.pauses[-1]) == 1

    def contributed(self, kind: str, district: str, start: datetime) -> bool:
        """Tell whether it contributed to a step of a district, by what is known of it now."""
        before, end = start - HALF_HOUR, start + HALF_HOUR
        was_paused = any(pause[0] < end and (len(pause) == 1 or pause[1] > before) for pause in self.pauses)
        was_heard = start in self.told[kind] and (kind == "temperature" or before in self.told[kind])
        return self.consents and not self.is_erased and self.district == district and was_heard and not was_paused


def homes_in(energy: float) -> set[int]:
    """Read off a published sum which homes are in it."""
    count, mask = divmod(round(energy / JOULES), _BASE)
    found = {number for number in range(mask.bit_length()) if mask >> number & 1}
    assert len(found) == count
    return found


def rounded_mean(homes: list[Home]) -> float:
    """Give the mean temperature of homes to half a degree."""
    total = sum((Fraction(home.temperature) for home in homes), Fraction(0))
    return round(2 * total / len(homes)) / 2


class District:
    """All homes, in the database of one connection, at one moment that only moves forward."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self.now = now
        self.homes: list[Home] = []
        self.groups: dict[tuple[int, int], Mapping[str, list[Home]]] = {}

    async def join(self, district: str) -> None:
        """Add a home, which consents."""
        row = await (await self._connection.execute(_JOIN, (str(len(self.homes)), district))).fetchone()
        assert row is not None
        await self._connection.execute(_SENSORS, {"id": row[0]})
        self.homes.append(Home(len(self.homes), row[0], district))

    async def consent(self, home: Home, *, consents: bool) -> None:
        """Let a home withdraw, or consent again."""
        home.consents = consents
        await self._connection.execute("UPDATE dwelling SET consent = %s WHERE id = %s", (consents, home.id))

    async def move(self, home: Home, district: str) -> None:
        """Let a home be in another district from now on."""
        home.district = district
        await self._connection.execute("UPDATE dwelling SET district = %s WHERE id = %s", (district, home.id))

    async def press(self, home: Home) -> None:
        """Press a home's red button: on if it was off, else off."""
        if home.is_erased:
            return
        if home.is_paused:
            home.pauses[-1].append(self.now)
            query = "UPDATE pause SET ended_at = %s WHERE dwelling_id = %s AND ended_at IS NULL"
        elif home.pauses and home.pauses[-1][0] == self.now:
            return
        else:
            home.pauses.append([self.now])
            query = "INSERT INTO pause (began_at, dwelling_id) VALUES (%s, %s)"
        await self._connection.execute(query.encode(), (self.now, home.id))

    async def pause_shortly(self, home: Home) -> None:
        """Put a pause into the middle of the last half hour of a home, which was heard at its beginning."""
        began, ended = self.now - HALF_HOUR * 2 / 3, self.now - HALF_HOUR / 3
        if all(moment < began for pause in home.pauses for moment in pause) and not home.is_paused:
            home.pauses.append([began, ended])
            query = "INSERT INTO pause (began_at, ended_at, dwelling_id) VALUES (%s, %s, %s)"
            await self._connection.execute(query, (began, ended, home.id))

    async def erase(self, home: Home) -> None:
        """Nothing is left of a home."""
        home.is_erased = True
        for query in _ERASE:
            await self._connection.execute(query.encode(), (home.id,))

    async def live(self) -> None:
        """Half an hour passes; every home that may be heard tells something at its beginning."""
        await self._tell(self.now, [home for home in self.homes if not home.is_paused])
        self.now += HALF_HOUR

    async def tell_late(self, home: Home, steps: int) -> None:
        """Let a home tell what it had not told of a step in the past, whether that was judged or not."""
        at = self.now - steps * HALF_HOUR
        was_paused = any(pause[0] <= at and (len(pause) == 1 or at < pause[1]) for pause in home.pauses)
        if not was_paused:
            await self._tell(at, [home])

    async def _tell(self, at: datetime, homes: list[Home]) -> None:
        rows = []
        for home in homes:
            for kind in home.told.keys() - home.silent:
                if home.consents and not home.is_erased and at not in home.told[kind]:
                    home.told[kind].add(at)
                    rows.append((home.id, kind, home.temperature, home.energy))
        if rows:
            columns = dict(
                zip(("ids", "kinds", "temperatures", "energies"), map(list, zip(*rows, strict=True)), strict=True)
            )
            await self._connection.execute(_MINUTES, columns | {"at": at})

    def fix_groups(self, now: datetime) -> None:
        """Remember who consents at the first look of a month."""
        self.groups.setdefault(
            (now.year, now.month),
            {name: [home for home in self.homes if home.consents and not home.is_erased and home.district == name]
             for name in DISTRICTS},
        )  # fmt: skip

    def expected(self, district: str, start: datetime, minimum: int) -> dict[str, float]:
        """Give what has to be published of a step, by kind, by what is known now."""
        group = self.groups.get((start.year, start.month), {}).get(district, [])
        if len(group) < minimum:
            return {}
        values = {"energy": sum(home.energy for home in group), "temperature": rounded_mean(group)}
        return {
            kind: value
            for kind, value in values.items()
            if all(home.contributed(kind, district, start) for home in group)
        }
