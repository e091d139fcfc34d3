"""How loud a room is: powers of sources add up, levels do not. All levels are our assumption. No I/O and no clock."""

import math
from typing import Final

from simulators.dwellings import programs
from simulators.dwellings.flat import Flat

_QUIET, _STREET, _STREET_BY_NIGHT, _TAP = 30.0, 54.0, 44.0, 56.0
_HUM: Final = {
    programs.FRIDGE: 36.0,
    programs.KETTLE: 63.0,
    programs.HOB: 57.0,
    programs.OVEN: 42.0,
    programs.DISHWASHER: 49.0,
    programs.TELEVISION: 57.0,
    programs.COMPUTER: 37.0,
}
"""Decibels of what runs, the hob's with those of the extractor over it."""
_RUNS_WATTS = 10.0
_DAY_LUX = 100.0


def decibels(flat: Flat, room: str) -> float:
    """Give the level in a room, of people, machines, the tap and the street."""
    levels = [_QUIET] + [activity.decibels for activity in flat.presence.activities[room]]
    for name, level in _HUM.items():
        if name.startswith(room) and flat.supply.loads[name].flow > _RUNS_WATTS:
            levels.append(level)
    if room == "kitchen" and flat.supply.taps[programs.KITCHEN_TAP].flow:
        levels.append(_TAP)
    if flat.rooms[room].is_open:
        levels.append(_STREET if flat.around.daylight > _DAY_LUX else _STREET_BY_NIGHT)
    return 10 * math.log10(sum(10 ** (level / 10) for level in levels))
