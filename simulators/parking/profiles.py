"""The groups of drivers that use each kind of car park and each kind of bay: the parameters of the model.

Those of centre, park-and-ride and suburb are calibrated on three days of January 2023, the others are assumptions; see
docs/simulators.md.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from schemas.registry import CarPark, SpotKind
from simulators.parking.drivers import Group, Stay, Wave

ParkKind = Literal["centre", "park-and-ride", "suburb", "station", "hospital", "leisure"]

_DAYTIME = (Wave(10.4, 1.4, 0.45), Wave(15.3, 2.0, 0.55))
_STANDING = Stay(60, 0.6)
_NIGHT = Stay(13, 0.25)
_WORK = Stay(8.5, 0.25)

PARKS: Mapping[ParkKind, tuple[Group, ...]] = MappingProxyType(
    {
        "centre": (
            Group("subscribers", (0.09, 0.09, 0.09, 0.085), (Wave(15, 3.5),), _STANDING),
            Group("residents", (0.07, 0.05, 0.03, 0.03), (Wave(18.5, 1.6),), _NIGHT),
            Group("commuters", (0.19, 0.19, 0.04, 0.02), (Wave(7.7, 1.0),), _WORK),
            Group("visitors", (0.60, 0.60, 0.98, 0.38), _DAYTIME, Stay(1.9, 0.6)),
            Group("evening", (0.12, 0.18, 0.22, 0.03), (Wave(19.0, 1.0),), Stay(3.0, 0.4)),
        ),
        "park-and-ride": (
            Group("standing", (0.077, 0.077, 0.077, 0.07), (Wave(14, 3.5),), _STANDING),
            Group("commuters", (0.325, 0.325, 0.06, 0.02), (Wave(7.6, 0.9),), Stay(9.0, 0.2)),
            Group("riders", (0.06, 0.06, 0.22, 0.08), _DAYTIME, Stay(3.5, 0.45)),
        ),
        "suburb": (
            Group("standing", (0.03, 0.03, 0.03, 0.03), (Wave(14, 3.5),), _STANDING),
            Group("commuters", (0.40, 0.40, 0.03, 0.01), (Wave(7.9, 0.8),), Stay(6.5, 0.3)),
            Group("visitors", (0.35, 0.35, 0.45, 0.05), _DAYTIME, Stay(1.2, 0.6)),
        ),
        "station": (
            Group("travellers", (0.13, 0.16, 0.12, 0.14), (Wave(7.5, 1.5, 0.4), Wave(16, 3.0, 0.6)), Stay(55, 0.7)),
            Group("commuters", (0.08, 0.08, 0.02, 0.01), (Wave(7.6, 0.8),), Stay(10, 0.2)),
            Group("visitors", (0.6, 0.6, 0.6, 0.6), _DAYTIME, Stay(1.0, 0.8)),
        ),
        "hospital": (
            Group("day shift", (0.30, 0.30, 0.15, 0.15), (Wave(6.8, 0.5),), Stay(8.2, 0.1)),
            Group("night shift", (0.10, 0.10, 0.10, 0.10), (Wave(20.7, 0.4),), Stay(10.3, 0.1)),
            Group("patients", (0.9, 0.9, 0.2, 0.1), (Wave(9.3, 1.2, 0.6), Wave(14.2, 1.3, 0.4)), Stay(2.2, 0.5)),
            Group("visitors", (0.3, 0.3, 0.6, 0.6), (Wave(15.5, 1.8),), Stay(1.3, 0.5)),
        ),
        "leisure": (
            Group("staff", (0.05, 0.05, 0.05, 0.05), (Wave(11, 2),), _WORK),
            Group("shoppers", (0.5, 0.6, 1.2, 0.4), _DAYTIME, Stay(1.8, 0.6)),
            Group("cinema", (0.35, 0.6, 0.9, 0.7), (Wave(15.5, 1.5, 0.35), Wave(19.8, 0.9, 0.65)), Stay(2.8, 0.2)),
        ),
    }
)

BAYS: Mapping[SpotKind, tuple[Group, ...]] = MappingProxyType(
    {
        "standard": (
            Group("residents", (3.0, 3.0, 2.6, 2.6), (Wave(20.0, 2.2),), Stay(12.5, 0.25)),
            Group("visitors", (11, 12, 14, 5), _DAYTIME, Stay(0.9, 0.7)),
            Group("evening", (1.5, 2.5, 3.0, 0.8), (Wave(19.5, 1.0),), Stay(2.2, 0.5)),
        ),
        "pmr": (
            Group("residents", (0.25, 0.25, 0.25, 0.25), (Wave(18.0, 1.6),), _NIGHT),
            Group("visitors", (4, 4, 4, 2), _DAYTIME, Stay(1.5, 0.6)),
        ),
        "delivery": (
            Group("deliveries", (14, 14, 9, 1), (Wave(8.8, 1.5, 0.7), Wave(14.5, 1.5, 0.3)), Stay(0.2, 0.6)),
            Group("not deliveries", (2, 3, 4, 3), (Wave(19.5, 1.4),), Stay(0.7, 0.9)),
        ),
        "short_stay": (
            Group("within the limit", (24, 24, 26, 6), _DAYTIME, Stay(0.3, 0.4)),
            Group("overstaying", (5, 5, 6, 2), _DAYTIME, Stay(1.0, 0.5)),
            Group("residents", (0.7, 0.7, 0.7, 0.7), (Wave(19.5, 1.0),), Stay(11.5, 0.2)),
        ),
        "charging": (
            Group("charging", (4, 4.5, 4.5, 3), _DAYTIME, Stay(1.8, 0.5)),
            Group("overnight", (0.5, 0.5, 0.4, 0.4), (Wave(18.5, 1.4),), Stay(12, 0.2)),
        ),
    }
)

_TOLD_BY_ZONE: Mapping[str, ParkKind] = MappingProxyType(
    {"park-and-ride": "park-and-ride", "p+r": "park-and-ride", "odysseum": "leisure", "castelnau": "suburb"}
)
_TOLD_BY_NAME: Mapping[str, ParkKind] = MappingProxyType(
    {
        r"gare|station|bahnhof|airport|aéroport": "station",
        r"hôpital|hôpitaux|hospital|chu|clinique|clinic": "hospital",
        r"cinéma|cinema|gaumont|stade|stadium": "leisure",
    }
)


def kind_of(park: CarPark) -> ParkKind:
    """Tell a car park's kind by its zone, else by words of its name; a centre one where neither tells."""
    told = _TOLD_BY_ZONE.get(park.zone.casefold())
    if told is not None:
        return told
    for words, kind in _TOLD_BY_NAME.items():
        if re.search(rf"\b({words})\b", park.name.casefold()):
            return kind
    return "centre"
