"""One connection of HTTP/2, the server's side (RFC 9113): bytes in, requests and bytes out. Pure.

Streams of the server's own, priorities and header tables for answers are not used: nothing asks a server for
them.
"""

from collections.abc import Callable
from typing import NamedTuple

from services.gateway.grpc.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_WINDOW_BYTES,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_BYTES,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    MAX_WINDOW_BYTES,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Code,
    ConnectionEnd,
    Frame,
    FrameReader,
    content_of,
    read_settings,
    write_frame,
    write_number,
    write_settings,
)
from services.gateway.grpc.http2.headers import MAX_HEADER_BYTES, HeaderReader, Headers
from services.gateway.grpc.http2.sending import Sender

_WINDOW_BYTES = 8_388_608
"""What a client may send on a connection before it is told to go on."""

_PATIENCE = 200
"""Streams a client may reset beyond those that were answered; who goes on so only makes work."""


class Request(NamedTuple):
    """A request that is whole; ``body`` is None where it was longer than allowed."""

    stream: int
    headers: Headers
    body: bytes | None


class _Incoming:
    """A request that is coming in."""

    __slots__ = ("headers", "parts", "size")

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.parts: list[bytes] = []
        self.size = 0


class Connection:
    """What is known of a connection; `receive` and `answer` leave what is to be sent in `take`.

    Parameters
    ----------
    max_body_bytes : of a request; a longer one is not kept
    max_streams : that may be open at once; more are refused
    """

    def __init__(self, *, max_body_bytes: int, max_streams: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._max_streams = max_streams
        self._reader = FrameReader()
        self._headers = HeaderReader()
        self._incoming: dict[int, _Incoming] = {}
        self._out: list[bytes] = []
        self._sender = Sender(self._out)
        self._block: tuple[int, bool, bytearray] | None = None
        self._last = self._seen = 0
        self._received_bytes = 0
        self._resets = self._answered = 0
        self._set_up = self._going = False
        stream_window = min(max(max_body_bytes + MAX_FRAME_BYTES, DEFAULT_WINDOW_BYTES), MAX_WINDOW_BYTES)
        self._out.append(
            write_settings(
                {
                    ENABLE_PUSH: 0,
                    MAX_CONCURRENT_STREAMS: max_streams,
                    INITIAL_WINDOW_SIZE: stream_window,
                    MAX_HEADER_LIST_SIZE: MAX_HEADER_BYTES,
                }
            )
        )
        self._out.append(write_frame(WINDOW_UPDATE, 0, 0, write_number(_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)))

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._sender.streams)

    def take(self) -> bytes:
        """What is to be sent now."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes) -> list[Request]:
        """What came; where the protocol was broken `take` has the last words and the connection ends.

        Raises
        ------
        ConnectionEnd
        """
        events: list[Request] = []
        try:
            for frame in self._reader.read(data):
                if self._block is not None or frame.kind == CONTINUATION:
                    self._on_continuation(frame, events)
                else:
                    handle = _HANDLERS.get(frame.kind)
                    if handle is not None:
                        handle(self, frame, events)
        except ConnectionEnd as end:
            words = str(end).encode()[:100]
            self._out.append(write_frame(GOAWAY, 0, 0, _goaway(self._last, end.code) + words))
            raise
        return events

    def answer(self, stream: int, head: bytes, body: bytes, trailers: bytes) -> None:
        """Send an answer: header blocks and the body between; without a body ``head`` is all there is."""
        self._answered += 1
        self._sender.send(stream, head, body, trailers)

    def cut(self, stream: int) -> None:
        """Do not take the rest of a request that was answered before its end."""
        self._out.append(write_frame(RST_STREAM, 0, stream, write_number(Code.NO_ERROR)))

    def leave(self) -> None:
        """Take no new streams; those open are answered."""
        self._going = True
        self._out.append(write_frame(GOAWAY, 0, 0, _goaway(self._last, Code.NO_ERROR)))

    # -- frames ------------------------------------------------------------------------------------------

    def _on_data(self, frame: Frame, events: list[Request]) -> None:
        self._count(len(frame.payload))
        stream = self._incoming.get(frame.stream)
        if stream is None:
            if not 0 < frame.stream <= self._seen:
                raise ConnectionEnd(Code.PROTOCOL_ERROR, "DATA outside of a stream")
            return  # of a stream that is over; it was on its way
        content = content_of(frame) if frame.flags & ~END_STREAM else frame.payload
        stream.size += len(content)
        if stream.size > self._max_body_bytes:
            del self._incoming[frame.stream]
            events.append(Request(frame.stream, stream.headers, None))
            return
        stream.parts.append(content)
        if frame.flags & END_STREAM:
            self._complete(frame.stream, events)

    def _on_headers(self, frame: Frame, events: list[Request]) -> None:
        block = content_of(frame)
        ends = bool(frame.flags & END_STREAM)
        if frame.flags & END_HEADERS:
            self._open(frame.stream, block, events, ends=ends)
        else:
            self._block = frame.stream, ends, bytearray(block)

    def _on_continuation(self, frame: Frame, events: list[Request]) -> None:
        if self._block is None or frame.kind != CONTINUATION or frame.stream != self._block[0]:
            raise ConnectionEnd(Code.PROTOCOL_ERROR, "a header block is interrupted, or goes on unbegun")
        stream, ends, block = self._block
        block += frame.payload
        if len(block) > MAX_HEADER_BYTES or not frame.payload:
            raise ConnectionEnd(Code.ENHANCE_YOUR_CALM, "a header block without an end")
        if frame.flags & END_HEADERS:
            self._block = None
            self._open(stream, bytes(block), events, ends=ends)

    def _open(self, stream: int, block: bytes, events: list[Request], *, ends: bool) -> None:
        headers = self._headers.read(block)
        known = self._incoming.get(stream)
        if known is not None:  # trailers of the request: nothing of them is used
            if not ends:
                raise ConnectionEnd(Code.PROTOCOL_ERROR, "headers in the middle of a request")
            self._complete(stream, events)
            return
        if stream % 2 == 0 or stream <= self._seen:
            code = Code.STREAM_CLOSED if 0 < stream <= self._seen else Code.PROTOCOL_ERROR
            raise ConnectionEnd(code, f"headers of stream {stream} after {self._seen}")
        self._seen = stream
        if self._going or self.streams >= self._max_streams:
            self._out.append(write_frame(RST_STREAM, 0, stream, write_number(Code.REFUSED_STREAM)))
            return
        self._last = stream
        self._sender.open(stream)
        self._incoming[stream] = _Incoming(headers)
        if ends:
            self._complete(stream, events)

    def _complete(self, stream: int, events: list[Request]) -> None:
        whole = self._incoming.pop(stream)
        parts = whole.parts
        events.append(Request(stream, whole.headers, parts[0] if len(parts) == 1 else b"".join(parts)))

    def _on_reset(self, frame: Frame, _: list[Request]) -> None:
        self._expect(frame, 4)
        if not 0 < frame.stream <= self._seen:
            raise ConnectionEnd(Code.PROTOCOL_ERROR, "RST_STREAM of no stream")
        if self._sender.close(frame.stream):
            self._incoming.pop(frame.stream, None)
            self._resets += 1
            if self._resets > self._answered + _PATIENCE:
                raise ConnectionEnd(Code.ENHANCE_YOUR_CALM, "streams are opened to be reset")

    def _on_settings(self, frame: Frame, _: list[Request]) -> None:
        if frame.stream or (frame.flags & ACK and frame.payload):
            raise ConnectionEnd(Code.PROTOCOL_ERROR, "SETTINGS of a stream, or an answer with content")
        if frame.flags & ACK:
            return
        for name, value in read_settings(frame.payload):
            if name == INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW_BYTES:
                    raise ConnectionEnd(Code.FLOW_CONTROL_ERROR, f"a window of {value} bytes")
                self._sender.resize(value)
            elif name == MAX_FRAME_SIZE:
                if not MAX_FRAME_BYTES <= value < 2**24:
                    raise ConnectionEnd(Code.PROTOCOL_ERROR, f"frames of {value} bytes")
                self._sender.max_frame_bytes = value
        self._out.append(write_frame(SETTINGS, ACK, 0))

    def _on_ping(self, frame: Frame, _: list[Request]) -> None:
        self._expect(frame, 8)
        if not frame.flags & ACK:
            self._out.append(write_frame(PING, ACK, 0, frame.payload))

    def _on_window(self, frame: Frame, _: list[Request]) -> None:
        self._expect(frame, 4)
        increment = int.from_bytes(frame.payload, "big") & MAX_WINDOW_BYTES
        if not increment or not self._sender.widen(frame.stream, increment):
            raise ConnectionEnd(Code.FLOW_CONTROL_ERROR, f"a window widened by {increment} bytes")

    def _on_push(self, _frame: Frame, _: list[Request]) -> None:
        raise ConnectionEnd(Code.PROTOCOL_ERROR, "a client pushes nothing")

    def _expect(self, frame: Frame, size: int) -> None:
        if len(frame.payload) != size:
            raise ConnectionEnd(Code.FRAME_SIZE_ERROR, f"a frame {frame.kind} of {len(frame.payload)} bytes")

    def _count(self, size: int) -> None:
        """Let the client go on before it has to wait."""
        self._received_bytes += size
        if self._received_bytes > _WINDOW_BYTES:
            raise ConnectionEnd(Code.FLOW_CONTROL_ERROR, "more DATA than was allowed")
        if self._received_bytes > _WINDOW_BYTES // 2:
            self._out.append(write_frame(WINDOW_UPDATE, 0, 0, write_number(self._received_bytes)))
            self._received_bytes = 0


def _pass(_connection: Connection, _frame: Frame, _events: list[Request]) -> None:
    """What concerns only who makes streams or prefers some."""


def _goaway(last: int, code: Code) -> bytes:
    return write_number(last) + write_number(code)


_Handler = Callable[[Connection, Frame, list[Request]], None]
_HANDLERS: dict[int, _Handler] = {
    DATA: Connection._on_data,  # noqa: SLF001 - its own
    HEADERS: Connection._on_headers,  # noqa: SLF001
    PRIORITY: _pass,
    RST_STREAM: Connection._on_reset,  # noqa: SLF001
    SETTINGS: Connection._on_settings,  # noqa: SLF001
    PUSH_PROMISE: Connection._on_push,  # noqa: SLF001
    PING: Connection._on_ping,  # noqa: SLF001
    GOAWAY: _pass,
    WINDOW_UPDATE: Connection._on_window,  # noqa: SLF001
}
