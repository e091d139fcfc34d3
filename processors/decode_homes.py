"""Messages of homes, behind the gate: consent and a present pause judged from the topic alone, before anything is read.

Packs are collected and resolved together at the end of the batch, many thousand readings at a time.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors import senml, senml_columns, uplink_records, zigbee2mqtt
from processors.columns import NO_FRAME, READING, Records
from processors.gate import Gap, Gate, Press
from processors.home_frames import HomeFrame
from processors.homes import Home, Names, Shape, join
from processors.layout import NO_ASSET, Layout, Target
from processors.rejects import UNROUTABLE, Limits, Reject, RejectedError
from processors.senml_columns import Resolved
from processors.sensors import NOT_FOUND, Newcomers, Sensor
from processors.uplinks import Uplink
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route

_PRESSES: Final = {b"on": True, b"off": False}

_Parsed = tuple[list[senml.Record], Uplink | None]

_PARSERS: Final[Mapping[Route, Callable[[bytes, str], _Parsed]]] = {
    Route.SENML: lambda payload, _: (senml.parse(payload), None),
    Route.ZIGBEE2MQTT: lambda payload, device: (zigbee2mqtt.parse(payload, device), None),
    Route.CHIRPSTACK: partial(uplink_records.read, Route.CHIRPSTACK),
    Route.TTS: partial(uplink_records.read, Route.TTS),
}
"""What reads a payload, given the device that it is of: every format comes to SenML records, an uplink is
given beside them."""

_MOST_STRANGERS: Final = 10_000
"""Homes not registered whose presses are remembered."""
_MOST_KEPT: Final = 100
"""Bad records of one pack that become dead letters of their own."""
_LATE_ANSWER: Final = 60_000_000
"""An acknowledgement written so long before a connection was lost may not have reached the broker."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class HomeReadings:
    """What came of the homes' messages in a batch.

    READING records; the sensors that have to be registered before these can be stored; the presses of red buttons and
    the gate after them; rejects, and the refused per route. `untimed` are the messages of devices that have no time of
    their own, by index: what they tell may be of long ago. `frames` are those of LoRaWAN, by index.
    """

    readings: Records
    untimed: tuple[int, ...]
    frames: Mapping[int, HomeFrame]
    newcomers: tuple[Sensor, ...]
    presses: tuple[Press, ...]
    gate: Gate
    rejects: tuple[Reject, ...]
    refused: Counter[Route]


class _Pack(NamedTuple):
    route: Route
    delivery: int
    home: Home
    arrived: int
    retain: bool
    duplicate: bool
    records: list[senml.Record]


