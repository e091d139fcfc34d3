"""The doctor's judgement of the database server: edition, settings, rights, room. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ingest.doctor.report import Check, ok, plural, problem, some, unknown, warning
from ingest.migrate import HYPERTABLES, Server, migrations, version_numbers

_CONFIGURATION: Final = "postgresql.conf"
_OLDEST_TIMESCALEDB: Final = (2, 13)
_SECURITY: Final = ((2, 29, 1), (2, 25, 2))
"""TimescaleDB releases that mended security faults, newest first."""
_DURABLE: Final = {
    "fsync": "a crash of the machine loses what was committed",
    "full_page_writes": "a crash of the machine may damage tables",
    "synchronous_commit": "a crash loses what was acknowledged to the broker already",
}
_LEAST_ROOM: Final = 4
"""Connections that have to be free: writer, publisher, roller and one for a command."""
_LOCKS_A_CHUNK: Final = 3
"""The chunk, its key and its compressed half."""
_OWN_WORKERS: Final = 2
"""Processes that TimescaleDB needs beside its jobs: launcher and scheduler."""
_CLOCK_WARNING, _CLOCK_PROBLEM = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What can be asked of a server without our tables.

    `lacking` names rights that the role has not: `INSERT on ledger`. `connections` are those in use, `size` is in
    bytes. `chunks`, `policies` and `failed_jobs` are of our hypertables. `clock_offset` is how many seconds the
    server's clock is ahead of this machine's, give or take `clock_error`.
    """

    server: Server
    is_extension_available: bool
    schema: int
    settings: Mapping[str, str]
    is_standby: bool
    connections: int
    lacking: tuple[str, ...]
    hypertables: frozenset[str]
    chunks: int
    policies: int
    failed_jobs: tuple[str, ...]
    clock_offset: float
    clock_error: float


def judge_absent(url: str, reason: str) -> list[Check]:
    """Judge a database that could not be talked to; `url` shows no password."""
    return [
        problem("database", f"{url}: {reason}", "start it, or correct ARCEAUX_DATABASE_URL"),
        unknown("database settings", "nor rights, tables and clock were checked: no connection"),
    ]


def judge_unasked(what: str, reason: str) -> Check:
    """Judge questions that the server did not answer."""
    return unknown(what, f"could not be asked for: {reason}", "mend that, or the role's rights, and try again")


def judge_server(url: str, facts: ServerFacts) -> list[Check]:
    """Judge a server by what was asked of it; `url` shows no password."""
    checks = [
        ok("database", f"{url}: lets us in"),
        judge_edition(facts.server, is_available=facts.is_extension_available),
        judge_schema(facts.schema),
        *judge_durability(facts.settings),
        judge_writable(facts.settings, is_standby=facts.is_standby),
        judge_connections(facts.settings, facts.connections),
        judge_rights(facts.lacking),
    ]
    if facts.server.timescaledb and facts.schema:
        checks += [judge_hypertables(facts.hypertables), judge_locks(facts.settings, facts.chunks)]
    if facts.policies:
        checks.append(judge_jobs(facts.settings, facts.policies, facts.failed_jobs))
    return [*checks, judge_clock(facts.clock_offset, facts.clock_error)]


def judge_edition(server: Server, *, is_available: bool) -> Check:
    """Judge the kind of server and the faults of its extension's version."""
    name, numbers = "database edition", version_numbers(server.timescaledb)
    if not server.timescaledb and is_available:
        return warning(name, f"{server}, which is loaded and not used", "run `arceaux migrate`")
    if server.timescaledb and numbers < _OLDEST_TIMESCALEDB:
        return problem(name, f"{server}: too old to make hypertables of our tables", "upgrade to 2.18.1 or newer")
    if server.edition != "community":
        return ok(name, str(server))
    missed = [".".join(map(str, release)) for release in _SECURITY if numbers < release]
    if not missed:
        return ok(name, str(server))
    if not server.has_columnstore:
        found = f"{server}: before 2.18.1 rows merged into its columnstore can be lost, so it is not used"
        return warning(name, found, f"upgrade to {missed[0]} or newer, then run `arceaux migrate`")
    found = f"{server}: without the security fixes of {' and '.join(reversed(missed))}"
    return warning(name, found, f"upgrade to {missed[0]} or newer")


def judge_schema(version: int) -> Check:
    """Judge the number of the newest migration applied, 0 for none."""
    name, expected = "database schema", migrations()[-1].version
    if version == expected:
        return ok(name, f"version {version}, current")
    if version > expected:
        return problem(name, f"version {version}, this program knows {expected}", "install a newer Arceaux")
    found = "missing" if version == 0 else f"version {version}, {expected} is needed"
    return problem(name, found, "run `arceaux migrate`")


