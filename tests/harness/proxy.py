"""A TCP proxy in the test's own process that stops, cuts and freezes connections at a chosen packet or statement."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from urllib.parse import urlsplit

from harness.wire import Cutter, Frame, Measure, measure_answer, measure_mqtt, measure_request, peer_of
from simulators.embedded.ports import LOOPBACK

_READ = 65536


class Origin(Enum):
    """Who says something."""

    CLIENT = "client"
    SERVER = "server"


class Link:
    """One connection by way of the proxy. While it is held, nothing is forwarded either way, and nothing closed."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.peer: str | None = None
        self.writers = {Origin.SERVER: client}
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.is_cut = False

    async def wait(self) -> None:
        """Wait until it flows; raises ConnectionAbortedError where it was cut."""
        await self.flowing.wait()
        if self.is_cut:
            raise ConnectionAbortedError

    def leave(self) -> None:
        """End it to the client; the server is not told, and waits."""
        self.writers[Origin.SERVER].transport.abort()

    def cut(self) -> None:
        """End it at once, to both sides."""
        self.is_cut = True
        for writer in self.writers.values():
            writer.transport.abort()
        self.flowing.set()


class Breakpoint:
    """The next frame of this kind, from this side of this peer's connection; the whole connection stops there."""

    def __init__(self, peer: str | None, origin: Origin, kind: str, text: bytes, passing: float) -> None:
        self._peer = peer
        self._wanted = (origin, kind)
        self._text = text
        self._reached: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self.passing = passing

    async def reached(self, seconds: float = 20) -> None:
        """Wait until a connection has stopped here."""
        async with asyncio.timeout(seconds):
            await asyncio.shield(self._reached)

    def is_at(self, link: Link, origin: Origin, frame: Frame) -> bool:
        """Tell whether this is the frame."""
        is_peer = self._peer in (None, link.peer)
        return is_peer and (origin, frame.kind) == self._wanted and self._text in frame.data

    def stop(self, link: Link) -> None:
        """Hold the connection that came here."""
        link.flowing.clear()
        self._reached.set_result(link)

    def release(self) -> None:
        """Let the connection go on, with what was withheld."""
        self._reached.result().flowing.set()

    def leave(self) -> None:
        """End the connection to the client only."""
        self._reached.result().leave()

    def cut(self) -> None:
        """Cut the connection; what was withheld is never sent."""
        self._reached.result().cut()


class Proxy:
    """Forwards connections to a broker or a database; `through` gives its URL by way of here."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._target = (address.hostname, address.port)
        self._url = url
        self._is_mqtt = address.scheme == "mqtt"
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._breakpoints: list[Breakpoint] = []
        self._open = asyncio.Event()
        self._open.set()
        self.forwarded: Counter[tuple[str | None, Origin, str]] = Counter()
        """How many frames went through, by peer, origin and kind."""

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)

    async def close(self) -> None:
        """Stop listening and cut what is open."""
        assert self._server is not None
        self._server.close()
        self.cut()
        self.admit()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)

    @property
    def through(self) -> str:
        """The server's URL by way of this proxy, in the clear."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        url = self._url.replace(f":{self._target[1]}", f":{port}")
        return url if self._is_mqtt else f"{url}{'&' if '?' in url else '?'}sslmode=disable&gssencmode=disable"

    def stop_at(
        self, peer: str | None, origin: Origin, kind: str, text: bytes = b"", *, passing: float = 0
    ) -> Breakpoint:
        """Stop the peer's connection at the next such frame that holds the text, once; None stands for any peer.

        `passing` is the part of it that is still let through: 0 withholds it, 1 stops right after it.
        """
        made = Breakpoint(peer, origin, kind, text, passing)
        self._breakpoints.append(made)
        return made

    def cut(self) -> None:
        """Cut every connection now, and forget where to stop."""
        self._breakpoints.clear()
        for link in list(self._links):
            link.cut()

    def freeze(self) -> None:
        """Let every connection be half-open for good: nothing is forwarded, nothing closed; new ones wait."""
        self._open.clear()
        for link in self._links:
            link.flowing.clear()

    def admit(self) -> None:
        """Let new connections through again; frozen ones stay frozen."""
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        link = Link(writer)
        self._links.add(link)
        try:
            await self._open.wait()
            there, link.writers[Origin.CLIENT] = await asyncio.open_connection(*self._target)
            pumps = [
                asyncio.create_task(self._pump(link, Origin.CLIENT, reader)),
                asyncio.create_task(self._pump(link, Origin.SERVER, there)),
            ]
            # Whichever side ends first, by whatever error, ends the connection.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            link.cut()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the server is away, which its client has to see as such
        finally:
            link.cut()
            self._links.discard(link)

    async def _pump(self, link: Link, origin: Origin, reader: asyncio.StreamReader) -> None:
        cutter = Cutter(self._measure(origin))
        while data := await reader.read(_READ):
            for frame in cutter.take(data):
                if link.peer is None:
                    link.peer = peer_of(frame)
                await self._forward(link, origin, frame)
            await link.writers[origin].drain()
        await link.wait()  # what is half-open does not tell that the other side has left

    async def _forward(self, link: Link, origin: Origin, frame: Frame) -> None:
        writer, data = link.writers[origin], frame.data
        await link.wait()
        stop = next((one for one in self._breakpoints if one.is_at(link, origin, frame)), None)
        if stop is not None:
            self._breakpoints.remove(stop)
            passing = round(len(data) * stop.passing)
            writer.write(data[:passing])
            await writer.drain()
            data = data[passing:]
            stop.stop(link)
            await link.wait()
        if writer.transport.is_closing():
            raise ConnectionAbortedError
        writer.write(data)
        self.forwarded[link.peer, origin, frame.kind] += 1

    def _measure(self, origin: Origin) -> Measure:
        if self._is_mqtt:
            return measure_mqtt
        return measure_request if origin is Origin.CLIENT else measure_answer


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[Proxy]:
    """Open a proxy to a server on a free port."""
    proxy = Proxy(url)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
