"""The kinds of faults, how often each occurs, and how a user asks for them. No I/O and no clock."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Fault(StrEnum):
    """What can go wrong between a sensor and the broker; docs/verify.md tells what has to come of each."""

    DUPLICATE = "duplicate"
    DELAY = "delay"
    REORDER = "reorder"
    DROP = "drop"
    TIME_MISSING = "time_missing"
    WRONG_EPOCH_UNIT = "wrong_epoch_unit"
    FLAPPING = "flapping"
    CORRUPT = "corrupt"
    HOSTILE = "hostile"
    RETAINED_REPLAY = "retained_replay"
    CLOCK_SKEW = "clock_skew"
    STUCK = "stuck"
    SILENT = "silent"
    BURST = "burst"
    COUNTER_RESET = "counter_reset"


Faults = Mapping[Fault, float]
"""The probability of each kind that is asked for."""

OF_MESSAGES: Final[Faults] = MappingProxyType(
    {
        Fault.DUPLICATE: 0.02,
        Fault.DELAY: 0.02,
        Fault.REORDER: 0.01,
        Fault.DROP: 0.01,
        Fault.TIME_MISSING: 0.005,
        Fault.WRONG_EPOCH_UNIT: 0.01,
        Fault.FLAPPING: 0.005,
        Fault.CORRUPT: 0.005,
        Fault.HOSTILE: 0.01,
        Fault.RETAINED_REPLAY: 0.005,
    }
)
"""Those that a single message has, with the probability that it has them where none is asked for."""
OF_HOURS: Final[Faults] = MappingProxyType(
    {
        Fault.CLOCK_SKEW: 0.02,
        Fault.STUCK: 0.01,
        Fault.SILENT: 0.02,
        Fault.BURST: 0.02,
        Fault.COUNTER_RESET: 0.01,
    }
)
"""Those that a device has for an hour of its time, likewise."""
LOSING: Final = frozenset({Fault.DROP, Fault.SILENT})
"""Those by which a message is not sent at all."""
ALL: Final = "all"
_DEFAULTS: Final = {**OF_MESSAGES, **OF_HOURS}


def parse_faults(text: str) -> Faults:
    """Read `all`, or kinds with or without a probability: `duplicate=0.01,delay`; empty is none.

    A kind that is told twice counts as told last. Raises ValueError.
    """
    if not text.strip():
        return {}
    faults: dict[Fault, float] = {}
    for part in text.split(","):
        faults |= _parse_one(part.strip())
    for group, what in ((OF_MESSAGES, "a message"), (OF_HOURS, "a device in an hour")):
        if sum(faults.get(fault, 0.0) for fault in group) > 1:
            raise ValueError(f"the probabilities of {', '.join(group)} add up to more than 1: {what} has one of them")
    return faults


def _parse_one(part: str) -> Faults:
    name, equals, number = part.partition("=")
    if name == ALL and not equals:
        return _DEFAULTS
    if name not in _DEFAULTS:
        raise ValueError(f"unknown kind {name!r}; expected {ALL}, or some of {', '.join(_DEFAULTS)}")
    fault = Fault(name)
    return {fault: _probability(name, number) if equals else _DEFAULTS[fault]}


def _probability(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError(f"{name}: expected a probability from 0 to 1 such as 0.01, not {text!r}")
    if number == 1 and name in LOSING:
        raise ValueError(f"{name}: expected less than 1, or nothing would ever be sent")
    return number
