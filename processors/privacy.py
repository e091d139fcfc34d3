"""What may be kept of a home: pseudonyms instead of ids, and no payload that could hide one.

A pseudonym is HMAC-SHA-256 of the plain id under a key that is not in the database. Without the key it leads nowhere,
not even by trying out every id.
"""

import hashlib
import hmac
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Self

from processors import senml, zigbee2mqtt
from processors.devices import Devices
from processors.rejects import WHOLE, Reject
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.registry import Registry
from schemas.topics import UPLINK_ROUTES, Route, TopicIn, Topics, uplink_topic

NOBODY: Final = "-"
"""Stands for a home that must not be named; no id can be it."""
_DIGEST_LABEL: Final = b"arceaux dead letters"
_MARK_LABEL: Final = b"arceaux erased homes"
KEPT_BYTES: Final = 64 * 1024
"""As much of a payload as is kept; its size and digest tell the rest."""
_WORD_CHARACTERS: Final = f"{string.ascii_letters}{string.digits}_-"
_WORD: Final = re.compile(f"[{_WORD_CHARACTERS}]+")
"""What an id can stand in."""
_PSEUDONYM_LENGTH: Final = 64
_MAY_HIDE: Final = re.compile(r'[^\t\r\n -~\u00a0-\uffff]|\\|"vd"|[A-Za-z0-9+/_-]{32,}')
"""Control characters, an escape, or what may be base64: an id in there would not be found."""
_EXCERPTS: Final[Mapping[Route, Callable[[bytes, int], bytes | None]]] = {
    Route.SENML: senml.excerpt,
    Route.ZIGBEE2MQTT: zigbee2mqtt.excerpt,
}
"""What gives one record of a payload as a payload of its own."""


