"""The topic grammar: which topics mean what, in both directions.

{root}/parking/{car_park}/spots/{spot}    in    a spot event
{root}/parking/{car_park}/count           in    a counter
{root}/live/parking/{car_park}            out   the live figure of a car park
{root}/live/parking                       out   the city
{root}/status/{client_id}                 out   the service itself
"""

import re
from dataclasses import dataclass
from enum import StrEnum

LEVEL = re.compile(r"[^/+#\x00-\x1f\x7f]+")
"""What may stand as one level of a topic: no separator, no wildcard, no control character."""


class Route(StrEnum):
    """What kind of message a topic carries; also the `route` label of metrics and ledger."""

    SPOT = "spot"
    COUNT = "count"
    UNROUTABLE = "unroutable"


ROUTES = tuple(Route)


@dataclass(frozen=True, slots=True)
class ParkingTopic:
    """A topic in, taken apart; `spot` is empty on a counter's."""

    route: Route
    car_park: str = ""
    spot: str = ""


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

    def live(self, car_park: str) -> str:
        """Where a car park's live figure is retained."""
        return f"{self.root}/live/parking/{car_park}"

    @property
    def live_city(self) -> str:
        """Where the city's live figure is retained."""
        return f"{self.root}/live/parking"

    @property
    def live_filter(self) -> str:
        """All live figures."""
        return f"{self.root}/live/#"

    def status(self, client_id: str) -> str:
        """Where a service says that it is online, and its Will that it is not."""
        return f"{self.root}/status/{client_id}"

    @property
    def data_filters(self) -> tuple[str, ...]:
        """What the service subscribes to. Whole trees, so that a misspelt topic is dead-lettered, not lost."""
        return (f"{self.root}/parking/#",)

    def parse(self, topic: str) -> ParkingTopic:
        """Tell what a topic in means; anything that is none of ours is UNROUTABLE."""
        prefix = f"{self.root}/"
        levels = topic.removeprefix(prefix).split("/") if topic.startswith(prefix) else []
        match levels:
            case ["parking", car_park, "spots", spot] if car_park and spot:
                return ParkingTopic(Route.SPOT, car_park, spot)
            case ["parking", car_park, "count"] if car_park:
                return ParkingTopic(Route.COUNT, car_park)
        return ParkingTopic(Route.UNROUTABLE)
