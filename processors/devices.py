"""Whose a LoRaWAN device is: a bay's, a home's, or nobody's. The registry tells, from the topic of an uplink alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from schemas.registry import DwellingDevice, Registry, Spot
from schemas.topics import Route, TopicIn, Topics


class Owner(NamedTuple):
    """To whom a device belongs: the topic on which its bay or its home would speak without a network server.

    Of a home also its id, and the label of the device there; both are empty for a bay.
    """

    topic: str
    home: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Devices:
    """Owners by what a network server calls their devices: the DevEUI in lower case, or the id at The Things Stack.

    Those of homes are as secret as the homes.
    """

    owners: Mapping[tuple[Route, str], Owner] = field(repr=False)

    @classmethod
    def of(cls, registry: Registry, topics: Topics) -> Self:
        """Collect the devices of a registry."""
        return cls(dict(_owners(registry, topics)))

    def owner(self, topic: TopicIn) -> Owner | None:
        """Give the owner of the device that an uplink is of; None for a device of nobody, and for other topics."""
        match topic.route:
            case Route.CHIRPSTACK:
                return self.owners.get((Route.CHIRPSTACK, topic.part.lower()))
            case Route.TTS:
                of_all = self.owners.get((Route.TTS, topic.part))
                return of_all or self.owners.get((Route.TTS, f"{topic.asset}/{topic.part}"))
        return None


def _owners(registry: Registry, topics: Topics) -> Iterator[tuple[tuple[Route, str], Owner]]:
    for park in registry.car_park:
        for spot in park.spot:
            yield from _names(spot, Owner(topics.spot(park.code, spot.label)))
    for home in registry.dwelling:
        for device in home.device:
            yield from _names(device, Owner(topics.senml(home.id), home.id, device.label))


def _names(device: Spot | DwellingDevice, owner: Owner) -> Iterator[tuple[tuple[Route, str], Owner]]:
    if device.dev_eui:
        yield (Route.CHIRPSTACK, device.dev_eui.lower()), owner
    if device.tts_device_id:
        yield (Route.TTS, device.tts_device_id), owner
