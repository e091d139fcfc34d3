"""Homes that live on: batches decoded, reduced and adopted one after the other, as the service does."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from unit.households import Household, Stored
from unit.worlds import GATE, HOMES

from processors.decode import Decoded
from processors.gate import Gate
from processors.reduce_homes import adopt, reduce_homes
from schemas.delivery import Delivery

ROOMY = [{**HOMES[0], "max_sensors": 100}, *HOMES[1:]]
"""The homes of `unit.worlds`, with room for devices."""


class Lived(NamedTuple):
    """What came of a batch: what is stored, the faults by message and record, and how many repeats there were."""

    stored: list[Stored]
    faults: dict[tuple[int, int], str]
    repeats: int
    decoded: Decoded


class LiveHomes:
    """A household and what the service knows of it."""

    def __init__(self, homes: Sequence[Mapping[str, Any]] = ROOMY) -> None:
        self.household = Household(homes)

    def live(self, *deliveries: Delivery, gate: Gate = GATE, is_replay: bool = False) -> Lived:
        """Take a batch, and know what it told."""
        decoded = self.household.decode(*deliveries, gate=gate)
        homes = self.household.layout.homes
        reduced = reduce_homes(homes, decoded, is_replay=is_replay)
        adopt(homes, reduced)
        after = decoded.without(reduced.unfit)
        faults = {(one.delivery, one.record): one.detail for one in after.rejects}
        sensors = self.household.sensors
        stored = [
            Stored(sensors[number].name, sensors[number].unit, value, time)
            for _, _, time, number, value in reduced.readings.tolist()
        ]
        return Lived(stored, faults, len(after.homes.readings) - len(stored), after)
