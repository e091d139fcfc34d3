"""The whole examination, from the first look at the broker to the last check.

Looking is apart from judging: inquiry and query ask; broker, database, tables and traffic judge what they were told.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from ingest.database import Connection, connect
from ingest.doctor.broker import judge_broker, judge_refused, judge_unreached
from ingest.doctor.database import judge_absent, judge_server, judge_unasked
from ingest.doctor.inquiry import Inquiry
from ingest.doctor.progress import listening
from ingest.doctor.query import ask_server, ask_tables
from ingest.doctor.report import Check, ok, plural, problem, some, warning
from ingest.doctor.tables import TableFacts, judge_stall, judge_tables
from ingest.doctor.traffic import KnownTopics, Traffic, judge_traffic
from ingest.doctor.visit import UNREACHED, RefusedVisitError
from ingest.errors import describe
from ingest.keys import privacy_of
from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.settings import Settings, hide_password
from schemas.topics import Topics

_DATABASE_PATIENCE = 40.0
"""Seconds for all questions to the database; a single statement may take 30."""


@dataclass(frozen=True, slots=True)
class Options:
    """How long to listen, not at all for zero, and whether to try how much the broker keeps."""

    listen: timedelta
    probe_queue: bool


async def examine(
    settings: Settings, registry: Registry, misspelt: Sequence[str], options: Options
) -> tuple[Check, ...]:
    """Make all checks. `misspelt` are variables that look like settings and are none."""
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_examine_database(settings, registry))
        visiting = tasks.create_task(_examine_broker(settings, registry, options))
    (database, tables), (broker, messages) = asking.result(), visiting.result()
    stalled = judge_stall(tables.workers, settings.client_id, messages) if tables else []
    return (*judge_configuration(settings, registry, misspelt), *broker, *database, *stalled)


def judge_configuration(settings: Settings, registry: Registry, misspelt: Sequence[str]) -> list[Check]:
    """Judge settings and registry, which are right so far as they could be loaded."""
    bays = sum(len(park.all_spots()) for park in registry.car_park)
    refusing = sum(not home.consent for home in registry.dwelling)
    parts = [plural(len(registry.car_park), "car park"), plural(bays, "bay"), plural(len(registry.dwelling), "home")]
    found = f"{settings.registry}: {', '.join(parts)}"
    checks = [ok("registry", f"{found}, {refusing} of them without consent" if registry.dwelling else found)]
    if not (registry.car_park or registry.dwelling):
        remedy = "list car parks or homes in ARCEAUX_REGISTRY (docs/registry.md)"
        checks = [warning("registry", f"{found}: all that is sent becomes dead letters", remedy)]
    if misspelt:
        remedy = "correct or remove them; docs/settings.md lists those there are"
        checks.append(warning("settings", f"no settings of Arceaux: {some(misspelt)}", remedy))
    try:
        privacy_of(settings, registry)
    except ConfigurationError as error:
        checks.append(problem("pseudonym key", str(error), "set ARCEAUX_PSEUDONYM_KEY_FILE (docs/privacy.md)"))
    return checks


async def _examine_database(settings: Settings, registry: Registry) -> tuple[list[Check], TableFacts | None]:
    """Give the checks and what the tables hold, None where they could not be read."""
    try:
        async with (
            asyncio.timeout(_DATABASE_PATIENCE),
            await connect(settings.database_url, "doctor", session="any") as server,
        ):
            return await _ask_database(server, settings, registry)
    except (psycopg.Error, OSError, TimeoutError) as error:
        return judge_absent(hide_password(settings.database_url), _reason(error)), None


async def _ask_database(
    connection: Connection, settings: Settings, registry: Registry
) -> tuple[list[Check], TableFacts | None]:
    url, topics = hide_password(settings.database_url), Topics(settings.topic_root)
    filters = (*topics.control_filters, *topics.data_filters)
    checks: list[Check] = []
    try:
        checks += judge_server(url, await ask_server(connection))
        tables = await ask_tables(connection)
    except psycopg.Error as error:
        if connection.closed:
            raise
        # A right, a table or a lock is missing; not the server.
        return [*checks, judge_unasked("tables" if checks else "database", describe(error))], None
    return [*checks, *judge_tables(tables, registry, settings.client_id, filters, datetime.now(UTC))], tables


async def _examine_broker(settings: Settings, registry: Registry, options: Options) -> tuple[list[Check], int]:
    """Give the checks and how many messages were heard."""
    url = hide_password(settings.broker_url)
    inquiry = Inquiry.of(settings)
    traffic = Traffic() if options.listen else None
    try:
        facts = await inquiry.ask(probe_queue=options.probe_queue)
        if traffic is not None:
            seconds = options.listen.total_seconds()
            with listening(traffic, seconds):
                await inquiry.listen(traffic, seconds)
    except RefusedVisitError as refusal:
        return judge_refused(url, refusal.code), 0
    except UNREACHED as error:
        return judge_unreached(url, _reason(error)), 0
    known = KnownTopics.of(registry, Topics(settings.topic_root))
    checks = judge_broker(url, facts, settings.max_payload_bytes)
    return [*checks, *judge_traffic(traffic, known, facts.version)], traffic.messages if traffic else 0


def _reason(error: Exception) -> str:
    return "no answer within time" if isinstance(error, TimeoutError) else describe(error)
