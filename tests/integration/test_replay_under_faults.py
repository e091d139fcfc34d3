"""A replay that meets trouble harms neither the stream nor the letters."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import publish
from harness.facts import NOW, spot_message
from harness.homes import KEY
from harness.judge import ledger
from harness.service import Service, run_command
from harness.settlers import settler_of
from harness.waiting import eventually

from ingest import dead_letter_queries as queries
from ingest.database import connect
from ingest.metrics import Metrics
from ingest.store import Store
from processors.columns import NEVER
from processors.gate import Gap
from processors.privacy import KEPT_BYTES, Privacy
from processors.times import from_datetime
from schemas.delivery import Delivery
from schemas.registry import Registry
from schemas.settings import Settings
from schemas.topics import Topics

pytestmark = pytest.mark.one_server

HOME = """
[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
"""
HOMES = [{"id": home, "district": "antigone", "consent": True} for home in ("hut-01", "hut-02")]


def _has_dead_lettered(readings: int, sums: dict[str, int]) -> bool:
    return sums["dead_lettered"] == readings


async def test_a_database_that_refuses_all_of_a_replay_does_not_stop_the_stream(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """More letters than a batch of the stream may have refused: they stay, with the reason, and good readings go on."""
    await ask("ALTER TABLE parking_event ADD CONSTRAINT odd CHECK (NOT occupied)")
    for minutes in range(3):
        bays = [f"P-{number:03d}" for number in range(1, 40)]
        time = NOW - timedelta(minutes=minutes)
        await publish(broker.url, [spot_message("ANTI", bay, occupied=True, time=time) for bay in bays])
        await eventually(lambda: ledger(ask), partial(_has_dead_lettered, 39 * (minutes + 1)))

    done = await run_command("deadletters", "replay", settings=running.settings)
    assert done.returncode == 0, done.stderr + running.log
    assert "117 still not usable: database_rejected: " in done.stdout
    await publish(broker.url, [spot_message("ANTI", "P-001", occupied=False, time=NOW)])
    await eventually(lambda: ledger(ask), lambda sums: sums["stored"] == 1)
    audit = await run_command("audit", settings=running.settings)
    assert audit.returncode == 0, audit.stdout


async def test_a_letter_of_a_home_that_was_cut_to_its_own_size_is_not_replayed(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """The pseudonym is longer than the id, so that a payload of just the size that is kept is cut nevertheless."""
    with registry_path.open("a", encoding="utf-8") as registry:
        registry.write(HOME)
    await service.start_ready()
    payload = b"{hut-01 x" + "é".encode() * KEPT_BYTES
    await publish(broker.url, [("city/dwellings/hut-01/senml", payload[: KEPT_BYTES - 1] + b"}")])
    await eventually(lambda: ledger(ask), lambda sums: sums["dead_lettered"] == 1)

    done = await run_command("deadletters", "replay", settings=service.settings)
    assert done.returncode == 0, done.stderr + service.log
    assert "1 cannot be replayed" in done.stdout
    assert await service.stop() == 0


async def test_a_home_that_leaves_the_registry_during_a_replay_is_not_named(
    database_url: str, ask: Callable[..., Any]
) -> None:
    """What comes of a letter of another home, that spoke of it, holds its pseudonym and not its id."""
    registry = Registry.model_validate({"dwelling": HOMES})
    pack = [{"bt": NOW.timestamp(), "n": "a", "u": "Cel", "v": 1}, {"n": "of hut-02", "u": "Cel", "v": 1}]
    delivery = Delivery(
        0, None, "city/dwellings/hut-01/senml", json.dumps(pack).encode(), retain=False, received_at=from_datetime(NOW)
    )
    settings = Settings(database_url=database_url, max_payload_bytes=64)
    async with settler_of(settings, registry) as settler:
        await settler.settle(await settler.decode([delivery], settler.gate, Gap(NEVER, is_open=False)))
    assert await ask("SELECT reason FROM dead_letter") == "payload_too_large"

    await ask("UPDATE dead_letter SET replay_requested_at = now()")
    async with settler_of(Settings(database_url=database_url), registry) as settler:
        smaller = Registry.model_validate({"dwelling": HOMES[:1]})
        settler.take_up(smaller, Privacy.of(smaller, Topics("city"), KEY))
        assert await settler.replay()

    assert await ask("SELECT count(*) FROM dwelling_reading") == 1
    payloads = [bytes(payload or b"").decode() for (payload,) in await ask("SELECT payload FROM dead_letter")]
    assert len(payloads) == 2
    assert not any("hut-02" in payload for payload in payloads)


FILL = """
INSERT INTO dead_letter (received_at, topic, payload, size, digest, reason, detail, last_seen_at)
SELECT now(), 'city/parking/NOWHERE/spots/' || n, '{}', 2, sha256(n::text::bytea), 'unknown_asset', '', now()
FROM generate_series(1, %s) AS n
"""


async def test_a_command_whose_place_is_taken_goes_on(
    service_settings: dict[str, str], ask: Callable[..., Any]
) -> None:
    """Another process may start in the middle: the letters are replayed by whoever is at work then."""
    await ask(FILL, 4000)
    await ask("INSERT INTO ledger VALUES (now(), 'test', 'unroutable', 4000, 4000, 0, 0, 4000, 0)")
    replaying = asyncio.create_task(run_command("deadletters", "replay", settings=service_settings))
    await eventually(
        lambda: ask("SELECT count(*) FROM dead_letter WHERE replay_detail IS NOT NULL"), lambda count: count > 0
    )
    await ask("UPDATE worker SET lease = lease + 1")
    assert await ask("SELECT count(*) FROM dead_letter WHERE replay_requested_at IS NOT NULL") > 0

    done = await replaying
    assert done.returncode == 0, done.stderr
    assert "4000 still not usable" in done.stdout
    audit = await run_command("audit", settings=service_settings)
    assert audit.returncode == 0, audit.stdout


async def test_letters_are_asked_for_in_portions_and_keep_their_place(
    database_url: str, ask: Callable[..., Any]
) -> None:
    """No transaction holds many of them; who asks again waits for those that were asked for before, too."""
    await ask(FILL, 5)
    async with await connect(database_url, "test") as connection:
        now = await queries.clock(connection)
        parts = [part async for part in queries.request_replay(connection, queries.Selection(), now, portion=2)]
        assert parts == [[1, 2], [3, 4], [5]]
        later = await queries.clock(connection)
        some = queries.Selection(ids=[2, 3])
        assert [part async for part in queries.request_replay(connection, some, later, portion=2)] == [[2, 3], []]
        assert (await queries.waiting(connection, now), await queries.waiting(connection, later)) == (5, 5)
        await ask("UPDATE dead_letter SET replay_requested_at = NULL WHERE id < 5")
        assert await queries.waiting(connection, now) == 1


async def test_a_service_that_is_still_loading_is_at_work(database_url: str, ask: Callable[..., Any]) -> None:
    """A replay by command must not take the lease from it."""
    registry = Registry.model_validate({"dwelling": HOMES})
    store = Store(database_url, "arceaux", Metrics())
    async with await connect(database_url, "test") as connection:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('arceaux.registry', 0))")
            opening = asyncio.create_task(store.open(registry, Privacy.of(registry, Topics("city"), KEY)))
            await eventually(lambda: ask("SELECT count(*) FROM worker WHERE lease > 0"), lambda count: count == 1)
            assert await queries.is_writer_at_work(connection)
        await opening
        await store.close()
        # The server notices a closed connection in its own time.
        await eventually(lambda: queries.is_writer_at_work(connection), lambda is_at_work: not is_at_work)
