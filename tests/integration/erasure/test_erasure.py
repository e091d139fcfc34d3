"""Erasure on real parts: nothing is left, and nobody else's rows are touched."""

import asyncio
import itertools
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import all_retained, publish
from harness.community import community_server
from harness.erasing import (
    GONE,
    OTHER,
    VALUES,
    assert_nothing_is_left,
    assert_the_books_balance,
    erase,
    events,
    leave_traces,
    leave_traces_and_stop,
    read,
    settled,
    spoken_by,
    start_erasing,
    write,
)
from harness.homes import held, mark, pack, pause, secret, senml, write_homes
from harness.judge import ledger
from harness.service import Service, run_command
from harness.settlers import settler_of
from harness.waiting import eventually

from ingest.database import connect
from ingest.errors import OutdatedLayoutError
from ingest.load import register_sensors
from ingest.migrate import migrate
from ingest.privacy.erasure import remove
from ingest.privacy.home_tables import (
    DWELLING,
    DWELLING_TABLES,
    LAST_TOLD,
    POOLED_MEMBER,
    SENSOR_TABLES,
    TOUCHED_MINUTE,
)
from ingest.privacy.search import search
from ingest.roles import PRIVACY
from processors.columns import NEVER
from processors.gate import Gap
from processors.sensors import Sensor
from schemas.delivery import Delivery
from schemas.registry import Registry
from schemas.settings import Settings


async def test_nothing_of_a_home_is_left_and_nobody_elses_rows_are_touched(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path, apart: Path
) -> None:
    """In no table and no retained topic; the audit balances; what comes later is refused, over a restart, too."""
    await leave_traces(broker, ask)
    others = await held(ask, OTHER)
    theirs = [row for row in others["dead_letter"] if secret(GONE).encode().hex() not in str(row["payload"])]
    assert len(theirs) == len(others["dead_letter"]) - 1
    mine = await held(ask, GONE)
    assert all(mine.values())
    sensors = [row["id"] for row in mine["sensor"]]

    refused = await run_command("privacy", "erase", GONE, settings=running.settings)
    assert refused.returncode == 2
    assert "consent = false" in refused.stderr
    assert await held(ask, GONE) == mine

    write_homes(registry_path, hut_01=False, home_b=True)
    report = await erase(running.settings)

    assert report["is_clean"]
    tables = mine.keys() - {"dead_letter", "pooled_member"}
    assert {table: report["removed"][table] for table in tables} == {table: len(mine[table]) for table in tables}
    await assert_nothing_is_left(ask, sensors)
    assert await ask("SELECT sensors FROM touched_minute") == [row["id"] for row in others["sensor"]]
    assert await ask("SELECT min(dwelling_id) FROM pooled_member") == -1
    assert await held(ask, OTHER) == others | {"dead_letter": theirs}
    assert secret(GONE) not in str(await all_retained(broker.url))
    assert events(apart) == ["erased"]
    assert [name for name in (GONE, secret(GONE)) if name in read(apart) + running.log] == []
    await assert_the_books_balance(running.settings)

    again = await erase(running.settings)
    assert (again["was_erased"], again["removed"]["dead_letter"], again["is_clean"]) == (True, 0, True)

    write_homes(registry_path, hut_01=True, home_b=True)
    for _ in range(2):
        before = await ledger(ask)
        await publish(broker.url, [*spoken_by(GONE, OTHER), *spoken_by(OTHER, GONE)[3:]])
        sums = await settled(ask, messages=before["messages"] + 11)
        assert sums["refused"] - before["refused"] == 7
        await assert_nothing_is_left(ask, sensors)
        assert await running.stop() == 0
        await running.start_ready()
    await assert_the_books_balance(running.settings)


