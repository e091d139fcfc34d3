"""The doctor's judgement of the topics it heard, and what it says of homes: counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.doctor.report import Status
from ingest.doctor.traffic import KnownTopics, Traffic, judge_noise, judge_topics, judge_traffic
from schemas.registry import Registry
from schemas.topics import Topics

BAY = "70b3d57ed0000001"
SPOTS = [f"city/parking/A/spots/{number}" for number in range(1, 10)]
REGISTRY = Registry.model_validate(
    {
        "car_park": [
            {
                "code": "A",
                "name": "A",
                "capacity": 9,
                "basis": "spots",
                "spots": ["1..9"],
                "spot": [{"label": "1", "dev_eui": BAY, "tts_device_id": "bay-1"}],
            },
            {"code": "C", "name": "C", "capacity": 9, "basis": "count"},
        ],
        "dwelling": [
            {
                "id": name,
                "district": "d",
                "consent": name != "no",
                "device": [{"label": "fridge", "tts_device_id": f"fridge of {name}"}],
            }
            for name in ("hut-01", "no")
        ],
    }
)
KNOWN = KnownTopics.of(REGISTRY, Topics("city"))
VERSION = "mosquitto version 2.0.22"


def heard(counts: dict[str, int], seconds: float = 10.0) -> Traffic:
    """Make traffic of so many messages a topic."""
    traffic = Traffic(seconds=seconds)
    for topic, count in counts.items():
        for _ in range(count):
            traffic.add(topic)
    return traffic


def test_what_was_not_heard_is_unknown() -> None:
    """Neither not listening nor silence says that all is well."""
    assert [check.status for check in judge_traffic(None, KNOWN, VERSION)] == [Status.UNKNOWN]
    assert [check.status for check in judge_traffic(Traffic(seconds=5), KNOWN, VERSION)] == [Status.UNKNOWN]


def test_topics_of_the_registry_are_well() -> None:
    """Bays, counters (of car parks by spots, too), packs and red buttons, with and without consent."""
    topics = [*SPOTS, "city/parking/A/count", "city/parking/C/count"]
    topics += [f"city/dwellings/{home}/{kind}" for home in ("hut-01", "no") for kind in ("senml", "pause")]
    topics_check, noise = judge_traffic(heard(dict.fromkeys(topics, 1)), KNOWN, VERSION)
    assert (topics_check.status, noise.status) == (Status.OK, Status.OK)
    assert topics_check.found == "15 messages on 15 topics in 10 s, all in the registry"


def test_the_unregistered_and_the_misspelt_are_told_apart() -> None:
    """The loudest first; homes only as a number."""
    counts = {SPOTS[0]: 1, "city/parking/A/spots/X": 1, "city/parking/B/count": 2, "city/parking/A/spot/1": 1}
    counts |= {"city/dwellings/cottage/senml": 5, "city/dwellings/hut-01/kitchen": 1}
    check = judge_topics(heard(counts), KNOWN)
    assert check.status is Status.WARNING
    assert check.found == (
        "11 messages on 6 topics in 10 s; 5 lead nowhere: not in the registry: city/parking/B/count, "
        "city/parking/A/spots/X; no topic of a sensor: city/parking/A/spot/1; 2 topics of homes"
    )


def uplinks(*devices: str) -> list[str]:
    """Give the topics of devices at The Things Stack."""
    return [f"v3/app@ttn/devices/{device}/up" for device in devices]


def test_uplinks_of_the_registrys_devices_are_well() -> None:
    """Of a bay and of a home, with consent and without."""
    topics = [f"application/1/device/{BAY.upper()}/event/up", *uplinks("bay-1", "fridge of hut-01", "fridge of no")]
    assert judge_topics(heard(dict.fromkeys(topics, 1)), KNOWN).found.endswith("4 topics in 10 s, all in the registry")


def test_devices_of_nobody_are_only_counted() -> None:
    """They may be a home's: neither what is astray nor who is loud names them."""
    counts = dict.fromkeys([f"application/1/device/a81758fffe00000{number}/event/up" for number in range(3)], 100)
    counts |= dict.fromkeys(uplinks("kitchen"), 1)
    traffic = heard(counts)
    assert judge_topics(traffic, KNOWN).found == (
        "301 messages on 4 topics in 10 s; 4 lead nowhere: 4 topics of devices of network servers"
    )
    loud = judge_noise(traffic, KNOWN, VERSION).found
    assert loud == "more than 10 messages a second: application/-/device/-/event/up (30/s)"


