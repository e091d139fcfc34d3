"""What network servers call LoRaWAN devices, and names that stand at several places of a registry.

Faults tell the places alone: a registry's faults are logged, and what is a home's must not be.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from schemas.topics import LEVEL

_TTS_LEVELS: Final = 2


def _tts_device_id(value: str) -> str:
    levels = value.split("/")
    if len(levels) > _TTS_LEVELS or not all(LEVEL.fullmatch(level) and level == level.strip() for level in levels):
        raise ValueError("expected the id of a device at The Things Stack, or application/device as in its topics")
    return value


DevEui = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{16}$")]
TtsDeviceId = Annotated[str, AfterValidator(_tts_device_id)]
"""A device's id, or application and id as in its topics: an id is unique in its application only."""


def same(names: Mapping[str, str]) -> list[str]:
    """Tell names that stand at several places, given by place."""
    first = {name: place for place, name in reversed(tuple(names.items()))}
    return [f"{place}: the same as {first[name]}" for place, name in names.items() if first[name] != place]


def same_tts(names: Mapping[str, str]) -> list[str]:
    """Tell ids of devices that the same uplink would lead to; one without its application leads from all of them."""
    told = {place: name for place, name in names.items() if name}
    bare = {name: place for place, name in reversed(tuple(told.items())) if "/" not in name}
    hidden = ((place, bare.get(name.rpartition("/")[2])) for place, name in told.items() if "/" in name)
    return [
        *same(told),
        *(f"{place}: the same device as {other}, which names no application" for place, other in hidden if other),
    ]
