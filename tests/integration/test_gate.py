"""Pauses and consent on real parts: over restarts, lost sessions and changes of the registry."""

import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import publish, publish_retained, retained
from harness.judge import ledger
from harness.service import Service, run_command
from harness.waiting import eventually

pytestmark = pytest.mark.one_server

HOMES = """
[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true

[[dwelling]]
id = "home-b"
district = "antigone"
consent = true
"""
SENML, PAUSE = "city/dwellings/hut-01/senml", "city/dwellings/hut-01/pause"


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add homes to the small registry."""
    registry_path.write_text(registry_path.read_text(encoding="utf-8") + HOMES, encoding="utf-8")
    return registry_path


def pack(value: float, at: datetime | None = None) -> bytes:
    """Make a pack of one reading, timed by its arrival or told."""
    record: dict[str, Any] = {"n": "t", "u": "Cel", "v": value}
    return json.dumps([record if at is None else record | {"bt": at.timestamp()}]).encode()


async def values(ask: Callable[..., Any]) -> list[float]:
    """Give the values stored, in order."""
    return list(
        json.loads(await ask("SELECT coalesce(json_agg(value ORDER BY value), '[]')::text FROM dwelling_reading"))
    )


async def settled(ask: Callable[..., Any], **least: int) -> dict[str, int]:
    """Wait until the ledger's sums have come this far."""
    return dict(await eventually(lambda: ledger(ask), lambda sums: all(sums[name] >= n for name, n in least.items())))


def read(path: Path) -> str:
    """Read the registry as it is."""
    return path.read_text(encoding="utf-8")


def change(path: Path, text: str) -> None:
    """Write the registry anew."""
    path.write_text(text, encoding="utf-8")


async def open_pauses(ask: Callable[..., Any]) -> int:
    """Count pauses that last."""
    return int(await ask("SELECT count(*) FROM pause WHERE ended_at IS NULL"))


