"""The zigbee2mqtt of some homes: a plug, a climate sensor, a motion sensor and a door. No I/O and no clock.

As by its default a device tells all that is known of it whenever one thing changes, and half of the homes tell no time.
"""

import json
import random
from datetime import datetime, timedelta

from schemas.registry import Registry
from schemas.topics import Topics
from simulators.fleet import Device, SensorMessage, device_random
from simulators.weather import daylight, outside_temperature

_EVERY = 6
"""Of so many homes one has a zigbee2mqtt."""
_DEVICES = ("living room/climate", "couloir [entrée]", "front door", "washing machine")
_REPORT_MINUTES = 20.0
_STANDBY, _WASHING = 1.2, 480.0
"""Watts."""


class Bridge:
    """A home's devices, and the cache of what each has told. Equal seeds and times give equal states."""

    def __init__(self, began: datetime, rng: random.Random) -> None:
        self._rng = rng
        self._plugged_at = began
        self._is_timed = rng.random() < 1 / 2
        self._warmth = rng.uniform(18.5, 21.5)
        self._watts, self._energy = _STANDBY, rng.uniform(20, 400)
        self._cache: dict[str, dict[str, object]] = {name: {} for name in _DEVICES}

    def tell(self, device: str, now: datetime) -> bytes:
        """Let a device report what changed; give all that the bridge knows of it."""
        tellers = (self._climate, self._motion, self._door, self._plug)
        changes = tellers[_DEVICES.index(device)](now)
        state = self._cache[device]
        state |= changes | {"linkquality": self._rng.randrange(40, 200)}
        time = {"last_seen": now.isoformat(timespec="milliseconds")} if self._is_timed else {}
        return json.dumps(state | time, ensure_ascii=False).encode()

    def _climate(self, now: datetime) -> dict[str, object]:
        """Tell one of three, as such a sensor does: the others are then told from the cache."""
        indoors = self._warmth + (outside_temperature(now) - self._warmth) * 0.08
        told = {
            "temperature": round(indoors + self._rng.gauss(0, 0.1), 2),
            "humidity": round(48 + self._rng.gauss(0, 2), 2),
            "pressure": round(1013 + self._rng.gauss(0, 0.4), 1),
        }
        changed = self._rng.choice(list(told))
        if self._cache[_DEVICES[0]]:
            return {changed: told[changed]}
        return {**told, "battery": 97, "voltage": 2975}

    def _motion(self, now: datetime) -> dict[str, object]:
        lux = round(daylight(now) * 0.004)
        return {"occupancy": self._rng.random() < 1 / 3, "illuminance": lux, "illuminance_lux": lux, "battery": 88}

    def _door(self, _: datetime) -> dict[str, object]:
        return {"contact": self._rng.random() > 1 / 20, "battery": 100, "voltage": 3045}

    def _plug(self, now: datetime) -> dict[str, object]:
        """Count up what was drawn since the last time, at the power that was told then."""
        self._energy += self._watts / 1000 * max(0.0, (now - self._plugged_at) / timedelta(hours=1))
        self._plugged_at = max(now, self._plugged_at)
        self._watts = _WASHING + self._rng.gauss(0, 9) if self._rng.random() < 1 / 4 else _STANDBY
        volts = 231 + self._rng.gauss(0, 1)
        return {
            "state": "ON",
            "power": round(self._watts, 1),
            "current": round(self._watts / volts, 2),
            "voltage": round(volts, 1),
            "energy": round(self._energy, 4),
        }


class BridgedDevice:
    """A device behind a home's bridge; it tells its state every 20 minutes."""

    def __init__(self, home: str, device: str, topic: str, bridge: Bridge, began: datetime) -> None:
        self.name = f"dwellings/{home}/{device}"
        self.due = 0.0
        self._device = device
        self._topic = topic
        self._bridge = bridge
        self._began = began
        self._sequence = 0

    def speak(self, now: datetime) -> SensorMessage:
        """Tell the state."""
        payload = self._bridge.tell(self._device, now)
        self.due += _REPORT_MINUTES * 60
        self._sequence += 1
        return SensorMessage(self._topic, payload, self.name, self._sequence - 1, ())


def bridges(registry: Registry, topics: Topics, seed: int, begin: datetime) -> list[Device]:
    """Make the devices of the homes that have some."""
    devices: list[Device] = []
    for home in registry.dwelling[::_EVERY]:
        for device in _DEVICES:
            # Each its own, so that what it says does not depend on who else speaks.
            bridge = Bridge(begin, device_random(seed, f"dwellings/{home.id}/zigbee2mqtt/{device}"))
            devices.append(BridgedDevice(home.id, device, topics.zigbee2mqtt(home.id, device), bridge, begin))
    return devices
