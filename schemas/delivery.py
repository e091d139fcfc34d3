"""One MQTT message as it reached us."""

from typing import NamedTuple


class Delivery(NamedTuple):
    """A PUBLISH packet with where and when it came in.

    `epoch` numbers the connection: a packet identifier means nothing outside its own. `packet_id` is None for
    QoS 0. `received_at` is microseconds since 1970.
    """

    epoch: int
    packet_id: int | None
    topic: str
    payload: bytes
    retain: bool
    received_at: int
