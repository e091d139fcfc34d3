"""Where dead letters stand: the topics under which those of one source are counted. No I/O and no clock.

Written from docs/delivery.md and docs/privacy.md, not from the service's code.
"""

import hmac
from collections.abc import Mapping

from schemas.registry import Registry
from schemas.topics import Route, Topics

_NOBODY = "-"


def pseudonyms(registry: Registry, key: bytes) -> Mapping[str, str]:
    """Give the pseudonym of every home, by its id: HMAC-SHA-256 in hexadecimal."""
    return {home.id: hmac.digest(key.strip(), home.id.encode(), "sha256").hex() for home in registry.dwelling}


class Origins:
    """Gives the topic that stands for a source: of a bay or counter its own, of a home one with its pseudonym.

    All that the registry does not list is one source a route.
    """

    def __init__(self, registry: Registry, topics: Topics, secrets: Mapping[str, str]) -> None:
        self._topics = topics
        self._secrets = secrets
        self._known_secrets = frozenset(secrets.values())
        self._own = {topics.count(park.code) for park in registry.car_park}
        self._own |= {topics.spot(park.code, spot.label) for park in registry.car_park for spot in park.all_spots()}

    def of_message(self, topic: str) -> str:
        """Give it by the topic of a message."""
        device = self._topics.parse(topic)
        if not device.is_home:
            return self._of_parking(topic)
        return self._of_home(self._secrets.get(device.asset, _NOBODY), device.route)

    def of_letter(self, topic: str) -> str:
        """Give it by the topic of a dead letter, which names homes by their pseudonyms."""
        device = self._topics.parse(topic)
        if not device.is_home:
            return self._of_parking(topic)
        return self._of_home(device.asset if device.asset in self._known_secrets else _NOBODY, device.route)

    def is_ours(self, topic: str) -> bool:
        """Tell whether a topic is below the root of the run, or an uplink's."""
        is_uplink = self._topics.parse(topic).route in {Route.CHIRPSTACK, Route.TTS}
        return is_uplink or topic.startswith(f"{self._topics.root}/")

    def nameless(self, origin: str) -> str:
        """Give it for what must not even name the home that sent it."""
        return self._of_home(_NOBODY, self._topics.parse(origin).route)

    def _of_parking(self, topic: str) -> str:
        device = self._topics.parse(topic)
        if topic in self._own or device.route in {Route.CHIRPSTACK, Route.TTS}:
            return topic
        match device.route:
            case Route.SPOT:
                return self._topics.spot(_NOBODY, _NOBODY)
            case Route.COUNT:
                return self._topics.count(_NOBODY)
        return f"{self._topics.root}/parking/{_NOBODY}"

    def _of_home(self, secret: str, route: Route) -> str:
        return self._topics.senml(secret) if route is Route.SENML else f"{self._topics.root}/dwellings/{secret}"
