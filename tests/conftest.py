"""Fixtures: real parts, started once where that is safe, and clean for every test."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.city import PARKING
from harness.databases import KINDS, TestServer, any_kind, asking
from harness.service import Service
from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_make_parametrize_id(argname: str) -> str | None:
    """Leave random seeds out of the names of tests: every worker has to find the same. A failure tells its seed."""
    return argname if argname == "seed" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spare tests marked `one_server` the other kinds of server."""
    others = [f"[{kind}" for kind in KINDS if kind != any_kind()]
    spared = [
        item for item in items if item.get_closest_marker("one_server") and any(other in item.name for other in others)
    ]
    config.hook.pytest_deselected(items=spared)
    items[:] = [item for item in items if item not in spared]


@pytest.fixture(scope="session")
def server_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], TestServer]]:
    """Servers by kind, started when first asked for."""
    started: dict[str, TestServer] = {}

    def get(kind: str) -> TestServer:
        if kind not in started:
            server = TestServer(kind, tmp_path_factory.mktemp(kind))
            started[kind] = server
            server.start()
        return started[kind]

    yield get
    for server in started.values():
        server.remove()


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, server_of: Callable[[str], TestServer]) -> TestServer:
    """Each kind of server in turn."""
    return server_of(request.param)


@pytest.fixture
def database_url(server: TestServer) -> Iterator[str]:
    """Make a migrated database of the test's own."""
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def ask(database_url: str) -> Callable[..., Any]:
    """Query the test's database."""
    return asking(database_url)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Start a mosquitto of the test's own."""
    mosquitto = Mosquitto(tmp_path / "mosquitto")
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture
def registry_path(tmp_path: Path) -> Path:
    """Write a small registry: two car parks by spots, one by its counter."""
    path = tmp_path / "registry.toml"
    path.write_text(PARKING, encoding="utf-8")
    return path


@pytest.fixture
def service_settings(broker: Mosquitto, database_url: str, registry_path: Path, tmp_path: Path) -> dict[str, str]:
    """Give the settings of a service on the test's parts."""
    key = tmp_path / "pseudonym.key"
    key.write_text("0123456789abcdef" * 4)
    return {
        "ARCEAUX_BROKER_URL": broker.url,
        "ARCEAUX_DATABASE_URL": database_url,
        "ARCEAUX_REGISTRY": str(registry_path),
        "ARCEAUX_PSEUDONYM_KEY_FILE": str(key),
    }


@pytest.fixture
def service(tmp_path: Path, service_settings: dict[str, str]) -> Iterator[Service]:
    """Give a service that is not started yet."""
    made = Service(tmp_path, service_settings)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


@pytest.fixture
async def running(service: Service) -> AsyncIterator[Service]:
    """Run a service until it is ready."""
    await service.start_ready()
    yield service
    if service.process is not None:
        assert await service.stop() == 0, service.log
