"""Pooled figures as the service publishes them: retained, the same after a restart, and never corrected."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from harness.broker import Mosquitto
from harness.clients import publish, publish_retained, retained
from harness.service import Service, run_command
from harness.waiting import eventually

from ingest import pooled
from ingest.database import connect
from ingest.keys import privacy_of
from ingest.load import register, register_sensors
from ingest.metrics import Metrics
from processors.gate import Gate
from processors.pooled import STEP, newest_due
from processors.sensors import Sensor
from schemas.registry import Registry, load_registry
from schemas.settings import Settings

pytestmark = pytest.mark.one_server

TOPICS = "city/live/dwellings/#"
TOPIC = "city/live/dwellings/antigone"
HUT = "city/live/dwellings/boutonnet"
SUPPRESSED = {"district": "antigone", "suppressed": True}
HUT_SUPPRESSED = {"district": "boutonnet", "suppressed": True}
FIGURES = [
    {"kind": "energy", "unit": "J", "sum": 3_960_000},
    {"kind": "temperature", "unit": "Cel", "mean": 20.5},
]
"""Of eleven homes which use 100 Wh each, and measure 18 to 23 Cel."""
_MINUTES = """
INSERT INTO dwelling_minute (bucket, sensor_id, n, mean, minimum, maximum, first, last, time_weighted_mean, increase,
                             first_at, last_at)
SELECT bucket, sensor.id, 1, 0, 0, 0, 0, 0,
       CASE WHEN name LIKE 'fridge%%' THEN 4 ELSE 18 + 0.5 * ((sensor.dwelling_id * 5) %% 11) END, %s, bucket, bucket
FROM sensor, generate_series(%s::timestamptz, %s::timestamptz, interval '10 minutes') AS bucket
"""


def home(name: str, district: str) -> str:
    """Write a home that measures a temperature, a meter's energy, and a fridge that is not pooled."""
    sensors = [("living/temperature", "temperature", "Cel", ""), ("meter/energy", "energy", "Wh", "")]
    sensors.append(("fridge/temperature", "temperature", "Cel", "pooled = false"))
    lines = [f'[[dwelling]]\nid = "{name}"\ndistrict = "{district}"\nconsent = true']
    for sensor, kind, unit, more in sensors:
        lines.append(f'[[dwelling.sensor]]\nname = "{sensor}"\nkind = "{kind}"\nunit = "{unit}"\n{more}')
    return "\n".join(["", *lines, ""])


ELEVEN = "".join(home(f"home-{number:02}", "antigone") for number in range(11))
FLAT = home("hut-01", "boutonnet")


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add eleven homes of one district, and a flat of another."""
    with registry_path.open("a", encoding="utf-8") as file:
        file.write(ELEVEN + FLAT)
    return registry_path


def sql_after_a_restore() -> list[str]:
    """Give the statements that the operations page tells to run."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    block = page.partition("\n## Backup\n")[2].partition("```sql\n")[2].partition("```")[0]
    return [statement for statement in block.split(";\n") if statement]


def settings_of(variables: dict[str, str]) -> Settings:
    """Give the settings of a service, for code that runs in this process."""
    return Settings(**{name.removeprefix("ARCEAUX_").lower(): value for name, value in variables.items()})  # type: ignore[arg-type] # as text, as from the environment


async def write_homes(settings: Settings, registry: Registry) -> None:
    """Register the homes, fix their groups, and let all be heard in the steps that are due about now."""
    privacy, now = privacy_of(settings, registry), datetime.now(UTC)
    async with await connect(settings.database_url, "test") as connection:
        await register(connection, registry, privacy, Gate())
        for step in range(3):
            await pooled.fix_groups(connection, newest_due(now) + step * STEP)
        oldest = newest_due(now) - STEP
        await connection.execute(_MINUTES, (100 / 3, oldest, oldest + 5 * STEP - timedelta(minutes=10)))


@pytest.fixture
async def homes(service_settings: dict[str, str], registry_path: Path) -> None:
    """Let the homes have been there a day ago."""
    await write_homes(settings_of(service_settings), load_registry(registry_path))


