"""The plugs, taps and meters of a home, driven by where people are up. No I/O and no clock."""

import math
import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from simulators.dwellings.residents import local_hour
from simulators.dwellings.senml import Reading

# Watts.
_FRIDGE, _FRIDGE_IDLE = 85.0, 3.0
_COOKER, _TELEVISION, _COMPUTER, _STANDBY = 900.0, 95.0, 55.0, 0.8
_WASHER_HEATING, _WASHER_TURNING = 1900.0, 170.0
_BASE_LOAD, _LAMP = 22.0, 11.0
_RIPPLE = 0.015
_FRIDGE_CYCLE, _FRIDGE_RUNS = timedelta(minutes=48), timedelta(minutes=16)
_WASH, _WASH_FILLS = timedelta(minutes=85), timedelta(minutes=25)
_WASHES_AN_HOUR = 0.04
"""While somebody is up: one in two days or so."""
# Hours of the day.
_MEALS = ((7.0, 7.7), (12.0, 13.5), (18.5, 20.5))
_SHOWERS, _EVENING = ((6.0, 9.5),), ((18.0, 24.0),)
# Litres a minute while somebody is there; the washing machine's while it takes water in.
_KITCHEN_TAP, _SHOWER, _BATHROOM_TAP, _WASHER_TAP = 0.7, 6.0, 1.2, 2.0
_STEAM_OF_COOKING, _STEAM_OF_SHOWER = 450.0, 1100.0
"""Grams of water an hour."""


class _Counter:
    """What flowed through a meter; never falls."""

    def __init__(self, total: float) -> None:
        self.total = total
        self.flow = 0.0

    def run(self, flow: float, time: float) -> None:
        """Let the flow go from what it was to this, evenly, over a time in the flow's own unit."""
        self.total += (self.flow + flow) / 2 * time
        self.flow = flow


class Appliances:
    """What draws current and water in a home."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._fridge_shift = timedelta(minutes=rng.uniform(0, 48))
        self._wash_began: datetime | None = None
        self._steam: dict[str, float] = {}
        plugs = ("kitchen/fridge", "kitchen/cooker", "bathroom/washer", "living/television", "bedroom1/computer")
        self._plugs = {name: _Counter(rng.uniform(2e4, 9e5)) for name in plugs}
        self._taps = {name: _Counter(rng.uniform(2e4, 3e5)) for name in ("kitchen", "bathroom")}
        self._current = _Counter(5e6 + sum(plug.total for plug in self._plugs.values()))
        self._water = _Counter(sum(tap.total for tap in self._taps.values()))

    def run(self, now: datetime, hours: float, awake: Mapping[str, int]) -> None:
        """Let so many hours pass, with so many people up in each room."""
        hour = local_hour(now)
        self._wash(now, hours, awake)
        self._run_plugs(now, hour, hours, awake)
        self._run_taps(now, hour, hours, awake)
        self._steam = {
            "kitchen": _STEAM_OF_COOKING if _cooks(hour, awake) else 0,
            "bathroom": _STEAM_OF_SHOWER if _showers(hour, awake) else 0,
        }

    def watts(self, room: str) -> float:
        """Give what the appliances of a room draw, all of which warms it."""
        return sum(plug.flow for name, plug in self._plugs.items() if name.startswith(f"{room}/"))

    def steam(self, room: str) -> float:
        """Give the grams of water an hour that go into a room's air."""
        return self._steam.get(room, 0)

    def readings(self) -> Iterator[Reading]:
        """Tell every plug and meter."""
        for name, plug in {**self._plugs, "meter": self._current}.items():
            yield Reading(f"{name}/power", "W", plug.flow)
            yield Reading(f"{name}/energy", "Wh", plug.total)
        for name, tap in {**self._taps, "meter": self._water}.items():
            yield Reading(f"{name}/water", "l", tap.total)

    def _wash(self, now: datetime, hours: float, awake: Mapping[str, int]) -> None:
        if self._wash_began is not None and now - self._wash_began >= _WASH:
            self._wash_began = None
        if self._wash_began is None and any(awake.values()):
            starts = self._rng.random() < -math.expm1(-_WASHES_AN_HOUR * hours)
            self._wash_began = now if starts else None

    def _run_plugs(self, now: datetime, hour: float, hours: float, awake: Mapping[str, int]) -> None:
        since_epoch = timedelta(seconds=now.timestamp()) + self._fridge_shift
        watts = {
            "kitchen/fridge": _FRIDGE if since_epoch % _FRIDGE_CYCLE < _FRIDGE_RUNS else _FRIDGE_IDLE,
            "kitchen/cooker": _COOKER if _cooks(hour, awake) else 0,
            "bathroom/washer": self._washer_watts(now),
            "living/television": _TELEVISION if awake.get("living") and _is_in(hour, _EVENING) else _STANDBY,
            "bedroom1/computer": _COMPUTER if awake.get("bedroom1") else _STANDBY,
        }
        for name, draw in watts.items():
            self._plugs[name].run(draw * self._rng.uniform(1 - _RIPPLE, 1 + _RIPPLE), hours)
        lamps = _LAMP * sum(1 for people in awake.values() if people)
        self._current.run(_BASE_LOAD + lamps + sum(plug.flow for plug in self._plugs.values()), hours)

    def _run_taps(self, now: datetime, hour: float, hours: float, awake: Mapping[str, int]) -> None:
        bathroom = _SHOWER if _showers(hour, awake) else _BATHROOM_TAP if awake.get("bathroom") else 0
        if self._wash_began is not None and now - self._wash_began < _WASH_FILLS:
            bathroom += _WASHER_TAP
        self._taps["bathroom"].run(bathroom, hours * 60)
        self._taps["kitchen"].run(_KITCHEN_TAP if awake.get("kitchen") else 0, hours * 60)
        self._water.run(sum(tap.flow for tap in self._taps.values()), hours * 60)

    def _washer_watts(self, now: datetime) -> float:
        if self._wash_began is None:
            return _STANDBY
        return _WASHER_HEATING if now - self._wash_began < _WASH_FILLS else _WASHER_TURNING


def _cooks(hour: float, awake: Mapping[str, int]) -> bool:
    return bool(awake.get("kitchen")) and _is_in(hour, _MEALS)


def _showers(hour: float, awake: Mapping[str, int]) -> bool:
    return bool(awake.get("bathroom")) and _is_in(hour, _SHOWERS)


def _is_in(hour: float, spans: tuple[tuple[float, float], ...]) -> bool:
    return any(begin <= hour < end for begin, end in spans)