@asynccontextmanager
async def sending(broker: Mosquitto, numbers: "itertools.count[int]") -> AsyncIterator[None]:
    """Let both homes send while the context lasts, every pack with a sensor never heard of."""
    stop = asyncio.Event()

    async def send() -> None:
        while not stop.is_set():
            packs = [(home, f"n{next(numbers)}") for home in (GONE, OTHER) for _ in range(5)]
            at = time.time()
            await publish(broker.url, [(senml(home), pack(VALUES[home], at, "t", name)) for home, name in packs])

    task = asyncio.create_task(send())
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.mark.one_server
async def test_a_home_that_is_erased_while_its_readings_arrive_is_gone(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], apart: Path, tmp_path: Path
) -> None:
    """Though the service's registry says that it consents, and new sensors of it are registered all the time."""
    numbers = itertools.count()
    async with sending(broker, numbers):
        await settled(ask, stored=200)
        elsewhere = tmp_path / "elsewhere"
        write(elsewhere, f"2026-01-01T00:00:00+00:00 erased {mark(GONE)}\n")
        sensors = [row["id"] for row in (await held(ask, GONE))["sensor"]]
        migrated = await run_command("migrate", settings=running.settings | {"ARCEAUX_ERASED_FILE": str(elsewhere)})
        assert migrated.returncode == 0, migrated.stderr
        assert "erased_again" in migrated.stderr
        await assert_nothing_is_left(ask, sensors)
        sums = await ledger(ask)
        await settled(ask, stored=sums["stored"] + 100, refused=sums["refused"] + 50)
        await assert_nothing_is_left(ask, sensors)
    await settled(ask, messages=next(numbers))
    stored = len((await held(ask, OTHER))["dwelling_reading"])
    assert stored == await ask("SELECT count(*) FROM dwelling_reading") > 0
    await eventually(lambda: asyncio.to_thread(lambda: running.log), lambda log: "erasures_taken_up" in log)
    await assert_the_books_balance(running.settings)
    assert events(apart) == []


@pytest.mark.one_server
async def test_nothing_is_computed_of_a_home_that_is_being_removed(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path, database_url: str
) -> None:
    """Before anything of it is removed, nothing is left to be rolled: so nobody has to be kept out until the end."""
    sensors = await leave_traces_and_stop(service, broker, ask)
    others = "SELECT sensors FROM touched_minute"
    write_homes(registry_path, home_b=True)
    async with await connect(database_url, "test") as connection, connection.transaction():
        await connection.execute("LOCK TABLE dwelling_reading IN SHARE MODE")
        process = start_erasing(service.settings)
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'dwelling_reading'::regclass"
        await eventually(lambda: ask(waits), lambda count: count == 1)
        assert await ask("SELECT count(*) FROM dwelling_reading WHERE sensor_id = ANY(%s)", sensors) > 0
        assert await ask(others) == [row["id"] for row in (await held(ask, OTHER))["sensor"]]
    assert await asyncio.to_thread(process.wait) == 0
    process.communicate()
    await assert_nothing_is_left(ask, sensors)


@pytest.mark.one_server
async def test_an_erasure_that_is_killed_is_finished_by_the_next(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path, database_url: str
) -> None:
    """Meanwhile nothing of the home is let in, not even by a service that starts in between."""
    sensors = await leave_traces_and_stop(service, broker, ask)
    write_homes(registry_path, home_b=True)

    async with await connect(database_url, "test") as connection, connection.transaction():
        await connection.execute("LOCK TABLE pause")
        process = start_erasing(service.settings)
        try:
            left = "SELECT count(*) FROM dwelling_reading WHERE sensor_id = ANY(%s)"
            await eventually(lambda: ask(left, sensors), lambda count: count == 0)
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'pause'::regclass"
            await eventually(lambda: ask(waits), lambda count: count == 1)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    half = await held(ask, GONE)
    assert (len(half["sensor"]), half["dwelling"][0]["consent"]) == (len(sensors), False)
    early = await run_command("privacy", "readmit", GONE, settings=service.settings)
    assert (early.returncode, "not finished" in early.stderr) == (1, True)

    report = await erase(service.settings)
    assert report["was_erased"]
    assert report["removed"]["sensor"] == len(sensors)
    await assert_nothing_is_left(ask, sensors)
    await assert_the_books_balance(service.settings)


@pytest.mark.one_server
async def test_a_home_that_nobody_knows_is_taken_for_a_slip(service_settings: dict[str, str], apart: Path) -> None:
    """An id that is written wrong must not be reported as erased."""
    assert "nothing is held" in await erase(service_settings, 1, "hut-10")
    assert events(apart) == []


@pytest.mark.one_server
async def test_something_that_is_left_is_found(
    service_settings: dict[str, str], ask: Callable[..., Any], registry_path: Path
) -> None:
    """In whatever table and column it stands, as text or inside of bytes; the exit status is 1."""
    write_homes(registry_path, hut_01=False, home_b=True)
    await ask("CREATE TABLE notes (words text[], body bytea)")
    await ask(
        "INSERT INTO notes VALUES (ARRAY['of ' || %s], NULL), (NULL, convert_to('of ' || %s, 'UTF8'))",
        *[secret(GONE)] * 2,
    )
    done = await run_command("privacy", "erase", GONE, "--json", settings=service_settings)
    assert done.returncode == 1
    assert json.loads(done.stdout)["found"] == {"notes": 2}


