"""What the doctor asks the broker.

What it publishes is empty and not retained, on {root}/live/doctor/... and {root}/status/...-doctor, so that neither the
service nor a reader of live figures takes it for a figure. Every session ends with its visit.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import Final

import mqtt5

from ingest.connection import ConnectionFailedError
from ingest.doctor.broker import QUEUE_PROBE, BrokerFacts
from ingest.doctor.traffic import Traffic
from ingest.doctor.visit import Visit
from ingest.mqtt import KEEP_ALIVE, SESSION_EXPIRY
from schemas.settings import BrokerAddress, Settings
from schemas.topics import Topics

_SYS_VERSION: Final = "$SYS/broker/version"
_SYS_DROPPED: Final = "$SYS/broker/publish/messages/dropped"
_SYS: Final = (_SYS_VERSION, _SYS_DROPPED)
_PATIENCE: Final = 2.0
"""Seconds for what the broker may not send at all."""
_PROBE_PATIENCE: Final = 15.0
_PROBE_EXPIRY: Final = 60
"""Seconds after which the queue probe's session ends by itself, should we be killed in mid-probe."""
_MOST_IN_FLIGHT: Final = 100


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Where to ask, about which topics, and under which name; every visit adds a suffix of its own to the name."""

    address: BrokerAddress
    topics: Topics
    name: str

    @classmethod
    def of(cls, settings: Settings) -> "Inquiry":
        """Take from the settings what is needed."""
        return cls(settings.broker, Topics(settings.topic_root), f"{settings.client_id}-doctor")

    async def ask(self, *, probe_queue: bool) -> BrokerFacts:
        """Find out everything but the traffic. Raises RefusedVisitError, or one of UNREACHED."""
        connack = await self._greet()
        version, dropped = await self._ask_sys()
        granted = await self._ask_for_filters()
        status, live = self.topics.status(self.name), self._scratch()
        is_echoed, live_code = await self._echo(live)
        return BrokerFacts(
            connack,
            version=version,
            dropped=dropped,
            granted=granted,
            written={live: live_code, status: await self._try_to_write(status)},
            is_echoed=is_echoed,
            is_probed=probe_queue,
            kept=await self._try_the_queue() if probe_queue and is_echoed else None,
        )

    async def listen(self, traffic: Traffic, seconds: float) -> None:
        """Count what arrives on the service's data topics, for so long or until the connection ends."""
        loop = asyncio.get_running_loop()
        async with Visit.of(self.name).to(self.address, lambda packet: traffic.add(packet.topic)) as visitor:
            began = loop.time()
            await visitor.subscribe(self.topics.data_filters, mqtt5.QoS.AT_MOST_ONCE)
            pinging = asyncio.create_task(visitor.connection.keep_alive(KEEP_ALIVE))
            try:
                await asyncio.wait([visitor.connection.lost], timeout=seconds)
            finally:
                pinging.cancel()
                traffic.seconds = loop.time() - began

    async def _greet(self) -> mqtt5.ConnAckPacket:
        """Connect as the service does, to be told what it would be told, and end that session at once."""
        async with Visit.of(self.name, expiry=SESSION_EXPIRY).to(self.address) as visitor:
            return visitor.connack

    async def _ask_sys(self) -> tuple[str | None, int | None]:
        """Give the broker's version and how many messages it has dropped, as far as it tells."""
        told: dict[str, bytes] = {}
        all_told = asyncio.Event()

        def hear(packet: mqtt5.PublishPacket) -> None:
            told.setdefault(packet.topic, packet.payload)
            if len(told) == len(_SYS):
                all_told.set()

        with contextlib.suppress(ConnectionFailedError):  # some brokers cut the connection instead of refusing
            async with Visit.of(self.name).to(self.address, hear) as visitor:
                await visitor.subscribe(_SYS, mqtt5.QoS.AT_MOST_ONCE)
                await _patiently(all_told, _PATIENCE)
        version = told.get(_SYS_VERSION, b"").decode("utf-8", "replace")
        dropped = told.get(_SYS_DROPPED, b"")
        return version or None, int(dropped) if dropped.isdigit() else None

    async def _ask_for_filters(self) -> dict[str, mqtt5.SubAckReasonCode]:
        """Subscribe as the service does, only to be told whether that is granted."""
        filters = (*self.topics.control_filters, *self.topics.data_filters, self.topics.live_filter)
        async with Visit.of(self.name).to(self.address) as visitor:
            codes = await visitor.subscribe(filters, mqtt5.QoS.AT_LEAST_ONCE)
        return dict(zip(filters, codes, strict=True))

    async def _echo(self, topic: str) -> tuple[bool, mqtt5.PubAckReasonCode | None]:
        """Write on a topic that we read; tell whether it came back, and the broker's answer."""
        came = asyncio.Event()
        try:
            async with Visit.of(self.name).to(self.address, lambda _: came.set()) as visitor:
                await visitor.subscribe((topic,), mqtt5.QoS.AT_LEAST_ONCE)
                code = await visitor.publish(topic)
                return await _patiently(came, _PATIENCE), code
        except ConnectionFailedError:
            return False, None

    async def _try_to_write(self, topic: str) -> mqtt5.PubAckReasonCode | None:
        try:
            async with Visit.of(self.name).to(self.address) as visitor:
                return await visitor.publish(topic)
        except ConnectionFailedError:
            return None

    async def _try_the_queue(self) -> int | None:
        try:
            return await self._probe_queue()
        except ConnectionFailedError:
            return None

    async def _probe_queue(self) -> int | None:
        """Send a client that is away more than mosquitto keeps by default; give how many messages it then gets."""
        scratch = self._scratch()
        end = f"{scratch}/end"
        away = Visit.of(self.name, expiry=_PROBE_EXPIRY, keeps_session=True)
        kept = 0
        ended = asyncio.Event()

        def hear(packet: mqtt5.PublishPacket) -> None:
            nonlocal kept
            kept += packet.topic == scratch
            if packet.topic == end:
                ended.set()

        async with away.to(self.address) as visitor:
            await visitor.subscribe((scratch, end), mqtt5.QoS.AT_LEAST_ONCE)
        await self._send(scratch, QUEUE_PROBE)
        async with Visit(away.client_id, clean_start=False).to(self.address, hear) as back:
            if not back.connack.session_present:
                return 0
            await back.publish(end)
            return kept if await _patiently(ended, _PROBE_PATIENCE) else None

    async def _send(self, topic: str, messages: int) -> None:
        """Publish so many times, and never have more in flight than the broker allows."""
        async with Visit.of(self.name).to(self.address) as visitor:
            window = min(visitor.connack.receive_max, _MOST_IN_FLIGHT)
            for first in range(0, messages, window):
                numbers = range(1, min(window, messages - first) + 1)
                await asyncio.gather(*(visitor.publish(topic, number) for number in numbers))

    def _scratch(self) -> str:
        """Give a live topic of no car park, another one each time."""
        return f"{self.topics.root}/live/doctor/{secrets.token_hex(4)}"


async def _patiently(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, so long at most; tell whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
