"""Connections of HTTP/2 on sockets: each whole request is handed over, and its answer goes back."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import structlog

from services.gateway.grpc.http2.connection import Connection, Request
from services.gateway.grpc.http2.frames import ConnectionEnd

_log = structlog.get_logger()


class Answer(NamedTuple):
    """Header block, body, and the block of trailers; without trailers the header block is all."""

    head: bytes
    body: bytes = b""
    trailers: bytes = b""


Respond = Callable[[Answer], None]
"""Takes the answer to one request."""

Answering = Callable[[Request, Respond], None]
"""Answers one request, now or later, and raises nothing."""


class Listener:
    """Listens at one address.

    Parameters
    ----------
    answer : called for each request
    max_body_bytes, max_streams : of a connection, as `Connection`
    """

    def __init__(self, answer: Answering, *, max_body_bytes: int, max_streams: int) -> None:
        self._answer = answer
        self._max_body_bytes = max_body_bytes
        self._max_streams = max_streams
        self._open: set[_Wire] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, *, shared: bool = False) -> None:
        """Begin to listen; ``shared`` where other processes do at the same port.

        Raises
        ------
        OSError
            where another program listens there.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, host, port, reuse_port=shared or None)

    async def stop(self, drain_seconds: float) -> None:
        """Take nothing new, answer what is under way for so long, and close."""
        if self._server is None:
            return
        self._server.close()
        wires = list(self._open)
        for wire in wires:
            wire.leave()
        if wires:
            await asyncio.wait([wire.ended for wire in wires], timeout=drain_seconds)
        for wire in list(self._open):
            wire.abort()
        self._server = None

    def _connect(self) -> "_Wire":
        connection = Connection(max_body_bytes=self._max_body_bytes, max_streams=self._max_streams)
        return _Wire(connection, self._answer, self._open)


class _Wire(asyncio.Protocol):
    """One connection on its socket.

    What is answered within one turn of the event loop leaves together. While the client does not take what
    is sent, nothing more is read of it.
    """

    def __init__(self, connection: Connection, answer: Answering, wires: "set[_Wire]") -> None:
        self._connection = connection
        self._answer = answer
        self._wires = wires
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._flushing = self._leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own, of no class of asyncio's
        self._wires.add(self)
        self._flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Nobody waits any more; what is under way goes to its end, as it does over HTTP."""
        self._wires.discard(self)
        self.ended.set_result(None)

    def pause_writing(self) -> None:
        """The client takes nothing for now."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Begin to answer what is whole."""
        try:
            requests = self._connection.receive(data)
        except ConnectionEnd as end:
            _log.debug("connection ended", reason=str(end))
            self._transport.write(self._connection.take())
            self._transport.close()
            return
        self._flushing = True
        for request in requests:
            self._answer(request, partial(self._respond, request))
        self._flush()

    def leave(self) -> None:
        """Take no new requests, and close when those under way are answered."""
        self._leaving = True
        self._connection.leave()
        self._flush()

    def abort(self) -> None:
        """Close, whatever is under way."""
        self._transport.abort()

    def _respond(self, request: Request, answer: Answer) -> None:
        self._connection.answer(request.stream, *answer)
        if request.body is None:
            self._connection.cut(request.stream)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        data = self._connection.take()
        if data and not self._transport.is_closing():
            self._transport.write(data)
        if self._leaving and not self._connection.streams:
            self._transport.close()
