"""Values that are impossible after the one before, and the ones that are true after all."""

import json
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.households import pack, paused
from unit.live_homes import ROOMY, LiveHomes
from unit.worlds import DAY, GATE, HOUR, MINUTE, NOW, SECOND, TOPICS, deliver

from processors import jumps
from processors.columns import READING
from processors.dead_letters import dead_letters
from processors.gate import Gate, Pause
from processors.jumps import BLANK, FALL, JUMP, Jumps, limits_of
from schemas.delivery import Delivery
from schemas.reasons import Reason

FAULTS = {JUMP: "jump", FALL: "fall", BLANK: "blank"}
METERED = [{**ROOMY[0], "sensor": [{"name": "meter/water", "kind": "water"}]}, *ROOMY[1:]]
"""Homes of which the first has a water meter; the other quantities are known by the names that devices use."""
PASCALS = 100
"""In what a device tells as its pressure, hPa."""


def state(at: float, attributes: dict[str, float], home: str = "hut-01") -> Delivery:
    """Give a state of a device with a time of its own: seconds from now."""
    body = json.dumps({**attributes, "last_seen": NOW / 1e6 + at}).encode()
    return deliver(TOPICS.zigbee2mqtt(home, "meter"), body, received_at=NOW + int(at * SECOND))


def told(name: str, *points: tuple[float, float]) -> list[Delivery]:
    """Give readings of a device, each a message: seconds from now, and values; a pressure is in Pa."""
    scale = PASCALS if name == "pressure" else 1
    return [state(at, {name: value / scale}) for at, value in points]


def judged(homes: LiveHomes, *sent: Delivery, gate: Gate = GATE, is_replay: bool = False) -> str:
    """Give what becomes of messages with one reading each, a letter a message: `.` stored, or the fault's first."""
    faults = homes.live(*sent, gate=gate, is_replay=is_replay).faults
    return "".join(FAULTS[faults[at, 0]][0] if (at, 0) in faults else "." for at in range(len(sent)))


