"""Uplinks on real parts: bays and homes by ChirpStack and by The Things Stack, through a bridge as it ships."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import client, publish, retained
from harness.judge import ledger
from harness.service import Service, run_command
from harness.waiting import eventually
from unit.lorawan import Fields, chirpstack, from_chirpstack, from_tts, tts

from schemas.delivery import Delivery

pytestmark = pytest.mark.one_server

SECOND = 1_000_000
ROOT = Path(__file__).parents[2]
BAY, FRIDGE, NOBODYS = "70b3d57ed0000011", "24e124d51c000077", "a81758fffe000099"
SECRET = ("hut-01", "nest-77", FRIDGE, "24e124d51c000078", NOBODYS, "fridge-at-tts", "rooms")
"""What must be nowhere but in the registry and in topics in, in any case."""
DEVICES = f"""
[[car_park.spot]]
label = "P-001"
dev_eui = "{BAY.upper()}"
[[car_park.spot]]
label = "P-002"
tts_device_id = "bay-2"

[[dwelling]]
id = "hut-01"
district = "antigone"
consent = true
[[dwelling.device]]
label = "fridge"
dev_eui = "{FRIDGE}"
tts_device_id = "rooms@ttn/fridge-at-tts"

[[dwelling]]
id = "nest-77"
district = "antigone"
consent = false
[[dwelling.device]]
label = "door"
dev_eui = "24E124D51C000078"
"""


@pytest.fixture
def registry_path(registry_path: Path) -> Path:
    """Add devices to the first car park of the small registry, and homes."""
    first, *others = registry_path.read_text(encoding="utf-8").split("\n[[car_park]]")[1:]
    bays, homes = DEVICES.split("\n[[dwelling]]", maxsplit=1)
    parks = "\n[[car_park]]".join([f"{first}{bays}", *others])
    registry_path.write_text(f"[[car_park]]{parks}\n[[dwelling]]{homes}", encoding="utf-8")
    return registry_path


WATCHER = """
user watcher
topic read city/live/#
topic read v3/#
topic readwrite end-of-retained/#
"""


@pytest.fixture
def access_list(tmp_path: Path) -> str:
    """Give the option for the access list that ships, with an account for whoever looks on."""
    path = tmp_path / "arceaux.acl"
    path.write_text((ROOT / "deploy/mosquitto.acl").read_text(encoding="utf-8") + WATCHER, encoding="utf-8")
    path.chmod(0o644)
    return f"acl_file {path}"


@pytest.fixture
def broker(tmp_path: Path, access_list: str) -> Iterator[Mosquitto]:
    """Start a mosquitto with the access list."""
    mosquitto = Mosquitto(tmp_path / "mosquitto", options=(access_list,))
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture
def service_settings(service_settings: dict[str, str], broker: Mosquitto) -> dict[str, str]:
    """Let the service have its account of the access list."""
    return service_settings | {"ARCEAUX_BROKER_URL": of("arceaux", broker)}


def of(account: str, broker: Mosquitto) -> str:
    """Give a broker's URL for an account."""
    return broker.url.replace("//", f"//{account}:secret@")


async def send(broker: Mosquitto, *uplinks: Delivery) -> None:
    """Publish uplinks in order, each kind by the account of its network server."""
    for uplink in uplinks:
        account = "chirpstack" if uplink.topic.startswith("application/") else "tts"
        await publish(of(account, broker), [(uplink.topic, uplink.payload)])


def now() -> int:
    """Give the time in whole seconds, as microseconds."""
    return int(datetime.now(UTC).timestamp()) * SECOND


def bay(fields: Fields | None, at: int, counter: int | None, **changes: Any) -> Delivery:  # noqa: ANN401 - fields of an uplink
    """Give an uplink of the bay at ChirpStack."""
    return from_chirpstack(chirpstack(fields, at, eui=BAY, fCnt=counter, **changes), eui=BAY)


def fridge(fields: Fields | None, at: int, **changes: Any) -> Delivery:  # noqa: ANN401 - fields of an uplink
    """Give an uplink of the home's device at ChirpStack."""
    return from_chirpstack(chirpstack(fields, at, eui=FRIDGE, **changes), eui=FRIDGE)


async def by_route(ask: Callable[..., Any]) -> dict[str, tuple[int, ...]]:
    """Sum up the ledger by route: stored, duplicate, dead-lettered, refused."""
    rows = await ask(
        "SELECT route, sum(stored), sum(duplicate), sum(dead_lettered), sum(refused) FROM ledger GROUP BY 1"
    )
    return {route: tuple(map(int, sums)) for route, *sums in rows}


