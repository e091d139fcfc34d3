"""How instrumented homes behave: rooms that people live in, told by a gateway in SenML packs. No I/O and no clock.

A small model: what a room's air, a plug or a tap does follows from where people are and from the weather outside.
A sensor does not know of consent, so every registered home is simulated.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from schemas.registry import Registry
from schemas.topics import Topics
from simulators.dwellings.appliances import Appliances
from simulators.dwellings.residents import AWAY, Resident, local_hour
from simulators.dwellings.rooms import Inside, Room, RoomPlan, Surroundings
from simulators.dwellings.senml import Reading, cbor_pack, facts_of, json_pack
from simulators.dwellings.zigbee import bridges
from simulators.fleet import Device, SensorMessage, device_random
from simulators.weather import daylight, outside_temperature

_ROOMS = (
    RoomPlan("living", 22, 20.5, daylight=0.011),
    RoomPlan("kitchen", 10, 20.0, daylight=0.008, air_changes=1.5),
    RoomPlan("bathroom", 6, 21.5, daylight=0.004, air_changes=1.6),
    RoomPlan("bedroom1", 13, 19.0, daylight=0.009),
    RoomPlan("bedroom2", 11, 19.0, daylight=0.009),
    RoomPlan("hall", 8, 18.5),
)
_LIVED_IN = ("living", "kitchen", "bedroom1", "bedroom2")
_BEDROOMS = ("bedroom1", "bedroom2")
_HOUSEHOLDS = {1: 3, 2: 5, 3: 2}
"""Odds of so many residents."""
_HEATED_BY_DAY = (6.0, 22.5)
_POLL_SECONDS = 0.15
"""A gateway asks one room after the other, and then sends its pack: the first room's values are the oldest."""
_MOVES_AWAKE, _MOVES_ASLEEP = 90.0, 1.5
"""Movements an hour that a detector sees."""
_MOTION_HOLDS, _DOOR_STANDS_OPEN = timedelta(seconds=60), timedelta(seconds=20)
_QUIET, _VOICE, _STREET, _MACHINE = 31.0, 52.0, 55.0, 58.0
"""Decibels."""
_MACHINE_WATTS = 90.0
_REPORT_MINUTES = 5.0
_CBOR_EVERY = 4
"""Of so many homes one has a gateway that speaks CBOR."""


