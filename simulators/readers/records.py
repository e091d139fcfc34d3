"""What the readers of archives give: counts, states of bays and packs, each with its time; and what they skip."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple


class ArchiveError(Exception):
    """An archive cannot be read, or is not what its reader reads; the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class Count:
    """What a car park's counter told at a `time` in UTC, under the archive's own `name` for the car park.

    `free` may be negative. `total` and `status` are None where the archive does not tell them.
    """

    time: datetime
    name: str
    free: int
    total: int | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class BayState:
    """Whether a bay was taken at a `time` in UTC; `name` is the archive's own for the car park, `spot` the label."""

    time: datetime
    name: str
    spot: str
    occupied: bool


class Sensor(NamedTuple):
    """A sensor of a home: its SenML name and unit; a unit that is not told is empty."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Measurements:
    """What the sensors of one home measured at a `time` in UTC, one value each."""

    time: datetime
    sensors: tuple[Sensor, ...]
    values: tuple[float, ...]


Record = Count | BayState | Measurements


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something of an archive that is no whole record: where it stands, and why it was skipped."""

    where: str
    reason: str


Read = Callable[[Path], Iterator[Record | Skipped]]
"""Reads an archive, in whatever order it has. Raises ArchiveError."""
