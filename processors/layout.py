"""The registered assets as arrays, and the topic of each: what decoding and the parking state work on.

An asset's index is its place in these arrays; its id is its row in the database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from processors.columns import FOREVER
from processors.homes import Homes
from processors.privacy import Privacy
from processors.sensors import Sensors
from schemas.registry import CarPark, Registry
from schemas.topics import Route, Topics

Int64s = NDArray[np.int64]

NO_ASSET: Final = -1
_COUNTER_STUCK: Final = timedelta(hours=24)
"""A counter at work changes within half a day; see docs/health.md."""
_BAY_STUCK: Final = timedelta(days=30)
"""A car may well stay for weeks."""


class Target(NamedTuple):
    """Where a topic leads: its route, the index of its asset, and the time zone of times without an offset.

    The asset is a spot, a car park or, where `is_home`, a home; NO_ASSET where the registry lists none. `device` names
    the one of a home's devices that speaks for itself.
    """

    route: Route
    asset: int
    zone: ZoneInfo | None = None
    is_home: bool = False
    device: str = ""


class Ids(NamedTuple):
    """Database ids: of car parks by code, of spots by code and label, of dwellings by plain id if they consent."""

    car_parks: Mapping[str, int]
    spots: Mapping[tuple[str, str], int]
    dwellings: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """By what the health of parking sensors is judged, arrays of shape (n + m,): the spots', then the counters.

    A counter is a sensor where a figure rests on it. Durations are microseconds, FOREVER for never: how long one may
    be silent, and for how long it may say the same. `low_battery` are the spots' volts.
    """

    assets: tuple[str, ...]
    is_sensor: NDArray[np.bool_]
    patience: Int64s
    stuck_after: Int64s
    low_battery: NDArray[np.float64]

    @classmethod
    def of(cls, parks: Sequence[CarPark]) -> Self:
        """Read them off the registry."""
        bays = [(park, spot.label) for park in parks for spot in park.all_spots()]
        # One that speaks only on change says nothing while it says the same.
        bays_stuck = [_stuck_after(park, _BAY_STUCK) if park.heartbeat else FOREVER for park, _ in bays]
        return cls(
            assets=(*(f"{park.code}/{label}" for park, label in bays), *(park.code for park in parks)),
            is_sensor=np.array([*(True for _ in bays), *(park.basis == "count" for park in parks)], dtype=bool),
            patience=_int64s([*(_heartbeat(park) for park, _ in bays), *(_micros(park.stale_after) for park in parks)]),
            stuck_after=_int64s([*bays_stuck, *(_stuck_after(park, _COUNTER_STUCK) for park in parks)]),
            low_battery=np.array([park.low_battery for park, _ in bays], dtype=np.float64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Car parks, arrays of shape (m,), spots, arrays of shape (n,), and homes. Durations are microseconds."""

    topics: Topics
    routes: Mapping[str, Target]
    codes: tuple[str, ...]
    car_park_id: Int64s
    capacity: Int64s
    by_count: NDArray[np.bool_]
    stale_after: Int64s
    spot_id: Int64s
    spot_car_park: Int64s
    heartbeat: Int64s
    terms: Terms
    homes: Homes
    privacy: Privacy

    @classmethod
    def of(cls, registry: Registry, ids: Ids, privacy: Privacy, sensors: Sensors) -> Self:
        """Lay out the registry. Every known topic is in `routes`, so that memory does not grow with unknown ones.

        But for those of uplinks, of which the applications are not known: their devices are, see `find`.
        """
        parks, topics = registry.car_park, privacy.topics
        spots = [(park, index, spot.label) for index, park in enumerate(parks) for spot in park.all_spots()]
        routes = {
            topics.spot(park.code, label): Target(Route.SPOT, number, _zone(park))
            for number, (park, _, label) in enumerate(spots)
        }
        routes |= {topics.count(park.code): Target(Route.COUNT, index, _zone(park)) for index, park in enumerate(parks)}
        for index, dwelling in enumerate(registry.dwelling):
            routes[topics.senml(dwelling.id)] = Target(Route.SENML, index, is_home=True)
            routes[topics.pause(dwelling.id)] = Target(Route.CONTROL, index, is_home=True)
        return cls(
            topics=topics,
            routes=routes,
            codes=tuple(park.code for park in parks),
            car_park_id=_int64s(ids.car_parks[park.code] for park in parks),
            capacity=_int64s(park.capacity for park in parks),
            by_count=np.array([park.basis == "count" for park in parks], dtype=bool),
            stale_after=_int64s(_micros(park.stale_after) for park in parks),
            spot_id=_int64s(ids.spots[park.code, label] for park, _, label in spots),
            spot_car_park=_int64s(index for _, index, _ in spots),
            heartbeat=_int64s(_heartbeat(park) for park, _, _ in spots),
            terms=Terms.of(parks),
            homes=Homes.of(registry.dwelling, privacy.pseudonyms, ids.dwellings, sensors),
            privacy=privacy,
        )

    def find(self, topic: str) -> Target:
        """Give where a topic leads that is not in `routes`: to the owner of a device, to a home perhaps, or nowhere."""
        parsed = self.topics.parse(topic)
        if (owner := self.privacy.devices.owner(parsed)) is not None:
            return self.routes[owner.topic]._replace(route=parsed.route, device=owner.label)
        if parsed.is_home:
            home = self.homes.index.get(parsed.asset, NO_ASSET)
            return Target(parsed.route, home, is_home=True, device=parsed.part)
        return Target(parsed.route, NO_ASSET)

    def source_of(self, topic: str) -> str:
        """Give the topic that stands for whoever speaks: of an uplink that of the device's owner, else the same."""
        if topic in self.routes:
            return topic
        owner = self.privacy.devices.owner(self.topics.parse(topic))
        return topic if owner is None else owner.topic

    def sensor_of(self, topic: str) -> int:
        """Give the parking sensor of a topic, by its number in the terms; NO_ASSET where it is none."""
        target = self.routes.get(self.source_of(topic))
        if target is None or target.is_home:
            return NO_ASSET
        return target.asset + (len(self.spot_id) if target.route is Route.COUNT else 0)

    def home_of(self, topic: str) -> int:
        """Give the home of a topic, by its index; NO_ASSET where it is none."""
        target = self.routes.get(self.source_of(topic))
        return NO_ASSET if target is None or not target.is_home else target.asset


def _int64s(values: object) -> Int64s:
    return np.fromiter(values, dtype=np.int64)  # type: ignore[call-overload,no-any-return] # any iterable of ints


def _micros(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def _heartbeat(park: CarPark) -> int:
    return _micros(park.heartbeat) or FOREVER


def _stuck_after(park: CarPark, default: timedelta) -> int:
    return _micros(default if park.stuck_after is None else park.stuck_after) or FOREVER


def _zone(park: CarPark) -> ZoneInfo | None:
    return ZoneInfo(park.timezone) if park.timezone else None
