"""Homes that were erased, as decoding sees them: refused, named by nothing, and forgotten."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from unit.households import HUT, OTHER, Household, pack, press
from unit.worlds import HOMES, KEY, LIMITS, MINUTE, NO_GAP, NOW, REGISTRY, TOPICS, deliver, layout_of

from processors.columns import READING, records
from processors.dead_letters import dead_letters
from processors.decode import Decoded, decode
from processors.gate import Gate, Pause, Press
from processors.layout import Layout
from processors.privacy import Privacy, pseudonym
from processors.sensors import Sensor, Sensors
from schemas.delivery import Delivery
from schemas.registry import Registry
from schemas.topics import Route

GONE = pseudonym(KEY, "hut-01")
NOBODY_HOME: list[dict[str, Any]] = [home for home in HOMES if home["id"] != "hut-01"]


def decoded_by(layout: Layout, sent: Sequence[Delivery], gate: Gate | None = None) -> Decoded:
    """Decode a batch."""
    return decode(sent, layout, LIMITS, gate or Gate(), NO_GAP)


def everything() -> list[Delivery]:
    """Make one message of every fate that a home's can have, but for its button."""
    return [
        pack({"n": "kitchen/temperature", "u": "Cel", "v": 20}),
        pack({"n": "never/heard", "u": "Cel", "v": 20}),
        pack({"n": "x", "v": "warm"}),
        deliver(HUT, b"no pack"),
        deliver(HUT, b"x" * (LIMITS.max_payload_bytes + 1)),
        deliver("city/dwellings/hut-01/strange", b"1"),
    ]


def test_an_erased_home_is_refused_whatever_it_sends_and_whatever_the_registry_says() -> None:
    """Listed with consent, or not listed at all: nothing is stored, registered or dead-lettered."""
    for layout in (
        layout_of(REGISTRY, erased=["hut-01"]),
        layout_of(Registry.model_validate({"dwelling": NOBODY_HOME}), erased=["hut-01"]),
    ):
        decoded = decoded_by(layout, everything())
        assert decoded.refused.total() == len(everything())
        assert (len(decoded.homes.readings), decoded.homes.newcomers, decoded.rejects) == (0, (), ())


def test_the_button_of_an_erased_home_is_heeded_in_memory_and_leaves_no_letter() -> None:
    """So that a pause holds on the day it is readmitted; what is neither on nor off is nothing."""
    for homes in (HOMES, NOBODY_HOME):
        layout = layout_of(Registry.model_validate({"dwelling": homes}), erased=["hut-01"])
        decoded = decoded_by(layout, [press(b"on"), press(b"perhaps"), press(b"")])
        assert decoded.homes.presses == (Press(GONE, is_on=True, at=NOW),)
        assert decoded.rejects == ()
        assert decoded.refused.total() == 0


def test_letters_of_others_do_not_name_an_erased_home() -> None:
    """Where its pseudonym would stand, nobody's stands."""
    layout = layout_of(REGISTRY, erased=["hut-01"])
    sent = [deliver(OTHER, b'{"neighbour": "hut-01"}'), deliver(f"{TOPICS.root}/dwellings/hut-0/hut-01", b"of hut-01")]
    letters = dead_letters(decoded_by(layout, sent).rejects, sent, layout)
    assert [letter.payload for letter in letters] == [b'{"neighbour": "-"}', b"of -"]
    assert [GONE in letter.topic for letter in letters] == [False, False]
    assert letters[1].topic.endswith("/-")


def test_a_mark_leads_to_a_home_with_the_key_only() -> None:
    """It is neither the pseudonym nor made by the same key; another key gives another."""
    privacy, other = Privacy.of(REGISTRY, TOPICS, KEY), Privacy.of(REGISTRY, TOPICS, b"o" * 32)
    mark = privacy.mark(GONE)
    assert len(mark) == 32
    assert mark not in {bytes.fromhex(GONE), privacy.digest_key, privacy.mark_key, other.mark(GONE)}
    assert mark != bytes.fromhex(pseudonym(KEY, GONE))
    assert privacy.without([mark]).is_erased_home("hut-01")
    assert not privacy.without([mark]).is_erased_home("hut-02")
    assert not other.without([mark]).is_erased_home("hut-01")


def test_a_registry_that_is_read_anew_does_not_forget_them() -> None:
    """Marks come from the database: without them the same privacy knows of no erasure."""
    privacy = Privacy.of(REGISTRY, TOPICS, KEY)
    erased = privacy.without([privacy.mark(GONE)])
    assert erased.without([]).veils == privacy.veils
    assert erased.pseudonyms == privacy.pseudonyms


