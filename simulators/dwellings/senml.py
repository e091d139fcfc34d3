"""A home's gateway: all its sensors as one SenML pack (RFC 8428) every five minutes, in JSON or in CBOR.

What cannot wait, a movement, a contact, a bed, a mat or a plug, is told at once in a pack of its own. No I/O, no clock.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

import cbor2

from schemas.registry import Dwelling
from simulators.dwellings.sensors import Sensor
from simulators.dwellings.telling import Storage, Told
from simulators.fleet import micros

REPORT_SECONDS: Final = 300.0
Label = str | int


class Encoding(NamedTuple):
    """How a pack is written: the labels of its fields, and the bytes of its records."""

    labels: Mapping[str, Label]
    write: Callable[[list[dict[Label, object]]], bytes]


def _to_json(records: list[dict[Label, object]]) -> bytes:
    return json.dumps(records, separators=(",", ":")).encode()


JSON: Final = Encoding(MappingProxyType({label: label for label in ("bt", "n", "u", "v", "vb", "t")}), _to_json)
CBOR: Final = Encoding(MappingProxyType({"bt": -3, "n": 0, "u": 1, "v": 2, "vb": 4, "t": 6}), cbor2.dumps)
"""With the numbers of RFC 8428, section 6, table 4, for labels."""


class Gateway:
    """Tells what the sensors of a home read."""

    def __init__(self, home: Dwelling, topic: str, sensors: Iterable[Sensor], first: float, encoding: Encoding) -> None:
        self.due = first
        self._topic = topic
        self._encoding = encoding
        self._sensors = [
            (sensor, Storage.of(home, sensor.name, sensor.unit), self._named(sensor)) for sensor in sensors
        ]
        self.names = frozenset(sensor.name for sensor, *_ in self._sensors)

    def tell(self, at: float, changed: AbstractSet[str], now: datetime) -> Told:
        """Tell of all sensors when it is time to, else of those that have changed."""
        asked = self._sensors
        if at < self.due:
            asked = [one for one in asked if one[0].name in changed]
        else:
            self.due += REPORT_SECONDS
        labels, base = self._encoding.labels, micros(now)
        value_label, truth_label = labels["v"], labels["vb"]
        records, facts = [], []
        for sensor, storage, named in asked:
            value = sensor.read()
            records.append({**named, truth_label if isinstance(value, bool) else value_label: value})
            facts.append(storage.fact(base - 1000 * sensor.lag, value))
        records[0] = {labels["bt"]: base / 1e6, **records[0]}
        return Told(self._topic, self._encoding.write(records), tuple(facts))

    def _named(self, sensor: Sensor) -> dict[Label, object]:
        """Give a record without its value."""
        labels = self._encoding.labels
        unit = {labels["u"]: sensor.unit} if sensor.unit else {}
        time = {labels["t"]: -sensor.lag / 1000} if sensor.lag else {}
        return {labels["n"]: sensor.name, **unit, **time}
