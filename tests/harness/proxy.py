"""A TCP proxy in the test's own process that can cut connections at a chosen moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from simulators.ports import LOOPBACK


class Proxy:
    """Forwards connections to a server; `through` gives the server's URL by way of it."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._target = (address.hostname, address.port)
        self._url = url
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._cut_after: bytes | None = None
        self._cut_on = b""
        self.cuts = 0

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)

    async def close(self) -> None:
        """Stop listening and cut what is open."""
        assert self._server is not None
        self._server.close()
        self.cut_all()
        if self._handlers:
            await asyncio.wait(self._handlers, timeout=10)

    @property
    def through(self) -> str:
        """The server's URL by way of this proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return self._url.replace(f":{self._target[1]}", f":{port}")

    def cut_answer_to(self, request: bytes, on: bytes) -> None:
        """Let the next request that holds these bytes through, and cut the connection when the answer comes.

        Only on a connection over which the bytes `on` have gone before.
        """
        self._cut_after, self._cut_on = request, on

    def cut_all(self) -> None:
        """Cut every connection now."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        try:
            there = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        writers = {writer, there[1]}
        self._writers |= writers
        doomed = asyncio.Event()
        forward = asyncio.create_task(self._forward(reader, there[1], doomed))
        backward = asyncio.create_task(self._backward(there[0], writer, doomed))
        # Whichever side ends first, by whatever error, ends the connection.
        await asyncio.wait([forward, backward], return_when=asyncio.FIRST_COMPLETED)
        for end in writers:
            end.transport.abort()
        self._writers -= writers
        await asyncio.gather(forward, backward, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        sent = b""
        while data := await reader.read(65536):
            sent = sent if self._cut_on and self._cut_on in sent else sent + data
            if self._cut_after and self._cut_after in data and self._cut_on in sent:
                self._cut_after = None
                doomed.set()
            writer.write(data)
            await writer.drain()

    async def _backward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if doomed.is_set():
                self.cuts += 1
                return
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[Proxy]:
    """Open a proxy to a server on a free port."""
    proxy = Proxy(url)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
