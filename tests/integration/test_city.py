"""The demo as a user runs it: addresses, moving figures, rows, a clean end, and going on from what is stored."""

import asyncio
import hmac
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from harness.clients import client
from harness.databases import KINDS, asking, find_install
from harness.service import environment
from harness.waiting import eventually

from schemas.registry import load_registry

HOME = Path(__file__).parents[2]
CITY = "city/live/parking"
SECONDS = 60


class Demo:
    """`arceaux demo` in a process group of its own, as a terminal has it."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._output = directory / "output"
        command = [sys.executable, "-m", "ingest", "demo", "--state-dir", str(directory / "state")]
        outside = {name: os.environ[name] for name in ("ARCEAUX_TIMESCALEDB_ROOT",) if name in os.environ}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=HOME,
                env=environment(outside if kind == "timescaledb" else {}),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """All that it has said."""
        return self._output.read_text()

    async def address(self, scheme: str) -> str:
        """Give one of the addresses that it prints, one a line."""

        async def look() -> str | None:
            assert self.process.poll() is None, self.output
            found = re.search(rf"^{scheme}://\S+$", self.output, re.MULTILINE)
            return found[0] if found else None

        return str(await eventually(look, seconds=90))

    @property
    def homes_query(self) -> str:
        """Give the query about homes among those that it offers for a look inside."""
        queries: list[str] = re.findall(r"^psql '\S+' -c '([^']+)'$", self.output, re.MULTILINE)
        (query,) = (query for query in queries if "district" in query)
        return query

    async def interrupt(self) -> int:
        """Press Ctrl-C: every process of the group gets it."""
        os.killpg(self.process.pid, signal.SIGINT)
        return await asyncio.to_thread(self.process.wait, 60)

    def kill(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_demo_runs_ends_and_goes_on(tmp_path: Path, kind: str) -> None:
    """Figures of the 25 car parks are retained and change, rows arrive, and the second run adds to the first.

    Homes are stored under pseudonyms, and of the one that does not consent there is nothing.
    """
    find_install(kind)
    stored = 0
    for _ in range(2):
        demo = Demo(tmp_path, kind)
        try:
            broker, database = await demo.address("mqtt"), await demo.address("postgresql")
            await demo.address("http")
            assert ("without TimescaleDB" in demo.output) is (kind == "postgresql")
            ask = asking(database)
            before = stored
            await check_city(broker)
            stored = await eventually(lambda: stored_readings(ask), lambda count: count > before)  # noqa: B023 - awaited here
            await check_homes(ask, demo.homes_query, (tmp_path / "state/pseudonym.key").read_bytes())
            assert await demo.interrupt() == 0, demo.output
            assert "stopped in order" in demo.output
        except Exception as error:
            error.add_note(demo.output)
            raise
        finally:
            demo.kill()


async def figures(broker: str, version: aiomqtt.ProtocolVersion) -> dict[str, Any]:
    """Give what is retained of the car parks, as soon as it is all there.

    The demo's broker sends what is retained when it comes to it: nothing that we publish ourselves tells the end.
    """
    seen: dict[str, Any] = {}
    async with client(broker, version) as connected, asyncio.timeout(SECONDS):
        await connected.subscribe(f"{CITY}/#", qos=1)
        async for message in connected.messages:
            seen[str(message.topic)] = json.loads(bytes(message.payload))
            if seen.get(CITY, {}).get("car_parks") == len(seen) - 1:
                break
    return seen


async def check_city(broker: str) -> None:
    """Watch the city move."""

    async def look() -> dict[str, Any]:
        return await figures(broker, aiomqtt.ProtocolVersion.V5)

    first = await eventually(look, lambda seen: seen[CITY]["unknown"] == 0)
    assert len(first) > 25
    assert first["city/live/parking/COME"]["name"] == "Comédie"
    await eventually(look, lambda seen: seen[CITY]["revision"] > first[CITY]["revision"])
    older = await figures(broker, aiomqtt.ProtocolVersion.V311)
    assert older.keys() == first.keys()


async def check_homes(ask: Callable[..., Any], query: str, key: bytes) -> None:
    """Wait until every consenting home was heard, and look for anything else.

    The pseudonym is worked out here from what docs/database.md says of it: HMAC-SHA-256 of the id.
    """
    homes = load_registry(HOME / "deploy/registry.toml").dwelling
    by_district = Counter(home.district for home in homes if home.consent)

    async def heard() -> list[tuple[str, int, int, int]]:
        return list(await ask(query))

    def is_complete(districts: list[tuple[str, int, int, int]]) -> bool:
        # Some 55 sensors a home, each with a reading or more.
        return all(sensors >= 50 * homes and readings >= sensors for _, homes, sensors, readings in districts)

    districts = await eventually(heard, lambda seen: bool(seen) and is_complete(seen))
    assert {district: count for district, count, _, _ in districts} == by_district
    pseudonyms = {hmac.digest(key.strip(), home.id.encode(), "sha256").hex() for home in homes if home.consent}
    assert {row[0] for row in await ask("SELECT pseudonym FROM dwelling")} == pseudonyms
    for table in ("dwelling", "sensor", "dead_letter"):
        dump = str(await ask(f"SELECT string_agg(t::text, ' ') FROM {table} t"))
        assert [home.id for home in homes if home.id in dump] == [], table
    assert await ask("SELECT sum(refused) > 0 FROM ledger WHERE route = 'senml'")


async def stored_readings(ask: Callable[..., Any]) -> int:
    """Give how many readings the ledger has as stored."""
    return int(await ask("SELECT coalesce(sum(stored), 0) FROM ledger"))
