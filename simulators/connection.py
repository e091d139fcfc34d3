"""Publishing over one MQTT 5 connection after the other, for as long as it takes."""

import asyncio
import errno
import random
import secrets
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiomqtt
import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from schemas.settings import BrokerAddress

_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 0.25, 5.0
_ANSWER_SECONDS = 5.0


class RefusedError(Exception):
    """The broker refuses what is published; the message says what to do."""


class Client(aiomqtt.Client):
    """A connection that tells a refusal from an acknowledgement, which aiomqtt does not."""

    _refusal = ""

    async def send(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1, and return when the broker has it.

        Raises MqttError where it does not answer, RefusedError where it refused this or another publication.
        """
        await self.publish(topic, payload, qos=1)
        if self._refusal:
            raise RefusedError(
                f"the broker refuses what is published ({self._refusal}): let the account of ARCEAUX_BROKER_URL write "
                "to the sensors' topics, or use another one"
            )

    def _on_publish(
        self, client: mqtt.Client, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        if reason_code.is_failure:
            self._refusal = str(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)


class Connections:
    """Connects to a broker again and again, with back-off, until some work on it is done.

    `role` is told to the broker as part of the client id, which is another one at every connection. At most
    `in_flight` publications wait for their acknowledgement at once; further ones wait for their turn.
    """

    def __init__(self, address: BrokerAddress, role: str, *, in_flight: int = 1) -> None:
        self._address = address
        self._role = role
        self._in_flight = in_flight
        self._failures = 0

    async def run(self, work: Callable[[Client], Awaitable[None]]) -> None:
        """Do the work to its end; it is called anew with each connection, so it has to know what is left.

        A broker that is away is waited for, at most 5 seconds at a time. Whatever the work raises that is no MqttError
        is passed on.
        """
        with _no_alarm_for_closed_sockets():
            await self._run(work)

    async def _run(self, work: Callable[[Client], Awaitable[None]]) -> None:
        log = structlog.get_logger("simulators.connection")
        # Not from a fleet's seed: how often the broker is away must not change what the sensors say.
        jitter = random.Random()
        done = False
        while not done:
            try:
                async with self._client() as client:
                    heed_cancellation()
                    log.info("broker_connected", host=self._address.host, port=self._address.port)
                    await work(client)
                    done = True
            except aiomqtt.MqttError as error:
                heed_cancellation()
                if done:  # only the farewell failed
                    return
                pause = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2 ** min(self._failures, 10))
                pause *= jitter.uniform(0.5, 1)
                self._failures += 1
                log.warning("broker_lost", reason=str(error), retry_in=round(pause, 2))
                await asyncio.sleep(pause)

    def proved(self) -> None:
        """Say that the broker has acknowledged something: the next back-off begins with a short wait."""
        self._failures = 0

    def _client(self) -> Client:
        client = Client(
            hostname=self._address.host,
            port=self._address.port,
            username=self._address.username,
            password=self._address.password,
            identifier=f"arceaux-{self._role}-{secrets.token_hex(4)}",
            timeout=_ANSWER_SECONDS,
            protocol=aiomqtt.ProtocolVersion.V5,
            max_concurrent_outgoing_calls=self._in_flight,
            tls_context=ssl.create_default_context() if self._address.tls else None,
        )
        # aiomqtt warns from ten publications in flight on; here as many are wanted as may be.
        client.pending_calls_threshold = self._in_flight
        return client


@contextmanager
def _no_alarm_for_closed_sockets() -> Iterator[None]:
    """Keep the event loop from reporting a socket that broke between two steps of the client, with a traceback.

    aiomqtt asks the loop to watch a socket one step after it wrote to it; by then a broken one is closed. That it
    broke is told anyway.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno == errno.EBADF:
            return
        if before is None:
            loop.default_exception_handler(context)
        else:
            before(loop, context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


def heed_cancellation() -> None:
    """Raise CancelledError where the client swallowed it.

    Its `asyncio.wait_for` does before Python 3.12, when the cancellation comes together with the broker's answer;
    and when it comes together with the broker's end, its farewell fails with an error of its own instead.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
