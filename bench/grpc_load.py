"""Load over gRPC from a process of its own, so that making calls is nobody's CPU time but its own.

Closed loop, as `bench.load`: so many calls are under way on each connection, and the next one is made when
one is answered. Frames of HTTP/2 are written beforehand but for the number of their stream, so that the
generator costs about what that over HTTP does.

`run` starts it; by hand it is ``python -m bench.grpc_load HOST:PORT MESSAGES --connections N --calls N``,
with MESSAGES a file of ModelInferRequests, each after its length in four bytes, and prints a `Load` as JSON.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import psutil
import uvloop

from bench.load import Load
from services.gateway.grpc.http2 import frames
from services.gateway.grpc.http2.headers import write_headers

METHOD = b"/inference.GRPCInferenceService/ModelInfer"
_STATUS = b"grpc-status"
_TIMEOUT_SECONDS = 60.0
_HEADER_TABLE_SIZE = 1
_LENGTH_BYTES = 4


class Channel(asyncio.Protocol):
    """One connection with so many calls under way.

    Parameters
    ----------
    head : the block of headers of every call
    messages : sent in turn, with gRPC's prefix
    first : place in them of the first to be sent
    """

    def __init__(self, head: bytes, messages: Sequence[bytes], first: int, calls: int) -> None:
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.ended = asyncio.get_running_loop().create_future()
        self._head = head
        self._messages = messages
        self._next = first
        self._calls = calls
        self._stream = 1
        self._sent_at: dict[int, float] = {}
        self._window = frames.DEFAULT_WINDOW_BYTES
        self._waiting = 0
        self._last = False
        self._reader = frames.FrameReader()
        list(self._reader.read(frames.PREFACE))  # a server sends none

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, and make the first calls."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own, of no class of asyncio's
        most = frames.MAX_WINDOW_BYTES
        settings = frames.write_settings({_HEADER_TABLE_SIZE: 0, frames.INITIAL_WINDOW_SIZE: most})
        more = frames.write_number(most - frames.DEFAULT_WINDOW_BYTES)
        greeting = [frames.PREFACE, settings, frames.write_frame(frames.WINDOW_UPDATE, 0, 0, more)]
        self._transport.write(b"".join([*greeting, *(self._call() for _ in range(self._calls))]))

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
                self._fail(ConnectionError(f"the server ended a stream or all of them: {frame}"))
        self._transport.write(b"".join(out))
        if self._last and not self._sent_at and not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so where an answer was still awaited."""
        self._fail(ConnectionError(f"the server closed a connection in use: {exc}"))

    def reset(self) -> None:
        """Forget what was measured so far."""
        self.seconds.clear()
        self.statuses.clear()

    def stop(self) -> None:
        """Let the calls under way be the last."""
        self._last = True

    def drop(self) -> None:
        """Let go of the connection, whatever is under way."""
        self._transport.abort()
        if not self.ended.cancel() and not self.ended.cancelled():
            self.ended.exception()  # taken note of; the first that was raised is told

    def _call(self) -> bytes:
        if self._last:
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

    def _fail(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)


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
    loop = asyncio.get_running_loop()
    prepared = [b"\0" + len(message).to_bytes(4, "big") + message for message in messages]
    measured = {name: psutil.Process(pid) for name, pid in (pids or {}).items()}
    channels: list[Channel] = []
    for place in range(connections):
        first = place * len(prepared) // connections
        channel = partial(Channel, call_headers(target), prepared, first, calls // connections)
        channels.append((await loop.create_connection(channel, host, int(port)))[1])
    try:
        await _wait(channels, warm_up_seconds)
        for one in channels:
            one.reset()
        before, own, began = _cpu_seconds(measured), time.process_time(), time.perf_counter()
        await _wait(channels, seconds)
        ended, own, after = time.perf_counter(), time.process_time() - own, _cpu_seconds(measured)
        times = np.concatenate([one.seconds for one in channels]) * 1000
        statuses = sum((one.statuses for one in channels), Counter[str]())
        for one in channels:
            one.stop()
        await asyncio.wait_for(asyncio.gather(*(one.ended for one in channels)), _TIMEOUT_SECONDS)
    finally:
        for one in channels:
            one.drop()
    return Load(
        connections=connections,
        requests=len(times),
        seconds=ended - began,
        p50_ms=float(np.quantile(times, 0.5)),
        p99_ms=float(np.quantile(times, 0.99)),
        cpu_seconds={name: after[name] - before[name] for name in before},
        generator_cpu_seconds=own,
        statuses=dict(statuses),
    )


async def _wait(channels: Sequence[Channel], seconds: float) -> None:
    """Let time pass, or tell the error where a connection ends."""
    ended = [one.ended for one in channels]
    done, _ = await asyncio.wait(ended, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for one in done:
        one.result()


def _cpu_seconds(measured: Mapping[str, psutil.Process]) -> dict[str, float]:
    times = {name: process.cpu_times() for name, process in measured.items()}
    return {name: float(taken.user + taken.system) for name, taken in times.items()}


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
    command = [sys.executable, "-m", "bench.grpc_load", target, str(messages), f"--seconds={seconds}"]
    command += [f"--connections={connections}", f"--calls={calls}", f"--warm-up={warm_up_seconds}"]
    command += [f"--pid={name}={pid}" for name, pid in (pids or {}).items()]
    limit_seconds = warm_up_seconds + seconds + 2 * _TIMEOUT_SECONDS
    done = subprocess.run(command, check=False, capture_output=True, timeout=limit_seconds)
    if done.returncode:
        raise RuntimeError(f"load on {target} failed: {done.stderr.decode()[-1000:]}")
    return msgspec.json.decode(done.stdout, type=Load)


def main(arguments: Sequence[str] | None = None) -> None:
    """Drive as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.grpc_load")
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("messages", type=Path)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--calls", type=int, default=1, help="under way at once, on all connections together")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--warm-up", type=float, default=0.0)
    parser.add_argument("--pid", action="append", default=[], metavar="NAME=PID")
    given = parser.parse_args(arguments)
    driving = drive(
        given.target,
        read_messages(given.messages.read_bytes()),
        connections=given.connections,
        calls=given.calls,
        seconds=given.seconds,
        warm_up_seconds=given.warm_up,
        pids={name: int(pid) for name, _, pid in (pair.partition("=") for pair in given.pid)},
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(msgspec.json.encode(runner.run(driving)).decode() + "\n")


if __name__ == "__main__":
    main()