async def test_a_pause_holds_over_a_restart(service: Service, broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """For readings that arrive in it, and for readings buffered in it and sent afterwards, restart or not."""
    await service.start_ready()
    await publish(broker.url, [(SENML, pack(1))])
    await settled(ask, stored=1)
    await publish_retained(broker.url, PAUSE, b"on")
    await eventually(lambda: open_pauses(ask), lambda count: count == 1)
    in_pause = datetime.now(UTC)
    await publish(broker.url, [(SENML, pack(2)), ("city/dwellings/home-b/senml", pack(3))])
    await settled(ask, refused=1, stored=2)

    assert await service.stop(signal.SIGKILL) == -signal.SIGKILL
    await publish(broker.url, [(SENML, pack(4))])
    await service.start_ready()
    await settled(ask, refused=2)
    await publish(broker.url, [(SENML, pack(5)), (PAUSE, b"")])
    await settled(ask, refused=3)

    await publish_retained(broker.url, PAUSE, b"off")
    await eventually(lambda: open_pauses(ask), lambda count: count == 0)
    await publish(broker.url, [(SENML, pack(6, in_pause)), (SENML, pack(7))])
    await settled(ask, refused=4, stored=3)
    assert await service.stop() == 0
    await service.start_ready()
    await publish(broker.url, [(SENML, pack(8, in_pause)), (SENML, pack(9))])
    await settled(ask, refused=5, stored=4)

    assert await values(ask) == [1, 3, 7, 9]
    assert (await run_command("audit", settings=service.settings)).returncode == 0
    assert await service.stop() == 0


async def test_a_button_pressed_while_we_were_away_counts_from_before(
    service: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """The session is lost, the retained `on` is found at the connect: readings taken meanwhile are refused."""
    await service.start_ready()
    await publish(broker.url, [(SENML, pack(1))])
    await settled(ask, stored=1)
    assert await service.stop() == 0
    broker.stop()
    broker.start()
    while_away = datetime.now(UTC)
    await publish_retained(broker.url, PAUSE, b"on")

    await service.start_ready()
    await eventually(lambda: open_pauses(ask), lambda count: count == 1)
    await publish(broker.url, [(PAUSE, b"off")])
    await eventually(lambda: open_pauses(ask), lambda count: count == 0)
    before = datetime.now(UTC) - timedelta(minutes=10)
    await publish(broker.url, [(SENML, pack(2, while_away)), (SENML, pack(3, before)), (SENML, pack(4))])
    await settled(ask, refused=1, stored=3)
    assert await values(ask) == [1, 3, 4]
    assert await service.stop() == 0


async def test_consent_withdrawn_takes_effect_while_running(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """The file changes: the home's readings are refused from then on, stored once it is given again."""
    await publish(broker.url, [(SENML, pack(1))])
    await settled(ask, stored=1)
    agreed = read(registry_path)
    withdrawn = agreed.replace("consent = true", "consent = false", 1)
    for text, consents, least in (
        (withdrawn, 1, {"refused": 1, "stored": 2}),
        (agreed, 2, {"refused": 1, "stored": 4}),
        (withdrawn, 1, {"refused": 2, "stored": 5}),
    ):
        change(registry_path, text)
        if text is withdrawn:
            assert running.process is not None
            running.process.send_signal(signal.SIGHUP)
        await eventually(lambda: ask("SELECT count(*) FROM dwelling WHERE consent"), lambda count: count == consents)  # noqa: B023 - awaited here
        await publish(broker.url, [(SENML, pack(2 + consents)), ("city/dwellings/home-b/senml", pack(10 + consents))])
        await settled(ask, **least)
    assert set(await values(ask)) == {1, 4, 11, 12}


async def test_a_wrong_registry_is_refused_and_the_old_one_kept(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """Every fault is named in the log, nothing changes; a right one with another car park is taken up."""
    right = read(registry_path)
    change(registry_path, right.replace('district = "antigone"', 'district = ""').replace("capacity", "kapacity", 1))

    async def faults() -> str:
        return running.log

    log = await eventually(faults, lambda text: "registry_refused" in text)
    assert "kapacity" in log
    assert "district" in log
    await publish(broker.url, [(SENML, pack(1)), ("city/parking/NEW/count", b'{"free": 5}')])
    await settled(ask, stored=1, dead_lettered=1)

    change(registry_path, right + '\n[[car_park]]\ncode = "NEW"\nname = "New"\ncapacity = 9\nbasis = "count"\n')
    await eventually(lambda: ask("SELECT count(*) FROM car_park WHERE code = 'NEW'"), lambda count: count == 1)
    await publish(broker.url, [("city/parking/NEW/count", b'{"free": 5}')])

    async def figure() -> Any:  # noqa: ANN401 - JSON
        return (await retained(broker.url, "city/live/#")).get("city/live/parking/NEW", {}).get("free")

    await eventually(figure, lambda free: free == 5)
    change(registry_path, right)
    await eventually(figure, lambda free: free is None)


async def test_a_button_pressed_before_consent_is_heeded_after_it(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """Of a home that is registered later and of one that consents later; over a restart, too."""
    agreed = read(registry_path)
    late = '\n[[dwelling]]\nid = "late"\ndistrict = "antigone"\nconsent = true\n'
    change(registry_path, agreed.replace("consent = true", "consent = false", 1))
    await publish_retained(broker.url, PAUSE, b"on")
    await publish_retained(broker.url, "city/dwellings/late/pause", b"on")
    await service.start_ready()
    await settled(ask, messages=2)
    change(registry_path, agreed + late)
    await eventually(lambda: open_pauses(ask), lambda count: count == 2)

    for refused in (2, 4):
        await publish(broker.url, [(SENML, pack(1)), ("city/dwellings/late/senml", pack(2))])
        await settled(ask, refused=refused)
        assert await service.stop() == 0
        await service.start_ready()
    assert await values(ask) == []
    assert await service.stop() == 0
