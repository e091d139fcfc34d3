"""The tables that hold what is known of homes: the one list from which homes are erased and exported.

A table with a column `sensor_id` or `dwelling_id` that is not listed here makes a test fail. What else holds something
of a home is `dead_letter`, where its pseudonym may stand anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, LiteralString

RFC3339: Final = "RFC 3339, UTC"
"""How times are written in exports, as their readers are told."""


@dataclass(frozen=True, slots=True)
class HomeTable:
    """A table whose rows belong to a home by their column `key`."""

    name: LiteralString
    key: LiteralString


@dataclass(frozen=True, slots=True)
class SensorTable:
    """A table whose rows belong to a sensor by `sensor_id`, many of them, in the order of the column `time`.

    An export has its rows in `file`,
    and tells what its `columns` mean; `retention` names what of the settings says how long rows are kept.
    """

    name: LiteralString
    time: LiteralString
    is_computed: bool
    file: str
    purpose: str
    retention: str
    columns: Mapping[LiteralString, str]


_AGGREGATE: Final[Mapping[LiteralString, str]] = MappingProxyType(
    {
        "n": "number of readings in it",
        "mean": "their mean",
        "stddev": "their standard deviation (n - 1); empty where there is one",
        "minimum": "the least of them",
        "maximum": "the greatest",
        "first": "the first",
        "last": "the last",
        "time_weighted_mean": "mean over time of the last value held",
        "increase": "by how much a meter went on",
        "first_at": f"when the first was measured ({RFC3339})",
        "last_at": "when the last was measured",
    }
)


def _aggregates(level: Literal["minute", "hour", "day"], retention: str) -> SensorTable:
    return SensorTable(
        name=f"dwelling_{level}",
        time="bucket",
        is_computed=True,
        file=f"{level}s.csv",
        purpose=f"readings by {level}, computed from them; `bucket` is its beginning",
        retention=retention,
        columns=_AGGREGATE,
    )


SENSOR_TABLES: Final = (
    SensorTable(
        name="dwelling_reading",
        time="time",
        is_computed=False,
        file="readings.csv",
        purpose="single readings, from which all else is computed",
        retention="retention_dwelling_readings",
        columns={"value": "what was measured, in the unit of the row; 1 and 0 for true and false"},
    ),
    _aggregates("minute", "kept_minutes"),
    _aggregates("hour", "kept_totals"),
    _aggregates("day", "kept_totals"),
)
"""What was measured, and what was computed from it."""
LAST_TOLD: Final = HomeTable("last_told", "sensor_id")
DWELLING_TABLES: Final = (HomeTable("pause", "dwelling_id"), HomeTable("sensor", "dwelling_id"))
"""What else is known of a home, in the order in which it can be removed."""
DWELLING: Final = HomeTable("dwelling", "id")
POOLED_MEMBER: Final = HomeTable("pooled_member", "dwelling_id")
"""A home that is erased stays a member, as nobody: else the others of its group would be told as a group without it."""
TOUCHED_MINUTE: Final = HomeTable("touched_minute", "sensors")
"""Whose rows are of many sensors at once."""
DEAD_LETTER: Final = "dead_letter"
