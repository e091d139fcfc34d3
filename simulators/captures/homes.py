"""What of the traffic may be a home's, told by the topic alone: a recording leaves it out unless it is asked for."""

from collections.abc import Iterator, Sequence
from enum import Enum
from functools import lru_cache
from itertools import pairwise

from schemas.registry import DwellingDevice, Registry, Spot
from schemas.topics import Topics

_TOPICS_KNOWN = 65_536


class Whose(Enum):
    """To whom a topic belongs, as far as it matters to a recording."""

    PUBLIC = "public"
    HOME = "home"
    UNKNOWN_DEVICE = "unknown_device"
    """A device that the registry does not list, so that it may be in a home."""


class Owners:
    """Tells whose a topic is."""

    def __init__(self, registry: Registry, topics: Topics) -> None:
        self._parking = f"{topics.root}/parking/"
        self._homes = {home.id for home in registry.dwelling}
        bays = (spot for park in registry.car_park for spot in park.spot)
        self._of_bays = set(_names(*bays))
        self._of_homes = set(_names(*(device for home in registry.dwelling for device in home.device)))
        self.whose = lru_cache(_TOPICS_KNOWN)(self._whose)

    def _whose(self, topic: str) -> Whose:
        if topic.startswith(self._parking):
            return Whose.PUBLIC
        levels = topic.split("/")
        if _is_below_dwellings(levels) or not self._homes.isdisjoint(levels):
            return Whose.HOME
        names = _device(levels)
        if not self._of_homes.isdisjoint(names | {level.lower() for level in levels}):
            return Whose.HOME
        return Whose.UNKNOWN_DEVICE if names and not names & self._of_bays else Whose.PUBLIC


def _is_below_dwellings(levels: Sequence[str]) -> bool:
    """Tell a home's topic below any root; live figures are of many homes."""
    return any(level == "dwellings" and before != "live" for before, level in pairwise(("", *levels)))


def _device(levels: Sequence[str]) -> set[str]:
    """Give what the device may be called of which a network server speaks in a topic, whatever it tells of it."""
    match levels:
        case ["application", _, "device", device, *_]:
            return {device.lower()}
        case ["v3", application, "devices", device, *_]:
            return {f"tts {device}", f"tts {application}/{device}"}
    return set()


def _names(*devices: Spot | DwellingDevice) -> Iterator[str]:
    for device in devices:
        if device.dev_eui:
            yield device.dev_eui.lower()
        if device.tts_device_id:
            yield f"tts {device.tts_device_id}"
