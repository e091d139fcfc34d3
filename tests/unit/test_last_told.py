"""A cache that tells all it knows in every message: what is a repeat, and what is new."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.households import pack
from unit.live_homes import ROOMY, LiveHomes
from unit.worlds import HOUR, MINUTE, NOW, SECOND, TOPICS, deliver

from processors.last_told import LastTold
from schemas.delivery import Delivery

SEEN = {"last_seen": (NOW - 5 * SECOND) // 1000}


def state(at: int, attributes: dict[str, Any], device: str = "multi") -> Delivery:
    """Give a state that arrives so many seconds from now."""
    body = json.dumps(attributes).encode()
    return deliver(TOPICS.zigbee2mqtt("hut-01", device), body, received_at=NOW + at * SECOND)


def test_a_cached_attribute_is_no_new_reading() -> None:
    """The temperature beside a new motion is that of before."""
    homes = LiveHomes()
    assert len(homes.live(state(0, {"temperature": 20.5, "occupancy": False})).stored) == 2
    second = homes.live(state(60, {"temperature": 20.5, "occupancy": True}))
    assert [one.name for one in second.stored] == ["multi/motion"]
    assert second.repeats == 1
    third = homes.live(state(90, {"temperature": 20.6, "occupancy": True}))
    assert [one.name for one in third.stored] == ["multi/temperature"]


def test_a_value_that_came_back_is_new() -> None:
    """Only what equals the last value is a repeat, not what was told before that."""
    homes = LiveHomes()
    sent = [state(n, {"occupancy": n % 2 == 0}) for n in range(6)]
    assert len(homes.live(*sent).stored) == 6


def test_a_message_published_three_times_is_stored_once() -> None:
    """In one second, as a bridge was seen to do."""
    same = [state(0, {"temperature": 20.5, "linkquality": n})._replace(received_at=NOW + n * 300_000) for n in range(3)]
    lived = LiveHomes().live(*same)
    assert (len(lived.stored), lived.repeats) == (1, 2)


def test_what_has_a_time_is_a_fact_of_its_own() -> None:
    """With `last_seen` an unchanged value is a new measurement, and the same one again is the same fact."""
    homes = LiveHomes()
    assert len(homes.live(state(0, {"temperature": 20.5} | SEEN)).stored) == 1
    later = {"temperature": 20.5, "last_seen": NOW // 1000}
    assert len(homes.live(state(1, later)).stored) == 1
    lived = homes.live(state(2, later))
    assert [one.time for one in lived.stored] == [NOW]  # the table's key tells that it is there


def test_what_has_a_time_is_told_too() -> None:
    """A state without one that repeats it is no new measurement; one that does not is."""
    homes = LiveHomes()
    homes.live(state(0, {"temperature": 20.5}))
    homes.live(state(1, {"temperature": 21} | SEEN))
    assert homes.live(state(2, {"temperature": 21})).repeats == 1
    assert homes.live(state(3, {"temperature": 20.5})).repeats == 0


def test_packs_are_left_alone() -> None:
    """A SenML record without a time is a measurement of its arrival, as often as it comes."""
    homes = LiveHomes()
    for n in range(3):
        lived = homes.live(
            pack({"n": "a", "v": 1}, received_at=NOW + n),
            state(n, {"power": 5}),
            pack({"n": "a", "v": 1}, received_at=NOW + MINUTE + n),
        )
        assert (len(lived.stored), lived.repeats) == ((3, 0) if n == 0 else (2, 1))


def test_a_letter_that_is_replayed_says_nothing_of_now() -> None:
    """It is no repeat of what was told later, and what comes next is judged as if it had not been."""
    homes = LiveHomes()
    homes.live(state(0, {"power": 5}))
    assert len(homes.live(state(-9, {"power": 5}), is_replay=True).stored) == 1
    assert len(homes.live(state(-8, {"power": 7}), is_replay=True).stored) == 1
    assert homes.live(state(1, {"power": 5})).repeats == 1


def test_a_sensor_whose_unit_changes_has_told_nothing_yet() -> None:
    """The same number in another unit is another value."""
    homes = LiveHomes([{**ROOMY[0], "sensor": [{"name": "plug/energy", "kind": "energy", "unit": "kWh"}]}])
    homes.live(state(0, {"energy": 5}, "plug"))
    sensors = homes.household.layout.homes.sensors
    same = homes.household.sensors[0]._replace(home=501)
    sensors.add([same], [7001])
    assert homes.live(state(1, {"energy": 5}, "plug")).repeats == 1
    other = same._replace(unit="Wh", maximum=np.inf)
    homes.household.sensors[0] = other
    sensors.add([other], [7002])
    homes.household.layout.homes.memory.shapes.clear()
    assert [one[1:3] for one in homes.live(state(2, {"energy": 0.005}, "plug")).stored] == [("Wh", 5)]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 100])
def test_what_is_read_back_is_known(size: int) -> None:
    """Of as many sensors as the table has, and of no others."""
    told = LastTold()
    told.adopt(np.arange(size), np.full(size, 5.0))
    readings = LiveHomes().household.decode(state(0, {"power": 5, "voltage": 5, "current": 5})).homes.readings
    is_repeat = told.judge(readings, np.ones(3, dtype=bool)).is_repeat
    assert is_repeat.tolist() == [number < size for number in readings["sensor"].tolist()]


VALUES = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([1.0, 2.0]), st.booleans())


@given(st.lists(VALUES, max_size=12), st.sets(st.integers(0, 12)))
def test_repeats_are_the_same_however_the_batches_are_cut(told: list[tuple[str, float, bool]], cuts: set[int]) -> None:
    """One after the other: a repeat equals what its sensor told last, and has no time of its own."""
    last: dict[str, float] = {}
    expected = []
    sent = []
    for at, (device, value, is_timed) in enumerate(told):
        if is_timed or last.get(device) != value:
            expected.append((f"{device}/power", value, NOW + at * SECOND))
        last[device] = value
        time = {"last_seen": (NOW + at * SECOND) // 1000} if is_timed else {}
        sent.append(state(at, {"power": value} | time, device))
    homes = LiveHomes()
    ends = sorted({cut for cut in cuts if cut < len(sent)} | {len(sent)})
    found = []
    for begin, end in zip([0, *ends], ends, strict=False):
        found += [(one.name, one.value, one.time) for one in homes.live(*sent[begin:end]).stored]
    assert sorted(found) == sorted(expected)


def test_nothing_is_changed_before_it_is_stored() -> None:
    """A batch that is reduced twice, because the database refused it first, comes out the same."""
    told = LastTold()
    homes = LiveHomes()
    readings = homes.household.decode(state(0, {"power": 1.5}), state(HOUR // SECOND, {"power": 1.5})).homes.readings
    first, second = (told.judge(readings, np.ones(2, dtype=bool)) for _ in range(2))
    assert first.is_repeat.tolist() == second.is_repeat.tolist() == [False, True]
    assert first.sensors.tolist() == second.sensors.tolist()
    told.adopt(first.sensors, first.values)
    assert told.judge(readings, np.ones(2, dtype=bool)).is_repeat.all()
