"""The doctor's judgement of the topics it heard: where they lead by the registry, and who is too loud. Pure.

Of homes there are counts only, and of devices of network servers that may be a home's. Other topics are named, but for
those that hold the id of a registered home.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from statistics import median_low
from typing import Final, Self

from ingest.doctor.report import Check, ok, plural, shown, some, unknown, warning
from processors.devices import Devices
from processors.privacy import NOBODY
from schemas.registry import Registry
from schemas.topics import UPLINK_ROUTES, Route, Topics, uplink_topic

_MOST_TOPICS: Final = 100_000
_LOUD: Final = 10.0
"""Messages a second that no single sensor needs."""
_TIMES_MEDIAN: Final = 10.0
_PARTS: Final = re.compile(r"[/:.]")
_UNNAMED: Final = "one that holds a home's id"


@dataclass(slots=True)
class Traffic:
    """Messages heard, by topic; further topics beyond a hundred thousand are only counted."""

    counts: Counter[str] = field(default_factory=Counter)
    beyond: int = 0
    seconds: float = 0.0

    def add(self, topic: str) -> None:
        """Count a message."""
        if topic in self.counts or len(self.counts) < _MOST_TOPICS:
            self.counts[topic] += 1
        else:
            self.beyond += 1

    @property
    def messages(self) -> int:
        """All that was heard."""
        return self.counts.total() + self.beyond


@dataclass(frozen=True, slots=True)
class KnownTopics:
    """The topics of a registry: all that lead somewhere, and those that somebody is expected to speak on."""

    topics: Topics
    all: frozenset[str]
    expected: frozenset[str]
    homes: frozenset[str]
    devices: Devices

    @classmethod
    def of(cls, registry: Registry, topics: Topics) -> Self:
        """Give the topics of a registry."""
        spots = {topics.spot(park.code, spot.label) for park in registry.car_park for spot in park.all_spots()}
        counters = {topics.count(park.code): park.basis for park in registry.car_park}
        packs = {topics.senml(home.id) for home in registry.dwelling}
        buttons = {topics.pause(home.id) for home in registry.dwelling}
        return cls(
            topics,
            all=frozenset(spots | counters.keys() | packs | buttons),
            expected=frozenset(spots | {topic for topic, basis in counters.items() if basis == "count"} | packs),
            homes=frozenset(home.id for home in registry.dwelling),
            devices=Devices.of(registry, topics),
        )

    def is_known(self, topic: str) -> bool:
        """Tell whether a topic leads somewhere."""
        return topic in self.all or self.devices.owner(self.topics.parse(topic)) is not None

    def is_home(self, topic: str) -> bool:
        """Tell whether a topic is one of a home, which is never named."""
        return self.topics.parse(topic).is_home

    def is_uplink(self, topic: str) -> bool:
        """Tell whether a topic is of a device of a network server, which may be a home's."""
        return self.topics.parse(topic).route in UPLINK_ROUTES

    def source(self, topic: str) -> str:
        """Give the topic that stands for whoever speaks: all of a home's are one source, and all devices of nobody."""
        parsed = self.topics.parse(topic)
        if (owner := self.devices.owner(parsed)) is not None:
            return owner.topic
        if parsed.route in UPLINK_ROUTES:
            return uplink_topic(parsed.route, NOBODY, NOBODY)
        return self.topics.senml(parsed.asset) if parsed.is_home else topic

    def name(self, topic: str) -> str:
        """Name a topic that is not of a home."""
        return _UNNAMED if self.homes.intersection(_PARTS.split(topic)) else shown(topic)


def judge_traffic(traffic: Traffic | None, known: KnownTopics, version: str | None) -> list[Check]:
    """Judge what was heard; None where nobody listened. `version` is the broker's, for the remedy."""
    if traffic is None:
        return [unknown("topics", "not listened to", "add --listen 10s")]
    if not traffic.messages:
        found = f"nothing was heard in {traffic.seconds:.0f} s: no sensor spoke, or this account may not read them"
        remedy = "listen longer; mosquitto grants a subscription that its acl_file then does not let through"
        return [unknown("topics", found, remedy)]
    return [judge_topics(traffic, known), judge_noise(traffic, known, version)]


def judge_topics(traffic: Traffic, known: KnownTopics) -> Check:
    """Tell which topics lead nowhere: misspelt, or of what the registry does not list."""
    name = "topics"
    heard = f"{plural(traffic.messages, 'message')} on {plural(len(traffic.counts), 'topic')}"
    heard += f" in {traffic.seconds:.0f} s"
    astray = [topic for topic, _ in traffic.counts.most_common() if not known.is_known(topic)]
    if not astray:
        return ok(name, f"{heard}, all in the registry")
    devices = [topic for topic in astray if known.is_uplink(topic)]
    homes = [topic for topic in astray if known.is_home(topic)]
    named = [topic for topic in astray if topic not in {*devices, *homes}]
    unroutable = [topic for topic in named if known.topics.parse(topic).route is Route.UNROUTABLE]
    unlisted = [topic for topic in named if topic not in set(unroutable)]
    parts = [
        f"{kind}: {some([known.name(topic) for topic in topics])}"
        for kind, topics in (("not in the registry", unlisted), ("no topic of a sensor", unroutable))
        if topics
    ]
    parts += [
        f"{plural(len(topics), 'topic')} of {what}"
        for what, topics in (("homes", homes), ("devices of network servers", devices))
        if topics
    ]
    remedy = "add to ARCEAUX_REGISTRY what is missing there, correct the others at the device (docs/formats.md)"
    return warning(name, f"{heard}; {len(astray):,} lead nowhere: {'; '.join(parts)}", remedy)


def judge_noise(traffic: Traffic, known: KnownTopics, version: str | None) -> Check:
    """Tell who sends more than ten messages a second and more than ten times the median source.

    A registered sensor that was not heard is a source, too, of nothing.
    """
    name = "noise"
    messages: Counter[str] = Counter()
    for topic, count in traffic.counts.items():
        messages[known.source(topic)] += count
    rates = {source: count / traffic.seconds for source, count in messages.items()}
    silent = [0.0] * len(known.expected - rates.keys())
    median = median_low([*rates.values(), *silent])
    limit = max(_LOUD, _TIMES_MEDIAN * median)
    loud = sorted(((rate, source) for source, rate in rates.items() if rate > limit), reverse=True)
    if not loud:
        return ok(name, f"nobody sends more than {limit:.0f} messages a second")
    named = [f"{known.name(source)} ({rate:.0f}/s)" for rate, source in loud if not known.is_home(source)]
    parts = [some(named)] if named else []
    if len(named) < len(loud):
        parts.append(plural(len(loud) - len(named), "home"))
    found = f"more than {limit:.0f} messages a second: {'; '.join(parts)}"
    return warning(name, found, _limit_remedy(version, limit))


def _limit_remedy(version: str | None, limit: float) -> str:
    """Say which limit the broker has for a client that sends too much."""
    mosquitto = "mosquitto has no limit of messages a client: deny the account its topics in acl_file until then"
    if version is not None and version.startswith("mosquitto"):
        return f"mend the device; {mosquitto}"
    emqx = f'EMQX: messages_rate = "{limit:.0f}/s" at its listener'
    return f"mend the device, or limit it at the broker; {emqx}; HiveMQ: its overload protection; {mosquitto}"
