"""The red button: what a pause keeps out, whenever it arrives, and what may be kept of what cannot be read."""

import pytest
from unit.households import BUTTON, HUT, KITCHEN, OTHER, Household, assert_accounted, pack, paused, press, reasons
from unit.senml_reference import Record
from unit.worlds import DAY, GATE, HOUR, LIMITS, MINUTE, NOW, SECOND, TOPICS, deliver

from processors import decode_homes
from processors.dead_letters import DeadLetter, dead_letters
from processors.decode import decode
from processors.gate import Gap, Gate, Pause, Press
from processors.rejects import WHOLE
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.topics import Route

GONE = Gap(NOW - HOUR, is_open=False)
"""We were away for an hour, and have heard all of it."""
BACK = Gap(NOW - HOUR, is_open=True)
"""We were away, and what was queued for us is arriving."""


def test_a_pause_holds_in_order_of_arrival() -> None:
    """Inside a batch, what arrives between on and off is refused, and nothing else."""
    homes = Household()
    at = [NOW + second * SECOND for second in range(6)]
    sent = [
        pack({"n": "a", "v": 0}, received_at=at[0]),
        press(b"on", received_at=at[1]),
        pack({"n": "a", "v": 2}, {"n": "b", "v": 2}, received_at=at[2]),
        pack({"n": "a", "v": 2}, topic=OTHER, received_at=at[2]),
        press(b"off", received_at=at[3]),
        pack({"n": "a", "v": 4}, {"n": "a", "v": 2, "t": -2}, {"n": "a", "v": 3, "t": -1}, received_at=at[4]),
    ]
    decoded = homes.decode(*sent)
    assert [(stored.value, stored.time) for stored in homes.stored(decoded)] == [
        (0, at[0]),
        (2, at[2]),
        (4, at[4]),
        (3, at[3]),
    ]
    assert decoded.refused == {Route.SENML: 1 + 1}
    assert decoded.messages == {Route.SENML: 4, Route.CONTROL: 2}
    mine = homes.pseudonym("hut-01")
    assert decoded.homes.presses == (Press(mine, is_on=True, at=at[1]), Press(mine, is_on=False, at=at[3]))
    assert decoded.homes.gate.pauses == {mine: (Pause(at[1], at[3]),)}


def test_the_gate_goes_from_batch_to_batch() -> None:
    """A pause of one batch holds in the next, until its off; the gate given stays as it is."""
    homes = Household()
    first = homes.decode(press(b"on"))
    second = homes.decode(pack({"n": "a", "v": 1}), gate=first.homes.gate)
    third = homes.decode(press(b"off"), pack({"n": "a", "v": 1}), gate=second.homes.gate)
    assert [len(decoded.homes.readings) for decoded in (first, second, third)] == [0, 0, 1]
    assert not GATE.pauses


def test_a_paused_home_is_refused_unparsed() -> None:
    """What arrives in a pause is not looked at, on any of its topics."""
    homes = Household()
    gate = paused(homes.pseudonym("hut-01"), Pause(NOW - HOUR))
    sent = [deliver(HUT, b"["), deliver(HUT, bytes(300_000)), deliver("city/dwellings/hut-01/x", b""), pack({}, {})]
    decoded = homes.decode(*sent, gate=gate)
    assert decoded.refused == {Route.SENML: 3, Route.UNROUTABLE: 1}
    assert not decoded.rejects


