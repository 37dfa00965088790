"""Load over gRPC: so many calls are under way on each connection, and the next is made when one is answered.

Frames of HTTP/2 are written beforehand but for the number of their stream, so that the generator costs about
what that over HTTP does.

``python -m bench.grpc_load HOST:PORT MESSAGES``, with MESSAGES a file of ModelInferRequests, each after its
length in four bytes.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bench import load
from bench.load import Connection, Load
from services.gateway.grpc.http2 import frames
from services.gateway.grpc.http2.headers import write_headers

METHOD = b"/inference.GRPCInferenceService/ModelInfer"
_STATUS = b"grpc-status"
_HEADER_TABLE_SIZE = 1
_LENGTH_BYTES = 4


class Channel(Connection):
    """So many calls under way at a time.

    Parameters
    ----------
    head : the block of headers of every call
    messages : sent in turn, with gRPC's prefix
    first : place in them of the first to be sent
    """

    def __init__(self, head: bytes, messages: Sequence[bytes], first: int, calls: int) -> None:
        super().__init__()
        self._head = head
        self._messages = messages
        self._next = first
        self._calls = calls
        self._stream = 1
        self._sent_at: dict[int, float] = {}
        self._window = frames.DEFAULT_WINDOW_BYTES
        self._waiting = 0
        self._reader = frames.FrameReader()
        list(self._reader.read(frames.PREFACE))  # a server sends none

    def begin(self) -> None:
        """Greet, and make the first calls."""
        most = frames.MAX_WINDOW_BYTES
        settings = frames.write_settings({_HEADER_TABLE_SIZE: 0, frames.INITIAL_WINDOW_SIZE: most})
        more = frames.write_number(most - frames.DEFAULT_WINDOW_BYTES)
        greeting = [frames.PREFACE, settings, frames.write_frame(frames.WINDOW_UPDATE, 0, 0, more)]
        self.transport.write(b"".join([*greeting, *(self._call() for _ in range(self._calls))]))

    def data_received(self, data: bytes) -> None:
        """Count answers that are whole, and make the next calls."""
        out: list[bytes] = []
        now = time.perf_counter()
        for frame in self._reader.read(data):
            if frame.kind == frames.HEADERS:
                if frame.flags & frames.END_STREAM:
                    self._answered(frame, now)
                    out.append(self._call())
            elif frame.kind == frames.SETTINGS and not frame.flags:
                out.append(frames.write_frame(frames.SETTINGS, frames.ACK, 0))
            elif frame.kind == frames.PING and not frame.flags:
                out.append(frames.write_frame(frames.PING, frames.ACK, 0, frame.payload))
            elif frame.kind == frames.WINDOW_UPDATE and not frame.stream:
                self._window += int.from_bytes(frame.payload, "big")
                waiting, self._waiting = self._waiting, 0
                out += [self._call() for _ in range(waiting)]
            elif frame.kind in (frames.RST_STREAM, frames.GOAWAY):
                self.fail(ConnectionError(f"the server ended a stream or all of them: {frame}"))
        self.transport.write(b"".join(out))
        if self.last and not self._sent_at and not self.ended.done():
            self.ended.set_result(None)

    def _call(self) -> bytes:
        if self.last:
            return b""
        message = self._messages[self._next % len(self._messages)]
        if len(message) > self._window:
            self._waiting += 1
            return b""
        self._window -= len(message)
        self._next += 1
        stream, self._stream = self._stream, self._stream + 2
        self._sent_at[stream] = time.perf_counter()
        head = frames.write_frame(frames.HEADERS, frames.END_HEADERS, stream, self._head)
        return head + frames.write_frame(frames.DATA, frames.END_STREAM, stream, message)

    def _answered(self, frame: frames.Frame, now: float) -> None:
        self.seconds.append(now - self._sent_at.pop(frame.stream))
        self.statuses[status_of(frame.payload)] += 1


def status_of(block: bytes) -> str:
    """The code in a block of trailers that was written without a table.

    >>> status_of(write_headers([(b"grpc-status", b"14"), (b"grpc-message", b"no")]))
    '14'
    """
    _, _, after = block.partition(_STATUS)
    return after[1 : 1 + after[0]].decode() if after else "none"


def call_headers(target: str) -> bytes:
    """The block of headers of a call, the same for every call of a connection."""
    return write_headers(
        [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", METHOD),
            (b":authority", target.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
        ]
    )


def write_messages(messages: Sequence[bytes]) -> bytes:
    """Messages as a file holds them."""
    return b"".join(len(message).to_bytes(_LENGTH_BYTES, "big") + message for message in messages)


def read_messages(content: bytes) -> list[bytes]:
    """Messages of a file.

    >>> read_messages(write_messages([b"one", b""]))
    [b'one', b'']
    """
    messages, place = [], 0
    while place < len(content):
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(content[place:start], "big")
        messages.append(content[start:place])
    return messages


async def drive(
    target: str,
    messages: Sequence[bytes],
    *,
    connections: int,
    calls: int,
    seconds: float,
    warm_up_seconds: float = 0.0,
    pids: Mapping[str, int] | None = None,
) -> Load:
    """Load a server for ``seconds`` with ``calls`` in all under way on ``connections``."""
    host, _, port = target.rpartition(":")
    head = call_headers(target)
    prepared = [b"\0" + len(message).to_bytes(4, "big") + message for message in messages]
    firsts = [place * len(prepared) // connections for place in range(connections)]
    return await load.drive(
        host,
        int(port),
        [partial(Channel, head, prepared, first, calls // connections) for first in firsts],
        seconds=seconds,
        warm_up_seconds=warm_up_seconds,
        pids=pids,
    )


def run(
    target: str,
    messages: Path,
    *,
    connections: int,
    calls: int,
    seconds: float,
    warm_up_seconds: float = 0.0,
    pids: Mapping[str, int] | None = None,
) -> Load:
    """`drive` in a process of its own.

    Raises
    ------
    RuntimeError
        with what the generator said where it failed.
    """
    arguments = [target, str(messages), f"--connections={connections}", f"--calls={calls}"]
    return load.run("bench.grpc_load", arguments, seconds=seconds, warm_up_seconds=warm_up_seconds, pids=pids)


def main(arguments: Sequence[str] | None = None) -> None:
    """Drive as the command line says."""
    parser = load.command_line("bench.grpc_load")
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("messages", type=Path)
    parser.add_argument("--calls", type=int, default=1, help="under way at once, on all connections together")
    given = parser.parse_args(arguments)
    driving = drive(
        given.target,
        read_messages(given.messages.read_bytes()),
        connections=given.connections,
        calls=given.calls,
        seconds=given.seconds,
        warm_up_seconds=given.warm_up,
        pids=dict(given.pid),
    )
    load.tell(driving)


if __name__ == "__main__":
    main()
