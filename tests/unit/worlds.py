"""A small city for the unit tests, and readings of it."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from processors.columns import COUNT, NO_FRAME, NO_SEQ, READING, SPOT_EVENT, Records, records
from processors.decode import Decoded
from processors.decode_homes import HomeReadings
from processors.gate import Gap, Gate
from processors.layout import Ids, Layout
from processors.privacy import Privacy
from processors.rejects import Limits
from processors.sensors import Sensor, Sensors
from schemas.delivery import Delivery
from schemas.registry import Registry
from schemas.topics import Route, Topics

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 1_795_298_400 * SECOND
"""2026-11-21T22:00:00Z."""

TOPICS = Topics("city")
LIMITS = Limits(max_payload_bytes=256 * 1024, max_lateness=8 * DAY, max_future=5 * MINUTE)
GATE = Gate()
"""No home is paused."""
NO_GAP = Gap(NOW - DAY, is_open=False)
KEY = b"k" * 32
"""Of the pseudonyms."""

ANTI, QUAY, COME, FOCH = range(4)
"""Indexes of the car parks."""
CITY = -1
"""Index of the city among the figures."""

HOMES: list[dict[str, Any]] = [
    {
        "id": "hut-01",
        "district": "antigone",
        "consent": True,
        "max_sensors": 5,
        "sensor": [
            {"name": "kitchen/temperature", "kind": "temperature", "unit": "Cel", "minimum": -20, "maximum": 60},
            {"name": "meter", "kind": "energy", "unit": "kWh"},
        ],
        "device": [
            {"label": "fridge", "dev_eui": "24E124D51C000001", "tts_device_id": "fridge-7"},
            {"label": "soil/pot-2", "tts_device_id": "rooms@ttn/pot"},
        ],
    },
    {
        "id": "hut-02",
        "district": "antigone",
        "consent": False,
        "device": [{"label": "door", "dev_eui": "24e124d51c000002"}],
    },
    {"id": "hut-0", "district": "port-marianne", "consent": True},
]
"""One that consents, one that does not, and one whose id is the beginning of the others'."""

REGISTRY = Registry.model_validate(
    {
        "car_park": [
            {
                "code": "ANTI",
                "name": "Antigone",
                "capacity": 22,
                "basis": "spots",
                "heartbeat": "1h",
                "spots": ["P-01..P-20"],
                "spot": [
                    {"label": "P-01", "dev_eui": "70B3D57ED0000001", "tts_device_id": "bay-1"},
                    {"label": "P-02", "tts_device_id": "parking@ttn/bay-2"},
                ],
            },
            {
                "code": "QUAY",
                "name": "Quay",
                "capacity": 3,
                "basis": "spots",
                "heartbeat": "0",
                "timezone": "Europe/Paris",
                "spots": ["Q-1..Q-3"],
                "spot": [{"label": "Q-1", "dev_eui": "70b3d57ed0000002"}],
            },
            {"code": "COME", "name": "Comédie", "capacity": 40, "basis": "count"},
            {
                "code": "FOCH",
                "name": "Foch",
                "capacity": 10,
                "basis": "count",
                "stale_after": "1m",
                "timezone": "Europe/Paris",
            },
        ],
        "dwelling": HOMES,
    }
)
QUAY_SPOT = 20
"""Index of the first spot of QUAY; those before it are ANTI's."""
SPOTS = 23


def layout_of(registry: Registry, erased: Sequence[str] = ()) -> Layout:
    """Lay out a registry, with database ids that are no indexes; the listed sensors of its homes are known.

    Homes that were `erased` have no ids.
    """
    parks, dwellings = registry.car_park, [home for home in registry.dwelling if home.id not in erased]
    labels = [(park.code, spot.label) for park in parks for spot in park.all_spots()]
    ids = Ids(
        car_parks={park.code: 101 + index for index, park in enumerate(parks)},
        spots={label: 1001 + index for index, label in enumerate(labels)},
        dwellings={dwelling.id: 501 + index for index, dwelling in enumerate(dwellings) if dwelling.consent},
    )
    listed = [Sensor.listed(ids.dwellings[home.id], one) for home in dwellings if home.consent for one in home.sensor]
    sensors = Sensors(KEY)
    sensors.add(listed, range(7001, 7001 + len(listed)))
    privacy = Privacy.of(registry, TOPICS, KEY)
    return Layout.of(registry, ids, privacy.without(privacy.mark(privacy.pseudonym(home)) for home in erased), sensors)


LAYOUT = layout_of(REGISTRY)


def deliver(
    topic: str, payload: bytes | dict[str, Any], *, received_at: int = NOW, retain: bool = False, epoch: int = 1
) -> Delivery:
    """Give a message as it arrives; a dict is written as JSON."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Delivery(epoch, 1, topic, body, retain, received_at)


def event(  # noqa: PLR0913 - the columns
    time: int,
    spot: int,
    occupied: bool,
    *,
    arrived: int = NOW,
    battery: float | None = None,
    seq: int | None = None,
    frame: int = NO_FRAME,
    delivery: int = 0,
) -> tuple[Any, ...]:
    """Give a row of SPOT_EVENT."""
    volts = np.nan if battery is None else battery
    return (delivery, time, spot, occupied, arrived, volts, NO_SEQ if seq is None else seq, frame, True)


def count(  # noqa: PLR0913 - the columns
    time: int,
    car_park: int,
    free: int,
    *,
    total: int = 0,
    status: str = "",
    arrived: int = NOW,
    delivery: int = 0,
) -> tuple[Any, ...]:
    """Give a row of COUNT."""
    return (delivery, time, car_park, free, total, status.encode(), arrived)


def events_of(rows: Sequence[tuple[Any, ...]]) -> Records:
    """Give SPOT_EVENT records."""
    return records(list(rows), SPOT_EVENT)


def counts_of(rows: Sequence[tuple[Any, ...]]) -> Records:
    """Give COUNT records."""
    return records(list(rows), COUNT)


NO_HOMES = HomeReadings(records([], READING), (), {}, (), (), GATE, (), Counter())
"""What came of homes that said nothing."""


def decoded_of(events: Sequence[tuple[Any, ...]] = (), counts: Sequence[tuple[Any, ...]] = ()) -> Decoded:
    """Give a decoded batch of good readings."""
    messages = Counter({Route.SPOT: len(events), Route.COUNT: len(counts)})
    spots, counters = events_of(events), counts_of(counts)
    routes = np.zeros(messages.total(), dtype=np.uint8)  # in a batch by hand no reading leads back to its message
    return Decoded(routes, spots, counters, spots, counters, NO_HOMES, (), +messages, Counter())