def judge_durability(settings: Mapping[str, str]) -> list[Check]:
    """Judge the settings by which a COMMIT outlives a crash; one check each, or one where all are on."""
    name = "database durability"
    off = [(setting, why) for setting, why in _DURABLE.items() if settings[setting] == "off"]
    if not off:
        return [ok(name, ", ".join(f"{setting} {settings[setting]}" for setting in _DURABLE))]
    checks = []
    for setting, why in off:
        remedy = f"set {setting} = on in {_CONFIGURATION}"
        if setting == "synchronous_commit":
            remedy += ", and take it back where ALTER DATABASE, ALTER ROLE or ARCEAUX_DATABASE_URL sets it"
        checks.append(problem(name, f"{setting} is off: {why}", remedy))
    return checks


def judge_writable(settings: Mapping[str, str], *, is_standby: bool) -> Check:
    """Judge whether the service may write there at all."""
    name = "database writable"
    if is_standby:
        return problem(name, "this server is a standby", "let ARCEAUX_DATABASE_URL lead to the primary")
    if settings["default_transaction_read_only"] == "on":
        remedy = (
            f"set default_transaction_read_only = off in {_CONFIGURATION}, or where ALTER DATABASE or ROLE set it on"
        )
        return problem(name, "default_transaction_read_only is on: the service waits until it is off", remedy)
    return ok(name, "takes writes")


def judge_connections(settings: Mapping[str, str], used: int) -> Check:
    """Judge whether there is room for the service's connections."""
    name, most = "database connections", int(settings["max_connections"])
    free = most - int(settings["superuser_reserved_connections"]) - used
    found = f"{used} of {most} in use"
    if free < _LEAST_ROOM:
        return warning(name, f"{found}, {max(free, 0)} free for us", f"raise max_connections in {_CONFIGURATION}")
    return ok(name, found)


def judge_rights(lacking: tuple[str, ...]) -> Check:
    """Judge the rights that the role lacks."""
    name = "database rights"
    if not lacking:
        return ok(name, "the role may read and write every table")
    remedy = "let the role of ARCEAUX_DATABASE_URL own the schema arceaux, as docs/operations.md tells"
    return problem(name, f"the role lacks {some(lacking)}", remedy)


def judge_hypertables(present: frozenset[str]) -> Check:
    """Judge whether the tables that grow with time are cut into chunks."""
    name = "database hypertables"
    plain = [hypertable.table for hypertable in HYPERTABLES if hypertable.table not in present]
    if plain:
        return warning(name, f"plain tables: {', '.join(plain)}", "stop the service and run `arceaux migrate`")
    return ok(name, ", ".join(hypertable.table for hypertable in HYPERTABLES))


def judge_locks(settings: Mapping[str, str], chunks: int) -> Check:
    """Judge whether a statement over all chunks, as the audit is, finds room in the lock table."""
    name = "database locks"
    connections, a_transaction = int(settings["max_connections"]), int(settings["max_locks_per_transaction"])
    needed = _LOCKS_A_CHUNK * chunks
    found = f"{plural(chunks, 'chunk')}, max_locks_per_transaction {a_transaction}"
    if 2 * needed > connections * a_transaction:
        target = 64 * math.ceil(4 * needed / connections / 64)
        remedy = f"set max_locks_per_transaction = {target} in {_CONFIGURATION} and restart the server"
        return warning(name, f"{found}: too little for a statement over all of them", remedy)
    return ok(name, found)


def judge_jobs(settings: Mapping[str, str], policies: int, failed: tuple[str, ...]) -> Check:
    """Judge whether the columnstore's policies can run, and did."""
    name, needed = "database jobs", policies + _OWN_WORKERS
    workers = int(settings.get("timescaledb.max_background_workers", "0"))
    processes = int(settings["max_worker_processes"])
    if failed:
        remedy = "see timescaledb_information.job_errors for the cause"
        return warning(name, f"the last run of the columnstore's policy failed for {some(failed)}", remedy)
    for setting, value in (("timescaledb.max_background_workers", workers), ("max_worker_processes", processes)):
        if value < needed:
            found = f"{setting} {value} is too little for the columnstore's policies, of which there are {policies}"
            return warning(name, found, f"set {setting} = {max(16, needed)} in {_CONFIGURATION} and restart the server")
    return ok(name, f"{policies} columnstore policies, none failed")


def judge_clock(offset: float, error: float) -> Check:
    """Judge how far the server's clock is from this machine's, in seconds, less what cannot be told."""
    name = "clock"
    surely = max(0.0, abs(offset) - error)
    side = "ahead of" if offset > 0 else "behind"
    found = f"the database server's is {abs(offset):.3f} s {side} this machine's, give or take {error:.3f} s"
    if not surely:
        return ok(name, f"the database server's and this machine's agree within {max(error, 0.001):.3f} s")
    remedy = "run a time service (chrony, systemd-timesyncd) on both machines"
    if surely > _CLOCK_PROBLEM:
        return problem(name, found, f"{remedy}: readings may be judged too late or in the future")
    return warning(name, found, remedy) if surely > _CLOCK_WARNING else ok(name, found)
