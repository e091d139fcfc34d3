"""What follows from what people do: appliances that run, taps, windows and the door, movements. No I/O and no clock."""

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from simulators.dwellings import programs
from simulators.dwellings.programs import PLUGS, Phase
from simulators.weather import outside_temperature

HOLD: Final = 60.0
"""Seconds for which a detector goes on telling a movement."""
_WARM_OUTSIDE = 19.0
_AIRING_MINUTES, _AIRING_SPREAD, _TIMES_IN_SUMMER = 9.0, 0.35, 12.0
_AIRS = {"dress": 0.5, "shower": 0.6, "cook": 0.35, "work": 0.2, "dine": 0.3}
"""Odds that the window of the room is opened when people are done with this."""
_BAKES, _FILLS_DISHWASHER = 0.3, 0.55
_KITCHEN_FLOW, _BASIN_FLOW, _SHOWER_FLOW, _CISTERN_FLOW = 5.0, 4.0, 8.5, 9.0
"""Litres a minute."""
_DOOR_SECONDS = 14.0
_RIPPLE = 0.03


class Part(StrEnum):
    """What of a flat can change."""

    PERSON = "person"
    LOAD = "load"
    TAP = "tap"
    WINDOW = "window"
    DOOR = "door"
    MOTION = "motion"


class Change(NamedTuple):
    """One change, at so many seconds since 1970, to a tenth.

    `value` is the activity of a person, by number; the watts of a load; the litres a minute of a tap; whether a window
    or the door stands open; or until when a detector tells a movement.
    """

    at: float
    part: Part
    name: str
    value: float | str


class Booking:
    """Changes as they come up, in no order. What runs already is not begun again: one kettle serves two."""

    def __init__(self, rng: random.Random) -> None:
        self.changes: list[Change] = []
        self._rng = rng
        self._taken: dict[tuple[Part, str], list[tuple[float, float]]] = defaultdict(list)

    def note(self, at: float, part: Part, name: str, value: float | str) -> None:
        """Note one change."""
        self.changes.append(Change(round(at, 1), part, name, value))

    def run(self, part: Part, name: str, begin: float, phases: Sequence[Phase]) -> float:
        """Let something go through its phases, and then rest; give when it ends."""
        end = begin + 60 * sum(phase.minutes for phase in phases)
        taken = self._taken[part, name]
        if not any(begin < other_end and other_begin < end for other_begin, other_end in taken):
            taken.append((begin, end))
            ripple = self._rng.uniform(1 - _RIPPLE, 1 + _RIPPLE) if part in {Part.LOAD, Part.TAP} else 1.0
            at = begin
            for phase in phases:
                self.note(at, part, name, phase.amount * ripple)
                at += 60 * phase.minutes
            self.note(at, part, name, PLUGS.get(name, 0.0) if part is Part.LOAD else 0.0)
        return end

    def see(self, room: str, moves: float, begin: float, end: float) -> None:
        """Note the movements of somebody who is in a room for so long, moving so many times an hour."""
        if math.isinf(moves):
            self.note(begin, Part.MOTION, room, round(end + HOLD, 1))
            return
        at = begin
        while at < end:
            self.note(at, Part.MOTION, room, round(at + HOLD, 1))
            at += self._rng.expovariate(moves / 3600)

    def use(self, activity: str, room: str, begin: float, end: float) -> None:
        """Note what is set going by what somebody does."""
        match activity:
            case "breakfast" | "tea":
                self._pour(programs.KITCHEN_TAP, begin + 10, 11, _KITCHEN_FLOW)
                self.run(Part.LOAD, programs.KETTLE, begin + 25, programs.boil(self._rng))
            case "cook":
                self._cook(begin, end)
            case "dishes":
                self._wash_up(begin, end)
            case "shower":
                self._pour(programs.SHOWER, begin + 70, max(60.0, end - begin - 160), _SHOWER_FLOW)
            case "wash":
                self._pour(programs.BASIN, begin + 15, 50, _BASIN_FLOW)
            case "toilet":
                self._pour(programs.TOILET, end - 60, 40, _CISTERN_FLOW)
                self._pour(programs.BASIN, end - 25, 15, _BASIN_FLOW)
            case "load washer":
                self.run(Part.TAP, programs.WASHER, end, programs.WASH_WATER)
                self.run(Part.LOAD, programs.WASHER, end, programs.WASH)
            case "come" | "go":
                at = begin if activity == "come" else end - _DOOR_SECONDS
                self.run(Part.DOOR, room, at, (Phase(_DOOR_SECONDS / 60, 1),))
        if self._rng.random() < _AIRS.get(activity, 0):
            self._air(room, end)

    def _cook(self, begin: float, end: float) -> None:
        minutes = (end - begin) / 60
        self._pour(programs.KITCHEN_TAP, begin + 40, 35, _KITCHEN_FLOW)
        self._pour(programs.KITCHEN_TAP, end - 90, 25, _KITCHEN_FLOW)
        self.run(Part.LOAD, programs.HOB, begin + 120, programs.fry(minutes - 2))
        if self._rng.random() < _BAKES:
            self.run(Part.LOAD, programs.OVEN, begin + 60, programs.bake(minutes))

    def _wash_up(self, begin: float, end: float) -> None:
        if self._rng.random() < _FILLS_DISHWASHER:
            self._pour(programs.KITCHEN_TAP, begin + 20, 60, _KITCHEN_FLOW)
            self.run(Part.TAP, programs.DISHWASHER, end, programs.RINSE_WATER)
            self.run(Part.LOAD, programs.DISHWASHER, end, programs.RINSE)
        else:
            self._pour(programs.KITCHEN_TAP, begin + 30, 0.7 * (end - begin), _KITCHEN_FLOW)

    def _air(self, room: str, at: float) -> None:
        minutes = self._rng.lognormvariate(math.log(_AIRING_MINUTES), _AIRING_SPREAD)
        if outside_temperature(datetime.fromtimestamp(at, UTC)) > _WARM_OUTSIDE:
            minutes *= _TIMES_IN_SUMMER
        self.run(Part.WINDOW, room, at - 5, (Phase(minutes, 1),))

    def _pour(self, tap: str, at: float, seconds: float, flow: float) -> None:
        self.run(Part.TAP, tap, at, (Phase(seconds / 60, flow),))