class Kept(NamedTuple):
    """What a dead letter keeps of a message. `payload` is None where it must not be kept; `size` is the whole's.

    `source` is the topic under which the messages of a home are counted together, empty for all that is no home.
    """

    topic: str
    payload: bytes | None
    size: int
    digest: bytes
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Privacy:
    """The pseudonyms of the registry's homes, and what follows from them for dead letters.

    `devices` tell which uplinks are of a home. `veils` are what stands in place of the homes' ids: the pseudonym, or
    NOBODY for one that was erased; `ids` are the ids by pseudonym. `sizes` are the lengths of the ids, the longest
    first. `erased` are the marks of erased homes.
    """

    topics: Topics
    devices: Devices
    pseudonyms: Mapping[str, str] = field(repr=False)
    veils: Mapping[str, str] = field(repr=False)
    ids: Mapping[str, str] = field(repr=False)
    key: bytes = field(repr=False)
    digest_key: bytes = field(repr=False)
    mark_key: bytes = field(repr=False)
    sizes: tuple[int, ...]
    erased: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, registry: Registry, topics: Topics, key: bytes) -> Self:
        """Give every home of the registry its pseudonym."""
        pseudonyms = {home.id: pseudonym(key, home.id) for home in registry.dwelling}
        sizes = sorted({len(home.id) for home in registry.dwelling}, reverse=True) or [0]
        return cls(
            topics=topics,
            devices=Devices.of(registry, topics),
            pseudonyms=pseudonyms,
            veils=pseudonyms,
            ids={secret: plain for plain, secret in pseudonyms.items()},
            key=key,
            digest_key=hmac.digest(key, _DIGEST_LABEL, "sha256"),
            mark_key=hmac.digest(key, _MARK_LABEL, "sha256"),
            sizes=tuple(sizes),
        )

    def of_homes(self, registry: Registry) -> Self:
        """Give the homes of another registry their pseudonyms, under the same key."""
        return self.of(registry, self.topics, self.key)

    def without(self, erased: Iterable[bytes]) -> Self:
        """Give the same where homes of these marks were erased: nothing written from now on names them."""
        known = replace(self, erased=frozenset(erased))
        gone = {secret for secret in self.pseudonyms.values() if known.is_erased(secret)}
        veils = {plain: NOBODY if secret in gone else secret for plain, secret in self.pseudonyms.items()}
        return replace(known, veils=veils, ids={secret: plain for plain, secret in veils.items() if secret != NOBODY})

    def mark(self, secret: str) -> bytes:
        """Give the mark by which a home is known once it is erased, from its pseudonym."""
        return hmac.digest(self.mark_key, secret.encode(), "sha256")

    def is_erased(self, secret: str) -> bool:
        """Tell whether the home of a pseudonym was erased, and not readmitted since."""
        return bool(self.erased) and self.mark(secret) in self.erased

    def is_erased_home(self, dwelling: str) -> bool:
        """Tell the same of any home by its id, registered or not."""
        return bool(self.erased) and self.is_erased(self.pseudonym(dwelling))

    def pseudonym(self, dwelling: str) -> str:
        """Give the pseudonym of any home, registered or not."""
        return self.pseudonyms.get(dwelling) or pseudonym(self.key, dwelling)

    def own_topics(self, dwelling: str) -> tuple[str, ...]:
        """Give the topics at which, or below which, a home's dead letters stand."""
        secret = self.pseudonym(dwelling)
        uplinks = (uplink_topic(route, NOBODY, secret) for route in UPLINK_ROUTES)
        return (self._source(secret, Route.UNROUTABLE), *uplinks)

    def keep(self, reject: Reject, delivery: Delivery) -> Kept:
        """Tell what is kept of a rejected message, or of the one record of it that is."""
        parsed = self.topics.parse(delivery.topic)
        if (source := self._source_of_uplink(parsed)) is not None:
            # Network servers wrap a message into identifiers and base64: nothing of it is kept.
            return Kept(source, None, 0, b"", source)
        if not parsed.is_home:
            digest = hashlib.sha256(delivery.topic.encode() + b"\0" + delivery.payload).digest()
            return Kept(delivery.topic, delivery.payload, len(delivery.payload), digest)
        veil = self.veils.get(parsed.asset, NOBODY)
        if veil == NOBODY or reject.reason is Reason.IDENTITY_MISMATCH:
            nobody = self._source(NOBODY, parsed.route)
            return Kept(nobody, None, 0, b"", nobody)
        source = self._source(veil, parsed.route)
        payload = _may_be_kept(reject, delivery.payload)
        veiled = None if payload is None else self.veil_payload(payload)
        if payload is None or veiled is None:
            return Kept(source, None, 0, b"", source)
        digest = hmac.digest(self.digest_key, delivery.topic.encode() + b"\0" + payload, "sha256")
        return Kept(self.veil(delivery.topic), veiled, len(payload), digest, source)

    def veil(self, text: str) -> str:
        """Put pseudonyms in place of ids, wherever they stand in a text, the longest first."""
        return _replaced(text, self.veils, self.sizes)

    def unveil(self, text: str) -> str:
        """Put the ids of the registry's homes back in place of their pseudonyms."""
        return _replaced(text, self.ids, (_PSEUDONYM_LENGTH,))

    def veil_payload(self, payload: bytes) -> bytes | None:
        """Give as much of a payload as may be kept, without ids; None where one could hide in it."""
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            return None
        if _MAY_HIDE.search(text):
            return None
        part = text[:KEPT_BYTES]  # before, to veil no more than is kept
        veiled = self.veil(part)
        return veiled.encode() if part == text and len(veiled.encode()) <= KEPT_BYTES else _cut(veiled)

    def _source_of_uplink(self, parsed: TopicIn) -> str | None:
        """Give the topic of a summary of uplinks; None for those of a bay's device, and for other messages."""
        if parsed.route not in UPLINK_ROUTES:
            return None
        owner = self.devices.owner(parsed)
        if owner is None:
            return uplink_topic(parsed.route, NOBODY, NOBODY)
        return uplink_topic(parsed.route, NOBODY, self.veils[owner.home]) if owner.home else None

    def _source(self, home: str, route: Route) -> str:
        """Give the topic of a summary: one a source, whatever a home writes behind its name."""
        match route:
            case Route.SENML:
                return self.topics.senml(home)
            case Route.CONTROL:
                return self.topics.pause(home)
        return f"{self.topics.root}/dwellings/{home}"


def _replaced(text: str, names: Mapping[str, str], sizes: Sequence[int]) -> str:
    """Put other names in place of those of these sizes, wherever they stand in the words of a text."""
    parts, begin = [], 0
    for match in _WORD.finditer(text):
        at, end = match.span()
        while at < end:
            found = next((text[at : at + n] for n in sizes if text[at : at + n] in names), None)
            if found is None:
                at += 1
                continue
            parts += [text[begin:at], names[found]]
            begin = at = at + len(found)
    return "".join([*parts, text[begin:]])


def _cut(text: str) -> bytes:
    """Give what is kept of a text, without the word that may have been cut: it could be a part of an id or pseudonym.

    Blanks stand in its place, since what is cut is told from what is whole by its size.
    """
    words = text.encode()[:KEPT_BYTES].decode(errors="ignore").rstrip(_WORD_CHARACTERS)
    return words.encode().ljust(KEPT_BYTES)


def _may_be_kept(reject: Reject, payload: bytes) -> bytes | None:
    """Give what of a home's payload the reject is about, None where nothing of it may be kept."""
    if not reject.is_kept or reject.route is Route.CONTROL:
        return None
    return payload if reject.record == WHOLE else _EXCERPTS[reject.route](payload, reject.record)


def pseudonym(key: bytes, dwelling: str) -> str:
    """Give the pseudonym of a home, 64 hexadecimal digits."""
    return hmac.new(key, dwelling.encode(), hashlib.sha256).hexdigest()
