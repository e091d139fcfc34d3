"""The demo's orchestration, with real broker and database and stand-ins for our own programs."""

import asyncio
import dataclasses
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from simulators.demo import DemoError, DemoOptions, DemoPorts, Programs, run_demo
from simulators.embedded.database import EmbeddedDatabase, embedded_postgres
from simulators.embedded.ports import LOOPBACK, free_port

SECONDS = 60
REGISTRY = Path(__file__).parents[2] / "deploy/registry.toml"
FINE = (sys.executable, "-c", "print('fine')")
STAYS = (sys.executable, "-c", "import signal; signal.pause()")
SERVICE = (
    sys.executable,
    "-c",
    """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
print({k: v for k, v in os.environ.items() if k.startswith("ARCEAUX_")}, flush=True)
HTTPServer((os.environ["ARCEAUX_OPS_HOST"], int(os.environ["ARCEAUX_OPS_PORT"])), Handler).serve_forever()
""",
)
FAILS = (sys.executable, "-c", "print('the reason'); raise SystemExit(3)")


class Lines:
    """What the demo says, and an event for when it is ready."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.ready = asyncio.Event()

    def __call__(self, line: str) -> None:
        """Take a line."""
        self.all.append(line)
        if line.startswith("Ctrl-C"):
            self.ready.set()

    def starting(self, prefix: str) -> str:
        """Find the one line that starts so."""
        (line,) = (line for line in self.all if line.startswith(prefix))
        return line


def options(programs: Programs) -> DemoOptions:
    return DemoOptions(registry=REGISTRY, ports=DemoPorts(0, 0, 0), programs=programs)


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a state directory, and remove in the end what the demo's database kept elsewhere."""
    monkeypatch.setattr("simulators.demo.find_timescaledb", lambda: None)
    yield tmp_path / "demo"
    EmbeddedDatabase(embedded_postgres(), tmp_path / "demo/database", 0).remove()


