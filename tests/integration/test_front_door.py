"""The demo's broker behind one port for both versions of MQTT."""

import socket
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulators.broker import EmbeddedBroker
from simulators.front_door import MQTT_5, MQTT_311, open_front_door
from simulators.ports import LOOPBACK, free_port

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
    with EmbeddedBroker(tmp_path, free_port(), free_port()) as broker:
        async with open_front_door(port, {MQTT_311: broker.older_port, MQTT_5: broker.port}):
            async with aiomqtt.Client(LOOPBACK, port, protocol=sender) as client:
                await client.publish("city/live/parking", b"17", qos=1, retain=True, properties=expiry(sender))
            async with aiomqtt.Client(LOOPBACK, port, protocol=receiver) as client:
                await client.subscribe("city/live/#", qos=1)
                message = await anext(aiter(client.messages))
    assert (str(message.topic), message.payload) == ("city/live/parking", b"17")


async def test_what_is_not_mqtt_is_turned_away(tmp_path: Path) -> None:
    """A browser at the port is disconnected, and the door stays open."""
    port = free_port()
    with EmbeddedBroker(tmp_path, free_port(), free_port()) as broker:
        async with open_front_door(port, {MQTT_311: broker.older_port, MQTT_5: broker.port}):
            with socket.create_connection((LOOPBACK, port)) as browser:
                browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
                async with aiomqtt.Client(LOOPBACK, port, protocol=aiomqtt.ProtocolVersion.V5) as client:
                    await client.publish("city/x", b"", qos=1)