@pytest.mark.parametrize(
    ("name", "points", "expected"),
    [
        pytest.param("t", [(0, 20), (60, 50), (61, 20)], "...", id="30 K a minute"),
        pytest.param("t", [(0, 20), (60, 50.1), (61, 20.1)], ".j.", id="a spike and back"),
        pytest.param("t", [(0, 20), (1, 60), (2, 61), (3, 60)], ".j..", id="a step costs one reading"),
        pytest.param("t", [(0, 20), (1, 60), (2, -20), (3, -21)], ".jj.", id="one jump does not bear out another"),
        pytest.param("t", [(0, 20), (120, 75), (130, 76)], "...", id="more time, more way"),
        pytest.param("t", [(0, -100), (1, 20)], "o.", id="-100 is beyond the bounds"),
        pytest.param("t", [(0, -127), (1, 20)], "o.", id="-127 is beyond the bounds"),
        pytest.param("t", [(0, 85), (1, 20), (2, 85), (3, 85), (4, 20.5)], "b.bb.", id="power-on value of a DS18B20"),
        pytest.param("t", [(0, 74), (60, 85), (120, 86)], ".b.", id="85 far from what was before"),
        pytest.param("t", [(0, 75), (60, 85), (120, 96)], "...", id="85 near what was before"),
        pytest.param("t", [(0, 20), (1, 84), (2, 85)], ".jb", id="a suspect is not what was before"),
        pytest.param("t", [(0, 85.0625)], ".", id="exactly 85"),
        pytest.param(
            "t", [(0, 70), (60, 74), (120, 85), (179, 85), (180, 85), (181, 85)], "..bb..", id="85 that lasts"
        ),
        pytest.param("t", [(0, 85), (60, 85), (61, 20)], "b.j", id="85 that lasts from the first on"),
        pytest.param("t", [(0, 20), (1, 85), (2, 20), (62, 85), (63, 20)], ".b.b.", id="85 that comes back"),
        pytest.param("t", [(0, 20), (1, 84), (2, 85), (3, 84), (4, 85)], ".jb..", id="between 84 and 85"),
        pytest.param("t", [(0, 20), (0, 70), (0, 71)], ".j.", id="a clock that stands still"),
        pytest.param("p", [(0, 101_000), (60, 103_000), (61, 100_000), (62, 103_000)], "..j.", id="2000 Pa a minute"),
        pytest.param("e", [(0, 80.7), (1, 82.3), (2, 84.1)], "..j", id="100 kW, of a minute at the least"),
        pytest.param("e", [(0, 80.7), (3600, 180.6), (7200, 280.7)], "..j", id="100 kW, of an hour"),
        pytest.param("e", [(0, 80.7), (60, 0), (120, 80.8)], ".f.", id="a glitch to 0 and back"),
        pytest.param("e", [(0, 80.7), (60, 0), (61, 0), (120, 80.8)], ".f.j", id="two zeros are a reset"),
        pytest.param("e", [(0, 80.7), (60, 0), (120, 0.1), (180, 0.2)], ".f..", id="a new meter costs one reading"),
        pytest.param("e", [(0, 80.7), (60, 80.6), (120, 80.7)], ".f.", id="falls back a little, then returns"),
        pytest.param("w", [(0, 7), (60, 7.19), (61, 7.45)], "..j", id="0.2 m3 a minute"),
        pytest.param("c", [(0, 400), (1, 30_000), (2, 400)], "...", id="a kind without limits"),
    ],
)
def test_what_is_impossible_is_rejected_until_it_is_borne_out(
    name: str, points: list[tuple[float, float]], expected: str
) -> None:
    """In one batch, and one batch a reading."""
    name = {"t": "temperature", "p": "pressure", "e": "energy", "w": "water", "c": "co2"}[name]
    assert seen(LiveHomes(METERED), [told(name, *points)]) == expected
    assert seen(LiveHomes(METERED), [told(name, point) for point in points]) == expected


def test_of_what_a_gateway_tells_only_what_is_no_measurement_is_rejected() -> None:
    """A meter that begins anew, an energy of ten minutes, a probe put into hot water: all of it may be so."""
    homes = LiveHomes()
    for name, unit, values in (
        ("energy", "kWh", [80, 0, 0.1, 70]),
        ("oven/temperature", "Cel", [20, 84, 20]),
        ("t", "Cel", [85, 20, 85, 21]),
    ):
        sent = [pack({"n": name, "u": unit, "v": v, "t": NOW / 1e6 + at}) for at, v in enumerate(values)]
        assert judged(homes, *sent) == ("b.b." if name == "t" else "." * len(values))


def seen(homes: LiveHomes, batches: list[list[Delivery]]) -> str:
    """Give what becomes of batches, as `judged`; `o` for what is out of bounds."""
    letters = ""
    for batch in batches:
        faults = homes.live(*batch).faults
        found = [faults.get((at, 0)) for at in range(len(batch))]
        letters += "".join("." if one is None else FAULTS.get(one, "out of bounds")[0] for one in found)
    return letters


def test_the_first_value_after_a_start_is_believed() -> None:
    """Nothing is before it, and nothing of the process before is known."""
    assert judged(LiveHomes(), *told("temperature", (0, 84))) == "."
    assert judged(LiveHomes(), *told("energy", (0, 1e6))) == "."


def test_what_is_late_is_judged_by_bounds_alone() -> None:
    """A reading older than the last one believed says nothing of what came after it."""
    homes = LiveHomes()
    assert judged(homes, *told("energy", (0, 80))) == "."
    assert judged(homes, *told("energy", (-60, 2), (-30, 85))) == ".."
    assert judged(homes, *told("energy", (60, 80.1))) == "."


