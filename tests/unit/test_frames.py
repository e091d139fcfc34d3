"""Frames that come again: of a frame one reading, whatever the batches; of another frame always one."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.lorawan import chirpstack, from_chirpstack, from_tts, tts
from unit.worlds import GATE, HOUR, LAYOUT, LIMITS, MINUTE, NO_GAP, NOW, SECOND, SPOTS, event, events_of

from processors.dead_letters import tally
from processors.decode import decode
from processors.frames import Frames, observe
from processors.reduce import Moment, Reduced, World, reduce
from schemas.delivery import Delivery
from schemas.topics import Route

PARKED, FREE = {"type": "parking_status", "occupied": True}, {"type": "parking_status", "occupied": False}
HEARTBEAT = {"type": "heartbeat", "occupied": True}


def settle(world: World, *deliveries: Delivery) -> Reduced:
    """Decode and reduce a batch."""
    decoded = decode(deliveries, LAYOUT, LIMITS, GATE, NO_GAP)
    return reduce(world, LAYOUT, decoded, Moment(NOW, NOW, catching_up=False))


def stored(batches: list[list[Delivery]]) -> list[tuple[int, bool]]:
    """Give time and state of what is stored, batch by batch."""
    world, found = World.unknown(LAYOUT), []
    for batch in batches:
        reduced = settle(world, *batch)
        world = reduced.world
        found += reduced.events[["time", "occupied"]].tolist()
    return [(time, occupied) for time, occupied in found]


def at(seconds: int, fields: object = None, **changes: object) -> Delivery:
    """Give an uplink of so many seconds after an hour ago."""
    return from_chirpstack(chirpstack(fields or PARKED, NOW - HOUR + seconds * SECOND, **changes))  # type: ignore[arg-type]


def time_of(seconds: int) -> int:
    """Give the time of such an uplink."""
    return NOW - HOUR + seconds * SECOND


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_a_frame_told_again_48_seconds_later_is_one_reading(is_one_batch: bool) -> None:
    """Quirk 10: the same session and counter at another time of the network server is a duplicate."""
    sent = [at(0), at(48), at(96)]
    assert stored([sent] if is_one_batch else [[one] for one in sent]) == [(time_of(0), True)]


def test_a_frame_told_again_is_booked_as_a_duplicate() -> None:
    """Every reading has its outcome: one is stored, the other is not."""
    reduced = settle(World.unknown(LAYOUT), at(0), at(48))
    (row,) = tally(reduced.decoded, {Route.CHIRPSTACK: len(reduced.events)}, {}).values()
    assert (row.messages, row.readings, row.stored, row.duplicate) == (2, 2, 1, 1)
    assert reduced.world.sequences.missing.sum() == 0


def test_copies_of_several_gateways_are_one_reading() -> None:
    """The same message again, and the same frame a moment later at The Things Stack."""
    assert stored([[at(0), at(0)], [at(0)]])[0] == (time_of(0), True)
    copies = [from_tts(tts(PARKED, NOW - MINUTE + delay)) for delay in (0, 1, 70_000)]
    assert stored([copies]) == [(NOW - MINUTE, True)]


def test_a_heartbeat_is_another_reading() -> None:
    """It repeats the state in a frame of its own: the bay is alive."""
    sent = [at(0, fCnt=7), at(60, HEARTBEAT, fCnt=8), at(120, HEARTBEAT, fCnt=9)]
    assert stored([sent]) == [(time_of(seconds), True) for seconds in (0, 60, 120)]


def test_after_a_rejoin_counters_begin_anew() -> None:
    """Quirk 29: number 0, left out, of another session is another frame, however soon it comes."""
    sent = [at(0, fCnt=None), at(30, fCnt=None, devAddr="01ffffff"), at(40, fCnt=1, devAddr="01ffffff")]
    assert [time for time, _ in stored([sent])] == [time_of(seconds) for seconds in (0, 30, 40)]


def test_a_device_that_never_counts_is_heard_all_the_same() -> None:
    """Where a server does not check counters every frame may be number 0: a change is another, an hour too."""
    sent = [at(0, fCnt=0), at(60, FREE, fCnt=0), at(90, fCnt=0), at(3600 - 90, FREE, fCnt=0)]
    assert len(stored([sent])) == 4
    assert len(stored([[at(-3600 * hours, fCnt=0)] for hours in (6, 4, 2, 0)])) == 4


def test_an_older_frame_that_comes_late_leaves_the_newest_known() -> None:
    """It is a reading of its own, and a repeat of the newest is one still."""
    sent = [at(300, fCnt=8), at(0, fCnt=7), at(348, fCnt=8)]
    assert sorted(stored([[one] for one in sent])) == [(time_of(0), True), (time_of(300), True)]


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_a_late_copy_of_an_older_frame_does_not_flip_the_bay(is_one_batch: bool) -> None:
    """It came when another frame had told another state; eight are known, of an hour."""
    sent = [at(0, fCnt=5), at(30, FREE, fCnt=6), at(48, fCnt=5), at(50, FREE, fCnt=6)]
    assert stored([sent] if is_one_batch else [[one] for one in sent]) == [(time_of(0), True), (time_of(30), False)]
    heartbeats = [at(60 * n, HEARTBEAT, fCnt=n) for n in range(1, 9)]
    assert len(stored([heartbeats, [at(600, fCnt=1)]])) == 8
    assert len(stored([heartbeats, [at(540, fCnt=9)], [at(600, fCnt=1)]])) == 10


def test_a_late_copy_may_come_before_the_frame_that_it_is_of() -> None:
    """Of a repeated frame the first arrival counts."""
    assert stored([[at(48, fCnt=5), at(60, FREE, fCnt=6), at(0, fCnt=5)]]) == [
        (time_of(48), True),
        (time_of(60), False),
    ]


def test_without_a_session_nothing_is_taken_for_the_same() -> None:
    """Then time and state alone make the fact, as for any other message."""
    assert len(stored([[at(0, devAddr=None), at(48, devAddr=None)]])) == 2


def test_a_frame_that_was_not_stored_is_not_known() -> None:
    """One that was rejected for its time leaves the next to be stored."""
    assert stored([[at(-9 * 24 * 3600), at(0)]]) == [(time_of(0), True)]


FRAMES = st.builds(
    event,
    st.integers(0, 3 * HOUR // MINUTE).map(lambda minutes: minutes * MINUTE),
    st.integers(0, 2),
    st.booleans(),
    arrived=st.just(NOW),
    frame=st.integers(0, 3),
    seq=st.integers(0, 2),
)


@given(st.lists(FRAMES, max_size=20), st.data())
def test_batches_make_no_difference(rows: list[tuple[object, ...]], data: st.DataObject) -> None:
    """What is told again is the same however messages are put together; without frames nothing is dropped."""
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4))), len(rows)]
    together = observe(Frames.unknown(SPOTS), events_of(rows))
    state, kept = Frames.unknown(SPOTS), []
    for begin, end in pairwise(cuts):
        state, events = observe(state, events_of(rows[begin:end]))
        kept += events.tolist()
    assert Counter(map(repr, kept)) == Counter(map(repr, together.events.tolist()))
    np.testing.assert_array_equal(state.last, together.state.last)
    np.testing.assert_array_equal(state.at, together.state.at)
    assert sum(row[7] == 0 for row in rows) == int((together.events["frame"] == 0).sum())
