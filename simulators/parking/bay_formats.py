"""What bay sensors of several makers say, each by its own way to the broker."""

import random
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol

from schemas.registry import CarPark, Spot
from schemas.topics import Topics
from simulators.parking import times
from simulators.parking.uplinks import ChirpStack, TheThingsStack


class Cause(Enum):
    """Why a sensor speaks."""

    START = "startup"
    CHANGE = "change"
    HEARTBEAT = "heartbeat"


class State(NamedTuple):
    """What a sensor knows: volts of its battery, degrees Celsius, how many messages it sent before this one.

    `lasted` are the minutes for which the state before this one held.
    """

    occupied: bool
    cause: Cause
    volts: float
    celsius: float
    sequence: int
    lasted: float


class Voice(Protocol):
    """How a sensor speaks."""

    @property
    def topic(self) -> str:
        """Where to."""

    def say(self, state: State, at: datetime) -> tuple[bytes, int]:
        """Write a state at a time in UTC; give the payload, and the time in it in microseconds since 1970."""


Fields = Callable[[State], str]
"""Writes what a sensor tells of its bay: the inside of a JSON object."""


class Json:
    """A sensor that speaks to the broker itself."""

    def __init__(self, topic: str, fields: Fields, time: times.TimeForm) -> None:
        self.topic = topic
        self._fields = fields
        self._time = time

    def say(self, state: State, at: datetime) -> tuple[bytes, int]:
        """Write a state."""
        told, micros = self._time(at)
        return f'{{{self._fields(state)},"time":{told}}}'.encode(), micros


class Uplink:
    """A sensor that speaks by LoRaWAN: a codec decodes its frames, and a network server publishes them."""

    def __init__(self, server: ChirpStack | TheThingsStack, fields: Fields) -> None:
        self.topic = server.topic
        self._server = server
        self._fields = fields

    def say(self, state: State, at: datetime) -> tuple[bytes, int]:
        """Write a state."""
        return self._server.publish(f"{{{self._fields(state)}}}", state.sequence, at)


def voice_of(park: CarPark, spot: Spot, topics: Topics, begin: datetime, rng: random.Random) -> Voice:
    """Give a bay its voice: of a LoRaWAN maker where the registry lists its device, else of another one."""
    # Drawn in any case, so that a device that is entered in the registry changes nothing else in a bay.
    codec, (fields, time) = rng.choice(_CODECS), rng.choice(_MAKERS)
    if spot.dev_eui is not None:
        return Uplink(ChirpStack(spot.dev_eui, begin), codec)
    if spot.tts_device_id is not None:
        return Uplink(TheThingsStack(spot.tts_device_id, begin), codec)
    return Json(topics.spot(park.code, spot.label), fields, time)


def _whole(state: State) -> str:
    return (
        f'"occupied":{_boolean(state)},"battery":{state.volts:.2f},"temperature":{state.celsius:.1f},'
        f'"seq":{state.sequence + 1}'
    )


def _bare(state: State) -> str:
    return f'"occupied":{_boolean(state)}'


def _null(state: State) -> str:
    return f'"occupied":{_boolean(state)},"battery":null,"temperature":null,"seq":{state.sequence + 1}'


def _chatty(state: State) -> str:
    return (
        f'"model":"GM-3","event":"{state.cause.value}","occupied":{_boolean(state)},"battery":{state.volts:.3f},'
        f'"battery_percent":{_percent(state)},"temperature":{round(state.celsius)},"rssi":-{60 + state.sequence % 37},'
        f'"seq":{state.sequence + 1}'
    )


def _bosch(state: State) -> str:
    if state.cause is Cause.HEARTBEAT:
        return f'"type":"heartbeat","occupied":{_boolean(state)},"temperature":{round(state.celsius)}'
    if state.cause is Cause.START:
        return f'"type":"startup","firmwareVersion":"0.36.4","resetCause":"power on","occupied":{_boolean(state)}'
    return f'"type":"parking status","occupied":{_boolean(state)}'


def _nwave(state: State) -> str:
    if state.cause is Cause.HEARTBEAT:
        return (
            f'"type":"heartbeat","occupied":{_boolean(state)},"battery_voltage":{state.volts:.2f},'
            f'"temperature":{round(state.celsius)},"hw_health_status":0'
        )
    if state.cause is Cause.START:
        return f'"type":"startup","firmware_version":"2.0.9","reset_cause":"watchdog","occupied":{_boolean(state)}'
    return f'"type":"parking_status","occupied":{_boolean(state)},"previous_state_duration":{round(state.lasted)}'


def _libelium(state: State) -> str:
    frame = {Cause.START: "START", Cause.CHANGE: "INFO", Cause.HEARTBEAT: "KEEP_ALIVE"}[state.cause]
    status = "OCCUPIED" if state.occupied else "VACANT"
    return f'"status":"{status}","frame_type":"{frame}","sequence":{state.sequence % 256},"battery_low":false'


def _placepod(state: State) -> str:
    presence = "3.0" if state.occupied else "1.0"
    return f'"CarPresence":{presence},"Temperature":{state.celsius:.1f},"Battery":"{state.volts:.1f}","Confidence":99.0'


def _own_codec(state: State) -> str:
    status = "occupied" if state.occupied else "free"
    return f'"status":"{status}","BatV":{state.volts:.3f},"battery":{_percent(state)}'


def _boolean(state: State) -> str:
    return "true" if state.occupied else "false"


def _percent(state: State) -> int:
    return round((state.volts - 2.9) / 0.75 * 100)


_MAKERS: tuple[tuple[Fields, times.TimeForm], ...] = (
    (_whole, times.zulu),
    (_whole, times.offset),
    (_whole, times.epoch_milliseconds),
    (_whole, times.epoch_fraction),
    (_bare, times.zulu_seconds),
    (_bare, times.epoch_seconds),
    (_null, times.zulu),
    (_chatty, times.zulu_nanoseconds),
)
_CODECS: tuple[Fields, ...] = (_bosch, _nwave, _libelium, _placepod, _own_codec)
