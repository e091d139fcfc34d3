"""What nobody should send: a corpus of payloads and topics, and strategies for more of the kind."""

import json
from decimal import Decimal
from typing import Any

import cbor2
from hypothesis import strategies as st
from unit.worlds import HOUR, NOW, TOPICS

from schemas.delivery import Delivery

MALFORMED = {
    "empty": b"",
    "blank": b" \n",
    "cut": b'{"occupied":tru',
    "two values": b'{"occupied":true} {}',
    "trailing comma": b'{"occupied":true,}',
    "single quotes": b"{'occupied':true}",
    "python": b'{"occupied":True}',
    "comment": b'{"occupied":true/**/}',
    "trailing nul": b'{"occupied":true}\x00',
    "nul": b"\x00",
    "byte order mark": b'\xef\xbb\xbf{"occupied":true}',
    "utf-16": '{"occupied":true}'.encode("utf-16"),
    "bad utf-8": b'{"occupied":true,"x":"\xff"}',
    "overlong utf-8": b'{"occupied":true,"x":"\xc0\x80"}',
    "utf-8 surrogate": b'{"occupied":true,"x":"\xed\xa0\x80"}',
    "lone surrogate": b'{"occupied":true,"x":"\\ud800"}',
    "raw control character": b'{"occupied":true,"x":"\x01"}',
    "NaN": b'{"occupied":true,"battery":NaN}',
    "Infinity": b'{"occupied":true,"battery":Infinity}',
    "-Infinity": b'{"occupied":true,"time":-Infinity}',
    "leading zero": b'{"occupied":true,"battery":03.6}',
    "hexadecimal": b'{"occupied":true,"seq":0x1}',
    "5000 digits": b'{"occupied":true,"seq":' + b"9" * 5000 + b"}",
    "open brackets": b"[" * 100_000,
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep in a field": b'{"occupied":true,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"x":' * 20_000 + b"1" + b"}" * 20_000,
    "binary": bytes(range(256)),
}
"""What is no JSON document, by what is wrong with it."""

STRANGE = {
    "null": b"null",
    "a number": b"17",
    "a text": b'"occupied"',
    "an empty object": b"{}",
    "an empty array": b"[]",
    "an array of arrays": b"[[[[]]]]",
    "duplicate keys": b'{"occupied":true,"occupied":1,"free":1,"free":"1","free":2}',
    "duplicate keys in a record": b'[{"n":"a","n":"b","v":1,"v":2}]',
    "a thousand keys": json.dumps({str(key): key for key in range(1000)} | {"occupied": True, "free": 1}).encode(),
    "wrong types": b'{"occupied":"true","free":"1","time":true,"seq":1.5,"battery":[],"total":{},"status":7}',
    "wrong types in a record": b'[{"n":7,"v":"warm","t":[],"u":{}},{"n":"a","v":true},{"n":"a","vb":1}]',
    "1e999": b'{"occupied":true,"battery":1e999,"free":1,"time":-1e999}',
    "1e999 in a record": b'[{"n":"a","v":1e999},{"n":"a","v":-1e999,"t":1e999}]',
    "400 digits": b'{"occupied":true,"free":1,"seq":' + b"9" * 400 + b',"total":' + b"9" * 400 + b"}",
    "a time of 400 digits": b'{"occupied":true,"free":1,"time":' + b"9" * 400 + b"}",
    "400 digits in a record": b'[{"n":"a","v":' + b"9" * 400 + b',"t":-' + b"9" * 400 + b"}]",
    "no such date": b'{"occupied":true,"free":1,"time":"2026-02-30T22:00:00Z"}',
    "the first date": b'{"occupied":true,"free":1,"time":"0001-01-01T00:00:00+23:59"}',
    "the last date": b'{"occupied":true,"free":1,"time":"9999-12-31T23:59:59.999999999-23:59"}',
    "escaped nul": b'{"occupied":true,"free":1,"x":"\\u0000","status":"open\\u0000","time":"\\u0000"}',
    "escaped nul in a record": b'[{"n":"\\u0000","v":1},{"n":"a","u":"\\u0000","v":1}]',
    "escaped surrogate in a record": b'[{"n":"\\udfff","v":1}]',
    "a string of a megabyte": b'{"occupied":true,"free":1,"x":"' + b"x" * 1_000_000 + b'"}',
    "a megabyte of records": b"[" + b",".join([b'{"n":"a","v":1}'] * 60_000) + b"]",
    "a name of a megabyte": b'[{"n":"' + b"a" * 1_000_000 + b'","v":1}]',
    "names of a quarter of a megabyte": b'[{"bn":"' + b"a" * 200_000 + b'","v":1},{"n":"b","v":1},{"n":"c","v":1}]',
    "SQL": b'[{"n":"a\'; DROP TABLE arceaux.ledger; --","v":1},{"n":"\\\\.","v":1}]',
    "markup": b'{"occupied":"<script>alert(1)</script>","free":"%s%n{0}${jndi:x}","status":"\\r\\nHTTP/1.1 200"}',
}
"""What is JSON, and of no shape that anybody meant, or nearly."""

