"""Homes behind the gate, on real parts: what is stored, what is refused, and what is not there to be found."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from harness.broker import Mosquitto
from harness.clients import publish, retained
from harness.judge import ledger
from harness.service import Service, run_command
from harness.waiting import eventually

IDS = ("hut-01", "home-b", "nest-77", "home-paused")
"""The plain ids: they must be nowhere but in the registry and in topics in."""
UNKNOWN = "cottage-9"
HOMES = """
[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
max_sensors = 100
[[dwelling.sensor]]
name = "kitchen/temperature"
kind = "temperature"
unit = "Cel"
minimum = -20
maximum = 60

[[dwelling]]
id = "home-b"
district = "antigone"
consent = true
max_sensors = 3

[[dwelling]]
id = "nest-77"
district = "boutonnet"
consent = false

[[dwelling]]
id = "home-paused"
district = "boutonnet"
consent = true
"""


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add homes to the small registry."""
    with registry_path.open("a", encoding="utf-8") as file:
        file.write(HOMES)
    return registry_path


def senml(dwelling: str) -> str:
    """Give the topic of a home's packs."""
    return f"city/dwellings/{dwelling}/senml"


def pause(dwelling: str) -> str:
    """Give the topic of a home's red button."""
    return f"city/dwellings/{dwelling}/pause"


def pack(*values: float, at: float | None = None, name: str = "s") -> bytes:
    """Make a pack of sensors numbered from 0, all at one time."""
    base: dict[str, Any] = {} if at is None else {"bt": at}
    records: list[dict[str, Any]] = [
        {"n": f"{name}{number}", "u": "Cel", "v": value} for number, value in enumerate(values)
    ]
    return json.dumps([base | records[0], *records[1:]]).encode()


def seconds_ago(seconds: float) -> float:
    """Give an epoch time in whole seconds."""
    return float(int((datetime.now(UTC) - timedelta(seconds=seconds)).timestamp()))


async def settled(ask: Callable[..., Any], messages: int) -> dict[str, int]:
    """Wait until so many messages are in the ledger."""
    return dict(await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= messages))


async def values(ask: Callable[..., Any]) -> list[float]:
    """Give what is stored, in order."""
    text = await ask(
        "SELECT coalesce(json_agg(value ORDER BY time, sensor_id, value), '[]')::text FROM dwelling_reading"
    )
    return list(json.loads(text))


async def dump(ask: Callable[..., Any]) -> str:
    """Give every row of every table as text, payloads readable."""
    tables = json.loads(await ask("SELECT json_agg(tablename)::text FROM pg_tables WHERE schemaname = 'arceaux'"))
    rows = [await ask(f"SELECT coalesce(json_agg(t), '[]')::text FROM {name} AS t") for name in tables]
    payloads = await ask("SELECT coalesce(string_agg(encode(payload, 'escape'), ' '), '') FROM dead_letter")
    return "\n".join([*rows, payloads])


async def test_sixty_readings_are_sixty_rows(running: Service, broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """In JSON and in CBOR; one bad record is one dead letter beside 59 rows; sending it all again adds nothing."""
    at = seconds_ago(60)
    good = pack(*map(float, range(60)), at=at)
    records = json.loads(pack(*map(float, range(60)), at=at + 1))
    records[7]["v"] = "warm"
    keys = {"bt": -3, "n": 0, "u": 1, "v": 2}
    in_cbor = cbor2.dumps([{keys[k]: v for k, v in record.items()} for record in json.loads(pack(1.5, 2.5, at=at + 2))])
    messages = [(senml("hut-01"), good), (senml("hut-01"), json.dumps(records).encode()), (senml("hut-01"), in_cbor)]

    await publish(broker.url, messages)
    sums = await settled(ask, 3)
    assert (sums["stored"], sums["dead_lettered"], sums["readings"]) == (121, 1, 122)
    assert await ask("SELECT count(*) FROM dwelling_reading") == 121
    (letter,) = await ask("SELECT reason, encode(payload, 'escape') FROM dead_letter")
    assert letter[0] == "schema_violation"
    assert json.loads(letter[1]) == [{"bt": at + 1, "n": "s7", "u": "Cel", "v": "warm"}]

    await publish(broker.url, messages)
    sums = await settled(ask, 6)
    assert (sums["stored"], sums["duplicate"], sums["dead_lettered"]) == (121, 122, 1)
    assert (await run_command("audit", settings=running.settings)).returncode == 0
    assert await ask("SELECT count(*) FROM sensor WHERE kind = 'temperature' AND unit = 'Cel'") == 61


async def test_no_plain_id_is_left_anywhere(running: Service, broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """Not in a dump of the database, the log, the metrics or what is published, whatever a home sends."""
    at = seconds_ago(60)
    every = [(senml(home), pack(20.0, at=at, name=f"{home}/s")) for home in (*IDS, UNKNOWN)]
    hostile = [
        (senml("hut-01"), b'[{"n":"of:home-b:x","u":"Cel","v":1}]'),
        (senml("hut-01"), b'[{"n":"about hut-01 and nest-77","v":1}]'),
        (senml("hut-01"), b"not json, from hut-01"),
        (senml("hut-01"), b'{"id": "hut-01"}'),
        (senml("hut-01"), b'[{"n":"\\u0068ut-01","v":null}]'),
        (senml("hut-01"), cbor2.dumps([{0: "hut-01 ", 2: "x"}])),
        ("city/dwellings/hut-01/home-b/strange", b"hut-01"),
        (f"city/dwellings/{UNKNOWN}/strange", UNKNOWN.encode()),
        (senml(UNKNOWN), b"[broken " + UNKNOWN.encode()),
        (pause(UNKNOWN), b"on"),
        (pause("hut-01"), b"perhaps hut-01"),
    ]
    await publish(broker.url, every + hostile)
    sums = await settled(ask, len(every) + len(hostile))

    assert await ask("SELECT count(*) FROM dwelling_reading") == 3
    assert sums["refused"] == 1  # of the home without consent
    assert sums["readings"] == sums["stored"] + sums["dead_lettered"] + sums["refused"]
    assert await ask("SELECT count(*) FROM dwelling") == 3
    text = "\n".join(
        [await dump(ask), running.log, running.page("/metrics"), str(await retained(broker.url, "city/live/#"))]
    )
    assert "kitchen/temperature" in text
    assert [plain for plain in (*IDS, UNKNOWN) if plain in text] == []
    assert (await run_command("audit", settings=running.settings)).returncode == 0


@pytest.mark.one_server
async def test_homes_without_a_key_are_refused_at_the_start(service_settings: dict[str, str], tmp_path: Path) -> None:
    """With exit status 2, before any connection, saying how to make one."""
    nowhere = {"ARCEAUX_BROKER_URL": "mqtt://127.0.0.1:1", "ARCEAUX_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    settings = {**service_settings, **nowhere}
    short = tmp_path / "short.key"
    short.write_text("secret\n")
    del settings["ARCEAUX_PSEUDONYM_KEY_FILE"]
    for key in ({}, {"ARCEAUX_PSEUDONYM_KEY_FILE": str(short)}, {"ARCEAUX_PSEUDONYM_KEY_FILE": str(tmp_path / "none")}):
        ended = await run_command("ingest", settings=settings | key)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("arceaux: ARCEAUX_PSEUDONYM_KEY_FILE: ")
        assert len(ended.stderr.splitlines()) == 1
