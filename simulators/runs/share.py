"""One process' share of a run: it sends what the plan issues there, and tells how far it is."""

import asyncio
import gc
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

import structlog
from pydantic import BaseModel, ConfigDict

from schemas.registry import Registry
from schemas.settings import BrokerAddress
from simulators.runs.pace import Issued
from simulators.runs.ranges import Ranges
from simulators.runs.report import Report
from simulators.runs.stream import Plan, stream
from simulators.sending.sender import Sender
from simulators.stopping import until_stopped

_REPORT_SECONDS = 0.25
_TURN = 1_000
"""Messages that are prepared between two looks at whether to stop."""


class Order(BaseModel):
    """What one process is to do: its number in the plan, the broker, how many messages may be in flight.

    `prepare` has all messages made before the first is sent.
    """

    model_config = ConfigDict(frozen=True)

    plan: Plan
    process: int
    broker_url: str
    in_flight: int
    prepare: bool = False


class Prepared(NamedTuple):
    """What sending needs of a message, and no more: there may be a million of them."""

    due: float
    shown: datetime
    topic: str
    payload: bytes
    retain: bool
    expiry: int | None
    fault: str


class Share:
    """A share that is ready to be sent. Raises ConfigurationError where the plan and the registry do not fit."""

    def __init__(self, order: Order, registry: Registry) -> None:
        self._process = order.process
        self._issued: Iterator[Issued | Prepared] = stream(order.plan, registry, order.process, self._count_fault)
        self._prepares = order.prepare
        self._acknowledged = Ranges()
        self._faults: Counter[str] = Counter()
        self._shown: datetime | None = None
        self._sender = Sender(
            BrokerAddress(order.broker_url),
            "simulator",
            in_flight=order.in_flight,
            on_acknowledged=self._acknowledged.add,
        )

    async def prepare(self, stop: asyncio.Event) -> None:
        """Make all messages, where that is ordered, unless told to stop."""
        if not self._prepares:
            return
        prepared: deque[Prepared] = deque()
        for one in self._issued:
            prepared.append(Prepared(one.due, one.shown, one.topic, one.payload, one.retain, one.expiry, one.fault))
            if len(prepared) % _TURN == 0:
                await asyncio.sleep(0)
                if stop.is_set():
                    break
        self._issued = _taken_off(prepared)
        structlog.get_logger("simulators.runs.share").info("prepared", messages=len(prepared))

    async def send(self, stop: asyncio.Event, tell: Callable[[Report], None]) -> None:
        """Send to the end, or until told to stop; `tell` is given a report now, four times a second, and at the end.

        The clock starts now: what a broker that is away makes late is sent at once when it is back, as devices do.
        Raises RefusedError where the broker refuses a message.
        """
        # Devices and prepared messages stay: collections that walk them again and again would make messages late.
        gc.collect()
        gc.freeze()
        self._sender.traffic.begin(time.monotonic())
        reporting = asyncio.create_task(self._report(tell))
        ended = False
        try:
            await until_stopped(stop, self._sender.run(self._watched()), self._sender.stop)
            ended = True
        finally:
            reporting.cancel()
            tell(self.report(ended=ended))

    def report(self, *, ended: bool = False) -> Report:
        """Tell how far it is."""
        traffic = self._sender.traffic
        return Report(
            process=self._process,
            sent=traffic.sent,
            acknowledged=list(self._acknowledged.pairs()),
            in_flight=traffic.in_flight,
            written=traffic.written,
            faults=dict(self._faults),
            shown=self._shown,
            late=traffic.late.counts,
            latency=traffic.latency.counts,
            ended=ended,
        )

    def _watched(self) -> Iterator[Issued | Prepared]:
        for issued in self._issued:
            yield issued
            # Asked for the next one, it has sent this one.
            self._shown = issued.shown
            if issued.fault:
                self._count_fault(issued.fault)

    def _count_fault(self, fault: str) -> None:
        self._faults[fault] += 1

    async def _report(self, tell: Callable[[Report], None]) -> None:
        while True:
            tell(self.report())
            await asyncio.sleep(_REPORT_SECONDS)


def _taken_off(prepared: deque[Prepared]) -> Iterator[Prepared]:
    """Give each, and forget it."""
    while prepared:
        yield prepared.popleft()
