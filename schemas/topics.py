"""The topic grammar: which topics mean what, in both directions.

{root}/parking/{car_park}/spots/{spot}    in    a spot event
{root}/parking/{car_park}/count           in    a counter
{root}/dwellings/{dwelling}/senml         in    a pack of SenML records
{root}/dwellings/{dwelling}/pause         in    the red button: on or off
{root}/live/parking/{car_park}            out   the live figure of a car park
{root}/live/parking                       out   the city
{root}/live/health                        out   the health of the sensors
{root}/live/dwellings/{district}          out   the pooled figure of a district's homes
{root}/status/{client_id}                 out   the service itself
"""

import re
from dataclasses import dataclass
from enum import StrEnum

LEVEL = re.compile(r"[^/+#\x00-\x1f\x7f]+")
"""What may stand as one level of a topic: no separator, no wildcard, no control character."""


class Route(StrEnum):
    """What kind of message a topic carries; also the `route` label of metrics and ledger.

    No topic leads to REPLAY: it stands for dead letters that are decoded again.
    """

    SPOT = "spot"
    COUNT = "count"
    SENML = "senml"
    CONTROL = "control"
    UNROUTABLE = "unroutable"
    REPLAY = "replay"


ROUTES = tuple(Route)
TABLES = {Route.SPOT: "parking_event", Route.COUNT: "parking_count", Route.SENML: "dwelling_reading"}
"""Where the readings of a route are stored."""


@dataclass(frozen=True, slots=True)
class TopicIn:
    """A topic in, taken apart: `asset` is a car park or a dwelling, `part` a spot of the car park.

    Below a dwelling, `asset` names it on unroutable topics, too.
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
        return (f"{self.root}/parking/#", f"{self.root}/dwellings/#")

    def parse(self, topic: str) -> TopicIn:
        """Tell what a topic in means; anything that is none of ours is UNROUTABLE."""
        prefix = f"{self.root}/"
        levels = topic.removeprefix(prefix).split("/") if topic.startswith(prefix) else []
        match levels:
            case ["parking", car_park, "spots", spot] if car_park and spot:
                return TopicIn(Route.SPOT, car_park, spot)
            case ["parking", car_park, "count"] if car_park:
                return TopicIn(Route.COUNT, car_park)
            case ["dwellings", dwelling, "senml"] if dwelling:
                return TopicIn(Route.SENML, dwelling, is_home=True)
            case ["dwellings", dwelling, "pause"] if dwelling:
                return TopicIn(Route.CONTROL, dwelling, is_home=True)
            case ["dwellings", *rest]:
                return TopicIn(Route.UNROUTABLE, rest[0] if rest else "", is_home=True)
        return TopicIn(Route.UNROUTABLE)
