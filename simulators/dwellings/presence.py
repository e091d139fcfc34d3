"""Who is where in a flat and does what: beds, pressure mats and movement detectors follow. No I/O and no clock."""

import random
from collections.abc import Mapping
from typing import Final

from simulators.dwellings.activities import ACTIVITIES, Activity
from simulators.dwellings.household import Household

MATS: Final = ("hall/mat", "kitchen/sink", "bathroom/basin", "bedroom1/bedside", "living/sofa")
BEDROOMS: Final = ("bedroom1", "bedroom2")
_KILOGRAMS, _KILOGRAMS_SPREAD, _LEAST_KILOGRAMS = 71.0, 10.0, 45.0
_GRAVITY, _FEET = 9.81, 0.04
"""Metres a second squared; square metres that a person stands on."""


class Presence:
    """The people of a flat at one time. `changed` takes the names of the sensors that tell what has changed.

    By room: what people there do (`activities`), all their met together. `lit` are the rooms where somebody wants
    light, `used` the appliances that somebody is at. Mats are in pascals.
    """

    def __init__(self, household: Household, rooms: tuple[str, ...], rng: random.Random, changed: set[str]) -> None:
        self._household = household
        self._rooms = rooms
        self._changed = changed
        self.people = ["away"] * len(household.bedrooms)
        self._weights = [
            max(_LEAST_KILOGRAMS, rng.gauss(_KILOGRAMS, _KILOGRAMS_SPREAD)) * _GRAVITY / _FEET for _ in self.people
        ]
        self._moves_until: dict[str, float] = {}
        self.mats: Mapping[str, float] = dict.fromkeys(MATS, 0.0)
        self.beds: Mapping[str, bool] = dict.fromkeys(BEDROOMS, False)
        self._place()

    @property
    def next_rest(self) -> float:
        """When a detector stops telling a movement."""
        return min(self._moves_until.values(), default=float("inf"))

    def do(self, person: int, doing: str) -> None:
        """Let somebody do something else."""
        self.people[person] = doing
        mats, beds = self.mats, self.beds
        self._place()
        self._changed |= {f"{mat}/floor_pressure" for mat in MATS if mats[mat] != self.mats[mat]}
        self._changed |= {f"{room}/bed" for room in BEDROOMS if beds[room] != self.beds[room]}

    def move(self, room: str, until: float) -> None:
        """Let a detector see somebody, and tell it until a time at least."""
        if room not in self._moves_until:
            self._changed.add(f"{room}/motion")
        self._moves_until[room] = max(until, self._moves_until.get(room, until))

    def rest(self, moment: float) -> None:
        """Let detectors that have seen nobody for long enough say so."""
        for room in [room for room, until in self._moves_until.items() if until <= moment]:
            del self._moves_until[room]
            self._changed.add(f"{room}/motion")

    def moves(self, room: str) -> bool:
        """Tell whether the detector of a room tells a movement."""
        return room in self._moves_until

    def room_of(self, person: int) -> str:
        """Give the room that somebody is in."""
        return self._household.room_of(person, self.people[person])

    def _place(self) -> None:
        self.activities: dict[str, list[Activity]] = {room: [] for room in self._rooms}
        self.mats, self.beds = dict.fromkeys(MATS, 0.0), dict.fromkeys(BEDROOMS, False)
        for person, doing in enumerate(self.people):
            room = self.room_of(person)
            if room not in self.activities:
                continue
            activity = ACTIVITIES[doing]
            self.activities[room].append(activity)
            if activity.mat.startswith(f"{room}/"):
                self.mats[activity.mat] += activity.weight * self._weights[person]
            if activity.is_lying:
                self.beds[room] = True
        self.met = {room: sum(one.met for one in here) for room, here in self.activities.items()}
        self.lit = {room for room, here in self.activities.items() if any(one.wants_light for one in here)}
        self.used = {one.uses for here in self.activities.values() for one in here if one.uses}