async def run_until_ready(
    state_dir: Path, programs: Programs, some: DemoOptions | None = None
) -> tuple["asyncio.Task[None]", Lines]:
    lines = Lines()
    demo = asyncio.create_task(run_demo(state_dir, some or options(programs), lines))
    ready = asyncio.create_task(lines.ready.wait())
    await asyncio.wait({demo, ready}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if demo.done():
        await demo
    assert lines.ready.is_set()
    return demo, lines


async def test_runs_until_sigterm_and_goes_on_from_what_is_stored(state_dir: Path) -> None:
    programs = Programs(FINE, SERVICE, STAYS)
    for turn in range(2):
        demo, lines = await run_until_ready(state_dir, programs)
        assert lines.all[0].startswith("database: PostgreSQL 18")
        assert lines.starting("mqtt://").startswith(f"mqtt://{LOOPBACK}:")
        assert lines.starting("http://").endswith("/metrics")
        with psycopg.connect(lines.starting("postgresql://"), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (turn int)")
            connection.execute("INSERT INTO kept VALUES (%s)", (turn,))
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (turn + 1,)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            await demo
        assert lines.all[-1] == "stopped in order: simulator, service, database, broker"
    # Every port and child is gone: nothing answers.
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(lines.starting("postgresql://"))


async def test_the_programs_are_told_everything_by_their_environment(state_dir: Path) -> None:
    demo, lines = await run_until_ready(state_dir, Programs(FINE, SERVICE, STAYS))
    os.kill(os.getpid(), signal.SIGINT)
    await demo
    log = (state_dir / "service.log").read_text()
    for text in (
        f"'ARCEAUX_BROKER_URL': '{lines.starting('mqtt://')}'",
        f"'ARCEAUX_DATABASE_URL': '{lines.starting('postgresql://')}'",
        f"'ARCEAUX_REGISTRY': '{REGISTRY}'",
        "'ARCEAUX_TOPIC_ROOT': 'city'",
        "'ARCEAUX_RECEIVE_MAXIMUM': '100'",
        f"'ARCEAUX_PSEUDONYM_KEY_FILE': '{state_dir / 'pseudonym.key'}'",
    ):
        assert text in log


async def test_the_key_of_pseudonyms_is_made_once_for_its_owner_alone(state_dir: Path) -> None:
    """With another key the homes of yesterday would be other homes today."""
    key = state_dir / "pseudonym.key"
    kept = set()
    for _ in range(2):
        with pytest.raises(DemoError, match="migrate ended"):
            await run_demo(state_dir, options(Programs(FAILS, FAILS, FAILS)), Lines())
        assert key.stat().st_mode & 0o777 == 0o600
        kept.add(key.read_text())
    assert len(kept) == 1
    assert len(bytes.fromhex(kept.pop())) == 32


@pytest.mark.parametrize("has_dwellings", [True, False])
async def test_no_key_is_made_where_one_is_given_or_none_needed(state_dir: Path, *, has_dwellings: bool) -> None:
    """A key that was named is handed on; a registry without dwellings needs none."""
    registry, given = state_dir.parent / "registry.toml", state_dir.parent / "given.key"
    registry.write_text('[[dwelling]]\nid = "a"\ndistrict = "b"\nconsent = true\n' if has_dwellings else "")
    programs = Programs(FINE, SERVICE, STAYS)
    key = given if has_dwellings else None
    some = dataclasses.replace(options(programs), registry=registry, pseudonym_key_file=key)
    demo, _ = await run_until_ready(state_dir, programs, some)
    os.kill(os.getpid(), signal.SIGINT)
    await demo
    log = (state_dir / "service.log").read_text()
    assert (f"'ARCEAUX_PSEUDONYM_KEY_FILE': '{given}'" in log) is has_dwellings
    assert ("ARCEAUX_PSEUDONYM_KEY_FILE" in log) is has_dwellings
    assert not (state_dir / "pseudonym.key").exists()


@pytest.mark.parametrize(
    ("programs", "name"),
    [
        (Programs(FAILS, SERVICE, STAYS), "migrate"),
        (Programs(FINE, FAILS, STAYS), "service"),
        (Programs(FINE, SERVICE, FAILS), "simulator"),
    ],
)
async def test_a_program_that_ends_is_told_with_its_last_lines(state_dir: Path, programs: Programs, name: str) -> None:
    async with asyncio.timeout(SECONDS):
        with pytest.raises(DemoError, match=f"(?s){name} ended with exit status 3.*{name}.log.*the reason"):
            await run_demo(state_dir, options(programs), Lines())


async def test_a_second_demo_on_the_same_state_is_refused(state_dir: Path) -> None:
    demo, _ = await run_until_ready(state_dir, Programs(FINE, SERVICE, STAYS))
    code = (
        "import asyncio, sys; from pathlib import Path; from simulators.demo import *\n"
        "try: asyncio.run(run_demo(Path(sys.argv[1]), DemoOptions(), print))\n"
        "except DemoError as error: sys.exit(str(error))\n"
    )
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(state_dir), stderr=asyncio.subprocess.PIPE, cwd=REGISTRY.parents[1]
    )
    _, told = await second.communicate()
    assert (second.returncode, told.decode()) == (1, f"{state_dir} is in use by process {os.getpid()}\n")
    os.kill(os.getpid(), signal.SIGTERM)
    await demo


async def test_a_signal_while_it_starts_stops_what_has_started(state_dir: Path) -> None:
    lines = Lines()
    demo = asyncio.create_task(run_demo(state_dir, options(Programs(STAYS, SERVICE, STAYS)), lines))
    async with asyncio.timeout(SECONDS):
        while not (state_dir / "migrate.pid").exists():  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)
        await demo
    assert not (state_dir / "migrate.pid").exists()
    assert lines.all[-1].startswith("stopped in order")


async def test_a_missing_registry_is_told_first(state_dir: Path) -> None:
    with pytest.raises(DemoError, match=r"cannot be read .*; set ARCEAUX_REGISTRY"):
        await run_demo(state_dir, DemoOptions(registry=Path("nowhere.toml")), Lines())


async def test_busy_ports_lead_to_others_and_are_told(state_dir: Path) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), LOOPBACK, 0)
    busy = server.sockets[0].getsockname()[1]
    lines = Lines()
    some = DemoOptions(registry=REGISTRY, ports=DemoPorts(busy, 0, free_port()), programs=Programs(FAILS, FAILS, FAILS))
    async with server:
        with pytest.raises(DemoError):
            await run_demo(state_dir, some, lines)
    assert lines.starting(f"port {busy} is busy: broker on ")
