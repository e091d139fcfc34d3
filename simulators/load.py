"""The sender of `arceaux bench`: prepared messages at QoS 1, 2,000 in flight, as fast as they are acknowledged.

It is a measuring instrument, and no second way to send: it costs half of what `simulators.sending` does for a message,
because it neither paces nor times, nor sends again. In the benchmark it shares the machine with what is measured, and
whatever it needs is taken from that. For load on a system use `arceaux simulate --rate`.
"""

import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from urllib.parse import urlsplit

import mqtt5

_WINDOW = 2_000
_CHUNK = 500
_PUBACK_SIZE = 4
"""In bytes, of a message that somebody is subscribed to."""
_PACKET_IDS = 60_000


def spot_messages(topic_root: str, car_parks: int, spots: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Make spot messages of about 100 bytes, each a fact of its own: times a tenth of a millisecond apart."""
    began = datetime.now(UTC) - timedelta(microseconds=100 * count)
    for number in range(count):
        time = (began + timedelta(microseconds=100 * number)).isoformat(timespec="microseconds")
        occupied = "true" if number * 7919 % 13 < 6 else "false"  # noqa: PLR2004 - a mix without a period of the spots'
        seq = number // (car_parks * spots)
        payload = f'{{"occupied": {occupied}, "time": "{time}", "battery": 3.6, "temperature": 11.5, "seq": {seq}}}'
        park, spot = number % car_parks, number // car_parks % spots + 1
        yield f"{topic_root}/parking/B{park}/spots/P-{spot:03d}", payload.encode()


def pack_messages(topic_root: str, homes: int, size: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Make SenML packs of so many readings, about 45 bytes each: every home's own sensors, times of a pack its own."""
    began = datetime.now(UTC).timestamp() - count
    for number in range(count):
        values = ((number * 31 + sensor * 17) % 1000 / 40 for sensor in range(size))
        records = [f'{{"n": "room-{n // 6}/sensor-{n}", "u": "Cel", "v": {value}}}' for n, value in enumerate(values)]
        payload = f'[{{"bt": {began + number:.3f}, {records[0][1:]}, {", ".join(records[1:])}]'
        yield f"{topic_root}/dwellings/home-{number % homes}/senml", payload.encode()


def send(url: str, messages: Iterator[tuple[str, bytes]]) -> int:
    """Publish everything; returns how many the broker acknowledged. Packets are encoded before the first is sent."""
    packets = [
        mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number % _PACKET_IDS + 1).write()
        for number, (topic, payload) in enumerate(messages)
    ]
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 1883)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(mqtt5.ConnectPacket(f"load-{id(packets)}", clean_start=True).write())
        connection.recv(4096)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        _pump(connection, iter(packets), len(packets))
    return len(packets)


def _pump(connection: socket.socket, packets: Iterator[bytes], count: int) -> None:
    sent = acknowledged = received = 0
    while acknowledged < count:
        chunk = list(islice(packets, min(_CHUNK, _WINDOW - (sent - acknowledged))))
        if chunk:
            connection.sendall(b"".join(chunk))
            sent += len(chunk)
        if not chunk or sent - acknowledged >= _WINDOW:
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("the broker closed the connection")
            received += len(data)
            acknowledged = received // _PUBACK_SIZE


if __name__ == "__main__":
    make = {"spots": spot_messages, "packs": pack_messages}[sys.argv[2]]
    send(sys.argv[1], make("city", int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
