"""A fleet of the registry's sensors, and its messages published at a steady pace."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Literal

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.settings import BrokerAddress
from schemas.topics import Topics
from simulators.connection import Client, Connections, heed_cancellation
from simulators.dwelling_model import DwellingFleet
from simulators.fleet import City, Fleet, SensorMessage
from simulators.parking_model import ParkingFleet
from simulators.stopping import stop_on_signals, until_stopped
from simulators.zigbee_model import ZigbeeFleet

_ANNOUNCE_RATE = 200.0
"""First states a second, at least: the city is seen at once, and no broker's window is flooded."""
_CATCH_UP = 0.1

FleetKind = Literal["parking", "dwellings", "city"]

_MISSING: dict[FleetKind, str] = {
    "parking": "neither bays nor counters: add a [[car_park]]",
    "dwellings": "no dwellings: add a [[dwelling]]",
    "city": "neither car parks nor dwellings: add some",
}


def make_fleet(kind: FleetKind, registry: Registry, topics: Topics, seed: int) -> Fleet:
    """Make the sensors that a registry has of a kind; a city has all of them.

    A seed's car parks and homes are the same in the city as alone. Raises ConfigurationError where the registry has
    none.
    """
    # Each with randomness of its own, or the one would change with what is registered of the other.
    parking = ParkingFleet(registry, topics, random.Random(seed))
    gateways = DwellingFleet(registry, topics, random.Random(seed))
    dwellings = City((gateways, ZigbeeFleet(registry, topics, random.Random(seed))))
    fleets: dict[FleetKind, Fleet] = {
        "parking": parking,
        "dwellings": dwellings,
        "city": City((parking, dwellings)),
    }
    if not len(fleets[kind]):
        raise ConfigurationError(f"the registry has {_MISSING[kind]}, or name another file in ARCEAUX_REGISTRY")
    return fleets[kind]


class _PacedFleet:
    """Gives a fleet's messages when they are due, `rate` a second."""

    def __init__(self, fleet: Fleet, rate: float) -> None:
        self._fleet = fleet
        self._rate = rate
        self._due = 0.0

    async def next(self) -> SensorMessage:
        """Wait until a message is due and make it."""
        now = asyncio.get_running_loop().time()
        # After an outage the time lost is not made up for in one burst.
        self._due = max(self._due, now - _CATCH_UP)
        if self._due > now:
            await asyncio.sleep(self._due - now)
        announcing = self._fleet.announcing
        self._due += 1 / (max(self._rate, _ANNOUNCE_RATE) if announcing else self._rate)
        return self._fleet.next_message(datetime.now(UTC))


class _Sender:
    """Publishes one message after the other, QoS 1, over as many connections as it takes."""

    def __init__(self, address: BrokerAddress, source: _PacedFleet) -> None:
        self._connections = Connections(address, "simulator")
        self._source = source
        self._pending: SensorMessage | None = None
        self.sent = 0

    async def run(self) -> None:
        """Send for ever; a broker that is away is waited for, what it did not acknowledge is sent again."""
        await self._connections.run(self._send)

    async def _send(self, client: Client) -> None:
        while True:
            self._pending = self._pending or await self._source.next()
            await client.send(self._pending.topic, self._pending.payload)
            heed_cancellation()
            self._pending = None
            self._connections.proved()
            self.sent += 1


async def run_fleet(broker_url: str, fleet: Fleet, *, rate: float = 20.0, duration: timedelta | None = None) -> int:
    """Publish what a fleet's sensors say; return how many messages the broker acknowledged.

    First every sensor's state once, then what follows, `rate` messages a second, for `duration` or until SIGINT or
    SIGTERM. A broker that is away is waited for. Raises ValueError for a rate that is not above zero.
    """
    if rate <= 0:
        raise ValueError("the rate has to be above zero")
    sender = _Sender(BrokerAddress(broker_url), _PacedFleet(fleet, rate))
    limit = asyncio.timeout(duration.total_seconds() if duration is not None else None)
    try:
        with stop_on_signals() as stop:
            async with limit:
                await until_stopped(stop, sender.run())
    except TimeoutError:
        if not limit.expired():
            raise
    return sender.sent
