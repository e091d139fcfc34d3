"""What a flat draws from its mains: plugs, lamps and taps, and the meters over them. No I/O and no clock."""

import random
from collections.abc import Collection
from typing import Final

from simulators.dwellings import programs

NOTICED_WATTS: Final = 5.0
"""By so much a plug's power changes before it is told at once."""
_STEAM_OF_SHOWER, _STEAM_OF_COOKING = 190.0, 0.5
"""Grams of water in an hour for each litre a minute of the shower, and for each watt of hob and kettle."""


class Meter:
    """What flows, in watts or litres a minute, and what has flowed since it was made, in watt hours or litres."""

    __slots__ = ("_times_an_hour", "flow", "total")

    def __init__(self, flow: float, total: float, times_an_hour: float = 1.0) -> None:
        self.flow = flow
        self.total = total
        self._times_an_hour = times_an_hour

    def run(self, hours: float) -> None:
        """Let the flow go on for so long."""
        self.total += self.flow * self._times_an_hour * hours


class Supply:
    """Current and water of a flat. `changed` takes the names of the sensors that tell what has changed."""

    def __init__(self, rng: random.Random, changed: set[str]) -> None:
        self._changed = changed
        self.loads = {name: Meter(watts, rng.uniform(2e4, 9e5)) for name, watts in programs.PLUGS.items()}
        self.taps = {name: Meter(0, rng.uniform(5e3, 2e5), 60) for name in programs.TAPS}
        self.power = Meter(programs.BASE_LOAD, 5e6 + sum(load.total for load in self.loads.values()))
        self.water = Meter(0, sum(tap.total for tap in self.taps.values()), 60)
        self._meters = (*self.loads.values(), *self.taps.values(), self.power, self.water)
        self._by_room: dict[str, list[Meter]] = {}
        for name, load in self.loads.items():
            self._by_room.setdefault(name.partition("/")[0], []).append(load)

    def run(self, hours: float) -> None:
        """Let all flow as it does for so long."""
        for meter in self._meters:
            meter.run(hours)

    def set_load(self, name: str, watts: float) -> None:
        """Let a plug draw so much."""
        load = self.loads[name]
        if abs(watts - load.flow) >= NOTICED_WATTS:
            self._changed |= {f"{name}/power", f"{name}/energy"}
        load.flow = watts

    def settle(self, used: Collection[str], lit: Collection[str]) -> None:
        """Let follow what follows of what people use, and of where lamps burn."""
        for name in (programs.TELEVISION, programs.COMPUTER):
            self.set_load(name, programs.WHILE_USED[name] if name in used else programs.PLUGS[name])
        for name, room in programs.PLUGGED_LAMPS.items():
            self.set_load(name, programs.LAMPS[room] if room in lit else programs.PLUGS[name])
        watts = programs.BASE_LOAD + sum(load.flow for load in self.loads.values())
        watts += sum(programs.LAMPS[room] for room in programs.CEILING_LAMPS if room in lit)
        watts += programs.WHILE_USED[programs.CLEANER] if programs.CLEANER in used else 0
        if abs(watts - self.power.flow) >= NOTICED_WATTS:
            self._changed |= {"meter/power", "meter/energy"}
        self.power.flow = watts
        self.water.flow = sum(tap.flow for tap in self.taps.values())

    def heat(self, room: str) -> float:
        """Give the watts of a room's plugs, all of which warm it."""
        return sum(load.flow for load in self._by_room.get(room, ()))

    def steam(self, room: str) -> float:
        """Give the grams of water an hour that go into a room's air."""
        if room == "bathroom":
            return _STEAM_OF_SHOWER * self.taps[programs.SHOWER].flow
        if room == "kitchen":
            return _STEAM_OF_COOKING * (self.loads[programs.HOB].flow + self.loads[programs.KETTLE].flow)
        return 0.0