BIGNUM = b"\xc2\x5a\x00\x03\x00\x00" + b"\xfd" * 0x30000
"""A CBOR integer of half a million digits."""

MALFORMED_CBOR = {
    "cut": b"\x81\xa2\x00\x61a\x02",
    "bytes after its end": b"\x81\xa2\x00\x61a\x02\x01\x00",
    "two packs": b"\x81\xa2\x00\x61a\x02\x01" * 2,
    "a break without a beginning": b"\xff",
    "no end": b"\x9f\xa2\x00\x61a\x02\x01",
    "reserved": b"\x9c",
    "an array as long as the world": b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    "a string as long as the world": b"\x81\xa1\x00\x7b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "bad utf-8": b"\x81\xa1\x00\x62\xff\xff",
    "utf-8 surrogate": b"\x81\xa1\x00\x63\xed\xa0\x80",
    "deep arrays": b"\x81" * 100_000 + b"\x01",
    "deep maps": b"\x81" + b"\xa1\x00" * 100_000 + b"\x01",
    "deep tags": b"\xd9\xd9\xf7" * 80_000 + b"\x81\xa0",
}
"""What is no CBOR document, or one nested beyond all measure."""

STRANGE_CBOR = {
    "a record that holds itself": b"\x81\xd8\x1c\xa2\x00\x61a\x19\x03\xe7\xd8\x1d\x00",
    "a pack that holds itself": b"\xd8\x1c\x81\xd8\x1d\x00",
    "an expression": b"\x81\xa3\x00\x61a\x02\x01\x61x\xd8\x23\x64(a|b",
    "a date that is none": b"\x81\xa3\x00\x61a\x02\x01\x61x\xc0\x66hut-01",
    "an address": b"\x81\xa3\x00\x61a\x02\x01\x61x\xd9\x01\x04\x44\x7f\x00\x00\x01",
    "a letter": b"\x81\xa3\x00\x61a\x02\x01\x61x\xd8\x24\x65a: b\n",
    "a tag nobody knows": b"\x81\xa3\x00\x61a\x02\x01\x61x\xda\x00\x0f\xff\xff\x01",
    "simple values": b"\x81\xa5\x00\x61a\x02\xf7\x05\xe0\x06\xf8\xff\x07\xf6",
    "a huge integer": b"\x81\xa2\x00\x61a\x02" + BIGNUM,
    "a huge mantissa": b"\x81\xa2\x00\x61a\x02\xc4\x82\x01" + BIGNUM,
    "a huge exponent": b"\x81\xa2\x00\x61a\x02\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
    "a tiny exponent": b"\x81\xa2\x00\x61a\x02\xc4\x82\x3b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
    "an exponent of a million digits": b"\x81\xa2\x00\x61a\x02\xc4\x82" + BIGNUM + b"\x01",
    "a decimal fraction of words": b"\x81\xa2\x00\x61a\x02\xc4\x82\x61x\x61y",
    "a binary fraction": b"\x81\xa2\x00\x61a\x02\xc5\x82\x1a\x7f\xff\xff\xff\x01",
    "a ratio by nothing": b"\x81\xa2\x00\x61a\x02\xd8\x1e\x82\x01\x00",
    "keys of every type": b"\x81\xa6\xf4\x01\xf6\x01\x41a\x01\xf9\x3c\x00\x01\x20\x01\x80\x01",
    "an array as a key": b"\x81\xa1\x81\xa0\x01",
    "maps that are none": b"\x83\x01\xa0\x80",
    "a self-described text": b"\xd9\xd9\xf7\x61a",
}
"""What is CBOR, and no pack that anybody meant."""

