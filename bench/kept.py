"""Requests whose answer is kept, beside those whose answer is not and routes that do nothing.

The same generator sends the same rows in turns: plain, with an Idempotency-Key of their own, and
asynchronous. Each 202 says that Kafka has acknowledged the request; its answer goes to Redis meanwhile, by
the same process.

Kafka, just started, runs several times slower: a first turn is not counted. Those that are compared follow
each other, and whoever came first in one turn comes last in the next.

Of two routes that do nothing one is declared as FastAPI's users do, which reads JSON and answers a constant;
the other, past all that FastAPI does for a route, shows what the server alone takes.
"""

import secrets
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import bundles, rig
from bench.http_load import run
from bench.load import Load
from bench.peers import noop
from bench.peers.noop_server import DECLARED

CONNECTIONS = 64
REPEATS = 8
SECONDS = 4.0
WARM_UP_SECONDS = 1.0
BODIES = 120_000
"""More than are sent in a turn, so that no key comes twice."""

_PLAIN, _KEYED, _ASYNCHRONOUS, _DECLARED = "plain", "keyed", "asynchronous", "declared_noop"
_EXPECTED = {_PLAIN: "200", _KEYED: "200", _ASYNCHRONOUS: "202", _DECLARED: "200", noop.NAME: "200"}


def measure(*, repeats: int = REPEATS, seconds: float = SECONDS) -> dict[str, Any]:
    """All figures; ``ratio`` is asynchronous requests a second over those of the declared route."""
    with ExitStack() as stack:
        machine = stack.enter_context(rig.machine(["gateway", "scorer"]))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atalaia-bench-")))
        data = rig.answered_rows(machine, BODIES, seed=5)
        bodies = folder / "bodies"
        bodies.write_bytes(
            b"\n".join(
                rig.request_body(data[place : place + 1], f"{place:08x}") for place in range(len(data))
            )
        )
        url, _ = stack.enter_context(noop.serve(rig.bundle_folder(machine), folder))
        ours = machine.addresses.gateway or ""
        servers = {_PLAIN: ours, _KEYED: ours, noop.NAME: url, _ASYNCHRONOUS: ours}
        servers |= {_DECLARED: f"{url}{DECLARED}"}
        names = {"gateway": "gateway", "scorer": "scorer-0", "kafka": "kafka", "redis": "redis"}
        pids = {name: pid for name, process in names.items() if (pid := machine.pid(process)) is not None}
        loads: dict[str, list[Load]] = {name: [] for name in servers}
        for turn in range(repeats + 1):
            for name, server in list(servers.items())[:: -1 if turn % 2 else 1]:
                rig.tell(f"{name} ({turn} of {repeats})")
                load = run(
                    f"{server}/v2/models/{bundles.NAME}/infer",
                    bodies,
                    connections=CONNECTIONS,
                    seconds=seconds,
                    warm_up_seconds=WARM_UP_SECONDS,
                    pids=pids if server is ours else {},
                    headers=_headers(name),
                )
                if set(load.statuses) != {_EXPECTED[name]}:
                    raise RuntimeError(f"{name} requests were answered with {load.statuses}")
                if turn:
                    loads[name].append(load)
    return summary(loads)


def summary(loads: dict[str, list[Load]]) -> dict[str, Any]:
    """The answer of the bench; ratios are medians of those of each turn."""
    rates = {name: [load.requests_per_second for load in turns] for name, turns in loads.items()}
    return {
        "bench": "kept",
        "ours": statistics.median(rates[_ASYNCHRONOUS]),
        "beside": {
            **{f"{name}_per_second": statistics.median(turns) for name, turns in rates.items()},
            **{
                f"{name}_p50_ms": statistics.median(load.p50_ms for load in turns)
                for name, turns in loads.items()
            },
            "keyed_ratio": rig.median_ratio(rates[_KEYED], rates[_PLAIN]),
            "of_noop": rig.median_ratio(rates[_ASYNCHRONOUS], rates[noop.NAME]),
        },
        "ratio": rig.median_ratio(rates[_ASYNCHRONOUS], rates[_DECLARED]),
        "cpu_seconds": sum(sum(load.cpu_seconds.values()) for load in loads[_ASYNCHRONOUS]),
        "cpu_ms_per_request": {
            name: turns[-1].cpu_ms_per_request for name, turns in loads.items() if turns[-1].cpu_seconds
        },
    }


def _headers(name: str) -> list[str]:
    if name == _KEYED:
        return [f'Idempotency-Key: "{secrets.token_hex(6)}-{{place}}"']
    return ["Prefer: respond-async"] if name == _ASYNCHRONOUS else []
