"""What nobody should send: a corpus of payloads and topics, each with what has to come of it. No I/O and no clock.

A `tag` of hexadecimal digits makes each message one of its own, since a repeat of a dead letter is a duplicate.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from schemas.reasons import Reason
from schemas.topics import Route, TopicIn, Topics


class Hostile(NamedTuple):
    """A message that nobody should send, as a function of its `tag`; at another topic than the device's where told.

    It is one dead letter.
    """

    payload: Callable[[str], bytes]
    reason: Reason
    topic: Callable[[Topics, TopicIn, str], str] | None = None


_TOO_LARGE: Final = 300_000
"""Bytes: more than ARCEAUX_MAX_PAYLOAD_BYTES is by default, less than brokers take."""
_DEEP: Final = 20_000


def _text(template: str) -> Callable[[str], bytes]:
    """Give a payload with the tag in place of @."""
    return lambda tag: template.replace("@", tag).encode()


def _large(tag: str) -> bytes:
    return f'{{"tag":"{tag}","x":"'.encode().ljust(_TOO_LARGE, b"x") + b'"}'


_NO_DOCUMENT: Final = {
    "cut in a name": Hostile(_text('{"tag":"@","occ'), Reason.MALFORMED_PAYLOAD),
    "a NUL": Hostile(_text('{"tag":"@",\0}'), Reason.MALFORMED_PAYLOAD),
    "not a number": Hostile(_text('{"tag":"@","battery":NaN}'), Reason.MALFORMED_PAYLOAD),
    "open brackets without end": Hostile(lambda tag: f'["{tag}",'.encode() + b"[" * _DEEP, Reason.MALFORMED_PAYLOAD),
    "no UTF-8": Hostile(lambda tag: f'{{"tag":"{tag}'.encode() + b'\xff"}', Reason.MALFORMED_PAYLOAD),
    "two documents": Hostile(_text('{"tag":"@"} {}'), Reason.MALFORMED_PAYLOAD),
    "too large": Hostile(_large, Reason.PAYLOAD_TOO_LARGE),
}
"""What no route can read."""

_OF_PARKING: Final = {
    **_NO_DOCUMENT,
    "nothing that is required": Hostile(_text('{"tag":"@"}'), Reason.SCHEMA_VIOLATION),
    "no object": Hostile(_text('["@"]'), Reason.SCHEMA_VIOLATION),
    "no such date": Hostile(
        _text('{"tag":"@","occupied":true,"free":1,"time":"2026-02-30T00:00:00Z"}'), Reason.SCHEMA_VIOLATION
    ),
    "a clock of 1970": Hostile(_text('{"tag":"@","occupied":true,"free":1,"time":86400}'), Reason.TIME_TOO_LATE),
    "a clock of 9999": Hostile(
        _text('{"tag":"@","occupied":true,"free":1,"time":"9999-12-31T23:59:59Z"}'), Reason.TIME_IN_FUTURE
    ),
    "another level": Hostile(
        _text('{"tag":"@","occupied":true}'),
        Reason.UNROUTABLE_TOPIC,
        lambda topics, device, _: f"{topics.root}/parking/{device.asset}/doors/1",
    ),
}
_OF_BAYS: Final = {
    **_OF_PARKING,
    "a number for a truth": Hostile(_text('{"tag":"@","occupied":1}'), Reason.SCHEMA_VIOLATION),
    "a text for a truth": Hostile(_text('{"tag":"@","occupied":"true"}'), Reason.SCHEMA_VIOLATION),
    "33 bits": Hostile(_text('{"tag":"@","occupied":true,"seq":4294967296}'), Reason.VALUE_OUT_OF_RANGE),
    "a bay that nobody knows": Hostile(
        _text('{"tag":"@","occupied":true}'),
        Reason.UNKNOWN_ASSET,
        lambda topics, device, tag: topics.spot(device.asset, f"ghost-{tag}"),
    ),
    "SQL for a name": Hostile(
        _text('{"tag":"@","occupied":true}'),
        Reason.UNKNOWN_ASSET,
        lambda topics, device, tag: topics.spot(device.asset, f"'; DROP TABLE ledger; -- {tag}"),
    ),
}
_OF_COUNTERS: Final = {
    **_OF_PARKING,
    "33 bits": Hostile(_text('{"tag":"@","free":4294967296}'), Reason.VALUE_OUT_OF_RANGE),
    "half a place": Hostile(_text('{"tag":"@","free":0.5}'), Reason.SCHEMA_VIOLATION),
    "another status": Hostile(_text('{"tag":"@","free":1,"status":"on fire"}'), Reason.SCHEMA_VIOLATION),
    "a car park that nobody knows": Hostile(
        _text('{"tag":"@","free":1}'),
        Reason.UNKNOWN_ASSET,
        lambda topics, _, tag: topics.count(f"GHOST-{tag}"),
    ),
}
_OF_HOMES: Final = {
    **_NO_DOCUMENT,
    "another level": Hostile(
        _text('{"tag":"@"}'),
        Reason.UNROUTABLE_TOPIC,
        lambda topics, device, _: f"{topics.root}/dwellings/{device.asset}/kitchen",
    ),
    "a home that nobody knows": Hostile(
        _text('[{"n":"t@","v":1}]'),
        Reason.UNKNOWN_ASSET,
        lambda topics, _, tag: topics.senml(f"ghost-{tag}"),
    ),
}
_OF_GATEWAYS: Final = {
    **_OF_HOMES,
    "no array": Hostile(_text('{"n":"t","v":1,"tag":"@"}'), Reason.SCHEMA_VIOLATION),
    "a label to be understood": Hostile(_text('[{"n":"t","v":1,"tag_":"@"}]'), Reason.SCHEMA_VIOLATION),
    "version 11": Hostile(_text('[{"bver":11,"n":"t","v":1,"tag":"@"}]'), Reason.SCHEMA_VIOLATION),
    "a text for a number": Hostile(_text('[{"n":"t","v":"@"}]'), Reason.SCHEMA_VIOLATION),
    "two values": Hostile(_text('[{"n":"t","v":1,"vb":true,"u":"@"}]'), Reason.SCHEMA_VIOLATION),
    "no name": Hostile(_text('[{"v":1,"u":"@"}]'), Reason.SCHEMA_VIOLATION),
    "a name that is none": Hostile(_text('[{"n":"?@","v":1}]'), Reason.SCHEMA_VIOLATION),
    "beyond a double": Hostile(_text('[{"n":"t@","v":1e999}]'), Reason.VALUE_OUT_OF_RANGE),
    "milliseconds since 1970": Hostile(_text('[{"n":"t@","v":1,"t":1795298400123}]'), Reason.TIME_IN_FUTURE),
    "CBOR that is cut": Hostile(lambda tag: b"\x81\xa2\x00\x78\x40" + tag.encode(), Reason.MALFORMED_PAYLOAD),
}
_OF_BRIDGES: Final = {
    **_OF_HOMES,
    "no object": Hostile(_text('["@"]'), Reason.SCHEMA_VIOLATION),
    "a bare text": Hostile(_text('"@"'), Reason.SCHEMA_VIOLATION),
    "a time that is none": Hostile(_text('{"temperature":20.6,"last_seen":"soon","tag":"@"}'), Reason.SCHEMA_VIOLATION),
    "a time without an offset": Hostile(
        _text('{"temperature":20.6,"last_seen":"2026-11-21T23:00:00","tag":"@"}'), Reason.TIME_MISSING_OFFSET
    ),
    "a text for a number": Hostile(_text('{"temperature":"20.6 @"}'), Reason.SCHEMA_VIOLATION),
    # Of a bad attribute only itself is kept, so the tag has to be in its value.
    "beyond what can be": Hostile(lambda tag: f'{{"temperature":-{int(tag, 16)}}}'.encode(), Reason.VALUE_OUT_OF_RANGE),
}

CORPUS: Final[Mapping[Route, Mapping[str, Hostile]]] = MappingProxyType(
    {
        Route.SPOT: _OF_BAYS,
        Route.COUNT: _OF_COUNTERS,
        Route.SENML: _OF_GATEWAYS,
        Route.ZIGBEE2MQTT: _OF_BRIDGES,
    }
)
"""What a device of each route may send, by what is wrong with it."""


def hostile(topics: Topics, topic: str, tag: str, how: float) -> tuple[str, bytes, Reason] | None:
    """Give topic, payload and reason of something hostile from the device of a topic; None for other devices.

    `how`, from 0 to below 1, chooses. The name of a sensor that holds the id of the home itself is among it.
    """
    device = topics.parse(topic)
    if device.route not in CORPUS:
        return None
    chosen = [*CORPUS[device.route].values()]
    if device.route is Route.SENML:
        names_a_home = _text(f'[{{"n":"attic/{device.asset}/t@","v":1}}]')
        chosen.append(Hostile(names_a_home, Reason.IDENTITY_MISMATCH))
    one = chosen[int(how * len(chosen))]
    return one.topic(topics, device, tag) if one.topic else topic, one.payload(tag), one.reason
