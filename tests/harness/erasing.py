"""Two homes in tests of erasure: what they leave behind, and how to look whether it is gone."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.broker import Mosquitto
from harness.clients import publish
from harness.homes import dump, held, pack, pause, secret, senml
from harness.judge import ledger
from harness.service import Service, environment, run_command
from harness.waiting import eventually
from ingest.privacy.home_tables import (
    LAST_TOLD,
    SENSOR_TABLES,
)

GONE, OTHER = "hut-01", "home-b"
VALUE = 23.456789
"""What the home that is to go measures."""
VALUES = {GONE: VALUE, OTHER: 21.5}


def read(path: Path) -> str:
    """Read a file, empty where there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write(path: Path, text: str) -> None:
    """Write a file."""
    path.write_text(text, encoding="utf-8")


def events(path: Path) -> list[str]:
    """Give the events of a list of erased homes."""
    return [line.split()[1] for line in read(path).splitlines()]


def start_erasing(settings: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the command, not waiting for its end."""
    command = [sys.executable, "-m", "ingest", "privacy", "erase", GONE]
    return subprocess.Popen(command, env=environment(settings), stderr=subprocess.PIPE)


async def settled(ask: Callable[..., Any], **least: int) -> dict[str, int]:
    """Wait until the ledger's sums have come this far."""
    return dict(await eventually(lambda: ledger(ask), lambda sums: all(sums[name] >= n for name, n in least.items())))


async def erase(settings: dict[str, str], status: int = 0, dwelling: str = GONE) -> Any:  # noqa: ANN401 - JSON
    """Run the command; give what it reports."""
    done = await run_command("privacy", "erase", dwelling, "--json", settings=settings)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


async def assert_nothing_is_left(ask: Callable[..., Any], sensors: list[int]) -> None:
    """Look for the pseudonym in every table, for its readings, and for its sensors."""
    tables = await dump(ask)
    assert [name for name, rows in tables.items() if secret(GONE) in rows or str(VALUE) in rows] == []
    assert await ask("SELECT count(*) FROM touched_minute WHERE sensors && %s::integer[]", sensors) == 0
    for table in (*SENSOR_TABLES, LAST_TOLD):
        assert await ask(f"SELECT count(*) FROM {table.name} WHERE sensor_id = ANY(%s)", sensors) == 0
        orphans = f"SELECT count(*) FROM {table.name} WHERE sensor_id NOT IN (SELECT id FROM sensor)"
        assert await ask(orphans) == 0


async def assert_nothing_of_before(ask: Callable[..., Any], sensors: list[int]) -> None:
    """Look for the sensors that a home had before it was erased, and for what they measured."""
    for table in (*SENSOR_TABLES, LAST_TOLD):
        assert await ask(f"SELECT count(*) FROM {table.name} WHERE sensor_id = ANY(%s)", sensors) == 0
    assert await ask("SELECT count(*) FROM sensor WHERE id = ANY(%s)", sensors) == 0


async def assert_the_books_balance(settings: dict[str, str]) -> None:
    """Run the audit."""
    audit = await run_command("audit", settings=settings)
    assert audit.returncode == 0, audit.stdout


def spoken_by(dwelling: str, other: str) -> list[tuple[str, bytes]]:
    """Make messages of a home, over three days, of which some become dead letters; they name another one, too."""
    now = time.time()
    return [
        *(
            (senml(dwelling), pack(VALUES[dwelling], now - 120 - day * 86_400, "kitchen/t", "bath/t"))
            for day in range(3)
        ),
        (senml(dwelling), b'[{"n":"x","v":"warm"}]'),
        (senml(dwelling), b'{"neighbour": "' + other.encode() + b'"}'),
        (f"city/dwellings/{dwelling}/strange", b"of mine"),
        (senml(dwelling), b"\xff\xfe"),
    ]


async def leave_traces(broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """Let both homes leave something in each table that can hold it."""
    seen = round((time.time() - 120) * 1000)
    states = [
        (f"city/dwellings/{home}/zigbee2mqtt/plug", json.dumps({"voltage": VALUES[home], **told}).encode())
        for home in (GONE, OTHER)
        for told in ({"last_seen": seen}, {})
    ]
    spoken = [*spoken_by(GONE, OTHER), *spoken_by(OTHER, GONE), *states]
    await publish(broker.url, spoken)
    await settled(ask, messages=len(spoken))
    # Later: while the gap at the start is open, a press would count from before all that.
    await publish(broker.url, [(pause(home), state) for home in (GONE, OTHER) for state in (b"on", b"off")])
    await settled(ask, messages=len(spoken) + 4)
    await eventually(lambda: ask("SELECT count(*) FROM touched_minute"), lambda marks: marks == 0)
    await eventually(lambda: ask("SELECT count(*) FROM pooled_member"), lambda members: members == len(VALUES))
    # One that no roller takes yet.
    await ask(
        "INSERT INTO touched_minute (minute, sensors) SELECT now() + '1 h', array_agg(id) FROM sensor RETURNING 1"
    )


async def leave_traces_and_stop(service: Service, broker: Mosquitto, ask: Callable[..., Any]) -> list[int]:
    """Do so by a service that ends then; give the sensors of the home that is to go."""
    await service.start_ready()
    await leave_traces(broker, ask)
    assert await service.stop() == 0
    return [row["id"] for row in (await held(ask, GONE))["sensor"]]