def test_a_suspect_that_comes_again_does_not_bear_itself_out() -> None:
    """A redelivery is the same reading, and becomes the same dead letter."""
    homes = LiveHomes()
    glitch = told("energy", (60, 0))
    assert judged(homes, *told("energy", (0, 80))) == "."
    assert judged(homes, *glitch, *glitch) == "ff"
    assert judged(homes, *glitch) == "f"
    assert judged(homes, *told("energy", (61, 0))) == "."


@pytest.mark.parametrize(
    ("name", "points", "expected"),
    [
        ("temperature", [(0, 20), (1, 70), (2, 20)], ".j."),
        ("temperature", [(0, 20), (1, 85), (2, 20)], ".b."),
        ("temperature", [(0, 20), (1, 60), (2, 61)], ".j."),
        ("temperature", [(0, 20), (1, 70), (1, 71)], ".j."),
        ("energy", [(0, 80), (60, 0), (61, 80.1)], ".f."),
        ("energy", [(0, 80), (60, 0.1), (61, 0), (62, 80.1)], ".ff."),
    ],
)
def test_what_was_rejected_is_rejected_when_its_message_comes_again(
    name: str, points: list[tuple[float, float]], expected: str
) -> None:
    """However late, and in whatever batches."""
    homes = LiveHomes()
    assert judged(homes, *told(name, *points)) == expected
    assert judged(homes, *told(name, *points)) == expected
    assert "".join(judged(homes, *told(name, point)) for point in reversed(points)) == expected[::-1]


def test_of_what_was_rejected_only_so_much_is_remembered() -> None:
    """The oldest is forgotten: memory is bounded, whatever devices tell. A sensor forgotten leaves nothing."""
    homes = LiveHomes()
    glitches = told("energy", *((60 + at, 10_000 + at * 1000) for at in range(3)))
    assert judged(homes, *told("energy", (0, 80))) == "."
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jumps, "_MOST_REJECTED", 2)
        assert judged(homes, *glitches) == "jjj"
    assert judged(homes, *told("energy", (70, 80.1))) == "."
    assert judged(homes, *glitches) == ".jj"
    sensors = homes.household.layout.homes.sensors
    sensors.jumps.forget(np.arange(len(sensors)))
    assert judged(homes, glitches[2]) == "."


def test_the_cache_of_a_bridge_does_not_bear_a_suspect_out() -> None:
    """The 0 that a plug's cache repeats beside another power is not told a second time."""

    def plug(at: int, energy: float, power: float) -> Delivery:
        body = json.dumps({"energy": energy, "power": power}).encode()
        return deliver(TOPICS.zigbee2mqtt("hut-01", "plug"), body, received_at=NOW + at * SECOND)

    homes = LiveHomes()
    homes.live(plug(0, 80.7, 5))
    assert list(homes.live(plug(1, 0, 6)).faults.values()) == [FALL]
    again = homes.live(plug(2, 0, 7))
    assert (again.faults, again.repeats, len(again.stored)) == ({}, 1, 1)
    back = homes.live(plug(3, 80.8, 7))
    assert (back.faults, [one.name for one in back.stored]) == ({}, ["plug/energy"])


@pytest.mark.parametrize(("before", "after"), [(("energy", 80.7), 2.5), (("temperature", 20), 85)])
def test_a_step_without_a_time_is_borne_out_when_it_stays(before: tuple[str, float], after: float) -> None:
    """A repeat of a suspect, a minute later, is stored once; what follows are duplicates, as ever."""
    name, value = before

    def plug(at: float, told: float) -> Delivery:
        topic = TOPICS.zigbee2mqtt("hut-01", "plug")
        return deliver(topic, json.dumps({name: told}).encode(), received_at=NOW + int(at * SECOND))

    homes = LiveHomes()
    homes.live(plug(0, value))
    assert len(homes.live(plug(1, after)).faults) == 1
    early = homes.live(plug(2, after), plug(60.9, after))
    assert (early.stored, early.faults, early.repeats) == ([], {}, 2)
    late = homes.live(plug(61, after), plug(62, after))
    assert ([one.time for one in late.stored], late.faults, late.repeats) == ([NOW + 61 * SECOND], {}, 1)
    assert homes.live(plug(122, after)).repeats == 1


