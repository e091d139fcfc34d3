"""One MQTT message as it reached us."""

from typing import NamedTuple


class Delivery(NamedTuple):
    """A PUBLISH packet with where and when it came in.

    `epoch` numbers the connection: a packet identifier means nothing outside its own. `packet_id` is None for
    QoS 0. `received_at` is microseconds since 1970. `duplicate` is the broker's word that it sends this not for the
    first time; nothing is deduplicated by it.
    """

    epoch: int
    packet_id: int | None
    topic: str
    payload: bytes
    retain: bool
    received_at: int
    duplicate: bool = False