class HomeDecoder:
    """Takes the messages of homes in arrival order, and gives at the end what came of them."""

    def __init__(self, layout: Layout, limits: Limits, gate: Gate, gap: Gap) -> None:
        self._homes = layout.homes
        self._privacy = layout.privacy
        self._limits = limits
        self._gate = gate
        self._gap = gap
        self._packs: list[_Pack] = []
        self._presses: list[Press] = []
        self._refused: Counter[Route] = Counter()
        self._untimed: list[int] = []
        self._frames: dict[int, HomeFrame] = {}

    def take(self, index: int, delivery: Delivery, target: Target) -> None:
        """Take one message. Raises RejectedError for one that cannot be used whole."""
        if target.asset == NO_ASSET:
            self._take_unlisted(delivery, target.route)
            return
        home = self._homes.homes[target.asset]
        if target.route is Route.CONTROL:
            if self._press(home.pseudonym, delivery) is None and delivery.payload and home.consents:
                raise RejectedError(Reason.SCHEMA_VIOLATION, "expected on or off")
        elif not home.consents or self._gate.is_paused(home.pseudonym) or _is_idle(delivery, target):
            self._refused[target.route] += 1
        elif target.route is Route.UNROUTABLE:
            raise RejectedError(Reason.UNROUTABLE_TOPIC, UNROUTABLE, is_kept=self._may_keep(home))
        else:
            records, uplink = self._parse(delivery.payload, target, home)
            if uplink and uplink.number != NO_FRAME:
                # A hash, so that no name is held. Of another process it is another, as the memory of frames is.
                device, time = hash((home.id, target.device)), uplink.time
                time = delivery.received_at if time is None else time
                self._frames[index] = HomeFrame(device, uplink.number, time)
            if target.route is Route.ZIGBEE2MQTT and not zigbee2mqtt.is_timed(records):
                self._untimed.append(index)
            arrived, retain, duplicate = delivery.received_at, delivery.retain, delivery.duplicate
            self._packs.append(_Pack(target.route, index, home, arrived, retain, duplicate, records))

    def finish(self) -> HomeReadings:
        """Resolve the packs."""
        newcomers = Newcomers(len(self._homes.sensors))
        readings, rejects = self._resolve(newcomers) if self._packs else (np.empty(0, dtype=READING), ())
        untimed, presses = tuple(self._untimed), tuple(self._presses)
        return HomeReadings(
            readings, untimed, self._frames, newcomers.sensors, presses, self._gate, rejects, self._refused
        )

    def _take_unlisted(self, delivery: Delivery, route: Route) -> None:
        """Take a message of a dwelling that the registry does not list, yet; of one that was erased it is refused."""
        dwelling = self._privacy.topics.parse(delivery.topic).asset
        if route is Route.CONTROL and len(self._gate.pauses) < len(self._homes.homes) + _MOST_STRANGERS:
            # Remembered, not stored: retained presses come at the connect only, and the home may be registered later.
            self._press(self._privacy.pseudonym(dwelling), delivery)
        if self._privacy.is_erased_home(dwelling):
            if route is not Route.CONTROL:
                self._refused[route] += 1
        elif route is Route.UNROUTABLE:
            raise RejectedError(Reason.UNROUTABLE_TOPIC, UNROUTABLE)
        else:
            raise RejectedError(Reason.UNKNOWN_ASSET, "the registry does not list this dwelling")

    def _press(self, home: str, delivery: Delivery) -> bool | None:
        """Heed the red button, of homes that do not consent, too. An empty payload ends nothing."""
        is_on = _PRESSES.get(delivery.payload.strip(b' \t\r\n"').lower())
        if is_on is None:
            return None
        at = self._gate.when_pressed(is_on=is_on, arrived=delivery.received_at, retain=delivery.retain, gap=self._gap)
        press = Press(home, is_on, at)
        if self._gate.is_paused(home) != is_on:
            if not self._presses:
                self._gate = self._gate.copy()
            self._gate.press(press)
            self._presses.append(press)
        return is_on

    def _may_keep(self, home: Home) -> bool:
        """Tell whether dead letters may keep payloads: what cannot be read may have been measured in a pause."""
        return home.pseudonym not in self._gate.pauses

    def _is_kept(self, home: Home, reason: Reason) -> bool:
        """Tell whether a dead letter may keep what was measured: of what is too late the pauses may be forgotten."""
        return reason is not Reason.TIME_TOO_LATE and self._may_keep(home)

    def _parse(self, payload: bytes, target: Target, home: Home) -> _Parsed:
        try:
            self._limits.check_size(payload)
            return _PARSERS[target.route](payload, target.device)
        except (senml.PackError, RejectedError) as error:
            raise RejectedError(error.reason, error.detail, is_kept=self._is_kept(home, error.reason)) from None

    def _resolve(self, newcomers: Newcomers) -> tuple[Records, tuple[Reject, ...]]:
        """Pass the records of all packs by everything that a reading can fail at, in order."""
        packs = self._packs
        resolved = senml_columns.resolve([pack.records for pack in packs])
        arrived = _of_packs([pack.arrived for pack in packs], resolved)
        deliveries = _of_packs([pack.delivery for pack in packs], resolved)
        time = senml_columns.to_micros(resolved, arrived)
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
        good = wanted & (sensor != NOT_FOUND) & ~is_faulty
        self._refuse(resolved.pack[~good & ~is_faulty & ~resolved.is_carrier])
        readings = np.empty(int(good.sum()), dtype=READING)
        readings["delivery"], readings["record"], readings["time"] = deliveries[good], resolved.record[good], time[good]
        readings["sensor"], readings["value"] = sensor[good], value[good]
        return readings, self._rejects(faults, resolved)

    def _refuse(self, packs: NDArray[np.int64]) -> None:
        """Count refused records, given the pack of each."""
        for number in np.flatnonzero(refused := np.bincount(packs)).tolist():
            self._refused[self._packs[number].route] += int(refused[number])

    def _rejects(self, faults: Mapping[int, tuple[Reason, str]], resolved: Resolved) -> tuple[Reject, ...]:
        """Give the faulty records; of a home with a pause, and of many in one pack, they are only counted."""
        rejects = []
        kept: Counter[int] = Counter()
        for index, (reason, detail) in sorted(faults.items()):
            pack = self._packs[int(resolved.pack[index])]
            kept[pack.delivery] += 1
            is_kept = kept[pack.delivery] <= _MOST_KEPT and self._is_kept(pack.home, reason)
            record = int(resolved.record[index])
            rejects.append(Reject(pack.delivery, pack.route, reason, detail, record, is_kept=is_kept))
        return tuple(rejects)

    def _is_refused(self, resolved: Resolved, time: NDArray[np.int64]) -> Bools:
        """Tell records whose time lies in a pause or may do so, and retained ones that do not tell how old they are."""
        retained = _of_packs([pack.retain for pack in self._packs], resolved).astype(bool)
        is_refused = retained & resolved.is_relative
        begin = 0
        for pack in self._packs if self._gate.pauses else ():
            part = slice(begin, begin + len(pack.records))
            begin = part.stop
            home = pack.home.pseudonym
            is_refused[part] |= self._gate.covers(home, time[part])
            # A redelivery arrived for the first time before the gap, perhaps in a pause that has ended since.
            if pack.duplicate and self._gate.touches(home, self._gap.began - _LATE_ANSWER, pack.arrived):
                is_refused[part] |= resolved.is_relative[part]
        return is_refused & ~resolved.is_carrier

    def _shape(self, resolved: Resolved, wanted: Bools, newcomers: Newcomers) -> Shape:
        """Find the sensors of all packs, as one shape."""
        shapes = []
        begin = 0
        for pack in self._packs:
            part = slice(begin, begin + len(pack.records))
            begin = part.stop
            texts = (resolved.base_names, resolved.names, resolved.base_units, resolved.units)
            base_name, name, base_unit, unit = (tuple(column[part]) if column else () for column in texts)
            of_device = pack.route is not Route.SENML
            names = Names(base_name, name, base_unit, unit, wanted[part].tobytes(), of_device)
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


def _is_idle(delivery: Delivery, target: Target) -> bool:
    """Tell a message on the topic of a device that carries no state of one."""
    return target.route is Route.ZIGBEE2MQTT and zigbee2mqtt.is_idle(delivery.payload, target.device)


def _of_packs(values: Sequence[int], resolved: Resolved) -> NDArray[np.int64]:
    """Spread a value of each pack over its records."""
    return np.array(values, dtype=np.int64)[resolved.pack]
