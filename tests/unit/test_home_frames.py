"""Frames of homes' devices that come again: of a frame one set of readings, of another frame always one."""

from typing import Any

import pytest
from unit.live_homes import ROOMY, LiveHomes
from unit.lorawan import FRIDGE, chirpstack, from_chirpstack, from_tts, tts
from unit.worlds import HOUR, NOW, SECOND

from processors.reduce_homes import reduce_homes
from schemas.delivery import Delivery

FIELDS = {"temperature": 6.5, "humidity": 41}


def uplink(at: int, fields: dict[str, Any] = FIELDS, **changes: Any) -> Delivery:  # noqa: ANN401 - fields of an uplink
    """Give an uplink of the fridge, of so many seconds after two hours ago."""
    return from_chirpstack(chirpstack(fields, NOW - 2 * HOUR + at * SECOND, eui=FRIDGE, **changes), eui=FRIDGE)


def stored(homes: LiveHomes, *batches: list[Delivery]) -> list[float]:
    """Give the times of what is stored, in seconds after two hours ago, batch by batch."""
    return [(one.time - NOW) / SECOND + 7200 for batch in batches for one in homes.live(*batch).stored]


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_a_copy_of_a_frame_is_a_duplicate(is_one_batch: bool) -> None:
    """Quirk 10: the same session and counter, a moment later by the network server; all its readings count as such."""
    homes, sent = LiveHomes(ROOMY), [uplink(0), uplink(1), uplink(48)]
    lived = [homes.live(*sent)] if is_one_batch else [homes.live(one) for one in sent]
    assert [one.time for batch in lived for one in batch.stored] == [NOW - 2 * HOUR] * 2
    assert sum(batch.repeats for batch in lived) == 4
    at_tts = [from_tts(tts(FIELDS, NOW + at, device="pot"), device="pot", application="rooms@ttn") for at in (0, 70)]
    assert homes.live(*at_tts).repeats == 2


@pytest.mark.parametrize(
    "changes",
    [{"fCnt": 8}, {"devAddr": "01ffffff"}, {"fCnt": None}, {"devAddr": None}],
    ids=["counter", "session", "not counted", "without a session"],
)
def test_another_frame_is_another(changes: dict[str, Any]) -> None:
    """Though it tells the same. Where nothing counts, nothing is taken for the same."""
    homes = LiveHomes(ROOMY)
    assert stored(homes, [uplink(0)], [uplink(30, **changes)], [uplink(60, **changes | {"fCnt": 9})]) == [
        *(0, 0),
        *(30, 30),
        *(60, 60),
    ]
    assert stored(homes, [uplink(90, fCnt=None)], [uplink(99, fCnt=None)]) == [90, 90, 99, 99]


def test_long_after_it_is_another() -> None:
    """Counters begin anew."""
    assert stored(LiveHomes(ROOMY), [uplink(0)], [uplink(3600)], [uplink(3601)]) == [0, 0, 3601, 3601]


def test_devices_are_apart() -> None:
    """Two devices with one counter in one session are two frames."""
    homes = LiveHomes([{**ROOMY[0], "device": [*ROOMY[0]["device"], {"label": "attic", "dev_eui": "aa" * 8}]}])
    other = from_chirpstack(chirpstack(FIELDS, eui="aa" * 8), eui="aa" * 8)
    assert len(homes.live(uplink(0), other).stored) == 4


def test_a_frame_of_which_nothing_was_stored_is_not_known() -> None:
    """One that was too late, or out of range, leaves its copy to be stored; so does a batch that was not stored."""
    homes = LiveHomes(ROOMY)
    late = uplink(-9 * 24 * 3600)
    assert stored(homes, [late, uplink(0)]) == [0, 0]
    decoded = homes.household.decode(uplink(60, fCnt=9))
    for _ in range(2):
        reduced = reduce_homes(homes.household.layout.homes, decoded, is_replay=False)
        assert len(reduced.readings) == 2


def test_a_replay_is_no_copy() -> None:
    """Whoever replays a letter wants it stored, and what is told now is judged as if it had not been."""
    homes = LiveHomes(ROOMY)
    assert len(homes.live(uplink(0)).stored) == 2
    assert len(homes.live(uplink(30), is_replay=True).stored) == 2
    assert homes.live(uplink(48)).repeats == 2
