"""An MQTT broker out of a wheel (rumqttd in iotcore), for the demo and for tests."""

import signal
from pathlib import Path
from types import TracebackType
from typing import Self

import iotcore

from simulators.embedded.ports import LOOPBACK

# Only a listener for MQTT 5: the one for 3.1.1 wants a port of its own and ends for good on the first publication with
# a property, so those clients come in by the front door (front_door.py). rumqttd keeps the messages of each filter in
# segments, read or unread, and drops the oldest: 8 segments of 16 MiB bound its memory, and hold an hour of a busy city
# for a service that was away. `max_inflight_count` is its window for what clients send; towards clients it keeps 100 in
# flight, whatever Receive Maximum they ask for.
_CONFIG = """\
id = 0

[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 20000
max_segment_size = 16777216
max_segment_count = 8

[v5.1]
name = "v5"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 20000
dynamic_filters = true
"""


class BrokerError(Exception):
    """The broker did not start or ended by itself; the message says on which address, and why if known."""


class EmbeddedBroker:
    """A broker in a child process, on 127.0.0.1, from `start` (or entering) to `stop`.

    It speaks MQTT 5 only, and keeps nothing on disk: sessions and retained messages end with it. The child ends with
    this process.
    """

    def __init__(self, state_dir: Path, port: int) -> None:
        self._config = state_dir / "broker.toml"
        self._broker: iotcore.Broker | None = None
        self.port = port
        self.url = f"mqtt://{LOOPBACK}:{port}"

    @property
    def running(self) -> bool:
        """Whether the child process is there."""
        return self._broker is not None and bool(self._broker.is_running)

    def start(self) -> None:
        """Write the configuration and start the child; blocks until it accepts connections.

        Raises BrokerError where it does not, say because the port is busy.
        """
        self._config.parent.mkdir(parents=True, exist_ok=True)
        self._config.write_text(_CONFIG.format(host=LOOPBACK, port=self.port), encoding="utf-8")
        broker = iotcore.Broker(config_path=str(self._config))
        # The child inherits the mask: Ctrl-C reaches a terminal's whole foreground group, and the broker has
        # to outlive those who still talk to it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            broker.start()
        except (OSError, RuntimeError) as error:
            raise BrokerError(f"the broker did not start on {LOOPBACK}:{self.port}: {error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._broker = broker

    def check(self) -> None:
        """Raise BrokerError where the child has ended by itself."""
        if not self.running:
            raise BrokerError(f"the broker on {LOOPBACK}:{self.port} ended by itself; it wrote why above, if at all")

    def stop(self) -> None:
        """End the child (SIGTERM, after five seconds SIGKILL); does nothing where there is none."""
        if self._broker is not None:
            self._broker.stop()
            self._broker = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