RAW_VALUES = [
    *("null", "true", "false", "0", "-0", "-1", "1.0", "1.5", "17", "3.6", "2147483647", "2147483648", "-2147483649"),
    *("9223372036854775808", "1e999", "-1e999", "1e308", "1e-999", "9" * 400, "NaN", "Infinity", "-Infinity"),
    *('""', '"open"', '"FULL"', '"\\u0000"', '"\\ud800"', '"true"', "[]", "{}", "[[[]]]", '{"time":1}'),
    *(str(NOW), str(NOW // 10**6), f"{NOW // 1000}.5", str(NOW * 1000)),
    *('"2026-11-21T22:00:00Z"', '"2026-11-21T22:00:00"', '"2026-02-30T22:00:00Z"', '"2026-11-21 22:00:00.123456789z"'),
    *('"0001-01-01T00:00:00"', '"9999-12-31T23:59:59-23:59"', '"0000-00-00T00:00:00Z"', '"2026-11-21T22:00:60+99:99"'),
]
UPLINK_KEYS = st.sampled_from(
    [
        *("time", "devAddr", "fCnt", "data", "object", "received_at", "simulated", "uplink_message", "session_key_id"),
        *(
            "f_cnt",
            "frm_payload",
            "decoded_payload",
            "occupied",
            "type",
            "status",
            "CarPresence",
            "Battery",
            "distance",
        ),
        *("temperature", "battery", "BatV", "magnet_status", "history", "timestamp", "voltage", "illuminance", "x", ""),
    ]
)
KEYS = st.sampled_from(["occupied", "time", "battery", "temperature", "seq", "free", "total", "status", "x", ""])
PAIRS = st.tuples(KEYS, st.sampled_from(RAW_VALUES))


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}"


OBJECTS = st.lists(PAIRS, max_size=6).map(_object)

_FIELDS = st.lists(st.tuples(UPLINK_KEYS, st.sampled_from([*RAW_VALUES, '"21.5"', '"1e999"', '"open"'])), max_size=5)
_HISTORIES = st.lists(_FIELDS.map(_object), max_size=3).map(lambda entries: f"[{','.join(entries)}]")


@st.composite
def uplinks(draw: st.DrawFn) -> str:
    """Draw something that looks like an uplink of either network server."""
    fields = draw(_FIELDS) + draw(st.lists(st.tuples(st.just("history"), _HISTORIES), max_size=1))
    names = draw(st.sampled_from([("object", ""), ("decoded_payload", "uplink_message"), ("object", "uplink_message")]))
    told = _object([*draw(_FIELDS), (names[0], _object(fields))])
    return _object([*draw(_FIELDS), (names[1], told)]) if names[1] else told


LABELS = ["bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "x", "x_", ""]
SENML_VALUES = [
    *RAW_VALUES,
    *('"kitchen/temperature"', '"hut-01/meter"', '"hut-02/x"', '"urn:dev:hut-01:a"', '"-a"', '"a b"', '"a/"', '"Cel"'),
    *('"K"', '"kWh"', '"V"', '"°C"', '"%"', "10", "11", "268435455", "268435456", "-1e308", "1e308", "-600000", "301"),
]
JSON_RECORDS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(SENML_VALUES)), max_size=5).map(_object)
JSON_PACKS = st.lists(JSON_RECORDS, max_size=6).map(lambda records: f"[{','.join(records)}]")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=3),
    max_leaves=6,
).map(json.dumps)

