"""The topic grammar, in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import LEVEL, UPLINK_ROUTES, Route, TopicIn, Topics, uplink_topic

LEVELS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(LEVEL.fullmatch)
ROOTS = st.lists(LEVELS, min_size=1, max_size=3).map("/".join)


@given(ROOTS, LEVELS, LEVELS)
def test_a_spot_topic_leads_back_to_its_car_park_and_spot(root: str, car_park: str, spot: str) -> None:
    """Whatever may stand as a level is written into a spot's topic and read out of it unchanged."""
    topics = Topics(root)
    assert topics.parse(topics.spot(car_park, spot)) == TopicIn(Route.SPOT, car_park, spot)


@given(ROOTS, LEVELS)
def test_a_count_topic_leads_back_to_its_car_park(root: str, car_park: str) -> None:
    """Whatever may stand as a level is written into a counter's topic and read out of it unchanged."""
    topics = Topics(root)
    assert topics.parse(topics.count(car_park)) == TopicIn(Route.COUNT, car_park)


@given(ROOTS, LEVELS)
def test_a_dwellings_topics_lead_back_to_it(root: str, dwelling: str) -> None:
    """Whatever may stand as a level is written into a dwelling's topics and read out of them unchanged."""
    topics = Topics(root)
    assert topics.parse(topics.senml(dwelling)) == TopicIn(Route.SENML, dwelling, is_home=True)
    assert topics.parse(topics.pause(dwelling)) == TopicIn(Route.CONTROL, dwelling, is_home=True)


@given(st.sampled_from(UPLINK_ROUTES), LEVELS, LEVELS, ROOTS)
def test_an_uplinks_topic_leads_back_to_its_device(route: Route, application: str, device: str, root: str) -> None:
    """Network servers write below no root of ours; braces and per cent signs in a name are what they are."""
    assert Topics(root).parse(uplink_topic(route, application, device)) == TopicIn(route, application, device)


@pytest.mark.parametrize(
    "topic",
    [
        *(f"application/a/device/b/event/{kind}" for kind in ("join", "status", "ack", "txack", "log", "up/x")),
        *(f"v3/a/devices/b/{kind}" for kind in ("join", "down/queued", "service/data", "location/solved", "up/x")),
        *("Application/a/device/b/event/up", "v3/a/b/devices/c/up", "v2/a/devices/b/up", "application/a/device/up"),
    ],
)
def test_no_other_event_of_a_network_server_is_an_uplink(topic: str) -> None:
    """Only data are: what a join, a status or an acknowledgement counts is no frame."""
    assert Topics("city").parse(topic) == TopicIn(Route.UNROUTABLE)


@pytest.mark.parametrize("root", ["application", "v3", "v3/a"])
def test_a_root_like_a_network_servers_hides_no_uplink(root: str) -> None:
    """It might be a home's, and is kept as such."""
    assert Topics(root).parse("application/a/device/b/event/up").route is Route.CHIRPSTACK
    assert Topics(root).parse("v3/a/devices/b/up").route is Route.TTS


WORDS = st.sampled_from(["city", "parking", "spots", "count", "dwellings", "senml", "pause", "A", ""])


@given(st.text() | st.lists(WORDS, max_size=7).map("/".join))
def test_a_topic_is_either_unroutable_or_written_again_exactly(topic: str) -> None:
    """Two different topics never mean the same asset: what is routed rebuilds to the topic it came from."""
    topics = Topics("city")
    parsed = topics.parse(topic)
    match parsed.route:
        case Route.SPOT:
            assert topics.spot(parsed.asset, parsed.part) == topic
        case Route.COUNT:
            assert topics.count(parsed.asset) == topic
        case Route.SENML:
            assert topics.senml(parsed.asset) == topic
        case Route.CONTROL:
            assert topics.pause(parsed.asset) == topic
        case Route.CHIRPSTACK | Route.TTS:
            assert uplink_topic(parsed.route, parsed.asset, parsed.part) == topic
        case Route.UNROUTABLE if parsed.is_home:
            assert f"{topic}/".startswith(f"city/dwellings/{parsed.asset}")
        case Route.UNROUTABLE:
            assert parsed == TopicIn(Route.UNROUTABLE)
    assert parsed.is_home == f"{topic}/".startswith("city/dwellings/")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "/",
        "city",
        "city/",
        "city/parking",
        "city/parking/",
        "city/parking/ANTI",
        "city/parking//count",
        "city/parking/ANTI/count/",
        "city/parking/ANTI/Count",
        "city/parking/ANTI/count/x",
        "city/parking/ANTI/spots",
        "city/parking/ANTI/spots/",
        "city/parking//spots/P-01",
        "city/parking/ANTI/spots/P-01/",
        "city/parking/ANTI/spots/P/01",
        "city/parking/ANTI/spot/P-01",
        "city/parkings/ANTI/count",
        "city//parking/ANTI/count",
        "/city/parking/ANTI/count",
        "City/parking/ANTI/count",
        "citycity/parking/ANTI/count",
        "town/parking/ANTI/count",
        "parking/ANTI/count",
        "city/city/parking/ANTI/count",
        "city/parking/../parking/ANTI/count",
        "$SYS/broker/uptime",
        "$share/g/city/parking/ANTI/count",
        "city/dwellings",
        "city/dwellings/",
        "city/dwellings//senml",
        "city/dwellings/hut-01",
        "city/dwellings/hut-01/SenML",
        "city/dwellings/hut-01/senml/",
        "city/dwellings/hut-01/senml/x",
        "city/dwellings/hut-01/pause/on",
        "city/dwelling/hut-01/senml",
        "dwellings/hut-01/senml",
        "city/parking/ANTI/spots/" + "P/" * 10_000,
    ],
)
def test_a_hostile_or_misspelt_topic_is_unroutable(topic: str) -> None:
    """A topic that is nearly one of ours is none of ours."""
    assert Topics("city").parse(topic).route is Route.UNROUTABLE


