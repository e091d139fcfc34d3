"""The live figures that have to be retained, folded from the stored rows by the rules of docs/delivery.md. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from schemas.registry import CarPark, Registry

_ALMOST_FULL = 20
_HELD_AT_MOST = 15 * 60 * 1_000_000
"""Expiry is held ten minutes at the most, judged as of a moment before that."""
_JUDGED_LATE = 5_000_000
"""A figure is judged once a second, and takes a while to be published."""
_PROVEN = ("over_capacity", "negative_free", "status_contradicts_count")
"""Of `quality`; the others follow from the history of sensors, or from how the service does."""
_UNPROVEN = ("observed_at", "revision")
"""Fields that have to be told, whatever they say."""

_LAST_DIGIT = 1.01e-4
"""Of a ratio to four digits: it may be rounded either way."""

Figure = Mapping[str, Any]
Newest = Mapping[str, Iterable[tuple[Any, ...]]]


@dataclass(slots=True)
class State:
    """What the rows of one car park come to: bays by label, and each number of its counter, with their times."""

    bays: dict[str, tuple[int, bool]] = field(default_factory=dict)
    free: tuple[int, int] | None = None
    total: tuple[int, int] | None = None
    status: tuple[int, str] | None = None


def states(registry: Registry, newest: Newest) -> Mapping[str, State]:
    """Sort the newest rows by car park; those of bays and car parks that left the registry do not count."""
    found = {park.code: State() for park in registry.car_park}
    labels = {park.code: {spot.label for spot in park.all_spots()} for park in registry.car_park}
    for code, label, time, occupied in newest["events"]:
        if label in labels.get(code, ()):
            found[code].bays[label] = time, occupied
    for name in ("free", "total", "status"):
        for code, time, value in newest[name]:
            if code in found:
                setattr(found[code], name, (time, value))
    return found


def moments(park: CarPark, state: State, now: int, *, catching_up: bool) -> set[int]:
    """Give the times, in microseconds, as of which a figure may have been judged; where expiry is held, many."""
    heartbeat, stale_after = _micros(park.heartbeat), _micros(park.stale_after)
    expiries = [time + heartbeat for time, _ in state.bays.values()]
    expiries += [state.free[0] + stale_after] if state.free else []
    back = _HELD_AT_MOST if catching_up else _JUDGED_LATE
    return {now, now - back} | {time for time in expiries if now - back <= time <= now}


def figure(park: CarPark, state: State, now: int) -> Figure:
    """Give what a car park's figure has to say, as judged at a time."""
    capacity = state.total[1] if park.basis == "count" and state.total else park.capacity
    free, occupied, quality = (_by_count if park.basis == "count" else _by_spots)(park, state, now, capacity)
    unknown = capacity - free - occupied
    known = free + occupied
    return {
        "car_park": park.code,
        "name": park.name,
        "zone": park.zone,
        "basis": park.basis,
        "status": _status(state, capacity, free, occupied),
        "capacity": capacity,
        "free": free,
        "occupied": occupied,
        "unknown": unknown,
        "free_min": free,
        "free_max": free + unknown,
        "occupancy": round(occupied / known, 4) if known else None,
        "confidence": round(1 - unknown / capacity, 4),
        "stale": known == 0,
        "quality": quality,
    }


def differences(wanted: Figure, retained: Figure) -> list[str]:
    """Tell in what a retained figure differs; of `quality` only what follows from the newest rows is compared."""
    fields = {*wanted, *_UNPROVEN}
    told = dict(retained)
    if isinstance(told.get("quality"), list):
        told["quality"] = [name for name in told["quality"] if name in _PROVEN]
    return [
        *(f"{name} is not told" for name in sorted(fields - told.keys())),
        *(f"{name} is told, and is no field" for name in sorted(told.keys() - fields)),
        *(
            f"{name} is {told[name]!r} instead of {value!r}"
            for name, value in wanted.items()
            if name in told and not _equal(told[name], value)
        ),
    ]


def judge(park: CarPark, state: State, retained: Figure, now: int) -> list[str]:
    """Tell in what a retained figure is wrong, whenever in the last seconds it was judged."""
    quality = retained.get("quality")
    catching_up = isinstance(quality, list) and "catching_up" in quality
    times = moments(park, state, now, catching_up=catching_up)
    return min((differences(figure(park, state, time), retained) for time in times), key=len)


def city(figures: Iterable[Figure]) -> Figure:
    """Give what the city's figure has to say, by those of its car parks."""
    figures = list(figures)
    summed = ("capacity", "free", "occupied", "unknown")
    return {"car_parks": len(figures)} | {name: sum(_number(one.get(name)) for one in figures) for name in summed}


def _by_spots(park: CarPark, state: State, now: int, _: int) -> tuple[int, int, list[str]]:
    heartbeat = _micros(park.heartbeat)
    fresh = [occupied for time, occupied in state.bays.values() if not heartbeat or now - time <= heartbeat]
    return fresh.count(False), fresh.count(True), []


def _by_count(park: CarPark, state: State, now: int, capacity: int) -> tuple[int, int, list[str]]:
    if state.free is None or now - state.free[0] > _micros(park.stale_after):
        return 0, 0, []
    told = state.free[1]
    free = min(max(told, 0), capacity)
    is_full = state.status is not None and state.status[1] == "full"
    flags = (told > capacity, told < 0, is_full and told > 0)
    return free, capacity - free, [name for name, flag in zip(_PROVEN, flags, strict=True) if flag]


def _status(state: State, capacity: int, free: int, occupied: int) -> str:
    most = capacity - occupied
    if state.status is not None and state.status[1] == "closed":
        return "closed"
    if free + occupied == 0:
        return "unknown"
    if most == 0:
        return "full"
    return "almost_full" if _ALMOST_FULL * most <= capacity else "open"


def _number(told: object) -> int:
    return told if isinstance(told, int) else 0


def _equal(told: object, wanted: object) -> bool:
    if isinstance(told, bool) or isinstance(wanted, bool):
        return told is wanted
    if isinstance(wanted, float) and isinstance(told, int | float):
        return abs(told - wanted) <= _LAST_DIGIT
    return told == wanted


def _micros(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
