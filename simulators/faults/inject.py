"""Faults, put between a fleet and its sender: a pure function of what is issued, the faults and the seed. No clock.

A message has at most one fault. Which one, only the seed, its device and its number decide, or for faults that last,
its device and the hour. What is held back keeps its place by the fleet's time, so `due` never falls.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from schemas.topics import Topics
from simulators.faults import forms
from simulators.faults.chance import chance
from simulators.faults.hostile import hostile
from simulators.faults.kinds import OF_HOURS, OF_MESSAGES, Fault, Faults
from simulators.runs.pace import Issued

_HOUR: Final = timedelta(hours=1)
_DELAY: Final = (30.0, 1800.0)
"""Seconds of the fleet's time."""
_FLAPS: Final = (2, 4)
_OFFSETS: Final = tuple(
    timedelta(seconds=seconds) for seconds in (-21_600, -1_200, -90, 60, 240, -400 * 86_400, 400 * 86_400)
)
"""How far clocks are off. Well within what is accepted, or well beyond, as the arrival decides that."""
_RETAINED_SECONDS: Final = 300
_BESIDE: Final = frozenset({Fault.DUPLICATE, Fault.FLAPPING, Fault.RETAINED_REPLAY, Fault.HOSTILE})
"""Of these the message itself is sent as it is, and something beside it."""


@dataclass(slots=True)
class _Held:
    """What a device's faults rest on.

    Its present hour with the fault of that and the first message in it; the last message that was sent as it is; and
    one that waits for the next.
    """

    hour: int = -1
    fault: Fault | None = None
    how: float = 0.0
    first: Issued | None = None
    before: Issued | None = None
    waits: Issued | None = None


class Injector:
    """Puts faults into the messages of one process. `on_lost` is told of each message that is not sent."""

    def __init__(
        self,
        faults: Faults,
        seed: int,
        begin: datetime,
        topics: Topics,
        on_lost: Callable[[Fault], None] = lambda _: None,
    ) -> None:
        self._of_messages = {fault: faults[fault] for fault in OF_MESSAGES if fault in faults}
        self._of_hours = {fault: faults[fault] for fault in OF_HOURS if fault in faults}
        self._seed = seed
        self._begin = begin
        self._topics = topics
        self._on_lost = on_lost
        self._devices: dict[str, _Held] = {}
        self._later: list[tuple[datetime, int, Issued]] = []
        self._number = 0

    def inject(self, issued: Iterator[Issued]) -> Iterator[Issued]:
        """Give the messages with their faults, in the order in which they are to be sent."""
        due = 0.0
        for message in issued:
            due = message.due
            while self._later and self._later[0][0] <= message.shown:
                yield replace(heapq.heappop(self._later)[2], due=due)
            yield from self._pass(message)
        while self._later:
            yield replace(heapq.heappop(self._later)[2], due=due)
        for held in self._devices.values():
            if held.waits is not None:
                yield replace(held.waits, due=due)

    def _pass(self, issued: Issued) -> Iterator[Issued]:
        """Let one message pass, and after it the one of its device that waited for it."""
        device = issued.message.device
        held = self._devices.get(device)
        if held is None:
            held = self._devices[device] = _Held()
        self._enter_hour(held, issued)
        waited, held.waits = held.waits, None
        if held.fault is not None:
            yield from self._in_faulty_hour(held.fault, held, issued)
        else:
            drawn = chance(self._seed, device, "message", issued.message.sequence)
            fault = drawn.pick(self._of_messages)
            if fault is None:
                yield issued
            else:
                yield from self._once(fault, drawn.how, held, issued)
            if fault is None or fault in _BESIDE:
                held.before = issued
        if waited is not None:
            yield replace(waited, due=issued.due)

    def _enter_hour(self, held: _Held, issued: Issued) -> None:
        hour = (issued.shown - self._begin) // _HOUR
        if hour != held.hour:
            drawn = chance(self._seed, issued.message.device, "hour", hour)
            held.hour, held.how, held.first = hour, drawn.how, issued
            held.fault = drawn.pick(self._of_hours)

    def _in_faulty_hour(self, fault: Fault, held: _Held, issued: Issued) -> Iterator[Issued]:
        first = held.first or issued
        match fault:
            case Fault.SILENT:
                self._on_lost(fault)
                return
            case Fault.BURST:
                self._hold(fault, issued, self._begin + (held.hour + 1) * _HOUR)
                return
            case Fault.CLOCK_SKEW:
                changed = forms.shifted(issued, _OFFSETS[int(held.how * len(_OFFSETS))])
            case Fault.STUCK:
                changed = None if issued is first else forms.with_values_of(issued, first)
            case _:
                changed = forms.counting_from(issued, first)
        yield issued if changed is None else replace(changed, fault=fault)

    def _once(self, fault: Fault, how: float, held: _Held, issued: Issued) -> Iterator[Issued]:
        match fault:
            case Fault.DROP:
                self._on_lost(fault)
                return
            case Fault.DELAY if not forms.is_untimed(issued):
                shortest, longest = _DELAY
                self._hold(fault, issued, issued.shown + timedelta(seconds=shortest + how * (longest - shortest)))
                return
            case Fault.REORDER if not forms.is_untimed(issued):
                held.waits = replace(issued, fault=fault)
                return
            case Fault.TIME_MISSING:
                changed = forms.without_time(issued)
            case Fault.WRONG_EPOCH_UNIT:
                changed = forms.in_another_unit(issued, how)
            case Fault.CORRUPT:
                changed = forms.cut(issued, how)
            case _:
                yield issued
                yield from (replace(one, fault=fault) for one in self._beside(fault, how, held, issued))
                return
        yield issued if changed is None else replace(changed, fault=fault)

    def _beside(self, fault: Fault, how: float, held: _Held, issued: Issued) -> list[Issued]:
        """Give what is sent beside a message that is as it should be."""
        match fault:
            case Fault.DUPLICATE:
                return [issued]
            case Fault.FLAPPING:
                fewest, most = _FLAPS
                return forms.flaps(issued, fewest + int(how * (most - fewest + 1)))
            case Fault.RETAINED_REPLAY if held.before is not None and not forms.is_untimed(held.before):
                return [replace(held.before, due=issued.due, retain=True, expiry=_RETAINED_SECONDS)]
            case Fault.HOSTILE:
                tag = f"{int(how * 2**52):013x}"
                made = hostile(self._topics, issued.topic, tag, how)
                if made is not None:
                    topic, payload, reason = made
                    message = replace(issued.message, topic=topic, payload=payload, facts=())
                    return [replace(issued, message=message, facts=(), letters=(reason,))]
        return []

    def _hold(self, fault: Fault, issued: Issued, until: datetime) -> None:
        self._number += 1
        heapq.heappush(self._later, (until, self._number, replace(issued, fault=fault)))
