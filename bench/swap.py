"""Versions swapped while requests come: what a swap adds to a request.

Each of a few connections sends a row every few milliseconds. Every three seconds the other of two versions is
promoted. The slowest request that was under way in the half second around a swap is held against the slowest
of the half second before it: the median of the differences is what a swap adds.
"""

import http.client
import statistics
import threading
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from atalaia.runtime.machine import Machine
from atalaia.stream.deploy import deploy, promote
from bench import bundles, rig

CONNECTIONS = 4
PERIOD_SECONDS = 0.01
SWAPS = 10
BETWEEN_SECONDS = 3.0
AROUND_SECONDS = 0.5
_WARM_UP_SECONDS = 2.0


class Asked(NamedTuple):
    """A request: when it was sent and answered, in monotonic seconds, and its status."""

    sent_at: float
    answered_at: float
    status: int


class Caller(threading.Thread):
    """One connection that asks again and again.

    Parameters
    ----------
    url : of the gateway
    body : of every request
    """

    def __init__(self, url: str, body: bytes) -> None:
        super().__init__(daemon=True)
        self.asked: list[Asked] = []
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._body = body
        self._stopped = threading.Event()

    def run(self) -> None:
        """Ask until told to stop."""
        path = f"/v2/models/{bundles.NAME}/infer"
        while not self._stopped.wait(PERIOD_SECONDS):
            sent_at = time.monotonic()
            self._connection.request("POST", path, self._body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            answer.read()
            self.asked.append(Asked(sent_at, time.monotonic(), answer.status))

    def stop(self) -> None:
        """Let the request under way be the last."""
        self._stopped.set()
        self.join()


def measure(*, swaps: int = SWAPS) -> dict[str, Any]:
    """All figures; ``ours`` and ``ratio`` are the milliseconds a swap adds, and of the limit they are."""
    with rig.machine(["gateway", "scorer"]) as machine:
        second = machine.state_dir.parent / "second"
        bundles.make_bundle(second, version="2")
        deploy(second, settings=machine.settings)
        asked, marks = _load(machine, swaps)
    return summary(asked, marks)


def summary(asked: list[Asked], marks: list[tuple[float, float]]) -> dict[str, Any]:
    """The answer of the bench, of requests and of when each swap was begun and recorded."""
    added = [
        (_slowest(asked, begun, done + AROUND_SECONDS) - _slowest(asked, begun - AROUND_SECONDS, begun))
        * 1000
        for begun, done in marks
    ]
    ours = statistics.median(added)
    return {
        "bench": "swap",
        "ours": ours,
        "beside": {
            "swaps": len(marks),
            "requests": len(asked),
            "failed_requests": sum(one.status != 200 for one in asked),
            "worst_added_ms": max(added),
            "usual_p50_ms": statistics.median(one.answered_at - one.sent_at for one in asked) * 1000,
            "record_after_ms": statistics.median(done - begun for begun, done in marks) * 1000,
        },
        "ratio": ours / 20,
        "cpu_seconds": None,
        "added_ms": added,
    }


def _load(machine: Machine, swaps: int) -> tuple[list[Asked], list[tuple[float, float]]]:
    body = rig.request_body(rig.answered_rows(machine, 1, seed=5), "swap")
    callers = [Caller(machine.addresses.gateway or "", body) for _ in range(CONNECTIONS)]
    for caller in callers:
        caller.start()
    time.sleep(_WARM_UP_SECONDS)
    marks = []
    for place in range(swaps):
        rig.tell(f"swap {place + 1} of {swaps}")
        begun = time.monotonic()
        promote(bundles.NAME, "12"[place % 2], kafka=machine.settings.kafka)
        marks.append((begun, time.monotonic()))
        time.sleep(BETWEEN_SECONDS)
    for caller in callers:
        caller.stop()
    return [one for caller in callers for one in caller.asked], marks


def _slowest(asked: list[Asked], begun: float, ended: float) -> float:
    """Seconds of the slowest request that was under way then."""
    return max(
        (one.answered_at - one.sent_at for one in asked if one.answered_at >= begun and one.sent_at <= ended),
        default=0.0,
    )
