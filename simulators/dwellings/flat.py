"""A flat that is lived in: its air, what runs in it, who is where. No I/O and no clock.

Time goes from one change of the household's to the next; between two of them all that drives the air stands still, so
that its course is solved exactly, and no report is too early or too late.
"""

import random
from datetime import datetime
from typing import Final

from simulators.dwellings.booking import Change, Part
from simulators.dwellings.climate import surroundings
from simulators.dwellings.household import ZONE, Household
from simulators.dwellings.presence import Presence
from simulators.dwellings.rooms import Inside, Room, RoomPlan
from simulators.dwellings.supply import Supply

ROOMS: Final = (
    RoomPlan("living", 22, 20.5, daylight=0.011),
    RoomPlan("kitchen", 10, 20.0, daylight=0.008, air_changes=1.5),
    RoomPlan("bathroom", 6, 21.5, daylight=0.004, air_changes=1.6),
    RoomPlan("bedroom1", 13, 19.0, daylight=0.009),
    RoomPlan("bedroom2", 11, 19.0, daylight=0.009),
    RoomPlan("hall", 8, 18.5),
)
_WARM_UP = 3 * 3600.0
"""Seconds of life before the begin: by then the air has forgotten what it was set to."""
_LONGEST_STEP, _WEATHER_HOLDS = 600.0, 60.0
_DARK_LUX = 90.0
_AREA = sum(plan.area for plan in ROOMS)


class Flat:
    """A flat and its household, at a time in seconds since 1970."""

    def __init__(self, began: datetime, rng: random.Random, people: int) -> None:
        household = Household(rng, people)
        self.residents = people
        self.at = began.timestamp() - _WARM_UP
        self._changes = household.changes(datetime.fromtimestamp(self.at, ZONE).date())
        self._next = next(self._changes)
        self._changed: set[str] = set()
        self.presence = Presence(household, tuple(plan.name for plan in ROOMS), rng, self._changed)
        self.supply = Supply(rng, self._changed)
        self.around, self._around_at = surroundings(self.at), self.at
        self.rooms = {plan.name: Room(plan, self.around.temperature, rng) for plan in ROOMS}
        self.door_is_open = False
        self.live(began.timestamp())

    @property
    def next_change(self) -> float:
        """When something changes next of itself."""
        return min(self._next.at, self.presence.next_rest)

    def live(self, at: float) -> set[str]:
        """Go on until a time; give the names of the sensors that have to tell at once what has changed."""
        self._changed.clear()
        while self.next_change <= at:
            self._meet(self.next_change)
        if self.at < at:
            self._pass_time(at)
            self._settle()
        return set(self._changed)

    def _meet(self, moment: float) -> None:
        """Let happen all that happens at a moment. That somebody is seen changes nothing else."""
        self.presence.rest(moment)
        is_driven = False
        while self._next.at <= moment:
            if self._next.part is Part.MOTION:
                self.presence.move(self._next.name, float(self._next.value))
            else:
                self._pass_time(moment)
                self._apply(self._next)
                is_driven = True
            self._next = next(self._changes)
        if is_driven and moment >= self.at:
            self._settle()

    def _apply(self, change: Change) -> None:
        _, part, name, value = change
        if part is Part.PERSON:
            self.presence.do(int(name), str(value))
        elif part is Part.LOAD:
            self.supply.set_load(name, float(value))
        elif part is Part.TAP:
            self.supply.taps[name].flow = float(value)
        elif part is Part.WINDOW:
            self.rooms[name].is_open = bool(value)
            self._changed.add(f"{name}/window/contact")
        else:
            self.door_is_open = bool(value)
            self._changed.add(f"{name}/door/contact")

    def _settle(self) -> None:
        """Let follow what follows of itself: lamps, what people use, the meters, and what drives each room's air."""
        if self.at - self._around_at >= _WEATHER_HOLDS:
            self.around, self._around_at = surroundings(self.at), self.at
        for name, room in self.rooms.items():
            room.is_lit = name in self.presence.lit and room.daylight(self.around) < _DARK_LUX
        self.supply.settle(self.presence.used, [name for name, room in self.rooms.items() if room.is_lit])
        for name, room in self.rooms.items():
            room.inside = Inside(self.presence.met[name], self.supply.heat(name), self.supply.steam(name))

    def _pass_time(self, until: float) -> None:
        while self.at < until:
            step = min(until - self.at, _LONGEST_STEP)
            hours = step / 3600
            indoors = sum(room.plan.area * room.temperature for room in self.rooms.values()) / _AREA
            for room in self.rooms.values():
                room.pass_time(hours, self.around, indoors)
            self.supply.run(hours)
            self.at = until if until - self.at <= _LONGEST_STEP else self.at + step
