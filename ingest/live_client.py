"""The publisher's MQTT client: aiomqtt, and the difference between an acknowledgement and a refusal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

ValueT = TypeVar("ValueT")


class RefusedError(Exception):
    """The broker refuses a publication; the message is its reason."""


class LiveClient(aiomqtt.Client):
    """A client whose `publish` raises RefusedError where the PUBACK says so, which aiomqtt takes for a success."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - those of aiomqtt
        super().__init__(*arguments, **options)
        self._refusals: dict[int, str] = {}

    def _on_publish(
        self, client: paho.Client, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        if reason_code.is_failure:
            self._refusals[mid] = str(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)

    @contextmanager
    def _pending_call(self, mid: int, value: ValueT, pending_dict: dict[int, ValueT]) -> Iterator[None]:
        with super()._pending_call(mid, value, pending_dict):
            yield
        if mid in self._refusals:
            raise RefusedError(self._refusals.pop(mid))
