"""Gateways, scorers and brokers as processes of a test."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from atalaia.runtime.ports import free_port
from atalaia.runtime.processes import ProcessSpec
from atalaia.runtime.supervisor import Supervisor

READY_SECONDS = 30.0


@dataclass
class Running:
    """A process and where it writes."""

    process: "subprocess.Popen[bytes]"
    out: Path
    url: str = ""

    def terminate(self, timeout_seconds: float = 15.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_seconds)


def wait_until(happened: Callable[[], bool], *, what: str, seconds: float = READY_SECONDS) -> float:
    """How long it took."""
    started = time.monotonic()
    while not happened():
        assert time.monotonic() - started < seconds, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - started


@contextlib.contextmanager
def running(service: str, folder: Path, environment: dict[str, str]) -> Iterator[Running]:
    folder.mkdir(parents=True, exist_ok=True)
    out, err = folder / f"{service}.out", folder / f"{service}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{service}"],
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **environment},
        )
        started = Running(process, out)
        try:
            yield started
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(5)


@contextlib.contextmanager
def gateway(folder: Path, environment: dict[str, str], *, ready: bool = True) -> Iterator[Running]:
    port = free_port()
    with running("gateway", folder, {**environment, "ATALAIA_GATEWAY__PORT": str(port)}) as started:
        started.url = f"http://127.0.0.1:{port}"
        path = "/readyz" if ready else "/healthz"
        wait_until(lambda: answers(f"{started.url}{path}"), what=f"gateway's {path}")
        yield started


@contextlib.contextmanager
def scorer(folder: Path, environment: dict[str, str]) -> Iterator[Running]:
    port = free_port()
    environment = {**environment, "ATALAIA_SCORER__METRICS_PORT": str(port)}
    with running("scorer", folder, environment) as started:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), what="scorer's readiness")
        yield started


@contextlib.contextmanager
def supervised_scorer(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """One that is started again when it ends, as it does when its transaction hangs."""
    port = free_port()
    spec = ProcessSpec(
        name="scorer",
        command=[sys.executable, "-m", "services.scorer"],
        environment={**os.environ, **environment, "ATALAIA_SCORER__METRICS_PORT": str(port)},
        probe=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
    )
    with Supervisor(folder / "logs") as supervisor:
        supervisor.start(spec)
        yield


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == 200
    except httpx.TransportError:
        return False