@pytest.mark.parametrize(
    ("topic", "dwelling"),
    [
        ("city/dwellings/hut-01", "hut-01"),
        ("city/dwellings/hut-01/", "hut-01"),
        ("city/dwellings/hut-01/senml/x", "hut-01"),
        ("city/dwellings/hut-01/zigbee2mqtt", "hut-01"),
        ("city/dwellings", ""),
        ("city/dwellings/", ""),
        ("city/dwellings//senml", ""),
    ],
)
def test_a_misspelt_topic_below_a_dwelling_still_names_it(topic: str, dwelling: str) -> None:
    """Where nobody expects a message, whose it is still decides what may be kept of it."""
    assert Topics("city").parse(topic) == TopicIn(Route.UNROUTABLE, dwelling, is_home=True)


@pytest.mark.parametrize("topic", ["city/dwellings2/hut-01/senml", "town/dwellings/hut-01/senml", "dwellings/hut-01/x"])
def test_what_is_not_below_the_dwellings_is_no_home(topic: str) -> None:
    """A tree of another name is not ours."""
    assert Topics("city").parse(topic) == TopicIn(Route.UNROUTABLE)


@given(ROOTS, LEVELS)
def test_what_we_publish_is_never_taken_for_a_reading(root: str, name: str) -> None:
    """Live figures and states do not feed back into the service."""
    topics = Topics(root)
    for topic in (topics.live(name), topics.live_city, topics.status(name)):
        assert topics.parse(topic).route is Route.UNROUTABLE
        for pattern in topics.data_filters:
            assert not topic.startswith(pattern.removesuffix("#"))


def test_topics_out_are_those_of_the_contract() -> None:
    """Downstream apps find the live figures where the contract says."""
    topics = Topics("city")
    assert topics.live("ANTI") == "city/live/parking/ANTI"
    assert topics.live_city == "city/live/parking"
    assert topics.live_health == "city/live/health"
    assert topics.live_district("antigone") == "city/live/dwellings/antigone"
    assert topics.status("arceaux") == "city/status/arceaux"
    assert topics.live_filter == "city/live/#"


def test_topics_in_are_those_of_the_contract() -> None:
    """Gateways publish where the contract says, and pauses are subscribed to apart."""
    topics = Topics("city")
    assert topics.senml("hut-01") == "city/dwellings/hut-01/senml"
    assert topics.pause("hut-01") == "city/dwellings/hut-01/pause"
    assert topics.zigbee2mqtt("hut-01", "kitchen/détecteur") == "city/dwellings/hut-01/zigbee2mqtt/kitchen/détecteur"
    uplinks = ("application/+/device/+/event/up", "v3/+/devices/+/up")
    assert topics.data_filters == ("city/parking/#", "city/dwellings/#", *uplinks)
    assert topics.control_filters == ("city/dwellings/+/pause",)


@pytest.mark.parametrize("level", ["", "a/b", "+", "#", "a+", "#b", "a\x00", "a\nb", "\x7f", "/"])
def test_a_level_holds_no_separator_wildcard_or_control_character(level: str) -> None:
    """What would change the shape of a topic is no level."""
    assert not LEVEL.fullmatch(level)
