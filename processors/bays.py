"""What parking sensors say of their bay, by the names that the codecs of their makers give it; see docs/formats.md."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from processors.properties import PROPERTIES, properties_of
from processors.rejects import RejectedError
from processors.uplinks import to_number
from schemas.reasons import Reason

_TELL_STATE: Final = frozenset({"parking status", "parking_status", "heartbeat", "startup"})
"""Messages that have to tell `occupied`, by their `type`: Bosch writes blanks, Nwave underscores."""
_OF_ITS_USER: Final = "user_registration"
"""Nwave: somebody's tag was read. What stands there beside it is told again in a message of its own."""
_OF_OTHERS: Final = frozenset({_OF_ITS_USER, "tag_id", "debugCode", "sequenceNumber"})
"""Fields of such messages and of debugging, by which those are known whose codec leaves out the type."""
_WORDS: Final[Mapping[str, bool | None]] = {
    "occupied": True,
    "parked": True,
    "free": False,
    "vacant": False,
    "empty": False,
    "unoccupied": False,
    # On the way in or out a car is in no state yet; the next message tells.
    "car entering": None,
    "car leaving": None,
    "entering": None,
    "leaving": None,
    "unknown": None,
    "init": None,
}
_PRESENCES: Final[Mapping[float, bool | None]] = {0: None, 1: False, 2: None, 3: True, 4: None}
"""PlacePod's CarPresence: being set up, none, entering, parked, leaving."""
_NO_PRESENCE: Final = -1
_VOLTS: Final = PROPERTIES["voltage"]
_UNFIT: Final = "no state of a bay among its decoded fields; docs/formats.md tells which are read"


class State(NamedTuple):
    """What a bay is, and its battery in volts, NaN where not told."""

    occupied: bool
    battery: float


def read_state(fields: Mapping[str, Any] | None) -> State | None:
    """Give the state that decoded fields tell; None where there is nothing to store.

    Raises RejectedError where a state is expected and none can be read.
    """
    if fields is None:
        return None
    occupied = _occupied(fields)
    return None if occupied is None else State(occupied, _battery(fields))


def _occupied(fields: Mapping[str, Any]) -> bool | None:
    kind = fields.get("type")
    if kind == _OF_ITS_USER:
        return None
    if "occupied" in fields:
        return _known(fields["occupied"], isinstance(fields["occupied"], bool), "occupied")
    if "CarPresence" in fields:
        number = to_number(fields["CarPresence"])
        presence = number if isinstance(number, int | float) and not isinstance(number, bool) else _NO_PRESENCE
        return _known(_PRESENCES.get(presence), presence in _PRESENCES, "CarPresence")
    if "status" in fields:
        word = str(fields["status"]).lower()
        return _known(_WORDS.get(word), word in _WORDS, "status")
    # A distance is no state, and what names its type tells of other things than the bay: debugging, usage, versions.
    if "distance" in fields or (isinstance(kind, str) and kind not in _TELL_STATE):
        return None
    if kind is None and not _OF_OTHERS.isdisjoint(fields):
        return None
    raise RejectedError(Reason.SCHEMA_VIOLATION, _UNFIT)


def _known(told: bool | None, is_known: bool, name: str) -> bool | None:
    if not is_known:
        raise RejectedError(Reason.SCHEMA_VIOLATION, f"{name}: none of the states of a bay")
    return told


def _battery(fields: Mapping[str, Any]) -> float:
    """Give volts where they are told as volts. A bare `battery` is a percentage with most makers, and so not read."""
    told = [fields[name] for name, found in properties_of(fields).items() if found.name == _VOLTS.name]
    if "CarPresence" in fields:
        told.append(fields.get("Battery"))
    volts = [_VOLTS.value(to_number(one)) for one in told]
    return next((one for one in volts if one is not None and np.isfinite(one)), np.nan)
