"""The publisher: what is retained at the broker equals the outbox, after a restart of anything.

It sends figures whose revision is newer than the one the broker has acknowledged, all of them on every connect, and
answers a figure that somebody else wrote by the right one.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Final

import aiomqtt
import psycopg
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.backoff import Backoff
from ingest.database import PUBLISHER, connect_patiently
from ingest.errors import ArceauxError, Verdict, describe, judge
from ingest.live_client import LiveClient, RefusedError
from ingest.metrics import Metrics
from ingest.outbox import Figure, Outbox
from schemas.registry import Registry
from schemas.settings import Settings
from schemas.topics import Topics

_LOOK_AGAIN: Final = 0.1
"""Seconds between looks where nothing in this process says that a figure changed: another one may have."""
_LOCK_EVERY: Final = 2.0
_RESEND_OTHERS: Final = 900.0
"""Seconds after which a figure that rests on no counter is sent again."""
_ANSWER_SECONDS: Final = 5.0
_RETRY_REFUSED: Final = 10.0
_IDLE_OPTION: Final = "-c idle_session_timeout=15s"
"""Looking again keeps the session busy. One that falls silent is of a frozen process, and loses its lock."""
_LONG_AGO: Final = float("-inf")
_AT_LEAST_ONCE: Final = 1

log = structlog.get_logger()


class Publisher:
    """Keeps the retained figures right, for ever. `changed` wakes it."""

    def __init__(self, settings: Settings, registry: Registry, metrics: Metrics) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_root)
        self._metrics = metrics
        self._interval = settings.publish_interval.total_seconds()
        self._resend = _resend_seconds(registry, self._topics)
        self._districts = registry.districts
        self._changed = asyncio.Event()
        self._is_stopping = False
        self._is_outdated = False
        self._sent: dict[str, Figure] = {}
        self._sent_at: dict[str, float] = {}
        self._intruded: set[str] = set()
        self._refused_at: dict[str, float] = {}
        self._is_refusal_told = False

    def changed(self) -> None:
        """Say that the outbox has something new."""
        self._changed.set()

    def take_up(self, registry: Registry) -> None:
        """Go on with another registry: all figures are sent again, and departed topics cleared."""
        self._resend = _resend_seconds(registry, self._topics)
        self._districts = registry.districts
        self._is_outdated = True
        self._changed.set()

    def stop(self) -> None:
        """Publish what is still due, then end.

        Not by cancellation alone: before Python 3.12 aiomqtt's `asyncio.wait_for` swallows one that comes together
        with the broker's answer.
        """
        self._is_stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Publish until stopped and cancelled, connecting to database and broker again whenever one of them is lost."""
        backoff = Backoff()
        while True:
            try:
                await self._serve(backoff)
                reason = "the registry changed"
            except* (aiomqtt.MqttError, psycopg.Error, OSError, TimeoutError) as errors:
                error = _first(errors)
                if not isinstance(error, aiomqtt.MqttError) and judge(error, 1) is not Verdict.RETRY:
                    raise ArceauxError(f"publisher: {describe(error)}") from error
                reason = describe(error)
            if self._is_stopping:
                return
            if self._is_outdated:
                continue
            wait = backoff.wait()
            log.warning("publisher_waiting", reason=reason, wait=round(wait, 1))
            await asyncio.sleep(wait)

    async def _serve(self, backoff: Backoff) -> None:
        purpose = f"{PUBLISHER} {self._settings.client_id}"
        async with await connect_patiently(self._settings.database_url, purpose, _IDLE_OPTION) as connection:
            self._is_outdated = False
            self._refused_at.clear()
            self._is_refusal_told = False
            outbox = Outbox(connection, self._topics, self._districts)
            while not await outbox.try_lock():  # noqa: ASYNC110 - the lock is another process's, in the database
                await asyncio.sleep(_LOCK_EVERY)
            async with self._client() as client:
                await self._send_all(client, outbox, await outbox.load())
                for topic in outbox.acknowledged.keys() - self._resend.keys():
                    if await self._clear(client, topic):
                        await outbox.forget(topic)
                await self._subscribe(client)
                log.info("publisher_ready", figures=len(self._sent))
                backoff.reset()
                async with asyncio.TaskGroup() as tasks:
                    watching = tasks.create_task(self._watch(client), name="watch live topics")
                    await self._publish(client, outbox)
                    watching.cancel()

    async def _subscribe(self, client: LiveClient) -> None:
        options = SubscribeOptions(qos=_AT_LEAST_ONCE, noLocal=True)
        codes = await client.subscribe(self._topics.live_filter, options=options)
        if any(getattr(code, "is_failure", False) for code in codes):
            raise aiomqtt.MqttError(f"{self._topics.live_filter} was refused: allow it to the service at the broker")

    async def _publish(self, client: LiveClient, outbox: Outbox) -> None:
        """Send what is due, round by round, until the registry is another; once stopping, until nothing is due."""
        while not self._is_outdated:
            is_last = self._is_stopping
            await self._wait_for_change()
            intruded, self._intruded = self._intruded, set()
            due = {topic: self._sent[topic] for topic in (*self._fading(), *intruded) if topic in self._sent}
            due |= {figure.topic: figure for figure in await outbox.newer()}
            ready = [figure for figure in due.values() if self._is_ready(figure.topic)]
            for topic in intruded - self._sent.keys():
                await self._clear(client, topic)
            accepted = await self._send_all(client, outbox, ready)
            left = due.keys() - accepted
            self._intruded |= intruded & left
            if is_last and left <= self._refused_at.keys():
                return

    def _is_ready(self, topic: str) -> bool:
        """Tell whether a figure may be sent now: the last one long enough ago, longer where that was refused."""
        now = time.monotonic()
        is_paced = now - self._sent_at.get(topic, _LONG_AGO) >= self._interval
        return is_paced and now - self._refused_at.get(topic, _LONG_AGO) >= _RETRY_REFUSED

    def _fading(self) -> list[str]:
        """Give the topics whose retained figure is to be sent again before it expires."""
        now = time.monotonic()
        return [topic for topic, at in self._sent_at.items() if now - at >= self._resend.get(topic, _RESEND_OTHERS)]

    async def _send_all(self, client: LiveClient, outbox: Outbox, figures: Sequence[Figure]) -> set[str]:
        """Send figures and note those that the broker took; give their topics."""
        taken = await asyncio.gather(*(self._send(client, figure) for figure in figures))
        accepted = [figure for figure, is_taken in zip(figures, taken, strict=True) if is_taken]
        if accepted:
            self._observe(accepted, await outbox.record(accepted))
        return {figure.topic for figure in accepted}

    async def _send(self, client: LiveClient, figure: Figure) -> bool:
        self._sent[figure.topic], self._sent_at[figure.topic] = figure, time.monotonic()
        expiry = round(2 * self._resend.get(figure.topic, _RESEND_OTHERS))
        is_taken = await self._retain(client, figure.topic, figure.payload, expiry)
        if is_taken:
            self._refused_at.pop(figure.topic, None)
        else:
            self._refused_at[figure.topic] = time.monotonic()
        return is_taken

    async def _retain(self, client: LiveClient, topic: str, payload: bytes, expiry: int | None = None) -> bool:
        """Let the broker retain a payload, for so many seconds; give whether it took it."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own lack
        if expiry is not None:
            properties.MessageExpiryInterval = expiry
        try:
            await client.publish(topic, payload, qos=_AT_LEAST_ONCE, retain=True, properties=properties)
        except RefusedError as error:
            if not self._is_refusal_told:
                remedy = "let the account of ARCEAUX_BROKER_URL write there"
                log.warning("figure_refused", topics=self._topics.live_filter, reason=str(error), remedy=remedy)
            self._is_refusal_told = True
            return False
        return True

    async def _watch(self, client: LiveClient) -> None:
        """Note live topics on which somebody else wrote something else than we did last."""
        async for message in client.messages:
            topic = str(message.topic)
            sent = self._sent.get(topic)
            if (sent.payload if sent else b"") != message.payload:
                self._intruded.add(topic)
                self._changed.set()

    async def _clear(self, client: LiveClient, topic: str) -> bool:
        """Clear a topic that is none of ours; give whether the broker took that."""
        self._sent.pop(topic, None)
        self._sent_at.pop(topic, None)
        is_taken = await self._retain(client, topic, b"")
        if is_taken:
            log.info("live_topic_cleared", reason="nothing of the registry")
        return is_taken

    async def _wait_for_change(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_AGAIN):
                await self._changed.wait()
        except TimeoutError:
            pass  # nobody said that anything changed; the next look may find what another process did
        self._changed.clear()

    def _observe(self, sent: Sequence[Figure], new: Sequence[Figure]) -> None:
        self._metrics.publications.inc(len(sent))
        now = time.time()
        for figure in new:
            if figure.arrived_at is not None:
                self._metrics.event_to_publish.observe(now - figure.arrived_at.timestamp())

    def _client(self) -> LiveClient:
        address = self._settings.broker
        return LiveClient(
            address.host,
            address.port,
            username=address.username,
            password=address.password,
            identifier=f"{self._settings.client_id}-publisher",
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            tls_context=ssl.create_default_context() if address.tls else None,
            timeout=_ANSWER_SECONDS,
            keepalive=30,
        )


def _resend_seconds(registry: Registry, topics: Topics) -> Mapping[str, float]:
    """Give, for every live topic of the registry, after how many seconds its figure is sent again."""
    seconds = {
        topics.live(park.code): park.stale_after.total_seconds() if park.basis == "count" else _RESEND_OTHERS
        for park in registry.car_park
    }
    others = (topics.live_city, topics.live_health, *map(topics.live_district, registry.districts))
    return seconds | dict.fromkeys(others, _RESEND_OTHERS)


def _first(errors: BaseExceptionGroup[BaseException]) -> Exception:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else RuntimeError(str(error))
