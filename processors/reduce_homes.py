"""The homes' half of a batch reduced: what repeats and what is impossible leaves it; what was told last moves on."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.columns import READING, Records, distinct
from processors.decode import Decoded, Unfit
from processors.home_frames import NO_COPIES, Copies
from processors.homes import Homes
from processors.jumps import NOTHING_JUDGED, Judged
from processors.last_told import Told
from schemas.reasons import Reason
from schemas.topics import ROUTES, Route, Table

_ZIGBEE2MQTT: Final = ROUTES.index(Route.ZIGBEE2MQTT)
_SENML: Final = ROUTES.index(Route.SENML)
_NOTHING_TOLD: Final = Told(np.empty(0, np.bool_), np.empty(0, np.int32), np.empty(0))


class ReducedHomes(NamedTuple):
    """Distinct readings to store, in order of time, and those that are unfit; what to know once they are stored."""

    readings: Records
    unfit: tuple[Unfit, ...] = ()
    told: Told = _NOTHING_TOLD
    judged: Judged = NOTHING_JUDGED
    copies: Copies = NO_COPIES


NO_HOMES: Final = ReducedHomes(np.empty(0, dtype=READING))


def reduce_homes(homes: Homes, decoded: Decoded, *, is_replay: bool) -> ReducedHomes:
    """Reduce what homes told. Pure: what was told before stays as it is.

    What is replayed says nothing of now, so it is not held against what was told last, nor does it take its place.
    """
    readings = decoded.homes.readings
    if is_replay or not len(readings):
        return ReducedHomes(distinct(readings))
    copies, told = NO_COPIES, _NOTHING_TOLD
    if decoded.homes.frames:
        readings, copies = _without_copies(homes, decoded, readings)
    if decoded.messages[Route.ZIGBEE2MQTT]:
        readings, told = _without_repeats(homes, decoded, readings)
    readings = distinct(readings)
    judged = homes.sensors.jumps.judge(readings, decoded.routes_of(readings) != _SENML)
    if not judged.faults:
        return ReducedHomes(readings, (), told, judged, copies)
    is_good = np.ones(len(readings), dtype=bool)
    is_good[list(judged.faults)] = False
    return ReducedHomes(readings[is_good], _unfit(homes, decoded, readings, judged), told, judged, copies)


def adopt(homes: Homes, reduced: ReducedHomes) -> None:
    """Know what was told, once it is stored."""
    homes.sensors.frames.adopt(reduced.copies.newest)
    homes.sensors.told.adopt(reduced.told.sensors, reduced.told.values)
    homes.sensors.jumps.adopt(reduced.judged)
    homes.sensors.health.observe(reduced.readings)


def _without_copies(homes: Homes, decoded: Decoded, readings: Records) -> tuple[Records, Copies]:
    """Take out what tells a frame again; it stays among the decoded, and so counts as a duplicate."""
    frames = decoded.homes.frames
    # Of a frame of which nothing is stored a copy is none.
    told = [(delivery, frames[delivery]) for delivery in np.unique(readings["delivery"]).tolist() if delivery in frames]
    copies = homes.sensors.frames.judge(told)
    return readings[~np.isin(readings["delivery"], copies.deliveries)], copies


def _without_repeats(homes: Homes, decoded: Decoded, readings: Records) -> tuple[Records, Told]:
    """Take out what devices told again without a time; it stays among the decoded, and so counts as a duplicate.

    But not what has stayed as it is after a suspect: it tells that the suspect was true.
    """
    is_of_device = decoded.routes_of(readings) == _ZIGBEE2MQTT
    of_devices = readings[is_of_device]
    told = homes.sensors.told.judge(of_devices, np.isin(of_devices["delivery"], decoded.homes.untimed))
    is_new = np.ones(len(readings), dtype=bool)
    is_repeat = told.is_repeat
    is_repeat[is_repeat] = ~homes.sensors.jumps.find_borne_out(of_devices[is_repeat])
    is_new[is_of_device] = ~is_repeat
    return readings[is_new], told


def _unfit(homes: Homes, decoded: Decoded, readings: Records, judged: Judged) -> tuple[Unfit, ...]:
    """Give the impossible readings, apart by what is wrong and by whether their payloads may be kept."""
    is_kept = _may_be_kept(homes, decoded, readings["sensor"])
    groups: dict[tuple[str, bool], list[int]] = {}
    for place, fault in judged.faults.items():
        groups.setdefault((fault, bool(is_kept[place])), []).append(place)
    return tuple(
        Unfit(Table.DWELLING_READING, readings[places], fault, Reason.VALUE_OUT_OF_RANGE, kept)
        for (fault, kept), places in groups.items()
    )


def _may_be_kept(homes: Homes, decoded: Decoded, sensors: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell whose payloads may be kept: of a home that had a pause none."""
    pauses = decoded.homes.gate.pauses
    quiet = [home.id for home in homes.homes if home.pseudonym in pauses]
    return ~np.isin(homes.sensors.homes[sensors], quiet)
