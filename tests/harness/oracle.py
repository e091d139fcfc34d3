"""The oracle: compares what the broker has acknowledged to the devices with what stands in the tables.

It shares no code with the service; where that folds, encodes and counts, this reads SQL and sorts.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.devices import SPOTS, Devices, Fact

_MICROS = "(extract(epoch FROM time) * 1000000)::bigint"
_STORED = f"""
SELECT code || '/' || label, {_MICROS}, ARRAY[occupied::integer::text]
FROM parking_event JOIN spot ON spot.id = spot_id JOIN car_park ON car_park.id = car_park_id
UNION ALL
SELECT code, {_MICROS}, ARRAY[free::text, total::text, parking_count.status]
FROM parking_count JOIN car_park ON car_park.id = car_park_id
UNION ALL
SELECT name, {_MICROS}, ARRAY[value::text] FROM dwelling_reading JOIN sensor ON sensor.id = sensor_id
"""
_SETTLED = "SELECT coalesce(sum(stored + dead_lettered), 0)::bigint, coalesce(sum(stored), 0)::bigint FROM ledger"
_FIGURES = """
SELECT code, a.free, a.occupied, a.unknown FROM availability a JOIN car_park c ON c.id = car_park_id
WHERE basis = 'spots'
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the acknowledged messages. `lost`, `doubled` and `altered` count facts, and have to be 0."""

    messages: int
    facts: int
    lost: int
    doubled: int
    altered: int
    dead_lettered: int
    wrong_figures: tuple[str, ...]


async def missing_facts(ask: Callable[..., Any], devices: Devices) -> int:
    """Tell how many acknowledged facts are not in the ledger yet."""
    [(settled, _)] = await ask(_SETTLED)
    return len(devices.acknowledged) - int(settled)


async def judge(ask: Callable[..., Any], devices: Devices) -> Verdict:
    """Compare everything."""
    rows = Counter((source, int(at), _values(values)) for source, at, values in await ask(_STORED))
    [(_, stored)] = await ask(_SETTLED)
    letters = await ask("SELECT topic, payload FROM dead_letter")
    dead = {fact for topic, payload in letters or [] for fact in devices.offered.get((topic, bytes(payload)), ())}
    offered = {fact for facts in devices.offered.values() for fact in facts}
    figures = {code: tuple(figure) for code, *figure in await ask(_FIGURES)}
    expected = expected_figures(rows, await _capacities(ask))
    return Verdict(
        messages=devices.messages,
        facts=len(devices.acknowledged),
        lost=len(devices.acknowledged - rows.keys() - dead),
        # By the tables, whose keys forbid it, and by the ledger, which could still say so.
        doubled=rows.total() - len(rows) + abs(int(stored) - rows.total()) + len(dead & rows.keys()),
        altered=len(rows.keys() - offered),
        dead_lettered=len(dead),
        wrong_figures=tuple(
            f"{code}: {figures.get(code)} instead of {figure}"
            for code, figure in expected.items()
            if figures.get(code) != figure
        ),
    )


def expected_figures(facts: Iterable[Fact], capacities: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    """Tell free, occupied and unknown of the car parks by spots: the newest fact counts, at equal times occupied."""
    newest: dict[str, tuple[int, float | str]] = {}
    for source, at, values in facts:
        newest[source] = max(newest.get(source, (0, 0)), (at, values[0]))
    figures = {}
    for park, spots in SPOTS.items():
        states = [newest[f"{park}/{spot}"][1] for spot in spots if f"{park}/{spot}" in newest]
        occupied = states.count(1)
        figures[park] = (len(states) - occupied, occupied, capacities[park] - len(states))
    return figures


async def _capacities(ask: Callable[..., Any]) -> dict[str, int]:
    return dict(await ask("SELECT code, capacity FROM car_park"))


def _values(texts: list[str]) -> tuple[float | str, ...]:
    return tuple(float(text) if text else text for text in texts)
