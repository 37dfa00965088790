"""Load over HTTP from a process of its own, so that making requests is nobody's CPU time but its own.

Closed loop: each connection is kept alive and sends its next request when the answer to the last has
come. A warm-up is not counted. The measured processes' CPU time is read at both ends of the interval.

`run` starts it; by hand it is ``python -m bench.load URL BODIES --connections N --seconds S --pid NAME=PID``,
with BODIES a file of request bodies, one a line, and prints a `Load` as JSON.
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
from urllib.parse import urlsplit

import msgspec
import numpy as np
import psutil
import uvloop

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_TIMEOUT_SECONDS = 60.0
_LOOK_SECONDS = 0.02
_FIRST = asyncio.FIRST_COMPLETED


class Load(msgspec.Struct, frozen=True):
    """What was measured. ``cpu_seconds`` is by measured process, ``generator_cpu_seconds`` our own."""

    connections: int
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: dict[str, float]
    generator_cpu_seconds: float
    statuses: dict[str, int]

    @property
    def requests_per_second(self) -> float:
        """Answers a second, over all connections."""
        return self.requests / self.seconds

    @property
    def cpu_ms_per_request(self) -> dict[str, float]:
        """CPU time of each measured process for one request."""
        return {name: 1000 * taken / self.requests for name, taken in self.cpu_seconds.items()}


class Caller(asyncio.Protocol):
    """One connection.

    Parameters
    ----------
    requests : whole requests, sent in turn
    first : place in them of the first to be sent
    """

    def __init__(self, requests: Sequence[bytes], first: int) -> None:
        self.seconds: list[float] = []
        self.statuses: Counter[bytes] = Counter()
        self.ended = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._next = first
        self._last = False
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own, of no class of asyncio's
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count an answer that is whole, and send the next request."""
        self._received = received = self._received + data if self._received else data
        head_end = received.find(_HEAD_END)
        try:
            whole = head_end >= 0 and len(received) >= head_end + 4 + content_length(received[:head_end])
        except ValueError as error:
            self.ended.set_exception(error)
            return
        if not whole:
            return
        self.seconds.append(time.perf_counter() - self._sent_at)
        self.statuses[received[9:12]] += 1
        self._received = b""
        if self._last:
            self.ended.set_result(None)
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so where an answer was still awaited."""
        if not self.ended.done():
            self.ended.set_exception(ConnectionError(f"the server closed a connection in use: {exc}"))

    def reset(self) -> None:
        """Forget what was measured so far."""
        self.seconds.clear()
        self.statuses.clear()

    def stop(self) -> None:
        """Let the request under way be the last."""
        self._last = True

    def drop(self) -> None:
        """Let go of the connection, whatever is under way."""
        self._transport.abort()
        if not self.ended.cancel() and not self.ended.cancelled():
            self.ended.exception()  # taken note of; the first that was raised is told

    def _send(self) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._sent_at = time.perf_counter()
        self._transport.write(request)


def content_length(head: bytes) -> int:
    """Length of the body that follows the head of a response.

    Raises
    ------
    ValueError
        where the head does not say, as none of the servers measured here does.

    >>> content_length(b"HTTP/1.1 200 OK\\r\\nContent-Length: 17")
    17
    """
    lowered = head.lower()
    place = lowered.find(_LENGTH)
    if place < 0:
        raise ValueError(f"expected a response with a Content-Length, got {head!r}")
    return int(lowered[place + len(_LENGTH) :].split(b"\r\n", 1)[0])


def http_request(url: str, body: bytes, headers: Sequence[str] = (), place: int = 0) -> bytes:
    """A POST of JSON, as bytes; ``{place}`` in a header is the request's own number.

    >>> http_request("http://localhost:1/predict", b"{}", ["Idempotency-Key: {place}"], 7).splitlines()[4]
    b'Idempotency-Key: 7'
    """
    parts = urlsplit(url)
    further = "".join(f"{header.replace('{place}', str(place))}\r\n" for header in headers)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{further}\r\n"
    )
    return head.encode() + body


async def drive(
    url: str,
    bodies: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
    requests: int | None = None,
    warm_up_seconds: float = 0.0,
    pids: Mapping[str, int] | None = None,
    headers: Sequence[str] = (),
) -> Load:
    """Load a server for ``seconds``, or until so many ``requests`` are answered if that is sooner."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    loop = asyncio.get_running_loop()
    prepared = [http_request(url, body, headers, place) for place, body in enumerate(bodies)]
    measured = {name: psutil.Process(pid) for name, pid in (pids or {}).items()}
    callers: list[Caller] = []
    for place in range(connections):
        caller = partial(Caller, prepared, place * len(prepared) // connections)
        callers.append((await loop.create_connection(caller, host, port))[1])
    try:
        await _wait(callers, warm_up_seconds)
        for one in callers:
            one.reset()
        before, own, began = _cpu_seconds(measured), time.process_time(), time.perf_counter()
        await _wait(callers, seconds, requests)
        ended, own, after = time.perf_counter(), time.process_time() - own, _cpu_seconds(measured)
        times = np.concatenate([one.seconds for one in callers]) * 1000
        statuses = sum((one.statuses for one in callers), Counter[bytes]())
        await _end(callers)
    finally:
        for one in callers:
            one.drop()
    return Load(
        connections=connections,
        requests=len(times),
        seconds=ended - began,
        p50_ms=float(np.quantile(times, 0.5)),
        p99_ms=float(np.quantile(times, 0.99)),
        cpu_seconds={name: after[name] - before[name] for name in before},
        generator_cpu_seconds=own,
        statuses={status.decode(): count for status, count in statuses.items()},
    )


async def _wait(callers: Sequence[Caller], seconds: float, requests: int | None = None) -> None:
    """Let time pass; sooner where enough is answered, or an error where a connection ends."""
    until = time.perf_counter() + seconds
    while (left := until - time.perf_counter()) > 0:
        if requests is not None and sum(len(one.seconds) for one in callers) >= requests:
            return
        step = left if requests is None else min(left, _LOOK_SECONDS)
        done, _ = await asyncio.wait([one.ended for one in callers], timeout=step, return_when=_FIRST)
        for ended in done:
            ended.result()


async def _end(callers: Sequence[Caller]) -> None:
    for one in callers:
        one.stop()
    await asyncio.wait_for(asyncio.gather(*(one.ended for one in callers)), _TIMEOUT_SECONDS)


def _cpu_seconds(measured: Mapping[str, psutil.Process]) -> dict[str, float]:
    times = {name: process.cpu_times() for name, process in measured.items()}
    return {name: float(taken.user + taken.system) for name, taken in times.items()}


def run(
    url: str,
    bodies: Path,
    *,
    connections: int,
    seconds: float,
    requests: int | None = None,
    warm_up_seconds: float = 0.0,
    pids: Mapping[str, int] | None = None,
    headers: Sequence[str] = (),
) -> Load:
    """`drive` in a process of its own.

    Raises
    ------
    RuntimeError
        with what the generator said where it failed.
    """
    command = [sys.executable, "-m", "bench.load", url, str(bodies), f"--connections={connections}"]
    command += [f"--seconds={seconds}", f"--warm-up={warm_up_seconds}"]
    command += [f"--pid={name}={pid}" for name, pid in (pids or {}).items()]
    command += [f"--header={header}" for header in headers]
    if requests is not None:
        command.append(f"--requests={requests}")
    limit_seconds = warm_up_seconds + seconds + 2 * _TIMEOUT_SECONDS
    done = subprocess.run(command, check=False, capture_output=True, timeout=limit_seconds)
    if done.returncode:
        raise RuntimeError(f"load on {url} failed: {done.stderr.decode()[-1000:]}")
    return msgspec.json.decode(done.stdout, type=Load)


def main(arguments: Sequence[str] | None = None) -> None:
    """Drive as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("url")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--warm-up", type=float, default=0.0)
    parser.add_argument("--pid", action="append", default=[], metavar="NAME=PID")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    given = parser.parse_args(arguments)
    driving = drive(
        given.url,
        given.bodies.read_bytes().splitlines(),
        connections=given.connections,
        seconds=given.seconds,
        requests=given.requests,
        warm_up_seconds=given.warm_up,
        pids={name: int(pid) for name, _, pid in (pair.partition("=") for pair in given.pid)},
        headers=given.header,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(msgspec.json.encode(runner.run(driving)).decode() + "\n")


if __name__ == "__main__":
    main()