async def everything(ask: Callable[..., Any], broker: Mosquitto, service: Service) -> str:
    """Give every row of every table, the log, the metrics and what is retained, in lower case."""
    tables = json.loads(await ask("SELECT json_agg(tablename)::text FROM pg_tables WHERE schemaname = 'arceaux'"))
    rows = [await ask(f"SELECT coalesce(json_agg(t), '[]')::text FROM {name} AS t") for name in tables]
    payloads = await ask("SELECT coalesce(string_agg(encode(payload, 'escape'), ' '), '') FROM dead_letter")
    live = await retained(of("watcher", broker), "city/live/#")
    return "\n".join([*rows, payloads, service.log, service.page("/metrics"), str(live)]).lower()


PARKED, FREE = {"type": "parking status", "occupied": True}, {"type": "parking status", "occupied": False}


async def test_uplinks_of_bays_end_as_events(running: Service, broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """By both servers; what comes again is a duplicate, over a restart too, and what never came is missing upstream."""
    at = now() - 600 * SECOND
    again = bay(PARKED, at + 96 * SECOND, 5)
    await send(
        broker,
        bay(PARKED, at, 5),
        bay(PARKED, at + 48 * SECOND, 5),
        bay({"type": "debug", "debugCode": 3}, at + 60 * SECOND, 6),
        from_tts(tts(FREE, at, device="bay-2", f_cnt=None), device="bay-2"),
    )
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] == 4)
    assert await running.stop() == 0
    await running.start_ready()
    await send(broker, again, bay({"type": "heartbeat", "occupied": True}, at + 300 * SECOND, 10))
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] == 6)

    rows = await ask(
        "SELECT label, extract(epoch FROM time)::bigint, occupied FROM parking_event JOIN spot ON id = spot_id"
    )
    seconds = at // SECOND
    assert sorted(rows) == [("P-001", seconds, True), ("P-001", seconds + 300, True), ("P-002", seconds, False)]
    assert await by_route(ask) == {"chirpstack": (2, 2, 0, 1), "tts": (1, 0, 0, 0)}
    assert sorted(await ask("SELECT route, table_name, rows FROM destination")) == [
        ("chirpstack", "parking_event", 2),
        ("tts", "parking_event", 1),
    ]
    states = await ask("SELECT label, last_seq, missing FROM spot_state JOIN spot ON id = spot_id")
    assert sorted(states) == [("P-001", 10, 3), ("P-002", 0, 0)]
    figure = (await retained(of("watcher", broker), "city/live/parking/ANTI"))["city/live/parking/ANTI"]
    assert (figure["occupied"], figure["free"], figure["unknown"]) == (1, 1, 38)
    assert (await run_command("audit", settings=running.settings)).returncode == 0


