"""Load from a process of its own, so that making it is nobody's CPU time but its own.

Closed loop: each connection sends its next request when one of its own is answered. A warm-up is not
counted. The measured processes' CPU time is read at both ends of the interval.

What is sent is for `bench.http_load` and `bench.grpc_load` to say; each is started by its `run`, and by hand
with ``python -m``: it then prints a `Load` as JSON.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import cast

import msgspec
import numpy as np
import psutil
import uvloop

_TIMEOUT_SECONDS = 60.0
_LOOK_SECONDS = 0.02


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


class Connection(asyncio.Protocol, ABC):
    """Sends and counts; made on the event loop.

    ``seconds`` are those of each answer, ``statuses`` what they were; ``ended`` is done when nothing is under
    way after `stop`, or has the error that ended it.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own, of no class of asyncio's
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Send what is first."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so where an answer was still awaited."""
        self.fail(ConnectionError(f"the server closed a connection in use: {exc}"))

    def fail(self, error: Exception) -> None:
        """End with this."""
        if not self.ended.done():
            self.ended.set_exception(error)

    def reset(self) -> None:
        """Forget what was measured so far."""
        self.seconds.clear()
        self.statuses.clear()

    def stop(self) -> None:
        """Let what is under way be the last."""
        self.last = True

    def drop(self) -> None:
        """Let go of the connection, whatever is under way."""
        self.transport.abort()
        if not self.ended.cancel() and not self.ended.cancelled():
            self.ended.exception()  # taken note of; the first that was raised is told


async def drive(
    host: str,
    port: int,
    connections: Sequence[Callable[[], Connection]],
    *,
    seconds: float,
    requests: int | None = None,
    warm_up_seconds: float = 0.0,
    pids: Mapping[str, int] | None = None,
) -> Load:
    """Load a server for ``seconds``, or until so many ``requests`` are answered if that is sooner."""
    loop = asyncio.get_running_loop()
    measured = {name: psutil.Process(pid) for name, pid in (pids or {}).items()}
    driven = [(await loop.create_connection(connection, host, port))[1] for connection in connections]
    try:
        await _wait(driven, warm_up_seconds)
        for one in driven:
            one.reset()
        before, own, began = _cpu_seconds(measured), time.process_time(), time.perf_counter()
        await _wait(driven, seconds, requests)
        ended, own, after = time.perf_counter(), time.process_time() - own, _cpu_seconds(measured)
        times = np.concatenate([one.seconds for one in driven]) * 1000
        statuses = sum((one.statuses for one in driven), Counter[str]())
        for one in driven:
            one.stop()
        await asyncio.wait_for(asyncio.gather(*(one.ended for one in driven)), _TIMEOUT_SECONDS)
    finally:
        for one in driven:
            one.drop()
    return Load(
        connections=len(driven),
        requests=len(times),
        seconds=ended - began,
        p50_ms=float(np.quantile(times, 0.5)),
        p99_ms=float(np.quantile(times, 0.99)),
        cpu_seconds={name: after[name] - before[name] for name in before},
        generator_cpu_seconds=own,
        statuses=dict(statuses),
    )


async def _wait(driven: Sequence[Connection], seconds: float, requests: int | None = None) -> None:
    """Let time pass; sooner where enough is answered, or an error where a connection ends."""
    until = time.perf_counter() + seconds
    first = asyncio.FIRST_COMPLETED
    while (left := until - time.perf_counter()) > 0:
        if requests is not None and sum(len(one.seconds) for one in driven) >= requests:
            return
        step = left if requests is None else min(left, _LOOK_SECONDS)
        done, _ = await asyncio.wait([one.ended for one in driven], timeout=step, return_when=first)
        for ended in done:
            ended.result()


def _cpu_seconds(measured: Mapping[str, psutil.Process]) -> dict[str, float]:
    times = {name: process.cpu_times() for name, process in measured.items()}
    return {name: float(taken.user + taken.system) for name, taken in times.items()}


def run(
    module: str,
    arguments: Sequence[str],
    *,
    seconds: float,
    warm_up_seconds: float,
    pids: Mapping[str, int] | None,
) -> Load:
    """What a generator measured in a process of its own.

    Raises
    ------
    RuntimeError
        with what the generator said where it failed.
    """
    command = [sys.executable, "-m", module, *arguments]
    command += [f"--seconds={seconds}", f"--warm-up={warm_up_seconds}"]
    command += [f"--pid={name}={pid}" for name, pid in (pids or {}).items()]
    limit_seconds = warm_up_seconds + seconds + 2 * _TIMEOUT_SECONDS
    done = subprocess.run(command, check=False, capture_output=True, timeout=limit_seconds)
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed: {done.stderr.decode()[-1000:]}")
    return msgspec.json.decode(done.stdout, type=Load)


def command_line(module: str) -> argparse.ArgumentParser:
    """The options that every generator has."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--warm-up", type=float, default=0.0)
    parser.add_argument("--pid", action="append", default=[], type=_named_pid, metavar="NAME=PID")
    return parser


def _named_pid(text: str) -> tuple[str, int]:
    name, _, pid = text.partition("=")
    return name, int(pid)


def tell(driving: Coroutine[None, None, Load]) -> None:
    """Drive, and print what was measured."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(msgspec.json.encode(runner.run(driving)).decode() + "\n")
