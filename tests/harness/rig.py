"""The rig of the fault runs: devices, broker, service and database, with proxies between, and the judgement."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from harness.broker import Mosquitto
from harness.databases import TestServer, asking
from harness.devices import REGISTRY, Devices
from harness.judge import assert_figures
from harness.oracle import Verdict, judge, missing_facts
from harness.proxy import Proxy, proxy_to
from harness.service import Service, run_command
from harness.waiting import eventually

CONSUMER = "arceaux"
PUBLISHER = "arceaux-publisher"
WRITER = "arceaux writer arceaux"
_RATE = 500
_PATIENCE = 30


@dataclass(slots=True)
class Rig:
    """Everything of one run. `tell` shows what is going on."""

    directory: Path
    seed: int
    server: TestServer
    database_url: str
    broker: Mosquitto
    to_broker: Proxy
    to_database: Proxy
    service: Service
    devices: Devices
    tell: Callable[[str], None]
    ended_at: float = 0
    remark: str = ""
    services: list[Service] = field(default_factory=list)

    @property
    def ask(self) -> Callable[..., Any]:
        """Query the database, not by way of the proxy."""
        return asking(self.database_url)

    def another_service(self) -> Service:
        """Make a service with the same settings, not started yet."""
        made = Service(self.directory, {k: v for k, v in self.service.settings.items() if k != "ARCEAUX_OPS_PORT"})
        self.services.append(made)
        return made

    @asynccontextmanager
    async def stream(self, rate: int = _RATE) -> AsyncIterator[None]:
        """Let the devices speak while the context lasts; begins once something of it is stored."""
        async with self.devices.streaming(rate):
            await self.stored_more(1)
            yield

    async def stored_more(self, messages: int) -> None:
        """Wait until the ledger counts so many messages more than now."""
        count = "SELECT coalesce(sum(messages), 0) FROM ledger"
        enough = await self.ask(count) + messages
        await eventually(lambda: self.ask(count), lambda seen: seen >= enough)

    async def logged(self, text: str, times: int = 1, seconds: float = 30) -> None:
        """Wait until the service has logged something so often."""
        await eventually(
            lambda: asyncio.to_thread(lambda: self.service.log.count(text)), lambda count: count >= times, seconds
        )

    async def missing(self) -> int | None:
        """Tell how many acknowledged facts are not in the ledger; None where the database does not answer."""
        with contextlib.suppress(psycopg.OperationalError):
            return await missing_facts(self.ask, self.devices)
        return None

    async def recovered(self) -> float:
        """Wait until every acknowledged fact is in the ledger; give the seconds since the fault ended.

        Gives up when no more of them come: the verdict will say that they are lost.
        """
        fewest, since = math.inf, time.monotonic()
        while (missing := await self.missing()) is None or missing > 0:
            if missing is not None and missing < fewest:
                fewest, since = missing, time.monotonic()
            elif time.monotonic() - since > _PATIENCE:
                break
            await asyncio.sleep(0.02)  # between two looks at another process
        return time.monotonic() - self.ended_at

    def fault_ended(self) -> None:
        """Note that nothing is in the way any more: recovery is measured from here."""
        self.ended_at = time.monotonic()
        self.tell("recovers")

    async def judge(self) -> "Result":
        """Wait until all that was acknowledged is in the ledger, and compare everything with everything."""
        seconds = await self.recovered()
        self.tell("is judged")
        await self.service.ready()
        await eventually(self._unacknowledged, lambda count: count == 0)
        await assert_figures(self.broker.url, self.ask)
        verdict = await self.verdict()
        audit = await run_command("audit", settings=self.service.settings | {"ARCEAUX_DATABASE_URL": self.database_url})
        assert self.service.process is not None
        assert self.service.process.poll() is None, self.service.log
        return Result(verdict, seconds, audit.stdout if audit.returncode else "", self.remark)

    async def verdict(self) -> Verdict:
        """Let the oracle compare what the devices know with what the tables hold."""
        return await judge(self.ask, self.devices)

    async def _unacknowledged(self) -> float:
        return await asyncio.to_thread(self.service.metric, "arceaux_unacknowledged")


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended: the verdict, the seconds from the fault's end to the last fact, what the audit found."""

    verdict: Verdict
    seconds: float
    imbalance: str
    remark: str

    @property
    def is_clean(self) -> bool:
        """Nothing lost, doubled or altered, and everything balances."""
        return not self.complaint

    @property
    def complaint(self) -> str:
        """Say what is wrong; empty where nothing is."""
        verdict = self.verdict
        counts = {"lost": verdict.lost, "doubled": verdict.doubled, "altered": verdict.altered}
        wrong = [f"{count} facts {name}" for name, count in counts.items() if count]
        return "; ".join([*wrong, *verdict.wrong_figures, *self.imbalance.splitlines()])


@asynccontextmanager
async def open_rig(
    directory: Path, server: TestServer, seed: int, tell: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Rig]:
    """Start the parts; the service is ready. Everything is ended afterwards, however it went."""
    (directory / "registry.toml").write_text(REGISTRY, encoding="utf-8")
    (directory / "pseudonym.key").write_text("0123456789abcdef" * 4)
    broker = Mosquitto(directory / "mosquitto")
    broker.start()
    url = server.create()
    try:
        async with proxy_to(broker.url) as to_broker, proxy_to(url) as to_database:
            settings = {
                "ARCEAUX_BROKER_URL": to_broker.through,
                "ARCEAUX_DATABASE_URL": to_database.through,
                "ARCEAUX_REGISTRY": str(directory / "registry.toml"),
                "ARCEAUX_PSEUDONYM_KEY_FILE": str(directory / "pseudonym.key"),
            }
            service = Service(directory, settings)
            devices = Devices(broker.url, seed)
            rig = Rig(directory, seed, server, url, broker, to_broker, to_database, service, devices, tell)
            rig.services.append(service)
            try:
                await service.start_ready()
                yield rig
            finally:
                for one in rig.services:
                    one.kill()
    finally:
        broker.stop()
        server.drop(url)
