"""Uplinks as ChirpStack v4 and The Things Stack v3 publish them. Both leave out a frame counter of 0."""

import base64
import hashlib
import json
from datetime import datetime, timedelta
from uuid import UUID

from schemas.topics import Route, uplink_topic
from simulators.fleet import micros
from simulators.parking.times import nine_digits

_APPLICATION = "parking@ttn"
_FORWARDING = timedelta(milliseconds=180)
"""From the network server to the application server of The Things Stack."""


class ChirpStack:
    """A device at ChirpStack, which has joined when the fleet began."""

    def __init__(self, dev_eui: str, begin: datetime) -> None:
        eui = dev_eui.lower()
        session = _digest(eui, begin)
        application = str(UUID(bytes=_digest("application")[:16]))
        self.topic = uplink_topic(Route.CHIRPSTACK, application, eui)
        self._session = session.hex()[:20]
        told = {
            "deviceInfo": {
                "tenantId": str(UUID(bytes=_digest("tenant")[:16])),
                "tenantName": "Metropolis",
                "applicationId": application,
                "applicationName": "parking",
                "deviceName": f"bay {eui}",
                "devEui": eui,
                "deviceClassEnabled": "CLASS_A",
            },
            "devAddr": session.hex()[-8:],
            "adr": True,
            "dr": 5,
            "fPort": 1,
            "data": base64.b64encode(session[:2]).decode(),
            "rxInfo": [{"gatewayId": "0016c001f1500812", "rssi": -96, "snr": 8.5, "crcStatus": "CRC_OK"}],
            "txInfo": {"frequency": 868100000},
        }
        self._told = _inside(told)

    def publish(self, fields: str, counter: int, at: datetime) -> tuple[bytes, int]:
        """Write the uplink of a frame with decoded fields; give it, and its time in microseconds since 1970."""
        whole = micros(at)
        frame = f'"fCnt":{counter},' if counter else ""
        once = f"{self._session}{counter:012x}"
        unique = f"{once[:8]}-{once[8:12]}-{once[12:16]}-{once[16:20]}-{once[20:]}"
        told = f'{{"deduplicationId":"{unique}","time":"{nine_digits(at, whole)}+00:00",{frame}"object":{fields},'
        return f"{told}{self._told}}}".encode(), whole


class TheThingsStack:
    """A device at The Things Stack, which has joined when the fleet began."""

    def __init__(self, device_id: str, begin: datetime) -> None:
        application, _, device = device_id.rpartition("/")
        application = application or _APPLICATION
        session = _digest(device_id, begin)
        self.topic = uplink_topic(Route.TTS, application, device)
        self._outer = _inside(
            {
                "end_device_ids": {
                    "device_id": device,
                    "application_ids": {"application_id": application.partition("@")[0]},
                    "dev_addr": session.hex()[-8:].upper(),
                },
                "correlation_ids": [f"as:up:{session.hex()[:26].upper()}"],
            }
        )
        self._inner = _inside(
            {
                "session_key_id": base64.b64encode(session[:16]).decode(),
                "f_port": 1,
                "frm_payload": base64.b64encode(session[:2]).decode(),
                "rx_metadata": [{"gateway_ids": {"gateway_id": "roof-3"}, "rssi": -46, "snr": 13.2}],
                "settings": {"frequency": "868300000"},
                "consumed_airtime": "0.056576s",
            }
        )

    def publish(self, fields: str, counter: int, at: datetime) -> tuple[bytes, int]:
        """Write the uplink of a frame with decoded fields; give it, and its time in microseconds since 1970."""
        whole, later = micros(at), at + _FORWARDING
        frame = f'"f_cnt":{counter},' if counter else ""
        message = f'{frame}"decoded_payload":{fields},"received_at":"{nine_digits(at, whole)}Z",{self._inner}'
        received = f'"received_at":"{nine_digits(later, micros(later))}Z"'
        return f'{{{self._outer},{received},"uplink_message":{{{message}}}}}'.encode(), whole


def _inside(told: dict[str, object]) -> str:
    """Give the inside of a JSON object."""
    return json.dumps(told, separators=(",", ":"))[1:-1]


def _digest(name: str, begin: datetime | None = None) -> bytes:
    """Give bytes that are another name's or another begin's alone: two runs must not share a session."""
    return hashlib.blake2b(f"{name}/{begin and micros(begin)}".encode(), digest_size=20).digest()
