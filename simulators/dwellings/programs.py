"""What runs in a flat and for how long: programs of appliances and taps, as steps of watts or litres a minute.

The powers are those on the rating plates of common devices, the shapes of the programs our assumption. No I/O and no
clock.
"""

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

KETTLE: Final = "kitchen/kettle"
FRIDGE: Final = "kitchen/fridge"
HOB: Final = "kitchen/hob"
OVEN: Final = "kitchen/oven"
DISHWASHER: Final = "kitchen/dishwasher"
WASHER: Final = "bathroom/washer"
TELEVISION: Final = "living/television"
COMPUTER: Final = "bedroom2/computer"
ROUTER: Final = "hall/router"
LIVING_LAMP: Final = "living/lamp"
BEDSIDE_LAMP: Final = "bedroom1/lamp"
CLEANER: Final = "vacuum cleaner"
"""Not at a plug that measures; only the meter has it."""
KITCHEN_TAP: Final = "kitchen/tap"
BASIN: Final = "bathroom/basin"
SHOWER: Final = "bathroom/shower"
TOILET: Final = "bathroom/toilet"

PLUGS: Final[Mapping[str, float]] = MappingProxyType(
    {
        FRIDGE: 2.0,
        KETTLE: 0.0,
        HOB: 0.6,
        OVEN: 1.0,
        DISHWASHER: 0.4,
        WASHER: 0.5,
        TELEVISION: 0.6,
        COMPUTER: 1.2,
        ROUTER: 8.5,
        LIVING_LAMP: 0.2,
        BEDSIDE_LAMP: 0.2,
    }
)
"""What measured plugs draw at rest, in watts."""
TAPS: Final = (KITCHEN_TAP, BASIN, SHOWER, TOILET, DISHWASHER, WASHER)
WHILE_USED: Final[Mapping[str, float]] = MappingProxyType({TELEVISION: 95.0, COMPUTER: 62.0, CLEANER: 780.0})
"""Watts of what runs as long as somebody is at it."""
LAMPS: Final[Mapping[str, float]] = MappingProxyType(
    {"living": 14.0, "kitchen": 15.0, "bathroom": 12.0, "bedroom1": 9.0, "bedroom2": 10.0, "hall": 8.0}
)
PLUGGED_LAMPS: Final[Mapping[str, str]] = MappingProxyType({LIVING_LAMP: "living", BEDSIDE_LAMP: "bedroom1"})
CEILING_LAMPS: Final = ("kitchen", "bathroom", "bedroom2", "hall")
BASE_LOAD: Final = 18.0
"""Ventilation, doorbell, chargers: what has no plug of its own."""


class Phase(NamedTuple):
    """So many watts, or litres a minute, for so many minutes."""

    minutes: float
    amount: float


WASH: Final = (Phase(4, 15), Phase(17, 1950), Phase(42, 170), Phase(9, 60), Phase(10, 420))
WASH_WATER: Final = (Phase(1.6, 8), Phase(62, 0), Phase(1.5, 8), Phase(8, 0), Phase(1.5, 8))
RINSE: Final = (Phase(3, 35), Phase(15, 1950), Phase(32, 65), Phase(12, 1850), Phase(25, 12))
RINSE_WATER: Final = (Phase(1, 3.6), Phase(46, 0), Phase(1, 3.6), Phase(9, 0), Phase(0.8, 3.6))


def boil(rng: random.Random) -> tuple[Phase, ...]:
    """Boil water: 2 kW bring 0.8 litres from 15 to 100 degrees in 2 minutes and 20 seconds."""
    return (Phase(rng.uniform(2.05, 2.95), 2000),)


def fry(minutes: float) -> tuple[Phase, ...]:
    """Cook: heat up, then simmer on."""
    quick = min(6.0, minutes / 3)
    return (Phase(quick, 1800), Phase(max(1.0, minutes - quick - 2), 620))


def bake(minutes: float) -> tuple[Phase, ...]:
    """Heat the oven up, then let its thermostat hold it."""
    phases = [Phase(8, 2300)]
    while sum(phase.minutes for phase in phases) < minutes:
        phases += [Phase(2.1, 25), Phase(0.9, 2300)]
    return tuple(phases)


def cool(rng: random.Random) -> tuple[Phase, ...]:
    """Let the compressor of the fridge run, and rest."""
    return (Phase(rng.uniform(14, 18), 82), Phase(rng.uniform(28, 36), PLUGS[FRIDGE]))