def test_a_reading_of_a_past_pause_is_refused_whenever_it_arrives() -> None:
    """A pause holds its beginning and not its end, for relative and absolute times, faulty records and strings."""
    homes = Household()
    gate = paused(homes.pseudonym("hut-01"), Pause(NOW - 20 * SECOND, NOW - 10 * SECOND))
    records: list[Record] = [{"n": KITCHEN, "v": 20, "t": seconds} for seconds in (-21, -20, -15, -10, 0)]
    records += [record | {"t": NOW // SECOND + record["t"]} for record in records]
    records += [{"n": KITCHEN, "v": 99, "t": -15}, {"n": "new", "v": 1, "t": -15}, {"n": "a", "vs": "x", "t": -15}]
    records += [{"n": "hut-02", "v": 1, "t": -15}, {"n": KITCHEN, "v": "x", "t": -15}]
    sent = [pack(*records), pack(*records[:5], topic=OTHER)]
    decoded = homes.decode(*sent, gate=gate)
    ages = [(NOW - stored.time) // SECOND for stored in homes.stored(decoded)]
    assert ages == [21, 10, 0, 21, 10, 0, 21, 20, 15, 10, 0]
    assert decoded.refused[Route.SENML] == 9
    assert not decoded.rejects
    assert [sensor.name for sensor in decoded.homes.newcomers] == [KITCHEN]
    assert_accounted(decoded, sent)


@pytest.mark.parametrize(
    ("retain", "gap", "began"),
    [(False, GONE, NOW), (True, GONE, NOW - HOUR), (False, BACK, NOW - HOUR), (True, BACK, NOW - HOUR)],
)
def test_an_on_that_may_be_older_is_dated_from_before_the_gap(retain: bool, gap: Gap, began: int) -> None:
    """Retained, or queued while we were away: what was measured since is refused, in the same batch, too."""
    homes = Household()
    sent = [
        pack({"n": "a", "v": 1, "t": -1800}, {"n": "a", "v": 2, "t": -7200}, received_at=NOW - 1),
        press(b"on", retain=retain),
    ]
    decoded = homes.decode(*sent, gap=gap)
    assert decoded.homes.gate.pauses == {homes.pseudonym("hut-01"): (Pause(began),)}
    assert decoded.homes.readings["value"].tolist() == ([1, 2] if began == NOW else [2])
    assert_accounted(decoded, sent)


@pytest.mark.parametrize(("duplicate", "ended", "stored"), [(False, 1, 1), (True, 1, 0), (True, HOUR, 1)])
def test_a_redelivery_without_a_time_is_of_the_time_before(duplicate: bool, ended: int, stored: int) -> None:
    """Sent again because our answer was lost, it may have been refused in a pause that has ended meanwhile."""
    homes = Household()
    gate = paused(homes.pseudonym("hut-01"), Pause(NOW - 2 * HOUR, NOW - ended))
    sent = pack({"n": "a", "v": 1})._replace(duplicate=duplicate)
    decoded = homes.decode(sent, gate=gate, gap=Gap(NOW - SECOND, is_open=True))
    assert len(decoded.homes.readings) == stored
    assert_accounted(decoded, [sent])


def test_an_off_ends_a_pause_when_it_arrives() -> None:
    """Even one that was queued: what was not to be recorded is not, for want of the exact minute."""
    homes = Household()
    gate = paused(homes.pseudonym("hut-01"), Pause(NOW - DAY))
    after = homes.decode(press(b"off", retain=True), gate=gate, gap=BACK).homes.gate
    assert after.pauses == {homes.pseudonym("hut-01"): (Pause(NOW - DAY, NOW),)}


@pytest.mark.parametrize("payload", [b"on", b"ON", b"On", b'"on"', b'"ON"', b" on\r\n", b'\t"on" '])
def test_on_is_read_in_any_case_and_in_quotes(payload: bytes) -> None:
    """However a button writes it."""
    homes = Household()
    assert homes.decode(press(payload)).homes.gate.is_paused(homes.pseudonym("hut-01"))


@pytest.mark.parametrize("payload", [b"off", b"OFF", b"Off", b'"off"', b" off\n"])
def test_off_is_read_in_any_case_and_in_quotes(payload: bytes) -> None:
    """However a button writes it."""
    homes = Household()
    gate = paused(homes.pseudonym("hut-01"), Pause(NOW))
    assert not homes.decode(press(payload), gate=gate).homes.gate.is_paused(homes.pseudonym("hut-01"))


@pytest.mark.parametrize("is_on", [True, False])
@pytest.mark.parametrize(
    "payload",
    [b"", b"o", b"onn", b"o n", b"offoff", b"1", b"true", b"{}", b"\xff", b"\x00", b"\xef\xbb\xbfon", b"on" * 999],
)
def test_only_on_and_off_change_anything(payload: bytes, is_on: bool) -> None:
    """An empty payload clears what was retained and ends nothing; all else violates the schema."""
    homes = Household()
    gate = paused(homes.pseudonym("hut-01"), Pause(NOW - HOUR)) if is_on else GATE
    decoded = homes.decode(press(payload, retain=True), gate=gate)
    assert decoded.homes.gate == gate
    assert decoded.homes.presses == ()
    assert reasons(decoded) == ([(0, WHOLE, Reason.SCHEMA_VIOLATION)] if payload else [])
    assert decoded.messages == {Route.CONTROL: 1}
    assert not decoded.refused


def test_a_home_that_does_not_consent_can_pause_and_makes_no_dead_letter() -> None:
    """Its button is heeded for the day it consents; of what nobody understands nothing is kept."""
    homes = Household()
    sent = [press(payload, topic=TOPICS.pause("hut-02")) for payload in (b"on", b"garbage", b"")]
    decoded = homes.decode(*sent)
    assert decoded.homes.gate.is_paused(homes.pseudonym("hut-02"))
    assert not decoded.rejects


def test_presses_that_change_nothing_are_not_told() -> None:
    """What the table has to be told is each change, once."""
    homes = Household()
    told = [press(payload, received_at=NOW + at) for at, payload in enumerate([b"off", b"on", b"on", b"off", b"off"])]
    presses = homes.decode(*told).homes.presses
    assert [(one.is_on, one.at) for one in presses] == [(True, NOW + 1), (False, NOW + 3)]


def test_the_gate_given_stays_as_it_is() -> None:
    """A batch that is not committed has pressed nothing."""
    homes = Household()
    mine = homes.pseudonym("hut-01")
    gate = paused(mine, Pause(NOW - HOUR))
    after = homes.decode(press(b"off"), press(b"on"), press(b"on", topic=TOPICS.pause("hut-0")), gate=gate).homes.gate
    assert gate.pauses == {mine: (Pause(NOW - HOUR),)}
    assert after.pauses[mine] == (Pause(NOW - HOUR, NOW), Pause(NOW))


@pytest.mark.parametrize(
    ("pause", "is_refused"),
    [
        (Pause(NOW - 2 * HOUR, NOW - HOUR - 2 * MINUTE), False),
        (Pause(NOW - 2 * HOUR, NOW - HOUR - MINUTE // 2), True),
        (Pause(NOW - 2 * MINUTE, NOW - MINUTE), True),
        (Pause(NOW + 1, NOW + 2), False),
    ],
)
def test_a_redelivery_whose_time_counts_from_now_may_be_of_a_pause(pause: Pause, is_refused: bool) -> None:
    """It does not tell when it came first: it is refused if a pause reaches into the time since shortly before."""
    homes = Household()
    gate = paused(homes.pseudonym("hut-01"), pause)
    sent = [
        pack({"n": "a", "v": 1}, {"n": "a", "v": 2, "t": NOW // SECOND - 10 * 60}, {"bn": "x"}),
        pack({"n": "a", "v": 1}, topic=OTHER),
    ]
    for gap in (GONE, BACK):
        assert len(homes.decode(*sent, gate=gate, gap=gap).homes.readings) == 3
        again = [delivery._replace(duplicate=True) for delivery in sent]
        decoded = homes.decode(*again, gate=gate, gap=gap)
        assert decoded.homes.readings["value"].tolist() == ([2, 1] if is_refused else [1, 2, 1])
        assert decoded.refused == ({Route.SENML: 1} if is_refused else {})


def letters_of(homes: Household, gate: Gate, *sent: Delivery) -> list[tuple[bytes | None, int]]:
    """Give payload and count of every dead letter."""
    letters: tuple[DeadLetter, ...] = dead_letters(homes.decode(*sent, gate=gate).rejects, sent, homes.layout)
    return [(letter.payload, letter.seen) for letter in letters]


@pytest.mark.parametrize("pauses", [(), (Pause(NOW - HOUR, NOW - MINUTE),)])
def test_of_a_home_that_paused_lately_faults_are_only_counted(pauses: tuple[Pause, ...]) -> None:
    """What cannot be read may have been measured in a pause, so that none of it is kept."""
    homes = Household()
    gate = paused(homes.pseudonym("hut-01"), *pauses)
    sent = [
        deliver(HUT, b"["),
        deliver("city/dwellings/hut-01/x", b"{"),
        pack({"n": "-", "v": 1}, {"n": KITCHEN, "v": 99}),
    ]
    kept = [payload for payload, _ in letters_of(homes, gate, *sent)]
    assert kept == (
        [None] * 4 if pauses else [b"[", b"{", b'[{"n":"-","v":1}]', b'[{"n":"kitchen/temperature","v":99}]']
    )
    large = deliver(HUT, b"x" * 300_000)
    assert letters_of(homes, gate, large) == [(None, 1)]


def test_of_a_pack_of_faults_a_hundred_are_kept() -> None:
    """The others are counted, so that a gateway gone mad fills no table; another pack has its own hundred."""
    homes = Household()
    sent = [pack(*({"n": f"-{mark}{number}", "v": 1} for number in range(150))) for mark in "ab"]
    letters = letters_of(homes, GATE, *sent)
    assert len([payload for payload, _ in letters if payload is not None]) == 200
    assert [seen for payload, seen in letters if payload is None] == [100]


def test_a_stranger_that_paused_is_paused_when_it_is_registered() -> None:
    """Its press is a dead letter without a name, and is heeded from the first reading on."""
    stranger = Household([{"id": "hut-01", "district": "antigone", "consent": True}])
    other = Household([{"id": "hut-0", "district": "antigone", "consent": True}])
    before = other.decode(press(b"on", retain=True), press(b"garbage"))
    assert reasons(before) == [(0, WHOLE, Reason.UNKNOWN_ASSET), (1, WHOLE, Reason.UNKNOWN_ASSET)]
    assert dead_letters(before.rejects, [press(b"on"), press(b"")], other.layout)[0].topic == "city/dwellings/-/pause"
    assert stranger.decode(pack({"n": "a", "v": 1}), gate=before.homes.gate).refused == {Route.SENML: 1}
    after = other.decode(press(b"off"), gate=before.homes.gate).homes.gate
    assert not after.is_paused(stranger.pseudonym("hut-01"))


def test_only_so_many_strangers_are_remembered() -> None:
    """Memory does not grow with topics that somebody makes up, and the homes of the registry are always heard."""
    homes = Household()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode_homes, "_MOST_STRANGERS", 5)
        made_up = [press(b"on", topic=TOPICS.pause(f"x{number}")) for number in range(50)]
        gate = decode([*made_up, press(b"on")], homes.layout, LIMITS, GATE, GONE).homes.gate
    assert len(gate.pauses) == 3 + 5 + 1
    assert gate.is_paused(homes.pseudonym("hut-01"))


@pytest.mark.parametrize("number", range(3))
def test_every_home_of_the_registry_has_its_own_button(number: int) -> None:
    """A press pauses its home and no other."""
    homes = Household()
    ids = ("hut-01", "hut-02", "hut-0")
    gate = homes.decode(press(b"on", topic=TOPICS.pause(ids[number]))).homes.gate
    assert [gate.is_paused(homes.pseudonym(home)) for home in ids] == [number == index for index in range(3)]
    assert TOPICS.pause("hut-01") == BUTTON
