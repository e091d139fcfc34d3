"""Homes for the unit tests: what they send, and what is kept of it, with sensors called by their names."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from unit.worlds import GATE, HOMES, LIMITS, NO_GAP, NOW, TOPICS, deliver, layout_of

from processors import senml, senml_columns
from processors.decode import Decoded, decode
from processors.gate import Gap, Gate, Pause
from processors.rejects import Limits
from processors.sensors import Sensor
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.registry import Registry
from schemas.topics import Route

HUT = TOPICS.senml("hut-01")
"""Consents; its sensors are those of `unit.worlds`."""
BUTTON = TOPICS.pause("hut-01")
SILENT = TOPICS.senml("hut-02")
"""Does not consent."""
OTHER = TOPICS.senml("hut-0")
"""Consents; its id is the beginning of the others'."""
UNKNOWN = TOPICS.senml("cottage")

KITCHEN = "kitchen/temperature"
Pack = Sequence[Mapping[str, Any]]


class Stored(NamedTuple):
    """A reading as it will be stored: the sensor by name and unit."""

    name: str
    unit: str
    value: float
    time: int


class Household:
    """Homes with the memory that the database has: which sensor bears which number."""

    def __init__(self, homes: Sequence[Mapping[str, Any]] = HOMES) -> None:
        registry = Registry.model_validate({"dwelling": homes})
        self.layout = layout_of(registry)
        self.sensors = [
            Sensor.listed(0, sensor) for home in registry.dwelling if home.consent for sensor in home.sensor
        ]

    def pseudonym(self, dwelling: str) -> str:
        """Give the pseudonym of a home."""
        return self.layout.privacy.pseudonyms[dwelling]

    def decode(self, *deliveries: Delivery, gate: Gate = GATE, gap: Gap = NO_GAP, limits: Limits = LIMITS) -> Decoded:
        """Decode a batch, and register the sensors it brings."""
        decoded = decode(deliveries, self.layout, limits, gate, gap)
        newcomers = decoded.homes.newcomers
        self.layout.homes.sensors.add(
            newcomers, range(8001 + len(self.sensors), 8001 + len(self.sensors) + len(newcomers))
        )
        self.sensors += newcomers
        return decoded

    def stored(self, decoded: Decoded) -> list[Stored]:
        """Give the readings of a batch, in order."""
        return [
            Stored(self.sensors[number].name, self.sensors[number].unit, value, time)
            for _, _, time, number, value in decoded.homes.readings.tolist()
        ]


def pack(*records: Mapping[str, Any], topic: str = HUT, received_at: int = NOW, retain: bool = False) -> Delivery:
    """Give a pack as it arrives."""
    return deliver(topic, json.dumps(records).encode(), received_at=received_at, retain=retain)


def press(payload: bytes, *, topic: str = BUTTON, received_at: int = NOW, retain: bool = False) -> Delivery:
    """Give a press of a red button."""
    return deliver(topic, payload, received_at=received_at, retain=retain)


def reasons(decoded: Decoded) -> list[tuple[int, int, Reason]]:
    """Give message, record and reason of every reject."""
    return [(reject.delivery, reject.record, reject.reason) for reject in decoded.rejects]


def paused(home: str, *pauses: Pause) -> Gate:
    """Give the gate of a home, by pseudonym, with pauses."""
    return Gate.of((home, pause) for pause in pauses)


def records_in(payload: bytes) -> int:
    """Count the readings that a pack stands for: 1 where it is not read, else its records but for carriers."""
    if len(payload) > LIMITS.max_payload_bytes:
        return 1
    try:
        records = senml.parse(payload)
    except senml.PackError:
        return 1
    return len(records) - int(senml_columns.resolve([records]).is_carrier.sum())


def assert_accounted(decoded: Decoded, sent: list[Delivery]) -> None:
    """Check that every record of every message became one reading, one reject or one refusal, on its own route."""
    stored = decoded.homes.readings[["delivery", "record"]].tolist()
    used = [*stored, *((reject.delivery, reject.record) for reject in decoded.rejects)]
    assert len(set(used)) == len(used)
    assert decoded.messages.total() == len(sent)
    wanted: Counter[Route] = Counter()
    for delivery in sent:
        topic = TOPICS.parse(delivery.topic)
        if topic.route is Route.SENML:
            wanted[Route.SENML] += records_in(delivery.payload) if topic.asset in {"hut-01", "hut-0"} else 1
        elif topic.route is Route.UNROUTABLE:
            wanted[Route.UNROUTABLE] += 1
    rejected = Counter(reject.route for reject in decoded.rejects)
    for route in (Route.SENML, Route.UNROUTABLE):
        assert decoded.count_readings()[route] + rejected[route] + decoded.refused[route] == wanted[route]
    assert decoded.refused[Route.CONTROL] == 0
