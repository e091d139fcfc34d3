"""Uplinks as network servers write them, of devices of the small city."""

import json
from collections.abc import Mapping
from typing import Any

from unit.worlds import NOW, SECOND, deliver

from processors.times import to_datetime
from schemas.delivery import Delivery
from schemas.topics import Route, uplink_topic

APPLICATION = "e2e5b6a4-2b43-4ffb-9bcc-17f2f3a0a4d1"
BAY, FRIDGE, SILENT_DOOR = "70b3d57ed0000001", "24e124d51c000001", "24e124d51c000002"
"""DevEUIs: of a bay of ANTI, of a device of hut-01, and of one of hut-02, which does not consent."""
NOBODYS = "a81758fffe000001"
"""A device that the registry does not list."""
DATA = "gAc="
Fields = Mapping[str, Any]


def nine_digits(micros: int) -> str:
    """Write a time as network servers do: nine digits of a second, the last three not zero."""
    return f"{to_datetime(micros):%Y-%m-%dT%H:%M:%S.%f}789"


def chirpstack(fields: Fields | None, at: int = NOW - SECOND, *, eui: str = BAY, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of an uplink
    """Write an uplink as ChirpStack v4 does; a change to None leaves a field out."""
    uplink = {
        "deduplicationId": "0c7f3e0e-6d4f-4a86-8a65-6d9a3a1f5b11",
        "time": f"{nine_digits(at)}+00:00",
        "deviceInfo": {
            "tenantId": "7d2b9a1c-0000-4000-8000-000000000001",
            "tenantName": "Metropolis",
            "applicationId": APPLICATION,
            "applicationName": "sensors",
            "deviceProfileId": "7d2b9a1c-0000-4000-8000-000000000002",
            "deviceProfileName": "a sensor",
            "deviceName": f"sensor {eui}",
            "devEui": eui,
            "deviceClassEnabled": "CLASS_A",
            "tags": {"street": "Rue des Arceaux"},
        },
        "devAddr": "01a2b3c4",
        "adr": True,
        "dr": 5,
        "fCnt": 7,
        "fPort": 1,
        "data": DATA,
        "object": fields,
        "rxInfo": [
            {
                "gatewayId": "0016c001f1500812",
                "uplinkId": 4217106255,
                # Seven minutes ahead, and in February: nobody set this gateway's clock.
                "gwTime": "2038-02-01T00:00:00.000000001+00:00",
                "rssi": -96,
                "snr": 8.5,
                "context": "EFwMtA==",
                "crcStatus": "CRC_OK",
            }
        ],
        "txInfo": {"frequency": 868100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7}}},
    }
    return {name: value for name, value in (uplink | changes).items() if value is not None}


def tts(fields: Fields | None, at: int = NOW - SECOND, *, device: str = "bay-1", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Write an uplink as The Things Stack v3 does; changes are of its `uplink_message`, None leaves a field out."""
    message = {
        "session_key_id": "AYQz8hUVEdrk4l2J6pYCKA==",
        "f_port": 1,
        "f_cnt": 7,
        "frm_payload": DATA,
        "decoded_payload": fields,
        "decoded_payload_warnings": ["battery is low"],
        "rx_metadata": [
            {
                "gateway_ids": {"gateway_id": "roof-3", "eui": "0016C001F1500812"},
                "time": "2038-02-01T00:00:00Z",
                "timestamp": 2463457000,
                "rssi": -46,
                "channel_rssi": -46,
                "snr": 13.2,
                "uplink_token": "Ch4KHAoQZXVpLTAwMTZjMDAx",
            }
        ],
        "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}, "frequency": "868300000"},
        "received_at": f"{nine_digits(at)}Z",
        "consumed_airtime": "0.056576s",
    }
    return {
        "end_device_ids": {
            "device_id": device,
            "application_ids": {"application_id": "parking"},
            "dev_eui": BAY.upper(),
            "join_eui": "0000000000000000",
            "dev_addr": "260B4F1D",
        },
        "correlation_ids": ["gs:uplink:01GH", "as:up:01GH"],
        "received_at": f"{nine_digits(at + SECOND // 2)}Z",
        "uplink_message": {name: value for name, value in (message | changes).items() if value is not None},
    }


def from_chirpstack(uplink: Fields | bytes, *, eui: str = BAY, **arrival: Any) -> Delivery:  # noqa: ANN401 - as deliver
    """Give an uplink as it arrives from ChirpStack."""
    topic = uplink_topic(Route.CHIRPSTACK, APPLICATION, eui)
    return deliver(topic, uplink if isinstance(uplink, bytes) else json.dumps(uplink).encode(), **arrival)


def from_tts(
    uplink: Fields | bytes,
    *,
    device: str = "bay-1",
    application: str = "parking@ttn",
    **arrival: Any,  # noqa: ANN401 - as deliver
) -> Delivery:
    """Give an uplink as it arrives from The Things Stack."""
    topic = uplink_topic(Route.TTS, application, device)
    return deliver(topic, uplink if isinstance(uplink, bytes) else json.dumps(uplink).encode(), **arrival)