def test_a_gate_keeps_of_an_erased_home_only_that_its_button_is_on() -> None:
    """When it was pressed is gone, as are the pauses of before."""
    past, other = Pause(NOW - 9 * MINUTE, NOW - 8 * MINUTE), pseudonym(KEY, "hut-0")
    gate = Gate.of([(GONE, past), (GONE, Pause(NOW - MINUTE)), (other, past), ("third", past)])
    left = gate.forget(lambda home: home in {GONE, "third"})
    assert left.pauses == {other: (past,), GONE: (Pause(0),)}
    assert gate.pauses[GONE] == (past, Pause(NOW - MINUTE))


def test_a_home_that_was_readmitted_has_one_pause_until_then_and_what_came_after() -> None:
    """What was pressed before is told by nothing; a button that is on, and the pauses since, stay; asked again, too."""
    at, other = NOW - 5 * MINUTE, pseudonym(KEY, "hut-0")
    past, across, since = Pause(at - MINUTE, at), Pause(at - 1, at + 1), Pause(at + MINUTE, NOW)
    gate = Gate.of([(GONE, past), (GONE, across), (GONE, since), (other, past), (other, Pause(at - 2))])
    admitted = gate.since_readmitted({GONE: at, "third": at})
    assert admitted.pauses == {
        GONE: (Pause(0, at), Pause(at, at + 1), since),
        other: gate.pauses[other],
        "third": (Pause(0, at),),
    }
    assert Gate.of([(other, Pause(0))]).since_readmitted({other: at}).pauses[other] == (Pause(0, at), Pause(at))
    admitted.press(Press("third", is_on=True, at=at - MINUTE))
    assert admitted.since_readmitted({GONE: at, "third": at}) == admitted


def test_health_forgets_what_the_sensors_of_an_erased_home_told() -> None:
    """Their values are gone from memory; the others' stay."""
    sensors = Sensors(KEY)
    sensors.add([Sensor.seen(7, "a", "other", ""), Sensor.seen(8, "a", "other", "")], [71, 81])
    told = records([(0, 0, NOW, number, 21.5) for number in (0, 1)], READING)
    sensors.health.observe(told)
    sensors.told.adopt(np.array([0, 1]), np.array([21.5, 21.5]))
    sensors.forget_all_but([8])
    held = np.array([array[:2] for array in (sensors.health._value, sensors.health._heard_at)])  # noqa: SLF001 - what is remembered
    again = sensors.told.judge(told, np.array([True, True]))
    assert again.is_repeat.tolist() == [False, True]
    assert np.isnan(held[0][0])
    assert held[0][1] == 21.5
    assert held[1][0] < 0 < held[1][1] == NOW


def test_what_an_erased_home_told_last_judges_nothing_any_more() -> None:
    """A counter's last value is gone from memory, and a suspect one, too; the others' stay."""
    sensors = Sensors(KEY)
    sensors.add([Sensor.seen(home, "meter", "energy", "J") for home in (7, 8)], [71, 81])
    of_devices = np.ones(2, dtype=bool)
    for at, value in ((NOW, 1000.0), (NOW + 1, 900.0)):
        sensors.jumps.adopt(
            sensors.jumps.judge(records([(0, 0, at, number, value) for number in (0, 1)], READING), of_devices)
        )
    sensors.forget_all_but([8])
    again = sensors.jumps.judge(records([(0, 0, NOW - 1, number, 950.0) for number in (0, 1)], READING), of_devices)
    assert again.sensors.tolist() == [0]
    again = sensors.jumps.judge(records([(0, 0, NOW + 2, number, 10.0) for number in (0, 1)], READING), of_devices)
    assert list(again.faults) == [1]


def test_a_home_that_is_readmitted_finds_no_sensor_of_before() -> None:
    """It has another row, and its sensors are met for the first time."""
    homes = Household()
    homes.decode(pack({"n": "a", "v": 1}))
    again = layout_of(REGISTRY)
    sensors = homes.layout.homes.sensors
    row = again.homes.homes[again.homes.index["hut-01"]].id
    assert sensors.find(row, "a", "") >= 0
    assert sensors.find(row + 1000, "a", "") < 0
    assert Route.SENML in homes.decode(pack({"n": "a", "v": 2})).messages
