"""Chances that are a pure function of names: the same in every process, whatever was drawn before. No I/O."""

from hashlib import blake2b
from typing import NamedTuple

from simulators.faults.kinds import Fault, Faults

_SCALE = 2.0**-64


class Chance(NamedTuple):
    """Two numbers from 0 to below 1: `which` decides whether a fault occurs and which one, `how` the rest of it."""

    which: float
    how: float

    def pick(self, faults: Faults) -> Fault | None:
        """Give the fault that occurs, each with its own probability; None where none does."""
        reached = 0.0
        for fault, probability in faults.items():
            reached += probability
            if self.which < reached:
                return fault
        return None


def chance(seed: int, device: str, what: str, number: int) -> Chance:
    """Give the chance of one event of a device, such as its `message` of a number, in about a microsecond."""
    drawn = blake2b(f"{seed}/faults/{device}/{what}/{number}".encode(), digest_size=16).digest()
    return Chance(int.from_bytes(drawn[:8]) * _SCALE, int.from_bytes(drawn[8:]) * _SCALE)
