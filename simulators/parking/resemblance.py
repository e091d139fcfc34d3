"""How simulated days of car parks compare with real ones, kind by kind and day by day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from schemas.registry import CarPark, Registry
from simulators.parking import days
from simulators.parking.calendar import HALF_HOURS_A_DAY
from simulators.parking.curves import Curve, Likeness, Shape, curve_of, day_of, known_like, likeness, shape_of
from simulators.parking.profiles import ParkKind, kind_of

COMPARED: tuple[ParkKind, ...] = ("centre", "park-and-ride")
"""The kinds of which there are enough real counters for a mean."""
SEEDS = 5
"""How many cities are averaged, of as many seeds from the given one on."""
DAYS = 3


@dataclass(frozen=True, slots=True)
class KindOfDays:
    """The curves of one kind of car park: of each simulated city, and the real one where there is an archive."""

    kind: ParkKind
    car_parks: tuple[str, ...]
    cities: tuple[Curve, ...]
    real: Curve | None

    @property
    def simulated(self) -> Curve:
        """Give the mean of the cities."""
        return np.asarray(np.mean(self.cities, axis=0))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One kind on one day; where it is compared, both are measured in the half hours that the real day knows."""

    kind: ParkKind
    day: date
    half_hours: int
    simulated: Shape
    real: Shape | None = None
    likeness: Likeness | None = None


def measured(registry: Registry) -> Mapping[ParkKind, tuple[CarPark, ...]]:
    """Give the car parks that are compared: those by count whose real counters worked."""
    parks = [park for park in registry.car_park if park.basis == "count" and park.code not in days.FAULTY]
    found = {kind: tuple(park for park in parks if kind_of(park) == kind) for kind in COMPARED}
    return {kind: of_kind for kind, of_kind in found.items() if of_kind}


def curves(registry: Registry, seed: int, first: date, archive: Path | None = None) -> list[KindOfDays]:
    """Simulate days, and read them from an archive where one is given. Raises ArchiveError."""
    kinds = measured(registry)
    parks = tuple(park for of_kind in kinds.values() for park in of_kind)
    told = None if archive is None else list(days.real(archive, parks, first))
    cities = [list(days.simulated(parks, one, first, DAYS)) for one in range(seed, seed + SEEDS)]
    size = DAYS * HALF_HOURS_A_DAY
    made = []
    for kind, of_kind in kinds.items():
        codes = tuple(park.code for park in of_kind)
        simulated = tuple(curve_of(city, codes, size) for city in cities)
        made.append(KindOfDays(kind, codes, simulated, None if told is None else curve_of(told, codes, size)))
    return made


def compare(kinds: Sequence[KindOfDays], first: date) -> list[Comparison]:
    """Measure each kind on each day; a day of which the archive knows nothing is measured alone."""
    return [_compare(one, first, day) for one in kinds for day in range(DAYS)]


def _compare(kind: KindOfDays, first: date, day: int) -> Comparison:
    simulated, at = day_of(kind.simulated, day), first + timedelta(days=day)
    real = None if kind.real is None else day_of(kind.real, day)
    if real is None or np.isnan(real).all():
        return Comparison(kind.kind, at, HALF_HOURS_A_DAY, shape_of(simulated))
    alike = known_like(simulated, real)
    known = int((~np.isnan(real)).sum())
    return Comparison(kind.kind, at, known, shape_of(alike), shape_of(real), likeness(simulated, real))
