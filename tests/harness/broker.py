"""A mosquitto of the test's own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from harness.missing import missing
from simulators.embedded.ports import LOOPBACK, free_port

BINARY = "ARCEAUX_TEST_MOSQUITTO"
"""Names another mosquitto than the one of this machine."""

_CONFIGURATION = """
listener {port} 127.0.0.1
allow_anonymous true
persistence {persistence}
persistence_location {directory}/
autosave_interval 1
max_inflight_messages 0
max_queued_messages 1000000
set_tcp_nodelay true
"""


def find_mosquitto() -> str:
    """Find the program; ends the test where there is none."""
    found = os.environ.get(BINARY) or shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    return found or missing("mosquitto", "apt-get install mosquitto")


class Mosquitto:
    """A broker on a free port that can be stopped, killed and started again with or without its sessions.

    `options` are lines of its configuration, which win over those above.
    """

    def __init__(self, directory: Path, *, persistence: bool = True, options: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.url = f"mqtt://{LOOPBACK}:{self.port}"
        self.directory = directory
        self.persistence = persistence
        self._options = options
        self._program = find_mosquitto()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it listens."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # Started by root, mosquitto becomes a user of its own, who has to reach and write this directory.
        self.directory.chmod(0o777)
        configuration = self.directory / "mosquitto.conf"
        configuration.write_text(
            _CONFIGURATION.format(port=self.port, directory=self.directory, persistence=str(self.persistence).lower())
            + ("user root\n" if os.geteuid() == 0 else "")
            + "".join(f"{option}\n" for option in self._options)
        )
        with (self.directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", str(configuration)], stdout=log, stderr=log)
        self._await_listening(time.monotonic() + 10)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the broker by a signal; SIGTERM lets it save its sessions."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def reload(self) -> None:
        """Let the broker read its access list again; connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def _await_listening(self, deadline: float) -> None:
        while True:
            assert self._process is not None
            assert self._process.poll() is None, (self.directory / "mosquitto.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
                return
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)  # between two looks at another process