def test_limits_are_in_the_unit_of_the_sensor() -> None:
    """A meter that is stored in kWh, and a thermometer in K."""
    assert limits_of("energy", "kWh").a_minute == pytest.approx(100 / 60)
    kelvin = limits_of("temperature", "K")
    assert (kelvin.a_minute, kelvin.near) == (30, 10)
    listed = {"name": "meter/temperature", "kind": "temperature", "unit": "K"}
    homes = LiveHomes([{**ROOMY[0], "sensor": [listed]}])
    assert judged(homes, *told("temperature", (0, 20), (1, 85), (2, 51), (3, 21))) == ".bj."


def test_a_replay_is_not_judged() -> None:
    """Whoever replays a letter has seen it: a jump is stored, and what comes next is judged as before."""
    homes = LiveHomes()
    assert judged(homes, *told("temperature", (0, 20), (1, 85), (2, 84))) == ".bj"
    assert judged(homes, *told("temperature", (1, 85), (2, 84)), is_replay=True) == ".."
    assert judged(homes, *told("temperature", (3, 20.5))) == "."


def test_another_unit_begins_anew() -> None:
    """A meter that is listed in Wh from now on has not jumped a thousandfold."""
    homes = LiveHomes([{**ROOMY[0], "sensor": [{"name": "meter/energy", "kind": "energy", "unit": "kWh"}]}])
    assert judged(homes, *told("energy", (0, 80), (60, 0))) == ".f"
    sensors = homes.household.layout.homes.sensors
    meter = homes.household.sensors[0]._replace(home=501)
    sensors.add([meter], [7001])
    assert judged(homes, *told("energy", (61, 70))) == "f"
    sensors.add([meter._replace(unit="Wh", maximum=np.inf)], [7002])
    homes.household.layout.homes.memory.shapes.clear()
    assert judged(homes, *told("energy", (120, 0.07))) == "."


def test_a_suspect_is_a_dead_letter_of_its_record() -> None:
    """Its neighbours are stored, and it can be replayed: record, base fields and all."""
    homes = LiveHomes()
    homes.live(*told("temperature", (0, 20)))
    sent = state(1, {"humidity": 40, "temperature": 70})
    lived = homes.live(sent)
    assert [one.name for one in lived.stored] == ["meter/humidity"]
    (letter,) = dead_letters(lived.decoded.rejects, [sent], homes.household.layout)
    assert (letter.reason, letter.detail) == (Reason.VALUE_OUT_OF_RANGE, JUMP)
    assert json.loads(letter.payload or b"") == {"temperature": 70, "last_seen": NOW / 1e6 + 1}
    assert lived.decoded.count_readings().total() == 1


def test_nothing_is_kept_of_a_suspect_of_a_home_with_a_pause() -> None:
    """It is counted, as every bad reading of such a home; another home's is kept."""
    homes = LiveHomes()
    gate = paused(homes.household.pseudonym("hut-01"), Pause(NOW - DAY, NOW - HOUR))
    sent = [
        state(at, {"temperature": value}, home) for home in ("hut-01", "hut-0") for at, value in ((0, 20.0), (1, 70.0))
    ]
    lived = homes.live(*sent, gate=gate)
    letters = dead_letters(lived.decoded.rejects, sent, homes.household.layout)
    assert {(letter.source, letter.payload is None) for letter in letters} == {
        (f"city/dwellings/{homes.household.pseudonym('hut-01')}", True),
        (f"city/dwellings/{homes.household.pseudonym('hut-0')}", False),
    }
    assert [letter.seen for letter in letters] == [1, 1]


