"""One MQTT 5 connection: bytes to packets and back, paced reading, keep-alive. Knows nothing of sessions."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar, cast

import mqtt5

_SMALL_READ: Final = 32 * 1024
_BUSY: Final = 0.010
_PACE: Final = 0.005
"""mosquitto writes one packet a time. While reads follow each other closely, waiting this long after a small one lets
the kernel gather the next: a few milliseconds of latency buy most of the CPU."""
_ANSWER_WITHIN: Final = 10.0
_LOOK_EVERY: Final = 0.5


AnswerT = TypeVar("AnswerT", bound=mqtt5.Packet)


class ConnectionFailedError(Exception):
    """The connection was refused, broke or fell silent; the message says how."""


class Listener(Protocol):
    """Whom a connection tells what arrives, synchronously and in order."""

    def on_connack(self, packet: mqtt5.ConnAckPacket) -> None:
        """Take the broker's answer to CONNECT; publications may follow in the same read."""

    def on_publish(self, packets: list[mqtt5.PublishPacket]) -> None:
        """Take the publications of one read."""


class Connection(asyncio.Protocol):
    """A connected socket. `lost` is done when it has ended, with the reason."""

    def __init__(self, listener: Listener, is_held: Callable[[], bool]) -> None:
        """`is_held` tells whether the application wants no more for now."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._is_held = is_held
        self._buffer = bytearray()
        self._answers: dict[tuple[type, int], asyncio.Future[mqtt5.Packet]] = {}
        self._last_read = self._last_write = 0.0
        self._is_paced = False
        self._is_paused = False
        self.lost: asyncio.Future[str] = self._loop.create_future()

    @property
    def silent_seconds(self) -> float:
        """How long ago something was last read."""
        return self._loop.time() - self._last_read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        self._transport = cast("asyncio.Transport", transport)
        self._last_read = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Take what was read apart (asyncio calls this)."""
        now = self._loop.time()
        follows_closely = now - self._last_read < _BUSY
        self._last_read = now
        self._buffer += data
        try:
            self._read_packets()
        except BaseException as error:  # the codec is Rust, and panics past Exception on a topic that is no UTF-8
            if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
                raise
            self.abort(f"the broker sent what is not MQTT 5: {error}")
            return
        if follows_closely and len(data) < _SMALL_READ:
            self._is_paced = True
            self._loop.call_later(_PACE, self._end_pace)
        self.regulate()

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio calls this)."""
        self._end(str(exc) if exc else "the broker closed the connection")

    def regulate(self) -> None:
        """Stop or go on reading, as pace and application want."""
        pause = self._is_paced or self._is_held()
        if pause != self._is_paused and not self._transport.is_closing():
            self._is_paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._last_read = self._loop.time()
                self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send encoded packets."""
        if not self._transport.is_closing():
            self._last_write = self._loop.time()
            self._transport.write(data)

    async def request(self, data: bytes, answer: type[AnswerT], packet_id: int = 0) -> AnswerT:
        """Send a packet and wait for its answer.

        Raises ConnectionFailedError where the connection ends first or nothing comes in time.
        """
        future: asyncio.Future[mqtt5.Packet] = self._loop.create_future()
        self._answers[answer, packet_id] = future
        self.write(data)
        while not future.done():
            ends: list[asyncio.Future[Any]] = [future, self.lost]
            await asyncio.wait(ends, timeout=_ANSWER_WITHIN, return_when=asyncio.FIRST_COMPLETED)
            if self.lost.done() and not future.done():
                raise ConnectionFailedError(self.lost.result())
            # While the application holds reading, the answer may lie unread behind a backlog.
            if not future.done() and not self._is_held():
                raise ConnectionFailedError(f"no {answer.__name__} for {_ANSWER_WITHIN:.0f} s")
        return cast("AnswerT", future.result())

    async def close(self) -> None:
        """Send what is still to be sent and end."""
        self._transport.close()
        await asyncio.wait([self.lost], timeout=_ANSWER_WITHIN)
        self._transport.abort()

    def abort(self, reason: str) -> None:
        """End at once."""
        self._end(reason)
        self._transport.abort()

    async def keep_alive(self, seconds: float) -> None:
        """Ping when nothing was sent for half of these seconds; where no answer comes within them, end it.

        Returns when the connection ends.
        """
        pinged_at: float | None = None
        while not self.lost.done():
            now = self._loop.time()
            if pinged_at is not None and self._last_read > pinged_at:
                pinged_at = None
            if pinged_at is None and now - self._last_write >= seconds / 2:
                self.write(mqtt5.PingReqPacket().write())
                pinged_at = now
            # A pause of our own keeps the answer unread: that is no dead connection.
            if pinged_at is not None and now - pinged_at > seconds and not self._is_held():
                self.abort(f"no answer to a ping for {seconds:.0f} s")
            await asyncio.wait([self.lost], timeout=_LOOK_EVERY)

    def _end_pace(self) -> None:
        self._is_paced = False
        self.regulate()

    def _end(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    def _read_packets(self) -> None:
        published: list[mqtt5.PublishPacket] = []
        try:
            self._take_packets(published)
        finally:
            if published:
                self._listener.on_publish(published)

    def _take_packets(self, published: list[mqtt5.PublishPacket]) -> None:
        used = 0
        with memoryview(self._buffer) as view:
            while used < len(view):
                try:
                    packet, size = mqtt5.read(view[used:])
                except IndexError:  # the rest of a packet is still to come
                    break
                used += size
                if type(packet) is mqtt5.PublishPacket:
                    published.append(packet)
                else:
                    self._take_control(packet)
        del self._buffer[:used]

    def _take_control(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.ConnAckPacket():
                self._listener.on_connack(packet)
            case mqtt5.DisconnectPacket():
                self._end(f"the broker ended the connection: {packet.reason_code.name}")
        future = self._answers.pop((type(packet), getattr(packet, "packet_id", 0)), None)
        if future is not None and not future.done():
            future.set_result(packet)