def test_a_loud_device_is_its_bay_or_a_home() -> None:
    """Whatever its topic: the bay is named, the home counted."""
    topics = [f"application/{number}/device/{BAY}/event/up" for number in range(2)]
    counts = dict.fromkeys([*topics, SPOTS[0], *uplinks("fridge of hut-01"), "city/dwellings/hut-01/senml"], 60)
    found = judge_noise(heard(counts), KNOWN, VERSION).found
    assert found == "more than 10 messages a second: city/parking/A/spots/1 (18/s); 1 home"


def test_ten_topics_are_named_at_most() -> None:
    """Of each kind; the others are counted."""
    check = judge_topics(heard({f"city/parking/N{number:02}/count": 1 for number in range(30)}), KNOWN)
    assert check.found.count("city/parking/") == 10
    assert "and 20 more" in check.found


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="#+/"), max_size=120), st.booleans())
def test_no_id_of_a_home_is_told_wherever_it_was_sent(level: str, is_loud: bool) -> None:
    """Below dwellings nothing is named, and elsewhere nothing that holds a registered id as a whole part."""
    topics = [f"city/dwellings/{level}/hut-01", "city/dwellings/cottage-9/senml", "city/parking/hut-01/count"]
    topics += ["city/parking/A/urn:hut-01:x", f"city/parking/{level}/hut-01", "city/dwellings/hut-01/senml"]
    for check in judge_traffic(heard(dict.fromkeys(topics, 200 if is_loud else 1)), KNOWN, VERSION):
        assert "hut-01" not in check.found
        assert "cottage-9" not in check.found
        assert check.found.isprintable()


def test_the_loud_are_named_with_their_rate() -> None:
    """More than ten a second, and more than ten times the median source, which here is silent."""
    counts = {SPOTS[0]: 101, SPOTS[1]: 100, SPOTS[2]: 5, "city/parking/B/count": 5000}
    check = judge_noise(heard(counts), KNOWN, VERSION)
    assert check.status is Status.WARNING
    assert check.found == "more than 10 messages a second: city/parking/B/count (500/s), city/parking/A/spots/1 (10/s)"


def test_a_city_that_is_lively_as_a_whole_has_no_noisy_source() -> None:
    """Ten times the median is what counts there, and the limit told follows it."""
    lively = dict.fromkeys([*SPOTS, "city/parking/C/count", "city/dwellings/hut-01/senml"], 200)
    assert judge_noise(heard(lively), KNOWN, VERSION).status is Status.OK
    check = judge_noise(heard(lively | {SPOTS[0]: 2001}), KNOWN, "EMQX 5.8")
    assert check.found == "more than 200 messages a second: city/parking/A/spots/1 (200/s)"
    assert 'messages_rate = "200/s"' in check.remedy


def test_all_topics_of_a_home_are_one_source_and_only_counted() -> None:
    """Whether it is registered or not."""
    counts = {f"city/dwellings/cottage/x{number}": 30 for number in range(5)} | {"city/dwellings/hut-01/senml": 150}
    check = judge_noise(heard(counts), KNOWN, VERSION)
    assert check.found == "more than 10 messages a second: 2 homes"


@pytest.mark.parametrize(
    ("version", "has", "has_not"),
    [
        (VERSION, "mosquitto has no limit", "EMQX"),
        (None, "EMQX", "nothing"),
        ("EMQX 5.8", "HiveMQ", "nothing"),
    ],
)
def test_the_limit_told_is_the_brokers(version: str | None, has: str, has_not: str) -> None:
    """Where it is known which broker it is, only that one's."""
    remedy = judge_noise(heard({SPOTS[0]: 1000}), KNOWN, version).remedy
    assert has in remedy
    assert has_not not in remedy


def test_memory_is_bounded_however_many_topics_there_are() -> None:
    """Beyond a hundred thousand, messages on new topics are counted and their topics are not kept."""
    traffic = Traffic(seconds=1)
    for number in range(100_010):
        traffic.add(f"city/parking/{number}/count")
    traffic.add("city/parking/0/count")
    assert (len(traffic.counts), traffic.beyond, traffic.messages) == (100_000, 10, 100_011)
