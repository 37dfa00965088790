"""The answers of one connection, sent as fast as its client takes them (RFC 9113, section 5.2). Pure."""

from services.gateway.grpc.http2.frames import (
    DATA,
    DEFAULT_WINDOW_BYTES,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    MAX_FRAME_BYTES,
    MAX_WINDOW_BYTES,
    write_frame,
)


class _Stream:
    """An answer on its way, or awaited; ``window`` is what the client takes beyond its initial window."""

    __slots__ = ("body", "sent", "trailers", "window")

    def __init__(self) -> None:
        self.window = 0
        self.body: bytes | None = None
        self.sent = 0
        self.trailers = b""


class Sender:
    """Frames of answers, into ``out``; what a client does not take yet waits.

    Parameters
    ----------
    out : takes what may be sent
    """

    def __init__(self, out: list[bytes]) -> None:
        self.streams: dict[int, _Stream] = {}
        self.max_frame_bytes = MAX_FRAME_BYTES
        self._out = out
        self._window = DEFAULT_WINDOW_BYTES
        self._initial = DEFAULT_WINDOW_BYTES
        self._waiting: dict[int, _Stream] = {}

    def open(self, stream: int) -> None:
        """A stream that will be answered."""
        self.streams[stream] = _Stream()

    def close(self, stream: int) -> bool:
        """Send nothing more of a stream; whether it was open."""
        self._waiting.pop(stream, None)
        return self.streams.pop(stream, None) is not None

    def send(self, stream: int, head: bytes, body: bytes, trailers: bytes) -> None:
        """Answer a stream, unless it is closed."""
        known = self.streams.get(stream)
        if known is None:
            return
        if not trailers:
            del self.streams[stream]
            self._out.append(write_frame(HEADERS, END_HEADERS | END_STREAM, stream, head))
            return
        size = len(body)
        if size <= self._window and size <= self._initial + known.window and size <= self.max_frame_bytes:
            del self.streams[stream]
            self._window -= size
            number = stream.to_bytes(4, "big")
            self._out += (
                (len(head) << 16 | HEADERS << 8 | END_HEADERS).to_bytes(5, "big"),
                number,
                head,
                (size << 16 | DATA << 8).to_bytes(5, "big"),
                number,
                body,
                (len(trailers) << 16 | HEADERS << 8 | END_HEADERS | END_STREAM).to_bytes(5, "big"),
                number,
                trailers,
            )
            return
        self._out.append(write_frame(HEADERS, END_HEADERS, stream, head))
        known.body, known.trailers = body, trailers
        self._waiting[stream] = known
        self._pump()

    def widen(self, stream: int, increment: int) -> bool:
        """The client takes more, on a stream or (0) in all; False where that is more than there can be."""
        if stream == 0:
            self._window += increment
            fits = self._window <= MAX_WINDOW_BYTES
        else:
            known = self.streams.get(stream)
            if known is None:
                return True
            known.window += increment
            fits = self._initial + known.window <= MAX_WINDOW_BYTES
        if self._waiting:
            self._pump()
        return fits

    def resize(self, initial: int) -> None:
        """Every stream has another initial window."""
        self._initial = initial
        self._pump()

    def _pump(self) -> None:
        """Send what may be sent, streams in turn."""
        progress = True
        while progress and self._waiting and self._window > 0:
            progress = False
            for stream, known in list(self._waiting.items()):
                progress |= self._step(stream, known)

    def _step(self, stream: int, known: _Stream) -> bool:
        """One frame of a stream; whether there was one."""
        assert known.body is not None  # noqa: S101 - it waits
        size = min(
            len(known.body) - known.sent, self._window, self._initial + known.window, self.max_frame_bytes
        )
        if size <= 0:
            return False
        part = known.body[known.sent : known.sent + size]
        known.sent += size
        known.window -= size
        self._window -= size
        self._out.append(write_frame(DATA, 0, stream, part))
        if known.sent == len(known.body):
            del self._waiting[stream], self.streams[stream]
            self._out.append(write_frame(HEADERS, END_HEADERS | END_STREAM, stream, known.trailers))
        return True
