"""`arceaux doctor` on real brokers and databases, well and ill."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from harness.broker import Mosquitto
from harness.clients import publish
from harness.community import community_server
from harness.databases import KINDS, TestServer, find_install
from harness.judge import assert_figures
from harness.service import Service, run_command
from harness.waiting import eventually

from ingest.doctor.database import judge_server
from ingest.doctor.query import ask_server, ask_tables
from ingest.doctor.visit import Visit
from ingest.migrate import HYPERTABLES, migrate
from schemas.reasons import EXPLANATIONS, Reason
from schemas.settings import BrokerAddress
from simulators.embedded.database import EmbeddedDatabase
from simulators.embedded.ports import free_port

ROOT = Path(__file__).parents[2]
NOBODY = {"ARCEAUX_BROKER_URL": "mqtt://127.0.0.1:1", "ARCEAUX_DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/none"}
HOMES = '\n[[dwelling]]\nid = "hut-01"\ndistrict = "antigone"\nconsent = true\n'
SPOT = "city/parking/ANTI/spots/P-001"

ON_ONE_KIND = pytest.mark.parametrize("server", ["postgresql"], indirect=True)
"""What is looked at is the same on every server."""

Checks = dict[str, list[dict[str, str]]]
"""Checks by name."""


async def examine(settings: dict[str, str], *options: str, status: int | None = None) -> Checks:
    """Run the doctor; give its checks, having looked at the exit status and at what every check promises."""
    ended = await run_command("doctor", "--json", *(options or ("--listen", "0")), settings=settings)
    assert ended.returncode in (0, 1), ended.stderr
    assert "hidden" not in ended.stdout
    found: Checks = {}
    for check in json.loads(ended.stdout):
        assert check["status"] in ("ok", "warning", "problem", "unknown")
        assert check["found"]
        assert check["remedy"] or check["status"] in ("ok", "unknown"), check
        found.setdefault(check["check"], []).append(check)
    assert ended.returncode == bool(problems(found)), ended.stdout
    assert status is None or ended.returncode == status, ended.stdout
    return found


def problems(checks: Checks) -> set[str]:
    """Name the checks that found a problem."""
    return {name for name, several in checks.items() if any(check["status"] == "problem" for check in several)}


def status_of(checks: Checks, name: str) -> str:
    """Give what the one check of a name came to."""
    (check,) = checks[name]
    return check["status"]


@contextmanager
def mosquitto(directory: Path, *options: str) -> Iterator[Mosquitto]:
    """Run a mosquitto with these lines in its configuration."""
    broker = Mosquitto(directory / "ill", options=options)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


async def sessions_left(broker: Mosquitto, directory: Path) -> list[str]:
    """Name the client ids of the doctor's that the broker still has a session of."""
    log = await asyncio.to_thread((directory / "ill/mosquitto.log").read_text)
    names = set(re.findall(r" as (arceaux-doctor-\w+) ", log))
    assert len(names) > 5, log
    left = []
    for name in names:
        async with Visit(name, clean_start=False).to(BrokerAddress(broker.url)) as visitor:
            left += [name] if visitor.connack.session_present else []
    return left