class Home:
    """A flat and its residents. Equal seeds and times give equal readings."""

    def __init__(self, began: datetime, rng: random.Random) -> None:
        self._rng = rng
        self._at = began
        (people,) = rng.choices(list(_HOUSEHOLDS), list(_HOUSEHOLDS.values()))
        bedrooms = ("bedroom1", rng.choice(_BEDROOMS), "bedroom2")
        self._residents = [Resident(bedrooms[n], rng) for n in range(people)]
        self._rooms = [Room(plan, outside_temperature(began), rng) for plan in _ROOMS]
        self._around = self._surroundings(began)
        self._inside = {plan.name: Inside() for plan in _ROOMS}
        self._appliances = Appliances(rng)
        self._moved_at: dict[str, datetime] = {}

    def live(self, now: datetime) -> list[Reading]:
        """Let time pass until `now` and tell what every sensor reads then; time never runs back."""
        hours = max(0.0, (now - self._at) / timedelta(hours=1))
        self._at = max(now, self._at)
        # The air of the step that ends now was driven by what stood at its begin.
        for room in self._rooms:
            room.pass_time(hours, self._around, self._inside[room.plan.name])
        for resident in self._residents:
            resident.live(self._at)
        self._around = self._surroundings(self._at)
        self._fill_rooms(hours)
        for room in self._rooms:
            room.use_window(self._at, hours, self._inside[room.plan.name], self._rng)
        self._see_movements(hours)
        return [*self._room_readings(), *self._appliances.readings()]

    def _surroundings(self, now: datetime) -> Surroundings:
        begin, end = _HEATED_BY_DAY
        areas = sum(room.plan.area for room in self._rooms)
        indoors = sum(room.plan.area * room.temperature for room in self._rooms) / areas
        return Surroundings(outside_temperature(now), indoors, daylight(now), begin <= local_hour(now) < end)

    def _fill_rooms(self, hours: float) -> None:
        awake = Counter(one.place for one in self._residents if one.place != AWAY and not one.asleep)
        asleep = Counter(one.place for one in self._residents if one.asleep)
        self._appliances.run(self._at, hours, awake)
        for name in self._inside:
            watts, steam = self._appliances.watts(name), self._appliances.steam(name)
            self._inside[name] = Inside(awake[name], asleep[name], watts, steam)

    def _see_movements(self, hours: float) -> None:
        for name, inside in self._inside.items():
            moves = _MOVES_AWAKE * inside.awake + _MOVES_ASLEEP * inside.asleep
            if self._rng.random() < -math.expm1(-moves * hours):
                self._moved_at[name] = self._at
        passing = [one.moved_at for one in self._residents if one.moved_at is not None]
        if passing:
            self._moved_at["hall"] = max(passing)

    def _room_readings(self) -> Iterator[Reading]:
        for n, room in enumerate(self._rooms):
            lag = round(_POLL_SECONDS * (len(self._rooms) - 1 - n), 2)
            for what, unit, value in self._measure(room):
                yield Reading(f"{room.plan.name}/{what}", unit, value, lag)
        passed = [one.passed_door_at for one in self._residents if one.passed_door_at is not None]
        stands_open = any(self._at - at < _DOOR_STANDS_OPEN for at in passed)
        yield Reading("hall/door/contact", "", not stands_open)

    def _measure(self, room: Room) -> Iterator[tuple[str, str, float | bool]]:
        """Read a room's sensors: name, unit, value. A contact is true when it is closed, as in zigbee2mqtt."""
        name, rng = room.plan.name, self._rng
        inside = self._inside[name]
        in_use = inside.awake > 0 or (self._moves(name) and not inside.asleep)
        yield "temperature", "Cel", room.temperature + rng.gauss(0, 0.03)
        yield "humidity", "%RH", min(100.0, max(0.0, room.humidity + rng.gauss(0, 0.2)))
        yield "illuminance", "lx", room.illuminance(self._around, in_use=in_use) * rng.uniform(0.98, 1.02)
        yield "motion", "", self._moves(name)
        if room.plan.has_window:
            yield "window/contact", "", not room.is_open
        if name in _LIVED_IN:
            yield "co2", "ppm", room.co2 + rng.gauss(0, 4)
            yield "noise", "dB", self._noise(room) + rng.gauss(0, 0.8)
        if name in _BEDROOMS:
            yield "bed", "", inside.asleep > 0

    def _moves(self, room: str) -> bool:
        at = self._moved_at.get(room)
        return at is not None and self._at - at < _MOTION_HOLDS

    def _noise(self, room: Room) -> float:
        """Decibels: powers add up, levels do not."""
        inside = self._inside[room.plan.name]
        levels = [_QUIET] + [_VOICE] * inside.awake + [_STREET] * room.is_open
        levels += [_MACHINE] * (inside.watts > _MACHINE_WATTS)
        return 10 * math.log10(sum(10 ** (level / 10) for level in levels))


class Gateway:
    """Sends a home's packs."""

    def __init__(self, home: str, topic: str, began: datetime, rng: random.Random, *, speaks_cbor: bool) -> None:
        self.name = f"dwellings/{home}"
        self.due = 0.0
        self._id = home
        self._topic = topic
        self._began = began
        self._home = Home(began, rng)
        self._write = cbor_pack if speaks_cbor else json_pack
        self._sequence = 0

    def speak(self, now: datetime) -> SensorMessage:
        """Tell what every sensor reads; the home lives in the fleet's own time."""
        readings = self._home.live(self._began + timedelta(seconds=self.due))
        self.due += _REPORT_MINUTES * 60
        self._sequence += 1
        facts = facts_of(readings, self._id, now)
        return SensorMessage(self._topic, self._write(readings, now), self.name, self._sequence - 1, facts)


def homes(registry: Registry, topics: Topics, seed: int, begin: datetime) -> list[Device]:
    """Make every home of a registry, with the bridges that some have. Each reports every 5 minutes."""
    devices: list[Device] = [
        Gateway(
            home.id,
            topics.senml(home.id),
            begin,
            device_random(seed, f"dwellings/{home.id}"),
            speaks_cbor=turn % _CBOR_EVERY == _CBOR_EVERY - 1,
        )
        for turn, home in enumerate(registry.dwelling)
    ]
    return [*devices, *bridges(registry, topics, seed, begin)]
