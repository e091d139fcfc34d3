"""The faults run on TimescaleDB; what differs by server names its own."""

from collections.abc import Callable

import pytest
from harness.databases import TestServer


@pytest.fixture
def server(server_of: Callable[[str], TestServer]) -> TestServer:
    """Give one kind of server, where other tests take each in turn."""
    return server_of("timescaledb")
