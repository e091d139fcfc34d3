"""One MQTT 5 connection that publishes and subscribes: the codec on a socket. Knows nothing of what is sent."""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import mqtt5

from schemas.settings import BrokerAddress

KEEP_ALIVE = 10
_ANSWER_SECONDS = 10.0
_FAREWELL_SECONDS = 2.0
_SUBSCRIBE_ID = 1
_LOGIN_REFUSED = (
    mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD,
    mqtt5.ConnAckReasonCode.NOT_AUTHORIZED,
    mqtt5.ConnAckReasonCode.BANNED,
)


class RefusedError(Exception):
    """The broker refuses us, or what is published; the message says what to do."""


class BrokenError(Exception):
    """The connection did not come about, or it broke; the message says how."""


class Connection(asyncio.Protocol):
    """A connected socket. `lost` is done when it has ended, with the reason.

    `on_packet` takes each packet that arrives but the answers to our own requests, synchronously and in order.
    """

    def __init__(self, on_packet: Callable[[mqtt5.Packet], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_packet = on_packet
        self._buffer = bytearray()
        self._answers: dict[type, asyncio.Future[mqtt5.Packet]] = {}
        self._heard_at = self._loop.time()
        self._is_reading = True
        self._may_write = asyncio.Event()
        self._may_write.set()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.receive_maximum = 65535
        """How many publications the broker takes in flight."""
        self.maximum_packet_size = 2**28
        """In bytes; what the protocol allows, unless the broker says less."""
        self.session_present = False
        """Whether the broker still had the session of this client id."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what was read apart (asyncio calls this)."""
        self._heard_at = self._loop.time()
        self._buffer += data
        for packet in self._packets():
            try:
                self._take(packet)
            except Exception as error:  # noqa: BLE001 - a bug of ours
                self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio calls this)."""
        self._end(str(exc) if exc else "the broker closed the connection")

    def pause_writing(self) -> None:
        """Hold back (asyncio calls this)."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Go on (asyncio calls this)."""
        self._may_write.set()

    def write(self, data: bytes) -> None:
        """Send encoded packets."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Confirm publications, in the order of their arrival. Where the connection has ended, they come again."""
        self.write(b"".join([mqtt5.PubAckPacket(number).write() for number in packet_ids]))

    def hold(self) -> None:
        """Read no more until `release`; what the broker then sends is kept by its side."""
        if not self._transport.is_closing() and self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def release(self) -> None:
        """Read on."""
        if not self._transport.is_closing() and not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()

    async def drain(self) -> None:
        """Wait until what was written has left, or nearly so; or until the connection has ended."""
        await self._may_write.wait()

    async def request(self, packet: bytes, answer: type[mqtt5.Packet]) -> mqtt5.Packet:
        """Send a packet and wait for its answer. Raises BrokenError where none comes."""
        future: asyncio.Future[mqtt5.Packet] = self._loop.create_future()
        self._answers[answer] = future
        self.write(packet)
        ends: list[asyncio.Future[Any]] = [future, self.lost]
        await asyncio.wait(ends, timeout=_ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        raise BrokenError(self.lost.result() if self.lost.done() else f"no answer within {_ANSWER_SECONDS:.0f} s")

    async def keep_alive(self) -> None:
        """Ping until the connection ends; end it where nothing comes back. Raises BrokenError then."""
        while not self.lost.done():
            # While we hold reading, its answers lie unread: that is no dead broker.
            if not self._is_reading:
                self._heard_at = self._loop.time()
            elif self._loop.time() - self._heard_at > KEEP_ALIVE:
                self.abort(f"the broker said nothing for {KEEP_ALIVE} s")
            self.write(mqtt5.PingReqPacket().write())
            await asyncio.wait([self.lost], timeout=KEEP_ALIVE / 3)
        raise BrokenError(self.lost.result())

    async def close(self, *, end_session: bool = False) -> None:
        """Say goodbye, send what is still to be sent, and end; the session, too, where it is told to."""
        expiry = 0 if end_session else None
        self.write(mqtt5.DisconnectPacket(session_expiry_interval=expiry).write())
        if end_session:
            # Closing with bytes unread resets the connection, and the broker might never read the goodbye.
            await asyncio.wait([self.lost], timeout=_FAREWELL_SECONDS)
        self._transport.close()
        await asyncio.wait([self.lost], timeout=_ANSWER_SECONDS)
        self._transport.abort()

    def abort(self, reason: str) -> None:
        """End at once."""
        self._end(reason)
        self._transport.abort()

    def _packets(self) -> list[mqtt5.Packet]:
        """Take the whole packets off the buffer; end the connection where it holds none."""
        packets: list[mqtt5.Packet] = []
        used = 0
        try:
            with memoryview(self._buffer) as view:
                while used < len(view):
                    packet, size = mqtt5.read(view[used:])
                    packets.append(packet)
                    used += size
        except IndexError:
            pass  # the rest of a packet is still to come
        except BaseException as error:  # the codec is Rust, and panics past Exception on a topic that is no UTF-8
            if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
                raise
            self._fail(RefusedError(f"the broker sent what is not MQTT 5: {error}{_hint(str(error))}"))
        del self._buffer[:used]
        return packets

    def _take(self, packet: mqtt5.Packet) -> None:
        answered = self._answers.pop(type(packet), None)
        if answered is not None and not answered.done():
            answered.set_result(packet)
        elif isinstance(packet, mqtt5.DisconnectPacket):
            self._end(f"the broker ended the connection: {packet.reason_code.name}")
        else:
            self._on_packet(packet)

    def _fail(self, error: Exception) -> None:
        """End with an error, which is raised where the end is waited for: another connection would mend nothing."""
        if not self.lost.done():
            self.lost.set_exception(error)
        self.abort("failed")

    def _end(self, reason: str) -> None:
        self._may_write.set()
        if not self.lost.done():
            self.lost.set_result(reason)


async def connect(
    address: BrokerAddress,
    role: str,
    on_packet: Callable[[mqtt5.Packet], None],
    *,
    session_seconds: int = 0,
    client_id: str | None = None,
    receive_maximum: int = 65535,
) -> Connection:
    """Connect; without a `client_id` as another client each time, whose session ends with the connection.

    `receive_maximum` is how many publications the broker may have in flight to us. Packets of an old session may come
    to `on_packet` before this returns.

    Raises BrokenError where the broker cannot be reached, RefusedError where it does not let us in.
    """
    connection = await _open(address, on_packet)
    packet = mqtt5.ConnectPacket(
        client_id or f"arceaux-{role}-{secrets.token_hex(4)}",
        username=address.username,
        password=address.password.encode() if address.password else None,
        clean_start=client_id is None,
        keep_alive=KEEP_ALIVE * 2,
        session_expiry_interval=session_seconds,
        receive_max=receive_maximum,
    )
    try:
        answer = cast("mqtt5.ConnAckPacket", await connection.request(packet.write(), mqtt5.ConnAckPacket))
        _check_login(answer)
    except BaseException:
        connection.abort("closed")
        raise
    connection.session_present = answer.session_present
    connection.receive_maximum = answer.receive_max
    connection.maximum_packet_size = answer.max_packet_size or connection.maximum_packet_size
    return connection


async def _open(address: BrokerAddress, on_packet: Callable[[mqtt5.Packet], None]) -> Connection:
    context = ssl.create_default_context() if address.tls else None
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(on_packet), address.host, address.port, ssl=context
            )
    except (OSError, TimeoutError) as error:
        raise BrokenError(str(error) or f"no connection within {_ANSWER_SECONDS:.0f} s") from None
    return connection


async def subscribe(
    connection: Connection,
    filters: Sequence[str],
    *,
    retain_handling: mqtt5.RetainHandling = mqtt5.RetainHandling.SEND_ALWAYS,
    retain_as_published: bool = True,
) -> None:
    """Subscribe at QoS 1, by default to retained messages too. Raises RefusedError where the broker grants less.

    Without `retain_as_published` only those are told as retained that the broker had kept.
    """
    wanted = [
        mqtt5.TopicFilter(
            pattern,
            max_qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain_handling=retain_handling,
            retain_as_published=retain_as_published,
        )
        for pattern in filters
    ]
    packet = mqtt5.SubscribePacket(_SUBSCRIBE_ID, wanted)
    answer = cast("mqtt5.SubAckPacket", await connection.request(packet.write(), mqtt5.SubAckPacket))
    for pattern, code in zip(filters, answer.reason_codes, strict=True):
        if code is not mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE:
            raise RefusedError(f"the broker does not let us subscribe to {pattern} ({code.name}): see its access list")


def _check_login(answer: mqtt5.ConnAckPacket) -> None:
    if answer.reason_code in _LOGIN_REFUSED:
        raise RefusedError(
            f"the broker does not let us in ({answer.reason_code.name}): see user and password in ARCEAUX_BROKER_URL"
        )
    if answer.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
        raise BrokenError(f"the broker refused the connection: {answer.reason_code.name} {answer.reason_str or ''}")


def _hint(error: str) -> str:
    """Tell what mosquitto means where it answers a publication with a code that MQTT 5 has for connections only."""
    is_too_large = error.endswith(f"PubAckReasonCode value: {mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE}")
    return " (a message is larger than the broker takes: see its message_size_limit)" if is_too_large else ""