def shipped_access_list(directory: Path) -> str:
    """Give the option that makes a broker heed the access list of deploy/."""
    path = directory / "arceaux.acl"
    path.write_bytes((ROOT / "deploy/mosquitto.acl").read_bytes())
    path.chmod(0o600)
    return f"acl_file {path}"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sound_installation_has_no_problem(kind: str, tmp_path: Path, registry_path: Path) -> None:
    """A durable server, a broker with limits and a running service that is spoken to: exit status 0."""
    database = EmbeddedDatabase(find_install(kind), tmp_path / "database", free_port())
    with mosquitto(tmp_path, "max_packet_size 1048576") as broker, database:
        settings = {
            "ARCEAUX_BROKER_URL": broker.url,
            "ARCEAUX_DATABASE_URL": database.url,
            "ARCEAUX_REGISTRY": str(registry_path),
        }
        assert (await run_command("migrate", settings=settings)).returncode == 0
        service = Service(tmp_path, settings)
        await service.start_ready()
        await publish(broker.url, [(SPOT, b'{"occupied": true}')])
        checks = await examine(settings, "--listen", "1s", "--probe-queue", status=0)
        assert await service.stop() == 0
    for name in ("broker", "broker packet size", "broker session", "broker read rights", "broker write rights"):
        assert status_of(checks, name) == "ok"
    for name in ("broker queue", "database", "database schema", "database durability", "database rights", "clock"):
        assert status_of(checks, name) == "ok"
    assert status_of(checks, "service") == "ok"
    assert status_of(checks, "broker persistence") == "unknown"
    assert "99 of 100 bays and counters" in checks["never heard"][0]["found"]