async def test_a_home_that_is_kept_by_column_is_erased(tmp_path: Path) -> None:
    """By somebody who has no more than the role for it; the other sensors of the same chunks stay."""
    async with community_server(tmp_path) as connection:
        await migrate(connection, timedelta(days=8))
        await connection.execute(
            "INSERT INTO dwelling (pseudonym, district, consent) VALUES (%s, 'x', false)", (secret(GONE),)
        )
        await connection.execute("INSERT INTO sensor (dwelling_id, name, kind, unit) VALUES (1, 'a', 'other', '')")
        await connection.execute(
            "INSERT INTO dwelling_reading "
            "SELECT now() - n * interval '1 h', 1 + n % 3, n FROM generate_series(1, 300) n"
        )
        await connection.execute("SELECT compress_chunk(chunk) FROM show_chunks('dwelling_reading') AS chunk")
        await connection.execute(f"SET ROLE {PRIVACY}".encode())
        home, removed = await remove(connection, secret(GONE), lambda _: None)
        assert {table: rows for table, rows in removed.items() if rows} == {
            "dwelling_reading": 100,
            "sensor": 1,
            "dwelling": 1,
        }
        assert await search(connection, secret(GONE), home, lambda _: None) == {}
        rows = await (
            await connection.execute("SELECT sensor_id, count(*) FROM dwelling_reading GROUP BY 1")
        ).fetchall()
        assert sorted(rows) == [(2, 100), (3, 100)]


@pytest.mark.one_server
async def test_every_table_that_names_a_home_is_listed(ask: Callable[..., Any]) -> None:
    """A new table with such a column is erased and exported, or this fails."""
    named = await ask(
        "SELECT DISTINCT table_name::text FROM information_schema.columns WHERE table_schema = 'arceaux' "
        "AND column_name ~ '(sensor|dwelling|home|pseudonym)' AND column_name <> ALL(%s)",
        ["sensors"],
    )
    listed = {table.name for table in (*SENSOR_TABLES, LAST_TOLD, POOLED_MEMBER, *DWELLING_TABLES, DWELLING)}
    assert {name for (name,) in named} == listed
    lists = "SELECT DISTINCT table_name::text FROM information_schema.columns WHERE column_name = 'sensors'"
    found = {name for (name,) in await ask(f"{lists} AND table_schema = 'arceaux' AND table_name <> ''")}
    assert found == {"sensor_health", TOUCHED_MINUTE.name}  # the first counts them


@pytest.mark.one_server
async def test_no_sensor_is_registered_of_a_home_that_withdrew_meanwhile(
    database_url: str, ask: Callable[..., Any]
) -> None:
    """Its message was decoded before; the sensors of others in the same batch wait until it is decoded again."""
    await ask("INSERT INTO dwelling (pseudonym, district, consent) VALUES ('a', 'x', false), ('b', 'x', true)")
    withdrawn, consenting = (Sensor.seen(home, "t", "other", "") for home in (1, 2))
    async with await connect(database_url, "test") as connection:
        with pytest.raises(OutdatedLayoutError):
            await register_sensors(connection, [withdrawn, consenting])
        assert await ask("SELECT count(*) FROM sensor") == 0
        (number,) = await register_sensors(connection, [consenting])
    assert await ask("SELECT dwelling_id FROM sensor WHERE id = %s", number) == 2


@pytest.mark.one_server
async def test_a_service_to_which_nobody_sends_anything_forgets_an_erased_home(
    database_url: str, ask: Callable[..., Any]
) -> None:
    """The tick that writes nothing looks whether homes were erased."""
    registry = Registry.model_validate({"dwelling": [{"id": GONE, "district": "x", "consent": True}]})
    at = time.time_ns() // 1000
    presses = [Delivery(0, None, pause(GONE), state, retain=False, received_at=at) for state in (b"on", b"off")]
    async with settler_of(Settings(database_url=database_url), registry) as settler:
        for deliveries in (presses, [], []):
            await settler.settle(await settler.decode(deliveries, settler.gate, Gap(NEVER, is_open=False)))
        assert settler.gate.pauses.keys() == {secret(GONE)}
        batches = await ask("SELECT max(batch) FROM worker")
        await ask("INSERT INTO erased (mark, erased_at) VALUES (decode(%s, 'hex'), now())", mark(GONE))
        await ask("UPDATE erasure SET generation = generation + 1")
        await settler.settle(await settler.decode([], settler.gate, Gap(NEVER, is_open=False)))
        assert settler.gate.pauses == {}
        assert await ask("SELECT max(batch) FROM worker") == batches
