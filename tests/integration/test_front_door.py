"""The demo's broker behind one port for both versions of MQTT."""

import asyncio
import socket
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulators.embedded.broker import EmbeddedBroker
from simulators.embedded.front_door import open_front_door
from simulators.embedded.ports import LOOPBACK, free_port

VERSIONS = (aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5)


def expiry(version: aiomqtt.ProtocolVersion) -> Properties | None:
    """Give the property that live figures carry, where the version has properties."""
    if version is not aiomqtt.ProtocolVersion.V5:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own lack
    properties.MessageExpiryInterval = 1800
    return properties


@pytest.mark.parametrize("sender", VERSIONS)
@pytest.mark.parametrize("receiver", VERSIONS)
async def test_clients_of_both_versions_meet_behind_one_port(
    tmp_path: Path, sender: aiomqtt.ProtocolVersion, receiver: aiomqtt.ProtocolVersion
) -> None:
    """What one version retains, the other version gets."""
    port = free_port()
    with EmbeddedBroker(tmp_path, free_port()) as broker:
        async with open_front_door(port, broker.port):
            async with aiomqtt.Client(LOOPBACK, port, protocol=sender) as client:
                await client.publish("city/live/parking", b"17", qos=1, retain=True, properties=expiry(sender))
            async with aiomqtt.Client(LOOPBACK, port, protocol=receiver) as client:
                await client.subscribe("city/live/#", qos=1)
                message = await anext(aiter(client.messages))
    assert (str(message.topic), message.payload) == ("city/live/parking", b"17")


async def test_what_is_not_mqtt_is_turned_away(tmp_path: Path) -> None:
    """A browser at the port is disconnected, and the door stays open."""
    port = free_port()
    with EmbeddedBroker(tmp_path, free_port()) as broker:
        async with open_front_door(port, broker.port):
            with socket.create_connection((LOOPBACK, port)) as browser:
                browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
                async with aiomqtt.Client(LOOPBACK, port, protocol=aiomqtt.ProtocolVersion.V5) as client:
                    await client.publish("city/x", b"", qos=1)


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_older_clients_have_all_of_mqtt(tmp_path: Path, qos: int) -> None:
    """Every QoS both ways, payloads of more than one read, unsubscribing, a Will, and a session that is kept."""
    port = free_port()
    old = aiomqtt.ProtocolVersion.V311
    large = bytes(200_000)
    with EmbeddedBroker(tmp_path, free_port()) as broker:
        async with open_front_door(port, broker.port):
            will = aiomqtt.Will("wills/a", "gone", qos=1)
            async with aiomqtt.Client(LOOPBACK, port, protocol=old, identifier="kept", clean_session=False) as kept:
                await kept.subscribe([("data/#", qos), ("wills/#", 1), ("unwanted", 1)])
                await kept.unsubscribe("unwanted")
                messages = aiter(kept.messages)
                reader, leaver = await asyncio.open_connection(LOOPBACK, port)
                leaver.write(connect_packet("leaver", will))
                assert await reader.readexactly(4) == b"\x20\x02\x00\x00"
                leaver.close()
                assert (await anext(messages)).payload == b"gone"
                async with aiomqtt.Client(LOOPBACK, port, protocol=old) as sender:
                    await sender.publish("unwanted", b"", qos=1)
                    await sender.publish("data/1", large, qos=qos)
                received = await anext(messages)
                assert (str(received.topic), received.payload) == ("data/1", large)
            async with aiomqtt.Client(LOOPBACK, port, protocol=aiomqtt.ProtocolVersion.V5) as sender:
                await sender.publish("data/2", b"later", qos=1, properties=expiry(aiomqtt.ProtocolVersion.V5))
            async with aiomqtt.Client(LOOPBACK, port, protocol=old, identifier="kept", clean_session=False) as kept:
                if qos:
                    assert (await anext(aiter(kept.messages))).payload == b"later"


def connect_packet(client_id: str, will: aiomqtt.Will) -> bytes:
    """Write a CONNECT of MQTT 3.1.1, clean session, with a Will at QoS 1."""

    def text(value: str | bytes) -> bytes:
        data = value.encode() if isinstance(value, str) else value
        return len(data).to_bytes(2) + data

    body = text("MQTT") + b"\x04\x0e\x00\x3c" + text(client_id) + text(will.topic) + text(str(will.payload))
    return bytes((0x10, len(body))) + body
