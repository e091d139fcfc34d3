"""Messages of homes, behind the gate: consent and a present pause judged from the topic alone, before anything is read.

Packs are collected and resolved together at the end of the batch, many thousand readings at a time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors import senml
from processors.columns import READING, Records
from processors.gate import Gap, Gate, Press
from processors.homes import Home, Homes, Names, Shape, join
from processors.layout import NO_ASSET, Target
from processors.rejects import UNROUTABLE, Limits, Reject, RejectedError
from processors.sensors import NOT_FOUND, Newcomers, Sensor
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route

_PRESSES: Final = {b"on": True, b"off": False}

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class HomeReadings:
    """What came of the homes' messages in a batch.

    READING records; the sensors that have to be registered before these can be stored; the presses of red buttons and
    the gate after them; rejects, and the refused per route.
    """

    readings: Records
    newcomers: tuple[Sensor, ...]
    presses: tuple[Press, ...]
    gate: Gate
    rejects: tuple[Reject, ...]
    refused: Counter[Route]


class _Pack(NamedTuple):
    delivery: int
    home: int
    arrived: int
    retain: bool
    records: list[senml.Record]


class HomeDecoder:
    """Takes the messages of homes in arrival order, and gives at the end what came of them."""

    def __init__(self, homes: Homes, limits: Limits, gate: Gate, gap: Gap) -> None:
        self._homes = homes
        self._limits = limits
        self._gate = gate
        self._gap = gap
        self._packs: list[_Pack] = []
        self._presses: list[Press] = []
        self._refused: Counter[Route] = Counter()

    def take(self, index: int, delivery: Delivery, target: Target) -> None:
        """Take one message. Raises RejectedError for one that cannot be used whole."""
        route = target.route
        if target.asset == NO_ASSET:
            if route is Route.UNROUTABLE:
                raise RejectedError(Reason.UNROUTABLE_TOPIC, UNROUTABLE)
            raise RejectedError(Reason.UNKNOWN_ASSET, "the registry does not list this dwelling")
        home = self._homes.homes[target.asset]
        if route is Route.CONTROL:
            self._press(home, delivery)
        elif not home.consents or self._gate.is_paused(home.pseudonym):
            self._refused[route] += 1
        elif route is Route.UNROUTABLE:
            raise RejectedError(Reason.UNROUTABLE_TOPIC, UNROUTABLE)
        else:
            self._limits.check_size(delivery.payload)
            records = _parse(delivery.payload)
            self._packs.append(_Pack(index, target.asset, delivery.received_at, delivery.retain, records))

    def finish(self) -> HomeReadings:
        """Resolve the packs."""
        newcomers = Newcomers(len(self._homes.sensors))
        readings, rejects = self._resolve(newcomers) if self._packs else (np.empty(0, dtype=READING), ())
        return HomeReadings(readings, newcomers.sensors, tuple(self._presses), self._gate, rejects, self._refused)

    def _press(self, home: Home, delivery: Delivery) -> None:
        """Heed the red button, of homes that do not consent, too. An empty payload ends nothing."""
        is_on = _PRESSES.get(delivery.payload.strip(b' \t\r\n"').lower())
        if is_on is None:
            if delivery.payload and home.consents:
                raise RejectedError(Reason.SCHEMA_VIOLATION, "expected on or off")
            return
        at = self._gate.when_pressed(is_on=is_on, arrived=delivery.received_at, retain=delivery.retain, gap=self._gap)
        press = Press(home.pseudonym, is_on, at)
        self._presses.append(press)
        self._gate = self._gate.pressed(press)

    def _resolve(self, newcomers: Newcomers) -> tuple[Records, tuple[Reject, ...]]:
        """Pass the records of all packs by everything that a reading can fail at, in order."""
        packs = self._packs
        resolved = senml.resolve([pack.records for pack in packs])
        arrived = _of_packs([pack.arrived for pack in packs], resolved)
        deliveries = _of_packs([pack.delivery for pack in packs], resolved)
        time = senml.to_micros(resolved, arrived)
        is_refused = self._is_refused(resolved, time)
        wanted = resolved.is_stored & ~is_refused
        shape = self._shape(resolved, wanted, newcomers)
        sensor = shape.columns["sensor"]
        with np.errstate(over="ignore"):
            # Zero has no sign here: the database takes -0 and 0 for one value.
            value = resolved.value * shape.columns["factor"] + shape.columns["offset"] + 0.0
        faults = {**resolved.faults, **shape.faults}
        beyond = (value < shape.columns["minimum"]) | (value > shape.columns["maximum"]) | ~np.isfinite(value)
        self._judge(faults, wanted & (sensor != NOT_FOUND), time - arrived, beyond)
        for index in np.flatnonzero(is_refused).tolist():
            faults.pop(index, None)
        is_faulty = np.zeros(len(time), dtype=bool)
        is_faulty[list(faults)] = True
        good = wanted & ~is_faulty
        self._refused[Route.SENML] += int((~good & ~is_faulty & ~resolved.is_carrier).sum())
        readings = np.empty(int(good.sum()), dtype=READING)
        readings["delivery"], readings["record"], readings["time"] = deliveries[good], resolved.record[good], time[good]
        readings["sensor"], readings["value"] = sensor[good], value[good]
        rejects = (
            Reject(int(deliveries[index]), Route.SENML, reason, detail, int(resolved.record[index]))
            for index, (reason, detail) in sorted(faults.items())
        )
        return readings, tuple(rejects)

    def _is_refused(self, resolved: senml.Resolved, time: NDArray[np.int64]) -> Bools:
        """Tell records whose time lies in a pause, and retained ones that do not tell how old they are."""
        retained = _of_packs([pack.retain for pack in self._packs], resolved).astype(bool)
        is_refused = retained & resolved.is_relative
        begin = 0
        for pack in self._packs if self._gate.pauses else ():
            part = slice(begin, begin + len(pack.records))
            begin = part.stop
            is_refused[part] |= self._gate.covers(self._homes.homes[pack.home].pseudonym, time[part])
        return is_refused & ~resolved.is_carrier

    def _shape(self, resolved: senml.Resolved, wanted: Bools, newcomers: Newcomers) -> Shape:
        """Find the sensors of all packs, as one shape."""
        shapes = []
        begin = 0
        for pack in self._packs:
            part = slice(begin, begin + len(pack.records))
            begin = part.stop
            texts = (resolved.base_names, resolved.names, resolved.base_units, resolved.units)
            base_name, name, base_unit, unit = (tuple(column[part]) if column else () for column in texts)
            names = Names(base_name, name, base_unit, unit, wanted[part].tobytes())
            shapes.append(self._homes.shape(pack.home, names, newcomers))
        return join(shapes)

    def _judge(
        self, faults: dict[int, tuple[Reason, str]], known: Bools, ahead: NDArray[np.int64], beyond: Bools
    ) -> None:
        """Add what is wrong with times and values."""
        seconds: Callable[[int], int] = lambda index: abs(int(ahead[index])) // 1_000_000  # noqa: E731 - closes over ahead
        for index in np.flatnonzero(known & (ahead < -self._limits.max_lateness)).tolist():
            faults.setdefault(index, (Reason.TIME_TOO_LATE, f"time: {seconds(index)} s before its arrival"))
        for index in np.flatnonzero(known & (ahead > self._limits.max_future)).tolist():
            faults.setdefault(index, (Reason.TIME_IN_FUTURE, f"time: {seconds(index)} s after its arrival"))
        for index in np.flatnonzero(known & beyond).tolist():
            faults.setdefault(index, (Reason.VALUE_OUT_OF_RANGE, "v: beyond what the sensor or its kind can measure"))


def _parse(payload: bytes) -> list[senml.Record]:
    try:
        return senml.parse(payload)
    except senml.PackError as error:
        raise RejectedError(error.reason, error.detail) from None


def _of_packs(values: Sequence[int], resolved: senml.Resolved) -> NDArray[np.int64]:
    """Spread a value of each pack over its records."""
    return np.array(values, dtype=np.int64)[resolved.pack]
