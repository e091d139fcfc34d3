"""The forms of payloads that faults may change: objects of parking, packs of homes, states of zigbee2mqtt.

Each function gives a message as it is with the fault, with what has to come of it, or None where the message has no
form that is known. No I/O and no clock.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.reasons import Reason
from schemas.units import conversion, kind_of, scale
from simulators.fleet import ARRIVAL, Fact, SensorMessage
from simulators.runs.pace import Issued

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("time", "last_seen")
"""Where objects tell their time."""
_OWN_FIELDS = frozenset({"occupied", "free", "last_seen"})
"""What tells a bay, a counter and a state of zigbee2mqtt from what network servers wrap around an uplink."""
_METERS = ("energy", "water")
_OVERSET = timedelta(days=300)
"""Beyond any window of acceptance, whenever the message arrives."""

Object = dict[str, Any]


def altered(issued: Issued, payload: object, facts: tuple[Fact, ...], letters: tuple[str, ...] = ()) -> Issued:
    """Give the message with another payload, an object that becomes JSON unless it is bytes."""
    content = payload if isinstance(payload, bytes) else _json(payload)
    message = replace(issued.message, payload=content, facts=facts)
    return replace(issued, message=message, facts=facts, letters=letters)


def is_untimed(issued: Issued) -> bool:
    """Tell whether its facts have the time of their arrival: sent later it tells others. So may one without facts."""
    return not issued.facts or any(fact.time == ARRIVAL for fact in issued.facts)


def shifted(issued: Issued, offset: timedelta) -> Issued | None:
    """Let the device's clock be off, by whole seconds: further than 300 days, nothing of it can be accepted."""
    micros = offset // timedelta(microseconds=1)
    facts = tuple(fact._replace(time=fact.time + micros) for fact in issued.facts)
    letters: tuple[str, ...] = ()
    if abs(offset) > _OVERSET:
        reason = Reason.TIME_IN_FUTURE if micros > 0 else Reason.TIME_TOO_LATE
        letters, facts = (reason,) * len(facts), ()
    state, pack = _timed_object(issued.message), _pack(issued.message)
    if state is not None:
        key = _time_key(state)
        return altered(issued, state | {key: _rfc3339(issued.facts[0].time + micros)}, facts, letters)
    if pack is not None:
        seconds = offset // timedelta(seconds=1)
        records = [{**one, "bt": one["bt"] + seconds} if "bt" in one else one for one in pack]
        return altered(issued, records, facts, letters)
    return None


def without_time(issued: Issued) -> Issued | None:
    """Leave the time out, so that the arrival is the time. Not of zigbee2mqtt, whose repeats then count for less."""
    facts = tuple(fact._replace(time=ARRIVAL) for fact in issued.facts)
    state, pack = _timed_object(issued.message), _pack(issued.message)
    if state is not None and "time" in state:
        return altered(issued, {name: value for name, value in state.items() if name != "time"}, facts)
    if pack is not None:
        return altered(issued, [{k: v for k, v in one.items() if k != "bt"} for one in pack], facts)
    return None


def in_another_unit(issued: Issued, how: float) -> Issued | None:
    """Tell the time as a number of another unit, or in quotes. `how`, from 0 to below 1, chooses."""
    state, pack = _timed_object(issued.message), _pack(issued.message)
    if state is not None:
        return _object_in_another_unit(issued, state, how)
    if pack is not None:
        return _pack_in_another_unit(issued, pack, how)
    return None


def with_values_of(issued: Issued, held: Issued) -> Issued | None:
    """Repeat the values of an earlier message, at the present time."""
    values = {fact.source: fact.values for fact in held.facts}
    if len(values) != len(issued.facts) or values.keys() != {fact.source for fact in issued.facts}:
        return None
    facts = tuple(fact._replace(values=values[fact.source]) for fact in issued.facts)
    state, before = _timed_object(issued.message), _timed_object(held.message)
    if state is not None and before is not None and "time" in state:
        told = {name: before[name] for name in ("occupied", "free", "total", "status") if name in before}
        return altered(issued, state | told, facts)
    pack, earlier = _pack(issued.message), _pack(held.message)
    if pack is None or earlier is None or [one["n"] for one in pack] != [one["n"] for one in earlier]:
        return None
    told_then = ({label: one[label] for label in ("v", "vb") if label in one} for one in earlier)
    return altered(issued, [one | then for one, then in zip(pack, told_then, strict=True)], facts)


