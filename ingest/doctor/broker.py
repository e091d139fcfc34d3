"""The doctor's judgement of the broker: what it answered, granted, refused and kept. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import mqtt5

from ingest.doctor.report import Check, ok, plural, problem, unknown, warning
from ingest.migrate import version_numbers
from ingest.mqtt import KEEP_ALIVE, MAX_PACKET_SIZE, SESSION_EXPIRY

QUEUE_PROBE: Final = 1_200
"""Messages of the queue probe: more than the 1000 that mosquitto keeps by default, and little to send."""
_CONFIGURATION: Final = "the broker's configuration (deploy/mosquitto.conf)"
_MOSQUITTO: Final = "mosquitto version "
_HEEDS_WINDOW: Final = (2, 0, 13)
_SAFE: Final = (2, 0, 16)
_ROOM_FOR_TOPIC: Final = 4096
_PUBLISHER_WINDOW: Final = 20
"""Publications that the publisher's client has in flight."""
_SLOWEST_PING: Final = 0.5 * KEEP_ALIVE + 0.5
"""Seconds until the service pings an idle connection, at the latest."""
_WRITTEN: Final = (mqtt5.PubAckReasonCode.SUCCESS, mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What was seen of a broker that let us in.

    `version` and `dropped` are those of $SYS, None where it is silent. `granted` holds the answer to each filter,
    `written` that to each topic, None where the broker cut the connection instead. `is_echoed` tells whether what was
    written on a live topic came back. `kept` is how many messages of the queue probe came back, None where
    it was not made or did not come to its end.
    """

    connack: mqtt5.ConnAckPacket
    version: str | None
    dropped: int | None
    granted: Mapping[str, mqtt5.SubAckReasonCode]
    written: Mapping[str, mqtt5.PubAckReasonCode | None]
    is_echoed: bool
    is_probed: bool = False
    kept: int | None = None


def judge_unreached(url: str, reason: str) -> list[Check]:
    """Judge a broker that could not be talked to; `url` shows no password."""
    return [
        problem("broker", f"{url}: {reason}", "start it, or set ARCEAUX_BROKER_URL to an MQTT 5 broker"),
        unknown("broker limits", "nor rights and topics were checked: no connection"),
    ]


def judge_refused(url: str, code: mqtt5.ConnAckReasonCode) -> list[Check]:
    """Judge a broker that did not let us in."""
    remedy = "set user and password in ARCEAUX_BROKER_URL to those of an account of the broker"
    if code is mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
        remedy = "use a broker that speaks MQTT 5, and let it (mosquitto: accept_protocol_versions)"
    return [
        problem("broker", f"{url}: refused us: {code.name.lower()}", remedy),
        unknown("broker limits", "nor rights and topics were checked: no connection"),
    ]


def judge_broker(url: str, facts: BrokerFacts, max_payload_bytes: int) -> list[Check]:
    """Judge a broker by what was seen of it."""
    connack = facts.connack
    return [
        ok("broker", f"{url}: speaks MQTT 5 and lets us in"),
        judge_version(facts.version),
        judge_packet_size(connack.max_packet_size, max_payload_bytes),
        judge_abilities(connack),
        judge_session_expiry(connack.session_expiry_interval),
        judge_keep_alive(connack.server_keep_alive),
        judge_read_rights(facts.granted, is_echoed=facts.is_echoed),
        judge_write_rights(facts.written),
        judge_dropped(facts.dropped, facts.version),
        judge_queue(facts.kept, is_probed=facts.is_probed),
        unknown(
            "broker persistence",
            "a client cannot ask whether sessions and queues survive a restart of the broker",
            f"see to it in {_CONFIGURATION}: persistence true, autosave_interval 30",
        ),
    ]


def judge_version(version: str | None) -> Check:
    """Judge what $SYS/broker/version says."""
    name = "broker version"
    if version is None:
        remedy = "on mosquitto: let the account read $SYS/# (deploy/mosquitto.acl); it needs 2.0.16 or newer"
        return unknown(name, "the broker does not tell it on $SYS/broker/version", remedy)
    if not version.startswith(_MOSQUITTO):
        return unknown(name, f"{version}: faults of this broker are not known to the doctor")
    number = version.removeprefix(_MOSQUITTO)
    numbers = version_numbers(number)
    if numbers >= _SAFE:
        return ok(name, f"mosquitto {number}")
    faults = "has security faults, unless its packager has mended them"
    if numbers < _HEEDS_WINDOW:
        faults = f"sends more than a Receive Maximum, which the service bears, and {faults}"
    return warning(name, f"mosquitto {number}: {faults}", "upgrade to 2.0.16 or newer")


def judge_packet_size(largest: int | None, max_payload_bytes: int) -> Check:
    """Judge the broker's Maximum Packet Size: room for our largest payload, and less than the service announces."""
    name, needed = "broker packet size", max_payload_bytes + _ROOM_FOR_TOPIC
    if needed >= MAX_PACKET_SIZE:
        found = f"ARCEAUX_MAX_PAYLOAD_BYTES={max_payload_bytes} does not fit into packets of {MAX_PACKET_SIZE:,} bytes"
        remedy = f"lower ARCEAUX_MAX_PAYLOAD_BYTES below {MAX_PACKET_SIZE - _ROOM_FOR_TOPIC}"
        return problem(name, f"{found}, the largest that the service takes", remedy)
    target = max(1024 * 1024, needed)
    remedy = f"set max_packet_size {target} in {_CONFIGURATION}"
    if largest is None or largest >= MAX_PACKET_SIZE:
        says = "no limit" if largest is None else f"{largest:,} bytes"
        found = f"{says}: packets above {MAX_PACKET_SIZE:,} bytes are acknowledged, but not delivered to the service"
        return problem(name, found, remedy)
    if largest < needed:
        found = f"{largest:,} bytes: too little for payloads of ARCEAUX_MAX_PAYLOAD_BYTES={max_payload_bytes}"
        return warning(name, f"{found}; their senders are disconnected", f"{remedy}, or lower the setting")
    return ok(name, f"{largest:,} bytes")


def judge_abilities(connack: mqtt5.ConnAckPacket) -> Check:
    """Judge which parts of MQTT 5 the broker has, and the window it gives to publishers."""
    name = "broker abilities"
    lacking = [
        what
        for what, is_lacking in (
            ("QoS 1", connack.max_qos is mqtt5.QoS.AT_MOST_ONCE),
            ("retained messages", not connack.retain_available),
            ("wildcard subscriptions", not connack.wildcard_subscription_available),
        )
        if is_lacking
    ]
    if lacking:
        return problem(name, f"without {', '.join(lacking)}", "allow that at the broker, or use another one")
    found = f"QoS 1, retained messages, wildcards; {connack.receive_max:,} in flight from one client"
    if connack.receive_max < _PUBLISHER_WINDOW:
        remedy = f"set max_inflight_messages to {_PUBLISHER_WINDOW} or more in {_CONFIGURATION}"
        return warning(name, f"{found}; the publisher sends up to {_PUBLISHER_WINDOW}", remedy)
    return ok(name, found)


def judge_session_expiry(granted: int | None) -> Check:
    """Judge how long the broker keeps the service's session without a connection; None is as long as asked for."""
    name = "broker session"
    if granted is None or granted >= SESSION_EXPIRY:
        return ok(name, f"the broker agrees to keep it for {SESSION_EXPIRY // _DAY} days without a connection")
    remedy = f"raise the broker's longest session expiry to {SESSION_EXPIRY} s"
    if granted == 0:
        return problem(name, "not kept without a connection: what comes while the service is away is lost", remedy)
    found = f"kept for {granted / 3600:.1f} h only without a connection, {SESSION_EXPIRY // _DAY} days were asked for"
    return warning(name, found, remedy)


def judge_keep_alive(seconds: int | None) -> Check:
    """Judge the Server Keep Alive, which the service does not follow: it pings by its own."""
    name = "broker keep alive"
    if not seconds or 1.5 * seconds > _SLOWEST_PING:
        return ok(name, f"{seconds or KEEP_ALIVE} s")
    found = f"{seconds} s: the broker cuts a quiet connection before the service pings"
    return problem(name, found, f"raise it to {KEEP_ALIVE} s (mosquitto: max_keepalive)")


def judge_read_rights(granted: Mapping[str, mqtt5.SubAckReasonCode], *, is_echoed: bool) -> Check:
    """Judge the answers to the filters that the service subscribes to."""
    name = "broker read rights"
    least = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
    refused = [f"{pattern} ({code.name.lower()})" for pattern, code in granted.items() if code is not least]
    if refused:
        remedy = "let the service's account read them at QoS 1 (acl_file, see deploy/mosquitto.acl)"
        return problem(name, f"not granted at QoS 1: {', '.join(refused)}", remedy)
    if not is_echoed:
        # An access list in a file grants every subscription, and then does not deliver.
        found = "every subscription was granted, but what was written on a live topic did not come back"
        remedy = "let the service's account read and write {root}/live/# (acl_file, see deploy/mosquitto.acl)"
        return problem(name, found, remedy)
    return ok(name, f"{', '.join(granted)} granted at QoS 1")


def judge_write_rights(written: Mapping[str, mqtt5.PubAckReasonCode | None]) -> Check:
    """Judge the answers to an empty message on each kind of topic that the service publishes on."""
    name = "broker write rights"
    refused = [
        f"{topic} ({'connection cut' if code is None else code.name.lower()})"
        for topic, code in written.items()
        if code not in _WRITTEN
    ]
    if refused:
        remedy = "let the service's account write there (acl_file, see deploy/mosquitto.acl)"
        return problem(name, f"refused: {', '.join(refused)}", remedy)
    return ok(name, "live figures and status may be published")


def judge_dropped(dropped: int | None, version: str | None) -> Check:
    """Judge $SYS/broker/publish/messages/dropped."""
    name = "broker dropped"
    if dropped is None and version is not None and version.startswith(_MOSQUITTO):
        found = "none in the last minute; an old mosquitto forgets the count a minute after its last change"
        return unknown(name, found, 'look for "Outgoing messages are being dropped" in its log, and upgrade it')
    if dropped is None:
        remedy = "on mosquitto: let the account read $SYS/#; with another broker watch its own counter"
        return unknown(name, "the broker does not tell how many messages it has dropped", remedy)
    if dropped:
        found = f"{plural(dropped, 'message')} dropped for some client since the broker's start"
        remedy = f"raise max_queued_messages and max_queued_bytes in {_CONFIGURATION}; a restart begins the count anew"
        return problem(name, found, remedy)
    return ok(name, "no message dropped since the broker's start")


def judge_queue(kept: int | None, *, is_probed: bool) -> Check:
    """Judge how many messages the broker kept for a client that was away."""
    name = "broker queue"
    remedy = f"set max_queued_messages 10000000 in {_CONFIGURATION}; mosquitto's default is 1000"
    if not is_probed:
        return unknown(name, "how much it keeps for a client that is away was not tried", "add --probe-queue")
    if kept is None:
        found = "what was sent to a client that was away did not come back to its end within time"
        return unknown(name, found, "mend first what is said above; then try again, when the broker is less busy")
    if not kept:
        found = "keeps nothing for a client that is away: what comes while the service is away is lost"
        return problem(name, found, "use a broker that keeps sessions and their queues, and let it")
    if kept < QUEUE_PROBE:
        found = f"kept {kept:,} of {QUEUE_PROBE:,} messages for a client that was away, and dropped the rest"
        return problem(name, found, remedy)
    return ok(name, f"kept all of {QUEUE_PROBE:,} messages for a client that was away")