_CBOR_ATOMS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.binary(max_size=9)),
    *(st.decimals(), st.datetimes(timezones=st.timezones()), st.fractions(), st.uuids(), st.ip_addresses()),
    *(
        st.sampled_from(["hut-01/a", "meter", "Cel", "kWh"]),
        st.integers(2**28 - 1, 2**28 + 1),
        st.just(cbor2.undefined),
    ),
    st.builds(cbor2.CBORTag, st.integers(0, 2**40), st.integers() | st.text()),
)
_CBOR_VALUES: st.SearchStrategy[Any] = st.recursive(
    _CBOR_ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers(-9, 9) | st.text(), inner, max_size=3),
    max_leaves=4,
)
_CBOR_RECORDS = st.dictionaries(
    st.integers(-7, 9) | st.sampled_from([*LABELS, b"b", None, 1.5, True]), _CBOR_VALUES, max_size=5
)
CBOR_PACKS = (st.lists(_CBOR_RECORDS, max_size=5) | _CBOR_VALUES).map(cbor2.dumps)


VALID = [
    (
        b'{"time":"2026-11-21T21:59:59.123456789+00:00","devAddr":"01a2b3c4","fCnt":7,"data":"gAc=",'
        b'"object":{"occupied":true,"temperature":6.5,"history":[{"timestamp":1795298000,"co2":"640"}]}}'
    ),
    (
        b'{"received_at":"2026-11-21T22:00:00.5Z","uplink_message":{"received_at":"2026-11-21T21:59:59.123456789Z",'
        b'"session_key_id":"AYQz","f_cnt":9,"frm_payload":"gAc=","decoded_payload":{"status":"free","BatV":"3.25"}}}'
    ),
    b'{"occupied": true, "time": "2026-11-21T22:00:00.123Z", "battery": 3.6, "temperature": 11.5, "seq": 17}',
    b'{"free": 163, "total": 239, "status": "open", "time": 1795298400}',
    b'[{"bn":"hut-01/","bt":1795298400,"n":"meter","u":"kWh","v":1.5},{"n":"door","vb":true,"t":-5},{"n":"a","v":2}]',
    b'[{"bn":"hut-01/","bt":1795298400,"bu":"kWh"},{"n":"meter","v":1.5},{"bs":7},{"n":"meter","s":8}]',
    cbor2.dumps([{-2: "hut-01/", -3: 1795298400, 0: "meter", 1: "kWh", 2: 1.5}, {0: "door", 4: True, 6: -5}]),
    cbor2.dumps([{0: "a", 2: Decimal("20.25")}, {0: "b", 3: "text"}, {0: "c", 8: b"data"}, {0: "d", 5: 7}]),
]
"""What everybody understands: uplinks, an event, a count, packs in JSON and in CBOR."""


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Draw bytes that are nearly something: in a few places a piece is cut out, put in, repeated or turned over."""
    nearly = (
        OBJECTS.map(str.encode)
        | uplinks().map(str.encode)
        | JSON.map(str.encode)
        | JSON_PACKS.map(str.encode)
        | CBOR_PACKS
    )
    body = draw(st.sampled_from(VALID) | nearly)
    for _ in range(draw(st.integers(1, 3))):
        start, size = draw(st.integers(0, len(body))), draw(st.integers(0, 4))
        piece = body[start : start + size]
        other = draw(
            st.binary(max_size=3) | st.sampled_from([b"", 2 * piece, piece[::-1], bytes(b ^ 1 for b in piece)])
        )
        body = body[:start] + other + body[start + size :]
    return body


PRESSES = st.sampled_from([b"on", b"off", b"ON", b'"off"', b" on\n", b"", b"o", b"on off", b"\xff", b'""', b"true"])
CORPUS = {
    f"{kind}, {name}": payload
    for kind, payloads in {
        "malformed": MALFORMED,
        "strange": STRANGE,
        "malformed CBOR": MALFORMED_CBOR,
        "strange CBOR": STRANGE_CBOR,
    }.items()
    for name, payload in payloads.items()
}
"""All of them."""
PAYLOADS = st.one_of(
    *(st.binary(max_size=40), uplinks().map(str.encode), OBJECTS.map(str.encode), JSON.map(str.encode), mutations()),
    *(JSON_PACKS.map(str.encode), CBOR_PACKS, PRESSES, st.sampled_from(sorted(CORPUS.values()))),
)

PARKING_TOPICS = [
    *(TOPICS.spot("ANTI", "P-01"), TOPICS.spot("QUAY", "Q-1"), TOPICS.count("COME"), TOPICS.count("FOCH")),
    *("city/parking/ANTI/spots/P-99", "city/parking/X/count", "x", ""),
]
HOME_TOPICS = [
    *(TOPICS.senml("hut-01"), TOPICS.pause("hut-01"), TOPICS.senml("hut-0"), TOPICS.pause("hut-0")),
    *(TOPICS.senml("hut-02"), TOPICS.pause("hut-02"), TOPICS.senml("cottage"), TOPICS.pause("cottage")),
    *("city/dwellings/hut-01/x", "city/dwellings/hut-02/x", "city/dwellings/", "city/dwellings/hut-01"),
]

UPLINK_TOPICS = {
    topic: is_home
    for is_home, topics in {
        False: [
            "application/1/device/70b3d57ed0000001/event/up",
            "application/🅿/device/70B3D57ED0000002/event/up",
            "v3/parking@ttn/devices/bay-2/up",
            "v3/parking@ttn/devices/nobody/up",
            "application/1/device//event/up",
            "application//device/a81758fffe000001/event/up",
        ],
        True: [
            "application/1/device/24e124d51c000001/event/up",
            "v3/rooms@ttn/devices/pot/up",
            "application/1/device/24E124D51C000002/event/up",
        ],
    }.items()
    for topic in topics
}
"""Topics of devices of the small city, and of nobody; whether they are a home's."""

