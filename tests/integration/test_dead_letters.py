"""Every reason for a dead letter that parking can meet: kept, acknowledged, and the stream goes on."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from harness.broker import Mosquitto
from harness.clients import publish, publish_retained
from harness.facts import NOW, spot_message
from harness.judge import ledger
from harness.service import Service, run_command
from harness.waiting import eventually

pytestmark = pytest.mark.one_server

SPOT = "city/parking/ANTI/spots/P-001"
COUNT = "city/parking/COME/count"
GOOD = spot_message("ANTI", "P-002", occupied=True, time=NOW)


def aged(**distance: float) -> bytes:
    """Make a spot payload whose time lies so far from now."""
    return json.dumps({"occupied": True, "time": (NOW + timedelta(**distance)).isoformat()}).encode()


REJECTED = [
    ("city/parking/ANTI/spot/P-001", b'{"occupied": true}', "unroutable_topic"),
    ("city/parking", b'{"occupied": true}', "unroutable_topic"),
    ("city/parking/ANTI/spots/P-001/extra", b'{"occupied": true}', "unroutable_topic"),
    (SPOT, b'{"occupied": true, "pad": "' + b"x" * 1_000_000 + b'"}', "payload_too_large"),
    (SPOT, b"not json", "malformed_payload"),
    (SPOT, b"", "malformed_payload"),
    (SPOT, b"\x00\xff\xfe", "malformed_payload"),
    (SPOT, b"[" * 100_000, "malformed_payload"),
    (SPOT, b'{"occupied": true, "battery": NaN}', "malformed_payload"),
    (SPOT, b'{"occupied": true, "battery": Infinity}', "malformed_payload"),
    (SPOT, b'{"occupied": true, "time": "\\ud800"}', "malformed_payload"),
    (SPOT, b'{"battery": 3.6}', "schema_violation"),
    (SPOT, b'{"occupied": 1}', "schema_violation"),
    (SPOT, b'{"occupied": true, "time": "2026-11-21"}', "schema_violation"),
    (SPOT, b'{"occupied": true, "time": "1795298400"}', "schema_violation"),
    (SPOT, b'{"occupied": true, "time": "2026-02-30T00:00:00Z"}', "schema_violation"),
    (SPOT, b'{"occupied": true, "time": "2026-11-21T22:00:00Z\\u0000"}', "schema_violation"),
    (COUNT, b'{"free": 1, "status": "ajar"}', "schema_violation"),
    ("city/parking/NOWHERE/spots/P-001", b'{"occupied": true}', "unknown_asset"),
    ("city/parking/ANTI/spots/P-999", b'{"occupied": true}', "unknown_asset"),
    (SPOT, b'{"occupied": true, "time": "2026-11-21T22:00:00"}', "time_missing_offset"),
    (SPOT, aged(days=-9), "time_too_late"),
    (SPOT, b'{"occupied": true, "time": 0}', "time_too_late"),
    (SPOT, aged(hours=1), "time_in_future"),
    (SPOT, b'{"occupied": true, "time": ' + b"9" * 400 + b"}", "time_in_future"),
    (SPOT, b'{"occupied": true, "battery": 1e999}', "value_out_of_range"),
    (SPOT, b'{"occupied": true, "seq": 2147483648}', "value_out_of_range"),
    (SPOT, b'{"occupied": true, "seq": ' + b"9" * 400 + b"}", "value_out_of_range"),
    (COUNT, b'{"free": -2147483649}', "value_out_of_range"),
]


async def test_every_reason_is_kept_acknowledged_and_repeated_as_a_duplicate(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """Each becomes one dead letter with its reason and payload, between good readings that are stored."""
    messages = [message for topic, payload, _ in REJECTED for message in ((topic, payload), GOOD)]
    await publish(broker.url, messages)
    sums = await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= len(messages))

    letters = await ask("SELECT topic, payload, size, reason FROM dead_letter")
    found = sorted((topic, bytes(payload), size, reason) for topic, payload, size, reason in letters)
    assert found == sorted((topic, payload[:65536], len(payload), reason) for topic, payload, reason in REJECTED)
    assert (sums["stored"], sums["dead_lettered"]) == (1, len(REJECTED))
    await eventually(lambda: asyncio.to_thread(running.metric, "arceaux_unacknowledged"), lambda count: count == 0)
    assert running.metric("arceaux_dead_letters_total", reason="malformed_payload") == 7

    await publish(broker.url, messages)
    again = await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= 2 * len(messages))
    assert (again["stored"], again["dead_lettered"]) == (1, len(REJECTED))
    assert await ask("SELECT count(*) FROM dead_letter WHERE repeats <> 1") == 0
    audit = await run_command("audit", settings=running.settings)
    assert audit.returncode == 0, audit.stdout


@pytest.mark.usefixtures("running")
async def test_payloads_that_look_wrong_and_are_not_are_stored(broker: Mosquitto, ask: Callable[..., Any]) -> None:
    """Unknown fields, a megabyte of them below the limit, nulls, repeated keys and nine digits do no harm."""
    stamp = NOW.strftime("%Y-%m-%dT%H:%M:%S")
    good = [
        (SPOT, f'{{"occupied": true, "time": "{stamp}.123456789Z", "unknown": {{"a": [1, null]}}}}'.encode()),
        (SPOT, f'{{"occupied": false, "occupied": true, "time": "{stamp}.2Z", "battery": null, "seq": null}}'.encode()),
        (SPOT, f'{{"occupied": true, "time": {int(NOW.timestamp() * 1000)}, "pad": "{"x" * 250_000}"}}'.encode()),
        (COUNT, f'{{"free": -3, "time": "{stamp}", "status": "OPEN"}}'.encode()),
    ]
    # Without an offset COME's time is of Paris: an hour or two late, and so accepted.
    await publish(broker.url, good)
    sums = await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= len(good))

    assert sums["stored"] == len(good)
    times = await ask("SELECT time FROM parking_event ORDER BY time")
    assert NOW.replace(microsecond=123456) in [time for (time,) in times]


async def test_a_retained_message_without_a_time_is_refused(
    service: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """What a broker kept says nothing of when; retained messages are not even asked for at a subscription."""
    await service.start_ready()
    await publish_retained(broker.url, SPOT, b'{"occupied": true}')
    await eventually(lambda: ledger(ask), lambda sums: sums["messages"] == 1)
    await service.stop()
    await service.start_ready()
    await publish(broker.url, [GOOD])
    sums = await eventually(lambda: ledger(ask), lambda sums: sums["messages"] > 1)

    assert (sums["messages"], sums["stored"]) == (2, 2), "the live one counts, the retained copy did not come"


async def test_a_flood_from_one_source_is_kept_in_bounds(
    running: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """A hundred rows a minute and a summary that counts the rest; good readings and other sources are untouched."""
    flood = [(SPOT, f"rubbish {number}".encode()) for number in range(400)]
    strangers = [(f"city/parking/ANTI/spots/X-{number}", b'{"occupied": true}') for number in range(300)]
    await publish(broker.url, [*flood, *strangers, (COUNT, b"{"), GOOD])
    sums = await eventually(lambda: ledger(ask), lambda sums: sums["messages"] >= 702)

    assert (sums["stored"], sums["dead_lettered"]) == (1, 701)
    rows = await ask(
        "SELECT topic = %s AS is_ours, date_trunc('minute', received_at), count(payload), count(*) - count(payload), "
        "sum(seen)::int FROM dead_letter WHERE topic <> %s GROUP BY 1, 2",
        SPOT,
        COUNT,
    )
    # The flood may go over the turn of a minute.
    assert all(kept <= 100 and summaries <= 1 for _, _, kept, summaries, _ in rows)
    assert sum(seen for is_ours, *_, seen in rows if is_ours) == 400
    assert sum(seen for *_, seen in rows) == 700
    assert await ask("SELECT count(*) FROM dead_letter WHERE payload IS NULL AND topic LIKE '%%X-%%'") == 0
    audit = await run_command("audit", settings=running.settings)
    assert audit.returncode == 0, audit.stdout


async def test_dead_letters_are_listed_shown_and_purged(
    service: Service, broker: Mosquitto, ask: Callable[..., Any]
) -> None:
    """By reason, topic and time; with the payload and what it means; and what is purged is booked as removed."""
    await service.start_ready()
    await publish(broker.url, [(topic, payload) for topic, payload, _ in REJECTED])
    await eventually(lambda: ledger(ask), lambda sums: sums["dead_lettered"] >= len(REJECTED))
    await service.stop()

    async def run(*arguments: str) -> str:
        done = await run_command("deadletters", *arguments, settings=service.settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = json.loads(await run("list", "--json", "--limit", "1000"))
    assert len(listed["dead_letters"]) == len(REJECTED)
    assert sum(row["readings"] for row in listed["reasons"]) == len(REJECTED)
    counters = json.loads(await run("list", "--json", "--topic", "city/parking/+/count"))["dead_letters"]
    assert {row["topic"] for row in counters} == {COUNT}
    assert json.loads(await run("list", "--json", "--before", "1h"))["dead_letters"] == []
    assert "schema_violation" in await run("list", "--since", "1h", "--reason", "schema_violation")

    number = str(counters[0]["id"])
    assert json.loads(await run("show", number, "--json"))["payload"].startswith("{")
    assert "to do:" in await run("show", number)
    nobody = await run_command("deadletters", "show", "999999", settings=service.settings)
    assert (nobody.returncode, nobody.stderr.count("\n")) == (1, 1)
    wrong = await run_command("deadletters", "list", "--since", "yesterday", settings=service.settings)
    assert wrong.returncode == 2
    assert "--since: expected" in wrong.stderr

    assert (await run("purge", "--older-than", "1h")).startswith("0 ")
    assert (await run("purge", "--older-than", "0s")).startswith(f"{len(REJECTED)} ")
    assert await ask("SELECT count(*) FROM dead_letter") == 0
    audit = await run_command("audit", settings=service.settings)
    assert audit.returncode == 0, audit.stdout


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("list", "--topic", "city/#/count"), "--topic: expected an MQTT filter"),
        (("list", "--topic", "city/parking+"), "--topic: expected an MQTT filter"),
        (("list", "--topic", "\udcff"), "--topic: expected an MQTT filter"),
        (("replay", str(2**63)), "9223372036854775807"),
        (("show", str(2**63)), "9223372036854775807"),
    ],
)
async def test_wrong_usage_is_told_before_any_connection(arguments: tuple[str, ...], fault: str) -> None:
    """With exit status 2 and without a traceback; nothing listens where it would connect to."""
    settings = {"ARCEAUX_DATABASE_URL": "postgresql://127.0.0.1:1/nowhere", "COLUMNS": "200"}
    done = await run_command("deadletters", *arguments, settings=settings)
    assert done.returncode == 2, done.stderr
    assert fault in done.stderr
    assert "Traceback" not in done.stderr
