"""The topic grammar: which topics mean what, in both directions.

{root}/parking/{car_park}/spots/{spot}      in   a spot event
{root}/parking/{car_park}/count             in   a counter
{root}/dwellings/{dwelling}/senml           in   a pack of SenML records
{root}/dwellings/{dwelling}/zigbee2mqtt/+   in   a device's state; its name may have several levels
{root}/dwellings/{dwelling}/pause           in   the red button: on or off
application/{id}/device/{dev_eui}/event/up  in   an uplink of ChirpStack v4
v3/{application}/devices/{device}/up        in   an uplink of The Things Stack v3
{root}/live/parking/{car_park}              out  the live figure of a car park
{root}/live/parking                         out  the city
{root}/live/health                          out  the health of the sensors
{root}/live/dwellings/{district}            out  the pooled figure of a district's homes
{root}/status/{client_id}                   out  the service itself
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

LEVEL = re.compile(r"[^/+#\x00-\x1f\x7f]+")
"""What may stand as one level of a topic: no separator, no wildcard, no control character."""


class Route(StrEnum):
    """What kind of message a topic carries; also the `route` label of metrics and ledger.

    No topic leads to REPLAY: it stands for dead letters that are decoded again.
    """

    SPOT = "spot"
    COUNT = "count"
    SENML = "senml"
    ZIGBEE2MQTT = "zigbee2mqtt"
    CHIRPSTACK = "chirpstack"
    TTS = "tts"
    CONTROL = "control"
    UNROUTABLE = "unroutable"
    REPLAY = "replay"


class Table(StrEnum):
    """A table of raw readings."""

    PARKING_EVENT = "parking_event"
    PARKING_COUNT = "parking_count"
    DWELLING_READING = "dwelling_reading"


ROUTES = tuple(Route)
TABLES: Mapping[Route, tuple[Table, ...]] = MappingProxyType(
    {
        Route.SPOT: (Table.PARKING_EVENT,),
        Route.COUNT: (Table.PARKING_COUNT,),
        Route.SENML: (Table.DWELLING_READING,),
        Route.ZIGBEE2MQTT: (Table.DWELLING_READING,),
        Route.CHIRPSTACK: (Table.PARKING_EVENT, Table.DWELLING_READING),
        Route.TTS: (Table.PARKING_EVENT, Table.DWELLING_READING),
        Route.REPLAY: tuple(Table),
    }
)
"""Where the readings of a route are stored; the others store none."""


_UPLINKS: Mapping[Route, str] = MappingProxyType(
    {Route.CHIRPSTACK: "application/{}/device/{}/event/up", Route.TTS: "v3/{}/devices/{}/up"}
)
"""Network servers name their topics themselves, below no root of ours: after the application, then the device."""
UPLINK_ROUTES = tuple(_UPLINKS)


@dataclass(frozen=True, slots=True)
class TopicIn:
    """A topic in, taken apart: `asset` is a car park or a dwelling, `part` a spot of the car park or a home's device.

    Below a dwelling, `asset` names it on unroutable topics, too. Of an uplink, `asset` is the application at the
    network server and `part` the device: whose that is, the registry tells.
    """

    route: Route
    asset: str = ""
    part: str = ""
    is_home: bool = False


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one deployment, all below `root`."""

    root: str

    def spot(self, car_park: str, spot: str) -> str:
        """Where a bay sensor publishes."""
        return f"{self.root}/parking/{car_park}/spots/{spot}"

    def count(self, car_park: str) -> str:
        """Where a car park's counter publishes."""
        return f"{self.root}/parking/{car_park}/count"

    def senml(self, dwelling: str) -> str:
        """Where a dwelling's gateway publishes SenML packs."""
        return f"{self.root}/dwellings/{dwelling}/senml"

    def zigbee2mqtt(self, dwelling: str, device: str) -> str:
        """Where a dwelling's zigbee2mqtt publishes the state of a device."""
        return f"{self.root}/dwellings/{dwelling}/zigbee2mqtt/{device}"

    def pause(self, dwelling: str) -> str:
        """Where a dwelling's red button is retained."""
        return f"{self.root}/dwellings/{dwelling}/pause"

    def live(self, car_park: str) -> str:
        """Where a car park's live figure is retained."""
        return f"{self.root}/live/parking/{car_park}"

    @property
    def live_city(self) -> str:
        """Where the city's live figure is retained."""
        return f"{self.root}/live/parking"

    @property
    def live_health(self) -> str:
        """Where the health of the sensors is retained."""
        return f"{self.root}/live/health"

    def live_district(self, district: str) -> str:
        """Where the pooled figure of a district's homes is retained."""
        return f"{self.root}/live/dwellings/{district}"

    @property
    def live_filter(self) -> str:
        """All live figures."""
        return f"{self.root}/live/#"

    def status(self, client_id: str) -> str:
        """Where a service says that it is online, and its Will that it is not."""
        return f"{self.root}/status/{client_id}"

    @property
    def control_filters(self) -> tuple[str, ...]:
        """What is subscribed to before any data, so that no reading overtakes a pause."""
        return (f"{self.root}/dwellings/+/pause",)

    @property
    def data_filters(self) -> tuple[str, ...]:
        """What the service stores. Whole trees, so that a misspelt topic is dead-lettered, not lost."""
        uplinks = (uplink_topic(route, "+", "+") for route in UPLINK_ROUTES)
        return (f"{self.root}/parking/#", f"{self.root}/dwellings/#", *uplinks)

    def parse(self, topic: str) -> TopicIn:
        """Tell what a topic in means; anything that is none of ours is UNROUTABLE."""
        return _parse_uplink(topic) or self._parse_own(topic)

    def _parse_own(self, topic: str) -> TopicIn:
        prefix = f"{self.root}/"
        if not topic.startswith(prefix):
            return TopicIn(Route.UNROUTABLE)
        levels = topic.removeprefix(prefix).split("/")
        return _parse_home(levels) if levels[0] == "dwellings" else _parse_parking(levels)


def uplink_topic(route: Route, application: str, device: str) -> str:
    """Give where a network server publishes the uplinks of a device; `route` tells which kind of server."""
    return _UPLINKS[route].format(application, device)


def _parse_parking(levels: list[str]) -> TopicIn:
    match levels:
        case ["parking", car_park, "spots", spot] if car_park and spot:
            return TopicIn(Route.SPOT, car_park, spot)
        case ["parking", car_park, "count"] if car_park:
            return TopicIn(Route.COUNT, car_park)
    return TopicIn(Route.UNROUTABLE)


def _parse_home(levels: list[str]) -> TopicIn:
    match levels[1:]:
        case [dwelling, "senml"] if dwelling:
            return TopicIn(Route.SENML, dwelling, is_home=True)
        case [dwelling, "zigbee2mqtt", *device] if dwelling and any(device):
            return TopicIn(Route.ZIGBEE2MQTT, dwelling, "/".join(device), is_home=True)
        case [dwelling, "pause"] if dwelling:
            return TopicIn(Route.CONTROL, dwelling, is_home=True)
        case rest:
            return TopicIn(Route.UNROUTABLE, rest[0] if rest else "", is_home=True)


def _parse_uplink(topic: str) -> TopicIn | None:
    match topic.split("/"):
        case ["application", application, "device", device, "event", "up"]:
            return TopicIn(Route.CHIRPSTACK, application, device)
        case ["v3", application, "devices", device, "up"]:
            return TopicIn(Route.TTS, application, device)
    return None
