"""A sensor in the ground: drivers come to its bay and leave, and it tells when that changes, or that it lives."""

import random
from datetime import datetime
from typing import NamedTuple

from simulators.fleet import Fact, SensorMessage
from simulators.parking.arrivals import Timetable
from simulators.parking.bay_formats import Cause, State, Voice
from simulators.parking.calendar import HOUR
from simulators.parking.times import in_utc
from simulators.weather import outside_temperature

QUIET = 30.0
"""Seconds from a fleet's begin until the first state changes: by then every sensor has told its own."""
_LOOK_BACK = 3 * 24.0 * HOUR
_BUSYNESS = 0.25
"""Deviation of the logarithm of how many more drivers come to one bay than to another of its kind."""
_VOLTS = (3.3, 3.65)
_VOLTS_PER_MESSAGE = 0.00002
_LEAST_VOLTS = 2.95
"""A lithium cell keeps its voltage until shortly before its end."""
_HEARTBEAT_JITTER = 60.0
_NOISE = 0.6
"""Degrees Celsius that a thermometer is off by, now more, now less."""


class Unasked(NamedTuple):
    """When a sensor speaks although nothing changes, in seconds: first, and after how long a silence; 0 is never."""

    first: float
    heartbeat: float


class Bay:
    """A bay and its sensor, in a life of its own from `QUIET` seconds after the fleet's begin."""

    def __init__(self, name: str, timetable: Timetable, voice: Voice, unasked: Unasked, rng: random.Random) -> None:
        self.name = name
        self.due = unasked.first
        self._heartbeat = unasked.heartbeat
        self._timetable = timetable
        self._voice = voice
        self._rng = rng
        self._busyness = rng.lognormvariate(0, _BUSYNESS)
        self._volts = rng.uniform(*_VOLTS)
        self._warmth = rng.gauss(0, 0.7)
        self._sequence = 0
        self._cause = Cause.START
        self._occupied = False
        self._changed = self._changes = -_LOOK_BACK
        self._stay = 0.0
        self._wait_for_a_car()
        while self._changes < QUIET:
            self._change()

    def speak(self, now: datetime) -> SensorMessage:
        """Tell the state, and settle when to speak next."""
        at = in_utc(now)
        number = self._sequence
        self._sequence = number + 1
        self._volts = max(_LEAST_VOLTS, self._volts - _VOLTS_PER_MESSAGE)
        celsius = outside_temperature(at) + self._warmth + _NOISE * self._rng.random()
        lasted = (self.due - self._changed) / 60
        payload, micros = self._voice.say(State(self._occupied, self._cause, self._volts, celsius, number, lasted), at)
        fact = Fact(self.name, micros, (int(self._occupied),))
        self._settle()
        return SensorMessage(self._voice.topic, payload, self.name, number, (fact,))

    def _settle(self) -> None:
        """Wait for the next change, or for the next heartbeat where that comes first."""
        if self._heartbeat:
            jitter = min(_HEARTBEAT_JITTER, self._heartbeat / 2)
            beat = self.due + self._heartbeat + jitter * self._rng.random()
            if beat < self._changes:
                self.due, self._cause = beat, Cause.HEARTBEAT
                return
        self.due, self._cause = self._changes, Cause.CHANGE
        self._change()

    def _change(self) -> None:
        self._occupied = not self._occupied
        self._changed = self._changes
        if self._occupied:
            self._changes += self._stay
        else:
            self._wait_for_a_car()

    def _wait_for_a_car(self) -> None:
        self._changes, self._stay = self._timetable.arrive(self._changes, self._busyness, self._rng)