def change(path: Path, what: str, into: str) -> None:
    """Write something otherwise in the registry."""
    path.write_text(path.read_text(encoding="utf-8").replace(what, into), encoding="utf-8")


async def newest(ask: Callable[..., Any], district: str = "antigone") -> dict[str, Any]:
    """Give what the tables say of the newest step of a district, as its payload has to be."""
    row = await ask(
        """SELECT json_build_object('start', began_at, 'end', ended_at, 'group', '>=' || group_at_least,
                  'figures', json_agg(json_build_object('kind', kind, 'unit', unit, how, value) ORDER BY kind))::text
           FROM pooled_figure WHERE district = %s AND began_at = (SELECT max(began_at) FROM pooled_step)
           GROUP BY began_at, ended_at, group_at_least""",
        district,
    )
    told: dict[str, Any] = json.loads(row)
    times = {name: datetime.fromisoformat(told[name]) for name in ("start", "end")}
    return {"district": district} | told | {name: f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items()}


async def live(broker: Mosquitto) -> dict[str, Any]:
    """Give what is retained of districts."""
    return await retained(broker.url, TOPICS)


@pytest.mark.usefixtures("homes")
async def test_a_district_is_published_and_a_single_flat_is_not(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """Eleven homes give a figure by the contract; the flat gives the notice, in the topic and in the tables."""
    seen = await eventually(lambda: live(broker), lambda found: len(found) == 2)
    assert seen == {TOPIC: await newest(ask), HUT: HUT_SUPPRESSED}
    assert list(seen[TOPIC]) == ["district", "start", "end", "group", "figures"]
    assert (seen[TOPIC]["group"], seen[TOPIC]["figures"]) == (">=11", FIGURES)
    end = datetime.fromisoformat(seen[TOPIC]["end"])
    assert end - datetime.fromisoformat(seen[TOPIC]["start"]) == timedelta(minutes=30)
    assert datetime.now(UTC) - end >= timedelta(hours=24)
    assert await ask("SELECT count(*) FROM pooled_figure WHERE district <> 'antigone'") == 0
    assert running.metric("arceaux_pooled_steps_total", outcome="published") >= 1
    assert running.metric("arceaux_pooled_steps_total", outcome="suppressed") >= 1
    assert running.metric("arceaux_pooled_until_timestamp_seconds") >= end.timestamp()


def pack(number: int, begin: datetime) -> bytes:
    """Give what a home sends of five steps: a temperature, and a meter that rises by 100 Wh a step."""
    records: list[dict[str, object]] = []
    for reading in range(15):
        at = (begin + reading * timedelta(minutes=10)).timestamp()
        records.append({"n": "living/temperature", "u": "Cel", "v": 18 + 0.5 * number, "t": at})
        records.append({"n": "meter/energy", "u": "Wh", "v": 1000 * number + reading * 100 / 3, "t": at})
    return json.dumps(records).encode()


async def test_what_homes_send_becomes_a_figure(service: Service, broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """From packs by way of the roller: a service that first looks when all is rolled tells the district."""
    await service.start_ready()
    await eventually(lambda: ask("SELECT count(*) FROM pooled_member"), lambda members: members == 12)
    begin = newest_due(datetime.now(UTC)) - STEP
    packs = [(f"city/dwellings/home-{number:02}/senml", pack(number, begin)) for number in range(11)]
    await publish(broker.url, packs)
    await eventually(lambda: ask("SELECT count(*) FROM dwelling_minute"), lambda rows: rows == 11 * 30)
    assert await service.stop() == 0
    await ask("DELETE FROM pooled_figure")
    await ask("DELETE FROM pooled_step")
    await service.start_ready()
    seen = await eventually(lambda: live(broker), lambda found: found.get(TOPIC, SUPPRESSED) != SUPPRESSED)
    assert seen == {TOPIC: await newest(ask), HUT: HUT_SUPPRESSED}
    assert seen[TOPIC]["figures"] == FIGURES


@pytest.mark.usefixtures("homes")
async def test_what_comes_late_changes_nothing(service: Service, broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """A published step stays as it is, over restarts and by another least group; the topic is filled again."""
    await service.start_ready()
    first = (await eventually(lambda: live(broker), lambda found: TOPIC in found))[TOPIC]
    assert await service.stop() == 0
    rows = await ask("SELECT * FROM pooled_figure WHERE began_at = %s ORDER BY kind", first["start"])
    await ask("UPDATE dwelling_minute SET time_weighted_mean = 30, increase = 1000")
    await ask("INSERT INTO touched_minute (minute, sensors) VALUES (%s, '{1}')", first["start"])
    await publish_retained(broker.url, TOPIC, b"")
    await publish_retained(broker.url, HUT, b'{"district": "boutonnet", "mean": 19}')

    service.settings["ARCEAUX_PRIVACY_MINIMUM_GROUP"] = "8"
    await service.start_ready()
    seen = await eventually(lambda: live(broker), lambda found: found.get(HUT) == HUT_SUPPRESSED and TOPIC in found)
    assert await ask("SELECT * FROM pooled_figure WHERE began_at = %s ORDER BY kind", first["start"]) == rows
    if await ask("SELECT count(*) FROM pooled_step WHERE district = 'antigone'") == 1:
        assert seen[TOPIC] == first

    await publish_retained(broker.url, TOPIC, b'{"district": "antigone", "mean": 19}')
    await eventually(lambda: live(broker), lambda found: found == seen)
    assert await service.stop() == 0


async def test_a_single_flat_publishes_only_the_notice(
    service: Service, broker: Mosquitto, ask: Callable[..., Any], registry_path: Path
) -> None:
    """Also where all that it measured is there; a district that left the registry has its topic cleared."""
    change(registry_path, ELEVEN, "")
    await write_homes(settings_of(service.settings), load_registry(registry_path))
    await service.start_ready()
    assert await eventually(lambda: live(broker)) == {HUT: HUT_SUPPRESSED}
    assert await ask("SELECT count(*) FROM pooled_figure") == 0

    change(registry_path, "boutonnet", "antigone")
    await eventually(lambda: live(broker), lambda found: found == {TOPIC: SUPPRESSED})
    assert await service.stop() == 0


async def test_the_registry_tells_what_is_not_pooled(
    running: Service, registry_path: Path, ask: Callable[..., Any]
) -> None:
    """The key of a listed sensor is in its row; it can be changed while the service runs."""
    assert running.process is not None
    assert await ask("SELECT DISTINCT name FROM sensor WHERE NOT pooled") == "fridge/temperature"
    change(registry_path, "pooled = false", "pooled = true")
    await eventually(lambda: ask("SELECT count(*) FROM sensor WHERE NOT pooled"), lambda count: count == 0)


async def test_nothing_is_judged_before_what_was_sent_meanwhile_has_come(
    service_settings: dict[str, str], registry_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while a backlog drains, and not at its very end; then at once."""
    monkeypatch.setattr(pooled, "_LOOK_EVERY", 0.0)
    metrics, judged = Metrics(), []
    answers = iter([False, True, False, False, True, True])

    def is_caught_up() -> bool:
        judged.append(metrics.registry.get_sample_value("arceaux_pooled_steps_total", {"outcome": "suppressed"}))
        return next(answers, True)

    figures = pooled.PooledFigures(settings_of(service_settings), load_registry(registry_path), metrics, is_caught_up)
    judging = asyncio.create_task(figures.run())

    async def count() -> int:
        return len(judged)

    await eventually(count, lambda looks: looks >= 8)
    judging.cancel()
    with suppress(asyncio.CancelledError):
        await judging
    assert judged[:7] == [0, 0, 0, 0, 0, 0, 2]


async def test_several_judges_at_once_judge_a_step_once(database_url: str, ask: Callable[..., Any]) -> None:
    """One of them does, the others find it done."""
    now = datetime.now(UTC)

    async def judge() -> pooled.Outcome:
        async with await connect(database_url, "test") as connection:
            return await pooled.judge_next(connection, "antigone", now, 11)

    outcomes = await asyncio.gather(*(judge() for _ in range(4)))
    assert sorted(outcomes) == [*[pooled.Outcome.NOTHING_DUE] * 3, pooled.Outcome.SUPPRESSED]
    assert await ask("SELECT count(*) FROM pooled_step") == 1


async def test_nothing_is_judged_while_a_home_is_erased(database_url: str, ask: Callable[..., Any]) -> None:
    """Nor is a group fixed: both wait, and give up after the time-out of the connection, having written nothing."""
    now = datetime.now(UTC)
    async with await connect(database_url, "test") as erasing:
        await erasing.execute("SELECT pg_advisory_lock(hashtextextended('arceaux.erasure', 0))")
        async with await connect(database_url, "test", "-c lock_timeout=50ms") as connection:
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await pooled.fix_groups(connection, now)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await pooled.judge_next(connection, "antigone", now, 11)
    assert await ask("SELECT (SELECT count(*) FROM pooled_step) + (SELECT count(*) FROM pooled_month)") == 0


async def test_old_groups_are_forgotten_and_never_fixed_again(database_url: str, ask: Callable[..., Any]) -> None:
    """Who was in a group is kept until the month after; that the month was fixed is kept for ever."""
    await ask("INSERT INTO dwelling (pseudonym, district, consent) VALUES ('a', 'antigone', true)")
    months = [datetime(2026, month, 3, tzinfo=UTC) for month in (9, 10, 11)]
    async with await connect(database_url, "test") as connection:
        for now in (*months, *months, months[-1]):
            await pooled.fix_groups(connection, now)
    assert await ask("SELECT array_agg(month::text ORDER BY month) FROM pooled_member") == ["2026-10-01", "2026-11-01"]
    assert await ask("SELECT count(*) FROM pooled_month") == 3


async def test_a_least_group_below_seven_is_refused(service_settings: dict[str, str]) -> None:
    """With exit status 2, before any connection: of fewer homes one always holds more than 15 percent."""
    ended = await run_command("ingest", settings=service_settings | {"ARCEAUX_PRIVACY_MINIMUM_GROUP": "6"})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("arceaux: ARCEAUX_PRIVACY_MINIMUM_GROUP: ")


async def test_after_a_restore_no_second_groups_are_fixed_in_a_month_that_began_since(
    service_settings: dict[str, str], ask: Callable[..., Any]
) -> None:
    """What the operations page tells to run leaves the month without groups; those of a month that is known stay."""
    settings = settings_of(service_settings)
    await write_homes(settings, load_registry(settings.registry))
    members = await ask("SELECT count(*) FROM pooled_member")
    for left in (members, 0):
        for statement in sql_after_a_restore():
            await ask(statement)
        async with await connect(settings.database_url, "test") as connection:
            await pooled.fix_groups(connection, datetime.now(UTC))
        assert await ask("SELECT count(*) FROM pooled_member") == left
        await ask("TRUNCATE pooled_month CASCADE")
    assert members > 0


async def test_a_service_with_an_older_registry_does_not_pool_what_is_listed_as_not_pooled(
    service_settings: dict[str, str], ask: Callable[..., Any]
) -> None:
    """It meets the sensor in a message, and takes it for one that nobody lists: the row stays as it was listed."""
    settings = settings_of(service_settings)
    await write_homes(settings, load_registry(settings.registry))
    row = "SELECT id || ' ' || dwelling_id || ' ' || kind || ' ' || pooled"
    listed = f"{row} FROM sensor WHERE name LIKE %s ORDER BY id LIMIT 1"
    number, dwelling, *_ = (await ask(listed, "fridge%")).split()
    async with await connect(settings.database_url, "test") as connection:
        met = Sensor.seen(int(dwelling), "fridge/temperature", "other", "Cel")
        assert await register_sensors(connection, [met]) == [int(number)]
    assert (await ask(listed, "fridge%")).split() == [number, dwelling, "temperature", "false"]
