"""The judge is judged: what it is to find is done to the tables by hand."""

import random
from pathlib import Path

import pytest
from harness.databases import TestServer
from harness.rig import open_rig
from harness.service import run_command

SEED = random.randrange(10**6)


@pytest.mark.parametrize("seed", [SEED])
async def test_the_oracle_sees_what_is_lost_doubled_and_altered(server: TestServer, tmp_path: Path, seed: int) -> None:
    """One row deleted, one changed, one counted twice: each is seen as what it is."""
    async with open_rig(tmp_path, server, seed) as rig:
        await rig.devices.publish(300)
        assert (await rig.judge()).is_clean

        assert await rig.service.stop() == 0
        chosen = "SELECT time, spot_id, occupied FROM parking_event ORDER BY time"
        await rig.ask(f"DELETE FROM parking_event WHERE (time, spot_id, occupied) IN ({chosen} LIMIT 1)")
        await rig.ask(
            "UPDATE parking_event SET time = time + interval '1 microsecond' "
            f"WHERE (time, spot_id, occupied) IN ({chosen} DESC LIMIT 1)"
        )
        await rig.ask("UPDATE availability SET free = free - 1, occupied = occupied + 1 WHERE free > 0")
        await rig.ask(
            "UPDATE ledger SET readings = readings + 1, stored = stored + 1 WHERE ctid = (SELECT min(ctid) FROM ledger)"
        )
        verdict = await rig.verdict()
        assert (verdict.lost, verdict.altered) == (2, 1)
        assert verdict.doubled == 2, "the ledger tells of two more than the table holds"
        assert len(verdict.wrong_figures) == 2
        assert (await run_command("audit", settings=rig.service.settings)).returncode == 1
