"""The main job on the city's real archive: every distinct fact stored once, every figure the last poll's."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from harness.archives import archive
from harness.broker import Mosquitto
from harness.clients import retained
from harness.judge import ledger
from harness.service import Service, run_command
from harness.waiting import eventually

REGISTRY = Path(__file__).parents[2] / "deploy/registry.toml"
CODES = {"Triangle": "TRIA", "Pitot": "PITO", "GARD": "GARC", "GAUMONT-EST": "GA109", "GAUMONT-OUEST": "GA250"}
"""Names in the archive that are no codes; told apart from the registry, which is what is tested."""
COUNTERS_OF_BAYS = {"ANTI"}
"""Its live figure rests on its bays: counts are stored and not used."""
FROZEN = {"COME", "CIRC", "GARE", "GA109", "GA250"}
"""Counters that tell the same number for more than a day up to the end of the archive."""

Fact = tuple[datetime, str, int, int]


@pytest.fixture
def registry_path() -> Path:
    """Use the registry of the city."""
    return REGISTRY


@pytest.fixture
def service_settings(service_settings: dict[str, str]) -> dict[str, str]:
    """Accept what is years old, and keep it."""
    names = ("ARCEAUX_RETENTION_PARKING", "ARCEAUX_RETENTION_DWELLING_READINGS")
    return {**service_settings, "ARCEAUX_MAX_LATENESS": "4200d", **dict.fromkeys(names, "4201d")}


def read_polls(directory: Path) -> list[Fact]:
    """Read the archive plainly: time, code, free, total; the lines that are whole."""
    facts = []
    for file in sorted(directory.glob("*.dat")):
        date, clock = re.findall(r"data(\S+)@(\S+)\.dat", file.name)[0]
        local = datetime.fromisoformat(f"{date}T{clock.replace('-', ':')}").replace(tzinfo=ZoneInfo("Europe/Paris"))
        for line in file.read_text().splitlines(keepends=True):
            if match := re.fullmatch(r"(\S+);(\d+);(\d+)\n", line):
                name, free, total = match.groups()
                facts.append((local.astimezone(UTC), CODES.get(name, name), int(free), int(total)))
    return facts


async def replay(running: Service, directory: Path, *options: str) -> int:
    """Play it as fast as it goes; give how many messages the broker acknowledged."""
    ended = await run_command("replay", str(directory), "--speed", "max", *options, settings=running.settings)
    assert ended.returncode == 0, ended.stderr
    return int(json.loads(ended.stdout)["acknowledged"])


@pytest.mark.one_server
async def test_every_fact_of_the_archive_is_stored_once(running: Service, ask: Callable[..., Any]) -> None:
    """Truncated polls, padded numbers and a total that flips; a second run adds nothing."""
    directory = archive("montpellier/polls_2023-01")
    facts = set(read_polls(directory))
    query = "SELECT time, code, free, total FROM parking_count JOIN car_park ON car_park.id = car_park_id"
    for run in (1, 2):
        sent = await replay(running, directory)
        sums = await eventually(lambda: ledger(ask), lambda s, n=run * sent: s["messages"] >= n)  # type: ignore[misc]
        assert sums["stored"] == len(facts)
        assert sums["dead_lettered"] == sums["refused"] == 0
        assert set(await ask(query)) == facts
        assert await ask("SELECT count(*) FROM parking_count") == len(facts)
    assert (await run_command("audit", settings=running.settings)).returncode == 0


@pytest.mark.one_server
async def test_figures_are_the_last_polls_when_shifted_to_now(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """Each counter's free is its last one in the archive; those whose total flips, or which are frozen, say so."""
    directory = archive("montpellier/polls_2023-01")
    facts = read_polls(directory)
    last = {code: (free, total) for _, code, free, total in facts if code not in COUNTERS_OF_BAYS}
    flipped = {code for code in last if len({total for _, other, _, total in facts if other == code}) > 1}
    assert flipped == {"ARCE"}
    sent = await replay(running, directory, "--shift-to-now")
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= sent)

    async def wrong() -> list[object]:
        figures = await retained(broker.url, "city/live/#")
        return [
            (code, free, total, figure)
            for code, (free, total) in last.items()
            if (figure := figures.get(f"city/live/parking/{code}", {})).get("free")
            != min(free, figure.get("capacity", 0))
            or figure.get("capacity") != total
            or figure.get("stale")
        ]

    await eventually(wrong, lambda found: not found)
    capacities = dict(json.loads(await ask("SELECT json_agg(json_build_array(code, capacity))::text FROM car_park")))
    figures = await retained(broker.url, "city/live/#")
    flags = {code: figures[f"city/live/parking/{code}"]["quality"] for code in last}
    changed = {code for code, (_, total) in last.items() if total != capacities[code]}
    assert {code for code, quality in flags.items() if "capacity_changed" in quality} == changed | flipped

    async def stuck() -> set[str]:
        figures = await retained(broker.url, "city/live/parking/+")
        return {topic.rpartition("/")[2] for topic, figure in figures.items() if "stuck" in figure["quality"]}

    await eventually(stuck, lambda seen: seen == FROZEN)