@ON_ONE_KIND
async def test_the_service_is_not_disturbed(
    running: Service, service_settings: dict[str, str], broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """Its session, its figures and its tables are after a visit as they were before."""
    await publish(broker.url, [(SPOT, b'{"occupied": true}')])
    await eventually(lambda: ask("SELECT sum(stored) FROM ledger"))
    figures = await ask("SELECT car_park_id, revision FROM availability ORDER BY 1")
    await examine(service_settings, "--listen", "1s", "--probe-queue")
    await assert_figures(broker.url, ask)
    assert await ask("SELECT car_park_id, revision FROM availability ORDER BY 1") == figures
    assert await ask("SELECT sum(messages) FROM ledger") == 1
    for event in ("broker_waiting", "publisher_waiting", "live_topic_cleared", "session_lost"):
        assert event not in running.log


async def test_the_access_list_that_ships_is_enough(tmp_path: Path, registry_path: Path) -> None:
    """The account `arceaux` may read, write and probe, and reads the broker's own figures."""
    with mosquitto(tmp_path, shipped_access_list(tmp_path)) as broker:
        url = broker.url.replace("//", "//arceaux:hidden@")
        settings = NOBODY | {"ARCEAUX_BROKER_URL": url, "ARCEAUX_REGISTRY": str(registry_path)}
        checks = await examine(settings, "--listen", "0", "--probe-queue")
    for name in ("broker", "broker read rights", "broker write rights", "broker queue", "broker dropped"):
        assert status_of(checks, name) == "ok", name
    assert status_of(checks, "broker version") in ("ok", "warning")


async def test_an_account_without_rights_is_told_what_it_lacks(tmp_path: Path, registry_path: Path) -> None:
    """Mosquitto grants such an account every subscription: what it must not write and does not hear is found out."""
    with mosquitto(tmp_path, shipped_access_list(tmp_path)) as broker:
        url = broker.url.replace("//", "//reader:hidden@")
        settings = NOBODY | {"ARCEAUX_BROKER_URL": url, "ARCEAUX_REGISTRY": str(registry_path)}
        checks = await examine(settings, "--listen", "0", "--probe-queue", status=1)
    assert {"broker read rights", "broker write rights"} <= problems(checks)
    found = checks["broker write rights"][0]["found"]
    assert "city/live/doctor/" in found
    assert "city/status/arceaux-doctor" in found
    assert "not_authorized" in found
    for name in ("broker version", "broker dropped", "broker queue"):
        assert status_of(checks, name) == "unknown", name


async def test_a_refusing_broker_is_a_problem(tmp_path: Path, registry_path: Path) -> None:
    """One that wants a password says so, and the rest of the broker is unknown, not well."""
    with mosquitto(tmp_path, "allow_anonymous false") as broker:
        settings = NOBODY | {"ARCEAUX_BROKER_URL": broker.url, "ARCEAUX_REGISTRY": str(registry_path)}
        checks = await examine(settings, status=1)
    assert status_of(checks, "broker") == "problem"
    assert "not_authorized" in checks["broker"][0]["found"]
    assert status_of(checks, "broker limits") == "unknown"


async def test_a_broker_that_keeps_too_little_is_found_by_the_probe(tmp_path: Path, registry_path: Path) -> None:
    """Mosquitto's default of 1000 messages is measured, and the probe's session does not stay."""
    with mosquitto(tmp_path, "max_queued_messages 1000", "sys_interval 1") as broker:
        settings = NOBODY | {"ARCEAUX_BROKER_URL": broker.url, "ARCEAUX_REGISTRY": str(registry_path)}
        assert status_of(await examine(settings), "broker queue") == "unknown"
        checks = await examine(settings, "--listen", "0", "--probe-queue", status=1)
        assert status_of(checks, "broker queue") == "problem"
        assert re.search(r"kept 1,0\d\d of 1,200", checks["broker queue"][0]["found"])
        assert "max_queued_messages 10000000" in checks["broker queue"][0]["remedy"]

        assert not await sessions_left(broker, tmp_path)
        # What the probe made it drop is in the broker's count, and the next visit reads it there.
        await eventually(lambda: examine(settings), lambda seen: "broker dropped" in problems(seen))


@pytest.mark.parametrize(("option", "status"), [("65536", "warning"), ("1048576", "ok"), ("8388608", "problem")])
async def test_the_largest_packet_is_judged(tmp_path: Path, registry_path: Path, option: str, status: str) -> None:
    """It has to have room for the largest payload, and to be below what the service announces."""
    with mosquitto(tmp_path, f"max_packet_size {option}") as broker:
        settings = NOBODY | {"ARCEAUX_BROKER_URL": broker.url, "ARCEAUX_REGISTRY": str(registry_path)}
        checks = await examine(settings)
    assert status_of(checks, "broker packet size") == status
    if status != "ok":
        assert "max_packet_size 1048576" in checks["broker packet size"][0]["remedy"]


@ON_ONE_KIND
async def test_what_is_away_is_a_problem_and_the_rest_is_checked(
    service_settings: dict[str, str], broker: Mosquitto
) -> None:
    """An absent broker leaves the database's checks, an absent database the broker's; nothing waits for them."""
    without_broker = await examine(service_settings | {"ARCEAUX_BROKER_URL": NOBODY["ARCEAUX_BROKER_URL"]}, status=1)
    assert "broker" in problems(without_broker)
    assert status_of(without_broker, "broker limits") == "unknown"
    assert status_of(without_broker, "database schema") == "ok"

    url = NOBODY["ARCEAUX_DATABASE_URL"]
    without_database = await examine(service_settings | {"ARCEAUX_DATABASE_URL": url}, status=1)
    assert "database" in problems(without_database)
    assert "postgresql://u:***@127.0.0.1:1/none" in without_database["database"][0]["found"]
    assert status_of(without_database, "database settings") == "unknown"
    assert status_of(without_database, "broker") == "ok"
    assert broker.url in without_database["broker"][0]["found"]


async def test_a_table_that_is_locked_is_no_absent_server(database_url: str, service_settings: dict[str, str]) -> None:
    """What the server answered before is told, and the error; nobody is sent to start what runs."""
    impatient = service_settings | {"ARCEAUX_DATABASE_URL": f"{database_url}?options=-c%20lock_timeout%3D100"}
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE arceaux.ledger IN ACCESS EXCLUSIVE MODE")
        checks = await examine(impatient)
    assert status_of(checks, "database") == "ok"
    assert status_of(checks, "database schema") == "ok"
    assert status_of(checks, "tables") == "unknown"
    assert "lock timeout" in checks["tables"][0]["found"]


async def test_a_missing_schema_is_a_problem(server: TestServer, service_settings: dict[str, str]) -> None:
    """The remedy is `arceaux migrate`, and what the tables would tell is unknown."""
    url = server.create_empty()
    checks = await examine(service_settings | {"ARCEAUX_DATABASE_URL": url}, status=1)
    server.drop(url)
    assert "database schema" in problems(checks)
    assert "arceaux migrate" in checks["database schema"][0]["remedy"]
    assert status_of(checks, "tables") == "unknown"


@pytest.mark.parametrize(
    ("setting", "value", "check"),
    [
        ("synchronous_commit", "off", "database durability"),
        ("default_transaction_read_only", "on", "database writable"),
    ],
)
async def test_a_setting_that_loses_readings_is_a_problem(
    server: TestServer, database_url: str, service_settings: dict[str, str], setting: str, value: str, check: str
) -> None:
    """It is found where ALTER DATABASE set it, too, and named together with its value."""
    name = database_url.rsplit("/", 1)[1]
    maintenance = f"{database_url.rsplit('/', 1)[0]}/postgres"
    assert server.kind in KINDS
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET {setting} = {value}".encode())
    checks = await examine(service_settings, status=1)
    assert check in problems(checks)
    found = " ".join(f"{one['found']} {one['remedy']}" for one in checks[check])
    assert setting in found
    assert f"is {value}" in found
    assert status_of(checks, "database schema") == "ok"


async def test_a_role_without_rights_is_a_problem(
    server: TestServer, database_url: str, service_settings: dict[str, str]
) -> None:
    """What the role lacks is named, and what it may not read is unknown."""
    role = f"doctor_{server.kind}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'hidden'".encode())
        connection.execute(f"GRANT USAGE ON SCHEMA arceaux TO {role}".encode())
        connection.execute(f"GRANT SELECT ON arceaux.migration TO {role}".encode())
        try:
            url = re.sub("//.*@", f"//{role}:hidden@", database_url)
            checks = await examine(service_settings | {"ARCEAUX_DATABASE_URL": url}, status=1)
        finally:
            connection.execute(f"DROP OWNED BY {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())
    assert "database rights" in problems(checks)
    assert "DELETE on" in checks["database rights"][0]["found"]
    assert status_of(checks, "tables") == "unknown"
    assert "permission denied" in checks["tables"][0]["found"]


async def test_an_empty_registry_is_a_warning(registry_path: Path) -> None:
    """It is a right one, and yet nothing that is sent would be stored."""
    await asyncio.to_thread(registry_path.write_text, "")
    checks = await examine(NOBODY | {"ARCEAUX_REGISTRY": str(registry_path)})
    assert status_of(checks, "registry") == "warning"


async def test_topics_that_lead_nowhere_are_told_and_homes_only_counted(broker: Mosquitto, registry_path: Path) -> None:
    """Whoever is misspelt, not registered or too loud is named, unless a home could be recognised by it."""
    with registry_path.open("a", encoding="utf-8") as registry:
        registry.write(HOMES)
    topics = [
        SPOT,
        "city/parking/NOWHERE/count",
        "city/parking/ANTI/spot/P-001",
        "city/parking/hut-01/count",
        "city/parking/A\u202eB/count",
        "city/dwellings/cottage-9/senml",
        "city/dwellings/hut-01/kitchen",
    ]
    loud = ["city/parking/NOWHERE/count", "city/dwellings/cottage-9/senml"]
    settings = NOBODY | {"ARCEAUX_BROKER_URL": broker.url, "ARCEAUX_REGISTRY": str(registry_path)}
    looking = asyncio.create_task(examine(settings, "--listen", "3s"))
    clock = asyncio.get_running_loop().time
    due = clock()
    while not looking.done():
        quiet = topics if clock() >= due else []
        due += 0.5 if quiet else 0
        await publish(broker.url, [(topic, b"{}") for topic in quiet + loud * 200])
    checks = looking.result()
    (told,) = checks["topics"]
    assert told["status"] == "warning"
    assert "city/parking/NOWHERE/count" in told["found"]
    assert "city/parking/ANTI/spot/P-001" in told["found"]
    assert "A\\u202eB" in told["found"]
    assert "2 topics of homes" in told["found"]
    (noise,) = checks["noise"]
    assert noise["status"] == "warning"
    assert re.search(r"city/parking/NOWHERE/count \(\d+/s\)", noise["found"])
    assert "1 home" in noise["found"]
    for secret in ("cottage-9", "hut-01"):
        assert secret not in json.dumps(checks)


@ON_ONE_KIND
@pytest.mark.one_server
async def test_dead_letters_and_a_service_that_is_away_are_told(
    service: Service, service_settings: dict[str, str], broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """Each reason of the last hour comes with its remedy; older ones that did not come again are not told."""
    assert status_of(await examine(service_settings), "service") == "warning"
    await service.start_ready()
    await publish(broker.url, [(SPOT, b"rubbish"), (SPOT, b"rubbish"), ("city/parking/NOWHERE/count", b'{"free": 1}')])
    await eventually(lambda: ask("SELECT count(*) FROM dead_letter"), lambda count: count == 2)
    assert await service.stop() == 0
    checks = await examine(service_settings)
    remedies = {check["found"].split(":")[0]: check["remedy"] for check in checks["dead letters"]}
    assert remedies == {
        reason: EXPLANATIONS[reason].remedy for reason in (Reason.MALFORMED_PAYLOAD, Reason.UNKNOWN_ASSET)
    }
    assert any("1 repeat" in check["found"] for check in checks["dead letters"])
    assert status_of(checks, "service") == "ok"
    await ask("UPDATE dead_letter SET received_at = now() - interval '1 day', last_seen_at = now() - interval '1 day'")
    assert status_of(await examine(service_settings), "dead letters") == "ok"


async def test_it_is_written_for_people_as_well(broker: Mosquitto, registry_path: Path) -> None:
    """A line for each check, a remedy below it unless all is well, and what it comes to at the end."""
    settings = NOBODY | {"ARCEAUX_BROKER_URL": broker.url, "ARCEAUX_REGISTRY": str(registry_path)}
    ended = await run_command("doctor", "--listen", "0", settings=settings)
    lines = ended.stdout.splitlines()
    checks = [line for line in lines if re.match(r"(ok|warning|problem|unknown) ", line)]
    remedies = [line for line in lines if line.lstrip().startswith("-> ")]
    assert len(lines) == len(checks) + len(remedies) + 1
    assert "\x1b" not in ended.stdout
    for line, following in pairwise(lines):
        if line.startswith(("warning", "problem")):
            assert following in remedies
    assert re.fullmatch(r"\d+ problems?, \d+ warnings?, \d+ unknown, \d+ ok", lines[-1])


async def test_a_wrong_configuration_is_status_2(tmp_path: Path) -> None:
    """As elsewhere: every fault is named, and nothing was connected to."""
    path = tmp_path / "registry.toml"
    path.write_text("[[car_park]]\ncode = 'A'\n")
    ended = await run_command("doctor", settings=NOBODY | {"ARCEAUX_REGISTRY": str(path)})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "car_park[0].name" in ended.stderr
    ended = await run_command("doctor", "--listen", "soon", settings=NOBODY)
    assert ended.returncode == 2
    assert "--listen" in ended.stderr


async def test_the_community_edition_is_asked_for_its_policies(tmp_path: Path) -> None:
    """Its jobs and chunks are looked at, and the lack of workers to run them is told."""
    async with community_server(tmp_path) as connection:
        await migrate(connection, timedelta(days=8))
        facts = await ask_server(connection)
        assert (facts.server.edition, facts.policies) == (
            "community",
            sum(bool(table.segment_by) for table in HYPERTABLES),
        )
        assert facts.hypertables == {table.table for table in HYPERTABLES}
        await connection.execute(
            "INSERT INTO parking_event SELECT now() - n * interval '1 d', n, true, now() FROM generate_series(0, 2) n"
        )
        assert (await ask_server(connection)).chunks == 3
        tables = await ask_tables(connection)
        assert tables.size > 0
        checks = judge_server("", facts)
        assert "database jobs" in {check.check for check in checks}
