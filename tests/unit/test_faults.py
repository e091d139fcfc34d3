"""Each kind of fault, put into a small fleet of known messages: what is sent, and what has to come of it."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from schemas.reasons import Reason
from schemas.topics import Route, Topics
from simulators.faults.hostile import CORPUS, hostile
from simulators.faults.inject import Injector
from simulators.faults.kinds import OF_HOURS, OF_MESSAGES, Fault, parse_faults
from simulators.fleet import ARRIVAL, Fact, SensorMessage, micros
from simulators.runs.pace import Issued

BEGIN = datetime(2026, 11, 21, 6, tzinfo=UTC)
TOPICS = Topics("city")
SEED = random.randrange(10**6)
MESSAGES = 60
"""One a device every two minutes: two hours."""


def bay(number: int) -> Issued:
    """Give a message of a bay."""
    time = BEGIN + timedelta(minutes=2 * number)
    occupied = number % 2 == 0
    payload = {"occupied": occupied, "time": time.isoformat(timespec="milliseconds"), "seq": number + 7}
    return issued("parking/ANTI/P-001", TOPICS.spot("ANTI", "P-001"), number, time, payload, {"": int(occupied)})


def counter(number: int) -> Issued:
    """Give a message of a counter."""
    time = BEGIN + timedelta(minutes=2 * number, milliseconds=1)
    payload = {"free": number, "total": 60, "status": "open", "time": micros(time) // 1000}
    made = issued("parking/COME", TOPICS.count("COME"), number, time, payload, {})
    return with_facts(made, (Fact("parking/COME", micros(time), (number, 60, "open")),))


def gateway(number: int) -> Issued:
    """Give a pack of a home: a temperature, a meter in another unit than it is stored in, a truth."""
    time = BEGIN + timedelta(minutes=2 * number, milliseconds=2)
    pack = [
        {"bt": round(time.timestamp(), 3), "n": "hall/temperature", "u": "Cel", "v": 20 + number / 8, "t": -1.5},
        {"n": "meter/energy", "u": "Wh", "v": 100.0 + number},
        {"n": "hall/motion", "vb": number % 3 == 0},
    ]
    values = {
        "/hall/temperature": 20 + number / 8,
        "/meter/energy": (100.0 + number) * 3600,
        "/hall/motion": float(number % 3 == 0),
    }
    made = issued("dwellings/hut-01", TOPICS.senml("hut-01"), number, time, pack, values)
    first, *rest = made.facts
    return with_facts(made, (first._replace(time=first.time - 1_500_000), *rest))


def plug(number: int) -> Issued:
    """Give a state of zigbee2mqtt."""
    time = BEGIN + timedelta(minutes=2 * number, milliseconds=3)
    payload = {"power": number, "linkquality": 9, "last_seen": time.isoformat(timespec="milliseconds")}
    return issued(
        "dwellings/hut-01/plug", TOPICS.zigbee2mqtt("hut-01", "plug"), number, time, payload, {"/power": float(number)}
    )


def issued(device: str, topic: str, number: int, time: datetime, content: object, values: dict[str, float]) -> Issued:
    """Give a message whose facts all have the time of it."""
    facts = tuple(Fact(device + name, micros(time), (value,)) for name, value in values.items())
    message = SensorMessage(topic, json.dumps(content).encode(), device, number, facts)
    return Issued((time - BEGIN).total_seconds() / 60, time, message, facts)


def with_facts(made: Issued, facts: tuple[Fact, ...]) -> Issued:
    """Give the same message with other facts."""
    message = made.message
    again = SensorMessage(message.topic, message.payload, message.device, message.sequence, facts)
    return Issued(made.due, made.shown, again, facts)


DEVICES = (bay, counter, gateway, plug)


def fleet() -> Iterator[Issued]:
    """Give what all devices say, in order."""
    for number in range(MESSAGES):
        for device in DEVICES:
            yield device(number)


def run(faults: str, seed: int = SEED) -> list[Issued]:
    """Put faults into the fleet."""
    return list(Injector(parse_faults(faults), seed, BEGIN, TOPICS).inject(fleet()))


def of(messages: list[Issued], device: str) -> list[Issued]:
    """Give those of one device."""
    return [one for one in messages if one.message.device == device]


def pair(text: str) -> list[tuple[Issued, Issued]]:
    """Give each message as it was and as it is, where a fault takes none away and adds none."""
    changed = run(text)
    assert len(changed) == MESSAGES * len(DEVICES)
    return list(zip(fleet(), changed, strict=True))


@pytest.mark.parametrize("seed", [SEED])
def test_faults_are_a_function_of_seed_device_and_number(seed: int) -> None:
    """The same again; another seed gives others; what another device does changes nothing."""
    assert run("all", seed) == run("all", seed)
    assert run("all", seed) != run("all", seed + 1)
    alone = list(Injector(parse_faults("all"), seed, BEGIN, TOPICS).inject(bay(number) for number in range(MESSAGES)))
    assert [one.message for one in of(run("all", seed), "parking/ANTI/P-001")] == [one.message for one in alone]


@pytest.mark.parametrize("fault", Fault)
def test_what_is_due_never_falls_and_nothing_that_is_asked_for_never_occurs(fault: Fault) -> None:
    """Every kind leaves the order of dues, and at probability 0 everything as it is."""
    dues = [one.due for one in run(f"{fault}=0.5")]
    assert dues == sorted(dues)
    assert run(f"{fault}=0") == list(fleet())


def test_a_duplicate_is_the_same_again() -> None:
    """Bytes and facts, directly after it."""
    messages = run("duplicate=1")
    assert [one.message for one in messages[::2]] == [one.message for one in fleet()]
    assert all(
        copy.message == one.message and copy.fault == "duplicate"
        for one, copy in zip(messages[::2], messages[1::2], strict=True)
    )


@pytest.mark.parametrize("fault", ["delay", "reorder", "burst"])
def test_what_is_held_back_comes_whole(fault: str) -> None:
    """The same messages, in another order, with the times that they told."""
    messages = [one.message for one in run(f"{fault}=0.5")]
    assert messages != [one.message for one in fleet()]
    assert sorted(messages, key=repr) == sorted((one.message for one in fleet()), key=repr)


def test_a_reordered_message_comes_after_the_next_of_its_device() -> None:
    """Two change places."""
    sequences = [one.message.sequence for one in of(run("reorder=0.3"), "parking/ANTI/P-001")]
    assert sequences != sorted(sequences)
    assert all(abs(place - sequence) <= 2 for place, sequence in enumerate(sequences))


@pytest.mark.parametrize("fault", ["drop", "silent"])
def test_what_is_dropped_is_not_sent(fault: str) -> None:
    """It is no fact of the run; of a silent device a whole hour is missing."""
    kept = [one.message for one in run(f"{fault}=0.5")]
    assert 0 < len(kept) < MESSAGES * len(DEVICES)


@pytest.mark.parametrize("fault", ["drop", "silent"])
def test_what_is_not_sent_is_counted(fault: str) -> None:
    """Each message that is lost is told of, with its fault."""
    lost: list[Fault] = []
    kept = list(Injector(parse_faults(f"{fault}=0.5"), SEED, BEGIN, TOPICS, lost.append).inject(fleet()))
    assert set(lost) == {fault}
    assert len(kept) + len(lost) == MESSAGES * len(DEVICES)


@pytest.mark.parametrize("fault", ["drop", "silent"])
def test_a_fleet_that_never_speaks_is_refused(fault: str) -> None:
    """The next message would be looked for without end."""
    with pytest.raises(ValueError, match="nothing would ever be sent"):
        parse_faults(f"{fault}=1")


def test_a_clock_that_is_off_shifts_what_is_told() -> None:
    """Far off nothing is a fact; else each fact by as much as the payload says."""
    for before, after in pair("clock_skew=1"):
        offsets = {new.time - old.time for old, new in zip(before.facts, after.facts, strict=False)}
        if not after.facts:
            assert len(after.letters) == len(before.facts)
            assert set(after.letters) <= {Reason.TIME_TOO_LATE, Reason.TIME_IN_FUTURE}
        else:
            assert len(offsets) == 1
            assert offsets <= {seconds * 1_000_000 for seconds in (-21_600, -1_200, -90, 60, 240)}
            assert told_time(after) - told_time(before) == pytest.approx(offsets.pop() / 1e6, abs=1e-6)


def told_time(one: Issued) -> float:
    """Give the time that a payload tells, in seconds since 1970."""
    content = json.loads(one.payload)
    content = content[0] if isinstance(content, list) else content
    told = content.get("bt") or content.get("time") or content.get("last_seen")
    if isinstance(told, str):
        return datetime.fromisoformat(told).timestamp()
    return float(told / 1000 if told > 1e11 else told)


def test_a_missing_time_is_that_of_the_arrival() -> None:
    """The payload tells none, its facts have none; states of zigbee2mqtt are left alone."""
    for before, after in pair("time_missing=1"):
        if b"last_seen" in before.payload:
            assert after.message == before.message
            continue
        assert b'"time"' not in after.payload
        assert b'"bt"' not in after.payload
        assert after.facts == tuple(fact._replace(time=ARRIVAL) for fact in before.facts)


def test_an_epoch_is_good_in_the_units_that_are_told_apart_and_bad_in_others() -> None:
    """Seconds to nanoseconds are the same facts, minutes and quotes a dead letter; of a pack one for each record."""
    reasons = set()
    for before, after in pair("wrong_epoch_unit=1"):
        assert after.payload != before.payload or b'"free"' in before.payload
        assert (after.facts == before.facts) is (after.letters == ())
        records = len(json.loads(after.payload)) if after.payload[:1] == b"[" else 1
        assert len(after.letters) in {0, records}
        reasons |= set(after.letters)
    assert reasons == {Reason.TIME_TOO_LATE, Reason.SCHEMA_VIOLATION, Reason.TIME_IN_FUTURE}


def test_a_stuck_device_repeats_its_values() -> None:
    """For an hour, at the times that go on; payload and facts say the same."""
    messages = run("stuck=1")
    assert [one.facts[0].time for one in messages] == [one.facts[0].time for one in fleet()]
    values = {one.facts[0].values for one in of(messages, "parking/COME")}
    assert values == {(0, 60, "open"), (30, 60, "open")}
    assert {json.loads(one.payload)["free"] for one in of(messages, "parking/COME")} == {0, 30}
    packs = [json.loads(one.payload) for one in of(messages, "dwellings/hut-01")]
    assert {pack[1]["v"] for pack in packs} == {100.0, 130.0}
    assert {one.facts[1].values for one in of(messages, "dwellings/hut-01")} == {(360_000.0,), (468_000.0,)}


def test_a_flapping_bay_changes_there_and_back() -> None:
    """In whole seconds after the message, ending in what it told; nobody else flaps."""
    extra = [one for one in run("flapping=1") if one.fault == "flapping"]
    assert {one.message.device for one in extra} == {"parking/ANTI/P-001"}
    originals = {number: bay(number).facts[0] for number in range(MESSAGES)}
    for one in extra:
        (fact,), original = one.facts, originals[one.message.sequence]
        seconds = (fact.time - original.time) // 1_000_000
        assert 1 <= seconds <= 8
        assert (fact.values == original.values) is (seconds % 2 == 0)
        assert json.loads(one.payload)["occupied"] is bool(fact.values[0])


def test_a_corrupt_payload_is_no_document() -> None:
    """It is cut so that no decoder reads it, and one dead letter."""
    for _, after in pair("corrupt=1"):
        assert after.letters == (Reason.MALFORMED_PAYLOAD,)
        assert after.facts == ()
        assert after.payload
        with pytest.raises(ValueError):
            json.loads(after.payload)


def test_an_old_message_comes_again_retained() -> None:
    """With its own facts, for the broker to forget after a while."""
    again = [one for one in run("retained_replay=1") if one.retain]
    assert len(again) == (MESSAGES - 1) * len(DEVICES)
    known = {one.message for one in fleet()}
    assert all(one.message in known and one.facts == one.message.facts and one.expiry for one in again)


def test_what_comes_again_retained_was_sent_before() -> None:
    """It is nothing new: no message that was dropped, cut or held back comes in by that way."""
    sent: set[tuple[str, bytes]] = set()
    again = 0
    for one in run("retained_replay=0.4,drop=0.3,corrupt=0.2,delay=0.1"):
        if one.retain:
            again += 1
            assert (one.topic, one.payload) in sent
        sent.add((one.topic, one.payload))
    assert again > 10


def test_counters_begin_anew() -> None:
    """A bay counts its messages from 0 each hour; a meter tells less, and so do its facts; a thermometer does not."""
    messages = run("counter_reset=1")
    assert [json.loads(one.payload)["seq"] for one in of(messages, "parking/ANTI/P-001")] == [*range(30)] * 2
    meter = [one.facts[1].values[0] for one in of(messages, "dwellings/hut-01")]
    assert meter == [float(number) * 3600 for number in range(30)] * 2
    assert [json.loads(one.payload)[1]["v"] for one in of(messages, "dwellings/hut-01")] == [*map(float, range(30))] * 2
    assert [one.facts[0] for one in of(messages, "dwellings/hut-01")] == [
        gateway(number).facts[0] for number in range(MESSAGES)
    ]


def test_the_hostile_corpus_covers_every_reason_that_is_no_state_of_the_service() -> None:
    """Each is one message of its own beside the good one; all of the corpus is reachable."""
    seen = {one.letters for one in run("hostile=1") if one.fault == "hostile"}
    assert all(len(letters) == 1 for letters in seen)
    reachable = {
        made[2]
        for topic in (
            TOPICS.spot("ANTI", "P-001"),
            TOPICS.count("COME"),
            TOPICS.senml("h"),
            TOPICS.zigbee2mqtt("h", "p"),
        )
        for how in range(100)
        if (made := hostile(TOPICS, topic, "abc", how / 100))
    }
    assert reachable == {*Reason} - {Reason.SENSOR_LIMIT_REACHED, Reason.DATABASE_REJECTED}
    assert CORPUS.keys() == {Route.SPOT, Route.COUNT, Route.SENML, Route.ZIGBEE2MQTT}
    assert hostile(TOPICS, "application/1/device/70b3d57ed0000001/event/up", "abc", 0.5) is None


def test_kinds_and_probabilities_are_read() -> None:
    """All of them, some with their defaults, others as told; nothing is none."""
    assert parse_faults("") == {}
    assert parse_faults("all") == {**OF_MESSAGES, **OF_HOURS}
    assert len(parse_faults("all")) == len(Fault)
    assert parse_faults("silent, duplicate=0.5") == {Fault.SILENT: OF_HOURS[Fault.SILENT], Fault.DUPLICATE: 0.5}
    assert parse_faults("all,drop=0")[Fault.DROP] == 0


@pytest.mark.parametrize(
    "text", ["dupe", "drop=", "drop=2", "drop=-1", "drop=nan", "drop=x", ",", "all=1", "drop=0.6,delay=0.6"]
)
def test_what_is_no_fault_is_told_in_a_line(text: str) -> None:
    """One line names what is wrong; a plan is not made with it."""
    with pytest.raises(ValueError) as told:
        parse_faults(text)
    assert "\n" not in str(told.value)
    assert not isinstance(told.value, ValidationError)
