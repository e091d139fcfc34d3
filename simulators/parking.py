"""The parking simulator: a fleet's messages, published at a steady pace."""

import asyncio
import random
import secrets
import ssl
from datetime import UTC, datetime, timedelta

import aiomqtt
import structlog

from schemas.registry import Registry
from schemas.settings import BrokerAddress
from schemas.topics import Topics
from simulators.parking_model import ParkingFleet, SensorMessage
from simulators.stopping import stop_on_signals, until_stopped

_ANNOUNCE_RATE = 200.0
"""First states a second, at least: the city is seen at once, and no broker's window is flooded."""
_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 0.25, 5.0
_ANSWER_SECONDS = 5.0
_CATCH_UP = 0.1


class _PacedFleet:
    """Gives a fleet's messages when they are due, `rate` a second."""

    def __init__(self, fleet: ParkingFleet, rate: float) -> None:
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
        self._address = address
        self._source = source
        self._pending: SensorMessage | None = None
        self._failures = 0
        self.sent = 0

    async def run(self) -> None:
        """Send for ever; a broker that is away is waited for, what it did not acknowledge is sent again."""
        log = structlog.get_logger("simulators.parking")
        # Not from the seed: how often the broker is away must not change what the sensors say.
        jitter = random.Random()
        while True:
            try:
                async with self._client() as client:
                    log.info("broker_connected", host=self._address.host, port=self._address.port)
                    await self._send(client)
            except aiomqtt.MqttError as error:
                _heed_cancellation()
                pause = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2 ** min(self._failures, 10))
                pause *= jitter.uniform(0.5, 1)
                self._failures += 1
                log.warning("broker_lost", reason=str(error), retry_in=round(pause, 2))
                await asyncio.sleep(pause)

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            self._pending = self._pending or await self._source.next()
            await client.publish(self._pending.topic, self._pending.payload, qos=1)
            _heed_cancellation()
            self._pending = None
            self._failures = 0
            self.sent += 1

    def _client(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            hostname=self._address.host,
            port=self._address.port,
            username=self._address.username,
            password=self._address.password,
            identifier=f"arceaux-simulator-{secrets.token_hex(4)}",
            timeout=_ANSWER_SECONDS,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=ssl.create_default_context() if self._address.tls else None,
        )


def _heed_cancellation() -> None:
    """Raise CancelledError where the client swallowed it.

    Its `asyncio.wait_for` does before Python 3.12, when the cancellation comes together with the broker's answer;
    and when it comes together with the broker's end, its farewell fails with an error of its own instead.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def run_parking(
    broker_url: str,
    topic_root: str,
    registry: Registry,
    *,
    rate: float = 20.0,
    duration: timedelta | None = None,
    seed: int = 1,
) -> int:
    """Publish what the registry's bays and counters would; return how many messages the broker acknowledged.

    First every sensor's state once, then changes, `rate` a second, for `duration` or until SIGINT or SIGTERM.
    A broker that is away is waited for. Raises ValueError for a rate that is not above zero and for a registry
    without sensors.
    """
    if rate <= 0:
        raise ValueError("the rate has to be above zero")
    fleet = ParkingFleet(registry, Topics(topic_root), random.Random(seed))
    if not len(fleet):
        raise ValueError("the registry has neither bays nor counters")
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
