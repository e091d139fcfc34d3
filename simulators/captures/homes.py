"""What of the traffic may be a home's, told by the topic alone: a recording leaves it out unless it is asked for."""

from collections.abc import Iterator
from enum import Enum
from functools import lru_cache

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
        self._prefix = f"{topics.root}/dwellings/"
        bays = (spot for park in registry.car_park for spot in park.spot)
        self._of_bays = set(_names(*bays))
        self._of_homes = set(_names(*(device for home in registry.dwelling for device in home.device)))
        self.whose = lru_cache(_TOPICS_KNOWN)(self._whose)

    def _whose(self, topic: str) -> Whose:
        if topic.startswith(self._prefix):
            return Whose.HOME
        names = _device(topic)
        if names & self._of_homes:
            return Whose.HOME
        return Whose.UNKNOWN_DEVICE if names and not names & self._of_bays else Whose.PUBLIC


def _device(topic: str) -> set[str]:
    """Give what the device may be called of which a network server speaks in a topic, whatever it tells of it."""
    match topic.split("/"):
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