STRANGE_TOPICS = {
    "control characters": "city/parking/AN\x07\x1b[31mTI\x7f/count",
    "a line break": "city/parking/ANTI/spots/P-01\nevent=forged",
    "control characters of Latin-1": "city/dwellings/\x80\x9f/senml",
    "a nul": "city/parking/\x00/count",
    "no character": "city/parking/\ufffe\uffff/count",
    "nothing between": "city/parking//spots//",
    "nothing at all": "city/parking/////",
    "a trailing slash": "city/parking/ANTI/count/",
    "a leading slash": "/city/parking/ANTI/count",
    "no car park": "city/parking/",
    "only the root": "city/parking",
    "no dwelling": "city/dwellings//senml",
    "only the dwellings": "city/dwellings",
    "sixty kilobytes": "city/parking/" + "x" * 60_000,
    "a spot of sixty kilobytes": "city/parking/ANTI/spots/" + "é" * 30_000,
    "a dwelling of sixty kilobytes": "city/dwellings/" + "d" * 60_000 + "/senml",
    "many levels": "city/parking" + "/x" * 150,
    "a thousand levels": "city/dwellings" + "/x" * 1000,
    "Greek": "city/parking/πάρκινγκ/count",
    "from right to left": "city/parking/\u202eITNA/count",
    "of no width": "city/parking/AN\u200bTI/count",
    "another form of the same letter": "city/parking/COME\u0301DIE/count",
    "beyond the basic plane": "city/dwellings/🏠/senml",
    "a dollar": "city/parking/$SYS/count",
    "a dollar among the dwellings": "city/dwellings/$share/senml",
    "a system topic": "$SYS/broker/uptime",
    "a shared subscription": "$share/group/city/parking/ANTI/count",
    "a wildcard of one level": "city/parking/+/count",
    "a wildcard of many levels": "city/dwellings/#",
    "wildcards of other languages": "city/parking/*/spots/%",
    "wildcards of full width": "city/parking/\uff0b/spots/\uff03",
    "dots": "city/parking/../dwellings/hut-01/senml",
    "percent signs": "city/parking/ANTI%2Fspots%2FP-01",
    "SQL": "city/parking/'; DROP TABLE arceaux.ledger; --/count",
    "a format": "city/parking/{0.__class__}%s%n/count",
    "another letter case": "City/Parking/ANTI/count",
    "a figure of ours": "city/live/parking/ANTI",
}
"""Topics that nobody should publish on; some of them a broker refuses, and some are not subscribed to."""


def deliveries_on(topics: list[str]) -> st.SearchStrategy[Delivery]:
    """Draw messages with any payload on these topics, and on any."""
    return st.builds(
        Delivery,
        epoch=st.integers(1, 3),
        packet_id=st.none() | st.integers(1, 65_535),
        topic=st.sampled_from(topics) | st.text(),
        payload=PAYLOADS,
        retain=st.booleans(),
        received_at=st.integers(NOW - HOUR, NOW + HOUR),
        duplicate=st.booleans(),
    )
