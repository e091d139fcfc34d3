"""What counters of several makers say; some tell no total, some no status, and some have their own letter case."""

import json
import random
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schemas.registry import CarPark
from simulators.fleet import Fact
from simulators.parking import times

_LOCAL = 0.33
"""The share of the counters in a `timezone` that tell local time."""


class Count(NamedTuple):
    """What a counter knows; `free` may be beyond 0 and the total where it drifts."""

    free: int
    total: int
    status: str


Fields = Callable[[Count], str]
"""Writes what a counter tells: the inside of a JSON object."""


class CountForm(NamedTuple):
    """How a counter speaks: what it tells, whether a total and a status are part of it, and how it writes times."""

    fields: Fields
    tells_total: bool
    tells_status: bool
    time: times.TimeForm

    def say(self, source: str, count: Count, at: datetime) -> tuple[bytes, Fact]:
        """Write a count at a time in UTC; give the payload and the fact in it."""
        told, micros = self.time(at)
        values = (count.free, count.total if self.tells_total else 0, count.status if self.tells_status else "")
        return f'{{{self.fields(count)},"time":{told}}}'.encode(), Fact(source, micros, values)


def form_of(park: CarPark, rng: random.Random) -> CountForm:
    """Draw how a car park's counter speaks; where the registry has a `timezone`, perhaps without an offset."""
    form, is_local = rng.choice(_forms(park)), rng.random() < _LOCAL
    if park.timezone is not None and is_local:
        return form._replace(time=times.local(ZoneInfo(park.timezone)))
    return form


def _forms(park: CarPark) -> tuple[CountForm, ...]:
    name = json.dumps(park.name)

    def named(count: Count) -> str:
        return f'"Name":{name},"status":"{count.status.capitalize()}","free":{count.free},"total":{count.total}'

    return (
        CountForm(_whole, tells_total=True, tells_status=True, time=times.zulu),
        CountForm(_whole, tells_total=True, tells_status=True, time=times.offset),
        CountForm(named, tells_total=True, tells_status=True, time=times.zulu_nanoseconds),
        CountForm(_loud, tells_total=True, tells_status=True, time=times.epoch_milliseconds),
        CountForm(_without_status, tells_total=True, tells_status=False, time=times.epoch_seconds),
        CountForm(_without_total, tells_total=False, tells_status=True, time=times.zulu_seconds),
        CountForm(_null, tells_total=False, tells_status=False, time=times.epoch_fraction),
        CountForm(_bare, tells_total=False, tells_status=False, time=times.zulu),
    )


def _whole(count: Count) -> str:
    return f'"free":{count.free},"total":{count.total},"status":"{count.status}"'


def _loud(count: Count) -> str:
    return f'"status":"{count.status.upper()}","free":{count.free},"total":{count.total},"lanes":2'


def _without_status(count: Count) -> str:
    return f'"free":{count.free},"total":{count.total}'


def _without_total(count: Count) -> str:
    return f'"free":{count.free},"status":"{count.status.capitalize()}"'


def _null(count: Count) -> str:
    return f'"free":{count.free},"total":null,"status":null'


def _bare(count: Count) -> str:
    return f'"free":{count.free}'
