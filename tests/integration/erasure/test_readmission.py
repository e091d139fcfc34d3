"""What comes back after an erasure: a restored backup cleans itself, and a readmitted home begins anew."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import publish, publish_retained
from harness.erasing import (
    GONE,
    OTHER,
    VALUE,
    assert_nothing_is_left,
    assert_nothing_of_before,
    assert_the_books_balance,
    erase,
    events,
    leave_traces_and_stop,
    read,
    settled,
    write,
)
from harness.homes import held, mark, pack, pause, senml, write_homes
from harness.service import Service, run_command
from harness.waiting import eventually

pytestmark = pytest.mark.one_server

TABLES = (
    *("dwelling", "sensor", "pause", "dwelling_reading", "dead_letter", "last_told", "pooled_member"),
    *("dwelling_minute", "dwelling_hour", "dwelling_day"),
)


async def back_up(ask: Callable[..., Any]) -> None:
    """Keep what is held of homes."""
    for table in TABLES:
        await ask(f"CREATE TABLE public.kept_{table} AS SELECT * FROM arceaux.{table}")


async def restore(ask: Callable[..., Any]) -> None:
    """Put the database back to where it was, as for homes: their rows are there, and it knows of no erasure."""
    await ask(f"TRUNCATE {', '.join(TABLES)}, erased")
    for table in TABLES:
        await ask(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM public.kept_{table}")
    await ask("DELETE FROM removal WHERE cause = 'erasure'")


async def test_a_restored_backup_does_not_bring_a_home_back(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """Neither by `arceaux migrate` nor by a start of the service, whatever the registry says by then."""
    sensors = await leave_traces_and_stop(service, broker, ask)
    others = {table: rows for table, rows in (await held(ask, OTHER)).items() if table != "dead_letter"}
    await back_up(ask)
    write_homes(registry_path, home_b=True)
    assert (await erase(service.settings))["is_clean"]

    await restore(ask)
    assert all((await held(ask, GONE)).values())
    assert (await run_command("migrate", settings=service.settings)).returncode == 0
    await assert_nothing_is_left(ask, sensors)
    await assert_the_books_balance(service.settings)

    await restore(ask)
    write_homes(registry_path, hut_01=True, home_b=True)
    await service.start_ready()
    await assert_nothing_is_left(ask, sensors)
    assert "erased_again" in service.log
    await publish(broker.url, [(senml(GONE), pack(VALUE, time.time()))])
    await settled(ask, refused=1)
    await assert_nothing_is_left(ask, sensors)
    after = await held(ask, OTHER)
    assert {table: after[table] for table in others} == others
    assert await service.stop() == 0
    await assert_the_books_balance(service.settings)


async def test_a_restored_backup_does_not_bring_back_what_a_home_measured_before_it_was_readmitted(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path, apart: Path
) -> None:
    """Its newest event is the readmission, but what the backup holds was erased; whoever learns of that first."""
    await service.start_ready()
    await publish(broker.url, [(senml(GONE), pack(VALUE, time.time() - 60))])
    await settled(ask, stored=1)
    assert await service.stop() == 0
    sensors = [row["id"] for row in (await held(ask, GONE))["sensor"]]
    await back_up(ask)
    write_homes(registry_path, home_b=False)
    assert (await erase(service.settings))["is_clean"]
    readmitted = await run_command("privacy", "readmit", GONE, settings=service.settings)
    assert (readmitted.returncode, events(apart)) == (0, ["erased", "readmitted"])
    refused = "SELECT count(*) FROM erased WHERE readmitted_at IS NULL"

    await restore(ask)
    await erase(service.settings, dwelling=OTHER)
    assert await ask(refused) == 2
    migrated = await run_command("migrate", settings=service.settings)
    assert "erased_again" in migrated.stderr
    await assert_nothing_is_left(ask, sensors)
    assert await ask(refused) == 1

    await restore(ask)
    write_homes(registry_path, hut_01=True)
    await service.start_ready()
    await assert_nothing_of_before(ask, sensors)
    assert await service.stop() == 0
    await service.start_ready()
    assert "erased_again" not in service.log[service.log.rindex("database_connected") :]
    await publish(broker.url, [(senml(GONE), pack(21.0, time.time()))])
    await settled(ask, stored=2)
    assert events(apart) == ["erased", "readmitted", "erased"]


async def test_a_home_that_is_readmitted_begins_anew(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path, apart: Path
) -> None:
    """Its first reading after that is stored, under ids of its own; a button that was on all the time still counts."""
    not_yet = await run_command("privacy", "readmit", GONE, settings=running.settings)
    assert (not_yet.returncode, "nothing to readmit" in not_yet.stderr) == (1, True)
    await publish(broker.url, [(senml(GONE), pack(VALUE, time.time()))])
    await settled(ask, stored=1)
    before = await held(ask, GONE)
    await publish_retained(broker.url, pause(GONE), b"on")
    await eventually(lambda: ask("SELECT count(*) FROM pause"), lambda count: count == 1)
    write_homes(registry_path, home_b=True)
    assert (await erase(running.settings))["removed"]["pause"] == 1

    write_homes(registry_path, hut_01=True, home_b=True)
    await publish(broker.url, [(senml(GONE), pack(VALUE, time.time()))])
    await settled(ask, refused=1)
    done = await run_command("privacy", "readmit", GONE, settings=running.settings)
    assert done.returncode == 0, done.stderr
    assert events(apart) == ["erased", "readmitted"]
    await publish(broker.url, [(senml(GONE), pack(VALUE, time.time()))])
    await settled(ask, refused=2)
    await publish_retained(broker.url, pause(GONE), b"off")
    # What is measured before the service hears of it is measured in the pause.
    await eventually(lambda: ask("SELECT count(*) FROM pause WHERE ended_at IS NULL"), lambda count: count == 0)
    await publish(broker.url, [(senml(GONE), pack(VALUE, time.time()))])
    await settled(ask, stored=2)
    after = await held(ask, GONE)
    assert [len(after[table]) for table in TABLES[:4]] == [1, 1, 2, 1]
    assert after["pause"][0]["began_at"].startswith("1970-01-01")
    assert after["dwelling"][0]["id"] != before["dwelling"][0]["id"]
    assert after["sensor"][0]["id"] != before["sensor"][0]["id"]

    assert await running.stop() == 0
    await running.start_ready()
    await publish(broker.url, [(senml(GONE), pack(VALUE, time.time()))])
    await settled(ask, stored=3)
    await assert_the_books_balance(running.settings)


async def test_what_a_readmitted_home_measured_before_stays_away(
    running: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """Sent again by a gateway, of a pause that was forgotten or not; though all that was done between two batches."""
    measured = time.time() - 30
    await publish(broker.url, [(senml(GONE), pack(VALUE, measured - 30))])
    await settled(ask, stored=1)
    await publish(broker.url, [(pause(GONE), b"on"), (pause(GONE), b"off")])
    await eventually(lambda: ask("SELECT count(*) FROM pause WHERE ended_at IS NOT NULL"), lambda count: count == 1)
    write_homes(registry_path, home_b=True)
    assert (await erase(running.settings))["removed"]["pause"] == 1
    assert (await run_command("privacy", "readmit", GONE, settings=running.settings)).returncode == 0

    write_homes(registry_path, hut_01=True, home_b=True)
    await eventually(lambda: ask("SELECT count(*) FROM dwelling WHERE consent"), lambda count: count == 2)
    bounds = "SELECT extract(epoch FROM began_at)::float || ' ' || (ended_at = readmitted_at) FROM pause, erased"
    for stored in (2, 3):
        assert await ask(bounds) == "0 true"
        await publish(broker.url, [(senml(GONE), pack(VALUE, measured)), (senml(GONE), pack(VALUE, time.time()))])
        await settled(ask, stored=stored, refused=stored - 1)
        assert await running.stop() == 0
        await running.start_ready()
    oldest = "SELECT min(time) > max(readmitted_at) FROM dwelling_reading, erased"
    assert await ask(oldest)
    await assert_the_books_balance(running.settings)


async def test_what_was_done_last_counts_whatever_the_clocks_say(
    service_settings: dict[str, str], ask: Callable[..., Any], registry_path: Path, apart: Path
) -> None:
    """An event is later than those before it, though the clock that dated them was ahead of the database's."""
    write_homes(registry_path, home_b=True)
    for event in ("erased", "readmitted"):
        write(apart, f"2100-01-01T00:00:00+00:00 erased {mark(GONE)}\n")
        if event == "readmitted":
            write(apart, read(apart) + f"2100-01-02T00:00:00+00:00 readmitted {mark(GONE)}\n")
            await erase(service_settings)
        done = await run_command("privacy", "readmit", GONE, settings=service_settings)
        assert done.returncode == 0, done.stderr
        assert await ask("SELECT readmitted_at > erased_at FROM erased")
        assert (await run_command("migrate", settings=service_settings)).returncode == 0
        assert await ask("SELECT readmitted_at > erased_at FROM erased")
    assert events(apart) == ["erased", "readmitted"] * 2