async def test_uplinks_of_homes_end_as_readings_and_name_nobody(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """No id, no DevEUI and no payload of a home's device, or of nobody's, is in any table, log, metric or figure."""
    at = now() - 600 * SECOND
    history = [{"timestamp": at // SECOND - 3600, "temperature": "5.25"}]
    await send(
        broker,
        fridge({"temperature": 6.5, "magnet_status": "close", "firmware": "v1"}, at),
        fridge({"history": history}, at + SECOND, fCnt=8),
        from_tts(tts({"temperature": 7}, at, device="fridge-at-tts"), device="fridge-at-tts", application="rooms@ttn"),
        fridge({"temperature": "warm", "humidity": 140}, at),
        fridge(None, at),
        from_tts(b"no JSON of hut-01", device="fridge-at-tts", application="rooms@ttn"),
        from_chirpstack(chirpstack({"door": True}, at), eui="24E124D51C000078"),
        from_chirpstack(chirpstack(PARKED, at, eui=NOBODYS), eui=NOBODYS.upper()),
        from_tts(tts(PARKED, at, device="fridge-at-tts"), device="fridge-at-tts", application="rooms"),
    )
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] == 9)

    readings = await ask(
        "SELECT name, unit, extract(epoch FROM time)::bigint, value FROM dwelling_reading JOIN sensor ON id = sensor_id"
    )
    seconds = at // SECOND
    assert sorted(readings) == [
        ("fridge/contact", "/", seconds, 1),
        ("fridge/temperature", "Cel", seconds - 3600, 5.25),
        ("fridge/temperature", "Cel", seconds, 6.5),
        ("fridge/temperature", "Cel", seconds, 7),
    ]
    assert await by_route(ask) == {"chirpstack": (3, 0, 4, 2), "tts": (1, 0, 2, 0)}
    home = await ask("SELECT pseudonym FROM dwelling")
    letters = await ask("SELECT topic, reason, seen, payload FROM dead_letter")
    assert sorted(letters) == [
        ("application/-/device/-/event/up", "unknown_asset", 1, None),
        (f"application/-/device/{home}/event/up", "schema_violation", 2, None),
        (f"application/-/device/{home}/event/up", "value_out_of_range", 1, None),
        ("v3/-/devices/-/up", "unknown_asset", 1, None),
        (f"v3/-/devices/{home}/up", "malformed_payload", 1, None),
    ]
    told = await everything(ask, broker, running)
    assert "fridge/temperature" in told
    assert [secret for secret in SECRET if secret in told] == []
    assert (await run_command("audit", settings=running.settings)).returncode == 0


@pytest.mark.usefixtures("running")
async def test_a_pause_holds_for_the_devices_of_a_home(broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """The red button stops what comes by a network server as it stops the home's gateway."""
    at = now()
    await publish(of("hut-01", broker), [("city/dwellings/hut-01/pause", b"on")])
    await eventually(lambda: ask("SELECT count(*) FROM pause"))
    await send(broker, fridge({"temperature": 6.5}, at))
    await eventually(lambda: by_route(ask), lambda routes: routes.get("chirpstack") == (0, 0, 0, 1))
    assert await ask("SELECT count(*) FROM dwelling_reading") == 0


def bridge(address: str) -> tuple[str, ...]:
    """Give the lines of the bridge that ships, with another address and without TLS."""
    lines = (ROOT / "deploy/mosquitto-tts-bridge.conf").read_text(encoding="utf-8").splitlines()
    options = [line for line in lines if line and not line.startswith("#")]
    secured = ("bridge_capath ", "bridge_tls_version ")
    assert len([line for line in options if line.startswith((*secured, "address "))]) == 3
    bare = [line for line in options if not line.startswith(secured)]
    return tuple(f"address {address}" if line.startswith("address ") else line for line in bare)


@pytest.fixture
def the_things_stack(tmp_path: Path) -> Iterator[Mosquitto]:
    """Start a broker that lets the account read the uplinks of its application, and write nothing."""
    path = tmp_path / "tts.acl"
    path.write_text(
        "topic readwrite v3/parking@ttn/devices/+/up\nuser parking@ttn\ntopic read v3/parking@ttn/devices/+/up\n"
    )
    path.chmod(0o644)
    mosquitto = Mosquitto(tmp_path / "tts", options=(f"acl_file {path}",))
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture
async def bridged(
    tmp_path: Path, access_list: str, the_things_stack: Mosquitto, service_settings: dict[str, str]
) -> AsyncIterator[tuple[Mosquitto, Service]]:
    """Run a broker with the bridge, and a service on it."""
    here = Mosquitto(tmp_path / "here", options=(access_list, *bridge(f"127.0.0.1:{the_things_stack.port}")))
    here.start()
    service = Service(tmp_path, service_settings | {"ARCEAUX_BROKER_URL": of("arceaux", here)})
    await service.start_ready()
    yield here, service
    service.kill()
    here.stop()


async def test_the_bridge_that_ships_brings_uplinks(
    bridged: tuple[Mosquitto, Service], the_things_stack: Mosquitto, ask: Callable[..., Any]
) -> None:
    """From a broker of MQTT 3.1.1 at QoS 0 to the right bay; what comes while the service is stopped waits for it."""
    here, service = bridged
    at = now() - 600 * SECOND

    async def publish_there(counter: int) -> None:
        uplink = from_tts(tts(PARKED, at + counter * SECOND, device="bay-2", f_cnt=counter), device="bay-2")
        async with client(the_things_stack.url) as connected:
            await connected.publish(uplink.topic, uplink.payload, qos=0)

    async def sent_until_stored() -> int:
        await publish_there(1)
        return int(await ask("SELECT count(*) FROM parking_event"))

    await eventually(sent_until_stored)
    assert await service.stop() == 0
    async with client(of("watcher", here)) as listening:
        await listening.subscribe("v3/#")
        await publish_there(2)
        await anext(aiter(listening.messages))
    assert await ask("SELECT count(*) FROM parking_event") == 1
    await service.start_ready()
    await eventually(lambda: ask("SELECT count(*) FROM parking_event"), lambda rows: rows == 2)
    assert await ask("SELECT label FROM spot_state JOIN spot ON id = spot_id") == "P-002"
    there = (the_things_stack.directory / "mosquitto.log").read_text()
    assert re.search("as arceaux-bridge-parking .*parking@ttn", there)
    assert "denied" not in there.lower()