def test_many_sensors_are_judged_apart() -> None:
    """A thousand that are well beside one that jumps, in any order."""
    of_all = Jumps()
    of_all.expect(
        range(1000), [limits_of("temperature" if n % 2 else "co2", "Cel" if n % 2 else "ppm") for n in range(1000)]
    )
    readings = np.zeros(3000, dtype=READING)
    readings["sensor"] = np.tile(np.random.default_rng(1).permutation(1000), 3)
    readings["time"] = np.repeat([NOW, NOW + MINUTE, NOW + 2 * MINUTE], 1000)
    readings["value"] = 20
    (wrong,) = np.flatnonzero((readings["sensor"] == 501) & (readings["time"] == NOW + MINUTE))
    readings["value"][wrong] = 99
    judged = of_all.judge(readings, np.ones(len(readings), dtype=bool))
    assert judged.faults == {wrong: JUMP}
    assert judged.sensors.tolist() == list(range(1, 1000, 2))
    assert judged.values.tolist() == [20] * 500
    assert judged.times.tolist() == [NOW + 2 * MINUTE] * 500


def expected_of(points: list[tuple[int, str, float]]) -> list[bool]:
    """Judge points in order of time, one after the other, by the words of docs/formats.md; tell which are stored."""
    believed: dict[str, tuple[int, float]] = {}
    suspects: dict[str, tuple[int, float]] = {}
    blanks: dict[str, int] = {}

    def is_odd(name: str, before: tuple[int, float], now: tuple[int, float]) -> bool:
        minutes = max((now[0] - before[0]) / MINUTE, 1)
        if name == "temperature":
            return abs(now[1] - before[1]) > 30 * minutes
        return not 0 <= now[1] - before[1] <= 100 / 60 * minutes

    stored = []
    for time, name, value in points:
        point, last, suspect = (time, value), believed.get(name), suspects.get(name)
        is_blank = name == "temperature" and value == 85 and (last is None or abs(value - last[1]) > 10)
        if is_blank and time - blanks.setdefault(name, time) >= MINUTE:
            is_blank, last, suspect = False, None, None
        is_suspect = last is not None and is_odd(name, last, point)
        if is_suspect and suspect is not None and not is_odd(name, suspect, point):
            is_suspect = False
        if not is_blank and is_suspect:
            suspects[name] = point
        elif not is_blank:
            believed[name] = point
            suspects.pop(name, None)
            blanks.pop(name, None)
        stored.append(not is_blank and not is_suspect)
    return stored


POINTS = st.lists(
    st.tuples(
        st.integers(1, 3 * MINUTE),
        st.sampled_from(["temperature", "energy"]),
        st.sampled_from([0.0, 20.0, 45.0, 60.0, 76.0, 85.0, 86.0, 115.0]),
    ),
    max_size=14,
)


@given(POINTS, st.sets(st.integers(0, 14)), st.randoms(use_true_random=False))
def test_the_same_is_stored_however_batches_are_cut_and_mixed(
    steps: list[tuple[int, str, float]], cuts: set[int], random: Random
) -> None:
    """In any order inside a batch, and wherever the batches end."""
    times = np.cumsum([step for step, _, _ in steps]).tolist()
    scale = {"temperature": 1.0, "energy": 0.03}
    points = [(NOW + at, name, value * scale[name]) for at, (_, name, value) in zip(times, steps, strict=True)]
    wanted = {point for point, is_stored in zip(points, expected_of(points), strict=True) if is_stored}
    homes = LiveHomes([{**ROOMY[0], "sensor": [{"name": "meter/energy", "kind": "energy", "unit": "kWh"}]}])
    found: set[tuple[int, str, float]] = set()
    ends = sorted({cut for cut in cuts if cut < len(points)} | {len(points)})
    for begin, end in zip([0, *ends], ends, strict=False):
        batch = points[begin:end]
        random.shuffle(batch)
        lived = homes.live(*(state((at - NOW) / 1e6, {name: value}) for at, name, value in batch))
        found |= {(one.time, one.name.removeprefix("meter/"), one.value) for one in lived.stored}
        assert len(lived.stored) + len(lived.faults) == len(batch)
    assert found == wanted
