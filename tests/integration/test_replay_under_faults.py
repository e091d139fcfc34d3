"""A replay that meets trouble harms neither the stream nor the letters."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from harness.broker import Mosquitto
from harness.clients import publish
from harness.facts import NOW, spot_message
from harness.judge import ledger
from harness.service import Service, run_command
from harness.waiting import eventually

from processors.privacy import KEPT_BYTES

HOME = """
[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
"""


async def test_a_database_that_refuses_all_of_a_replay_does_not_stop_the_stream(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """More letters than a batch of the stream may have refused: they stay, with the reason, and good readings go on."""
    await ask("ALTER TABLE parking_event ADD CONSTRAINT odd CHECK (NOT occupied)")
    for minutes in range(3):
        bays = [f"P-{number:03d}" for number in range(1, 40)]
        time = NOW - timedelta(minutes=minutes)
        await publish(broker.url, [spot_message("ANTI", bay, occupied=True, time=time) for bay in bays])
        wanted = 39 * (minutes + 1)
        await eventually(lambda: ledger(ask), lambda sums, wanted=wanted: sums["dead_lettered"] == wanted)

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