def counting_from(issued: Issued, first: Issued) -> Issued | None:
    """Count from 0 at an earlier message: a bay its messages, a home what its meters of energy and water tell."""
    state, begin = _timed_object(issued.message), _timed_object(first.message)
    if state is not None and begin is not None and "seq" in state and "seq" in begin:
        return altered(issued, state | {"seq": state["seq"] - begin["seq"]}, issued.facts)
    pack, earlier = _pack(issued.message), _pack(first.message)
    if pack is None or earlier is None or len(pack) != len(issued.facts):
        return None
    zero = {one["n"]: one.get("v") for one in earlier if one["n"].endswith(_METERS)}
    records, facts = [*pack], [*issued.facts]
    for place, (one, fact) in enumerate(zip(pack, facts, strict=True)):
        base = zero.get(one["n"])
        if base is not None and fact.source.endswith(one["n"]) and fact.values == (_stored(one, one["v"]),):
            told = one | {"v": round(max(0.0, one["v"] - base), 6)}
            records[place], facts[place] = told, fact._replace(values=(_stored(told, told["v"]),))
    return None if records == pack else altered(issued, records, tuple(facts))


def flaps(issued: Issued, times: int) -> list[Issued]:
    """Give what a bay tells that changes so many times there and back, a second apart."""
    state = _timed_object(issued.message)
    if state is None or not isinstance(state.get("occupied"), bool):
        return []
    (fact,) = issued.facts
    state.pop("seq", None)
    told = []
    for number in range(1, 2 * times + 1):
        occupied = state["occupied"] is (number % 2 == 0)
        time = fact.time + number * 1_000_000
        payload = state | {"occupied": occupied, "time": _rfc3339(time)}
        told.append(altered(issued, payload, (fact._replace(time=time, values=(int(occupied),)),)))
    return told


def cut(issued: Issued, how: float) -> Issued | None:
    """Cut the payload, so that no decoder can read it: arrays and objects that do not end."""
    payload = issued.payload
    is_cut = payload[:1] in {b"{", b"["} or (payload[:1] >= b"\x80" and issued.topic.endswith("/senml"))
    if not is_cut:
        return None
    return altered(issued, payload[: 1 + int(how * (len(payload) - 1))], (), (Reason.MALFORMED_PAYLOAD,))


def _object_in_another_unit(issued: Issued, state: Object, how: float) -> Issued:
    time, key = issued.facts[0].time, _time_key(state)
    chosen: Sequence[tuple[object, str]] = (
        (time / 1_000_000, ""),
        (time // 1_000, "") if time % 1_000 == 0 else (time / 1_000, ""),
        (time, ""),
        (time * 1_000, ""),
        (time // 60_000_000, Reason.TIME_TOO_LATE),
        (str(time // 1_000), Reason.SCHEMA_VIOLATION),
    )
    told, reason = chosen[int(how * len(chosen))]
    payload = state | {key: told}
    # zigbee2mqtt tells one time for all that it tells: the message is rejected as one.
    return altered(issued, payload, (), (reason,)) if reason else altered(issued, payload, issued.facts)


def _pack_in_another_unit(issued: Issued, pack: list[Object], how: float) -> Issued:
    chosen: Sequence[tuple[Callable[[float], object], str]] = (
        (lambda base: base * 1_000, Reason.TIME_IN_FUTURE),
        # Below 2^28 a time of SenML counts from the arrival: this is years ahead.
        (lambda base: base / 60, Reason.TIME_IN_FUTURE),
        (str, Reason.SCHEMA_VIOLATION),
    )
    tell, reason = chosen[int(how * len(chosen))]
    records = [{**one, "bt": tell(one["bt"])} if "bt" in one else one for one in pack]
    return altered(issued, records, (), (reason,) * len(issued.facts))


def _timed_object(message: SensorMessage) -> Object | None:
    """Give the content of an object that tells one time in a known place, for all its facts."""
    if message.payload[:1] != b"{" or not message.facts:
        return None
    state = json.loads(message.payload)
    is_known = not _OWN_FIELDS.isdisjoint(state) and any(key in state for key in _TIMES)
    times = {fact.time for fact in message.facts}
    return state if is_known and len(times) == 1 and ARRIVAL not in times else None


def _time_key(state: Mapping[str, object]) -> str:
    return next(key for key in _TIMES if key in state)


def _pack(message: SensorMessage) -> list[Object] | None:
    """Give the records of a pack in JSON that tells a base time at its head, and a name in each record."""
    if message.payload[:1] != b"[" or any(fact.time == ARRIVAL for fact in message.facts):
        return None
    records: list[Object] = json.loads(message.payload)
    is_known = bool(message.facts) and "bt" in records[0] and all("n" in one for one in records)
    return records if is_known else None


def _stored(record: Object, value: float) -> float:
    """Give the value of a meter that the registry does not list, in the unit that it is stored in."""
    unit = record.get("u", "")
    factor, offset = conversion(unit, kind_of(record["n"], scale(unit).primary)[1])
    return value * factor + offset


def _rfc3339(micros: int) -> str:
    time = _EPOCH + timedelta(microseconds=micros)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
