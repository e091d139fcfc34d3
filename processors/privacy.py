"""What may be kept of a home: pseudonyms instead of ids, and no payload that could hide one.

A pseudonym is HMAC-SHA-256 of the plain id under a key that is not in the database. Without the key it leads nowhere,
not even by trying out every id.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from processors import senml
from processors.rejects import WHOLE, Reject
from schemas.delivery import Delivery
from schemas.reasons import Reason
from schemas.registry import Registry
from schemas.topics import Route, Topics

NOBODY: Final = "-"
"""Stands for a home that must not be named; no id can be it."""
_DIGEST_LABEL: Final = b"arceaux dead letters"
_MAY_HIDE: Final = re.compile(r'[^\t\r\n -~\u00a0-\uffff]|\\|"vd"|[A-Za-z0-9+/_-]{32,}')
"""Control characters, an escape, or what may be base64: an id in there would not be found."""


class Kept(NamedTuple):
    """What a dead letter keeps of a message. `payload` is None where it must not be kept; `size` is the whole's."""

    topic: str
    payload: bytes | None
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Privacy:
    """The pseudonyms of the registry's homes, and what follows from them for dead letters."""

    topics: Topics
    pseudonyms: Mapping[str, str] = field(repr=False)
    key: bytes = field(repr=False)
    digest_key: bytes = field(repr=False)

    @classmethod
    def of(cls, registry: Registry, topics: Topics, key: bytes) -> Self:
        """Give every home of the registry its pseudonym."""
        pseudonyms = {home.id: pseudonym(key, home.id) for home in registry.dwelling}
        return cls(topics, pseudonyms, key, hmac.digest(key, _DIGEST_LABEL, "sha256"))

    def of_homes(self, registry: Registry) -> Self:
        """Give the homes of another registry their pseudonyms, under the same key."""
        return self.of(registry, self.topics, self.key)

    def keep(self, reject: Reject, delivery: Delivery) -> Kept:
        """Tell what is kept of a rejected message, or of the one record of it that is."""
        payload = delivery.payload
        if reject.record != WHOLE:
            payload = senml.excerpt(payload, reject.record)
        parsed = self.topics.parse(delivery.topic)
        if not parsed.is_home:
            digest = hashlib.sha256(delivery.topic.encode() + b"\0" + payload).digest()
            return Kept(delivery.topic, payload, len(payload), digest)
        message = delivery.topic.encode() + b"\0" + payload
        digest = hmac.digest(self.digest_key, message, "sha256")
        if parsed.asset not in self.pseudonyms or reject.reason is Reason.IDENTITY_MISMATCH:
            return Kept(self._nobodys_topic(parsed.route), None, len(payload), digest)
        veiled = None if reject.route is Route.CONTROL else self.veil_payload(payload)
        if veiled is None and parsed.route is Route.UNROUTABLE:
            # One summary a source: what it writes behind its name must not make another row each time.
            return Kept(f"{self.topics.root}/dwellings/{self.pseudonyms[parsed.asset]}", None, len(payload), digest)
        return Kept(self.veil(delivery.topic), veiled, len(payload), digest)

    def veil(self, text: str) -> str:
        """Put pseudonyms in place of ids, wherever they stand in a text, the longest first."""
        sizes = sorted({len(dwelling) for dwelling in self.pseudonyms}, reverse=True)
        parts, at, begin = [], 0, 0
        while at < len(text):
            found = next((text[at : at + size] for size in sizes if text[at : at + size] in self.pseudonyms), None)
            if found is None:
                at += 1
                continue
            parts += [text[begin:at], self.pseudonyms[found]]
            begin = at = at + len(found)
        return "".join([*parts, text[begin:]])

    def veil_payload(self, payload: bytes) -> bytes | None:
        """Give a payload without ids; None where one could hide in it."""
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            return None
        return None if _MAY_HIDE.search(text) else self.veil(text).encode()

    def _nobodys_topic(self, route: Route) -> str:
        match route:
            case Route.SENML:
                return self.topics.senml(NOBODY)
            case Route.CONTROL:
                return self.topics.pause(NOBODY)
        return f"{self.topics.root}/dwellings/{NOBODY}"


def pseudonym(key: bytes, dwelling: str) -> str:
    """Give the pseudonym of a home, 64 hexadecimal digits."""
    return hmac.new(key, dwelling.encode(), hashlib.sha256).hexdigest()
