"""What people do at home, and what of it sensors can tell. No I/O and no clock.

Metabolic rates are in met, rounded from the classes of ISO 8996 (lying 0.8, sitting 1.0 to 1.2, housework 2 to 3).
How loud and how lively something is, is our assumption.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

AWAY_ROOM: Final = ""
OWN_ROOM: Final = "own bedroom"
HALL: Final = "hall"


class Activity(NamedTuple):
    """What one person does.

    `moves` are how often an hour a detector sees him, `decibels` how loud he is with what he handles. `mat` is the
    pressure mat that bears so much (`weight`, a share) of him. `uses` is the appliance that runs all the while.
    """

    room: str
    met: float = 1.0
    moves: float = math.inf
    decibels: float = 45.0
    mat: str = ""
    weight: float = 1.0
    uses: str = ""
    is_lying: bool = False
    wants_light: bool = True


ACTIVITIES: Final[Mapping[str, Activity]] = MappingProxyType(
    {
        "away": Activity(AWAY_ROOM, moves=0),
        "pass": Activity(HALL, 2.0, mat="hall/mat"),
        "come": Activity(HALL, 2.0, decibels=58, mat="hall/mat"),
        "go": Activity(HALL, 2.0, decibels=56, mat="hall/mat"),
        "sleep": Activity(OWN_ROOM, 0.9, 1.5, 33, is_lying=True, wants_light=False),
        "read in bed": Activity(OWN_ROOM, 1.0, 8, 34, is_lying=True),
        "rest": Activity("bedroom2", 0.9, 3, 33, is_lying=True, wants_light=False),
        "stand up": Activity(OWN_ROOM, 1.6, mat="bedroom1/bedside"),
        "dress": Activity(OWN_ROOM, 2.0, decibels=48),
        "toilet": Activity("bathroom", 1.3, decibels=48),
        "wash": Activity("bathroom", 1.6, decibels=52, mat="bathroom/basin"),
        "shower": Activity("bathroom", 1.8, decibels=66),
        "load washer": Activity("bathroom", 2.2, decibels=55),
        "breakfast": Activity("kitchen", 1.5, 60, 52),
        "tea": Activity("kitchen", 1.6, decibels=50),
        "lunch": Activity("kitchen", 1.4, 40, 52),
        "cook": Activity("kitchen", 2.3, decibels=60, mat="kitchen/sink"),
        "dishes": Activity("kitchen", 2.0, decibels=60, mat="kitchen/sink"),
        "dine": Activity("living", 1.4, 40, 56),
        "television": Activity("living", 1.1, 9, 40, "living/sofa", 0.3, uses="living/television"),
        "read": Activity("living", 1.0, 7, 36, "living/sofa", 0.3),
        "talk": Activity("living", 1.2, 30, 58, "living/sofa", 0.3),
        "work": Activity("bedroom2", 1.2, 20, 44, uses="bedroom2/computer"),
        "clean": Activity("living", 3.0, decibels=70, uses="vacuum cleaner"),
    }
)
