"""Requests over HTTP, answered through Kafka, beside a route that does nothing and MLServer.

All are driven by the same generator with the same bodies, in turns (ours, noop, MLServer, ours, ...); the
medians stand. Ours is gateway, broker and scorer, every request durable before it is answered; MLServer
scores in its own process and keeps nothing. The generator shares the machine's cores with all of them.
"""

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atalaia.runtime.machine import Machine
from bench import bundles, rig
from bench.http_load import run
from bench.load import Load
from bench.peers import mlserver, noop

REPEATS = 3
SECONDS = 8.0
WARM_UP_SECONDS = 1.0
BODIES = 2_000


@dataclass(frozen=True)
class Scenario:
    """How a server is loaded."""

    name: str
    connections: int
    rows_per_request: int = 1


ONE = Scenario("1", 1)
MANY = Scenario("64", 64)
BATCHED = Scenario("256_rows", 8, rows_per_request=256)
SCENARIOS = (ONE, MANY, BATCHED)


@dataclass(frozen=True)
class Server:
    """What is loaded: where it answers, and its processes by name."""

    name: str
    url: str
    pids: Mapping[str, int]


Runs = dict[tuple[str, str], list[Load]]
"""By server and scenario."""


def measure(
    *, repeats: int = REPEATS, seconds: float = SECONDS, scenarios: Sequence[Scenario] = SCENARIOS
) -> dict[str, Any]:
    """All figures; ``ratio`` is requests a second at 64 connections over MLServer's, the median of pairs.

    Where MLServer is not installed its figures are null and it is named under ``absent``.
    """
    with ExitStack() as stack:
        machine = stack.enter_context(rig.machine(["gateway", "scorer"]))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atalaia-bench-")))
        bodies = {scenario.name: write_bodies(machine, folder, scenario) for scenario in scenarios}
        servers = [_ours(machine)]
        for peer in (noop, mlserver):
            if peer.available():
                url, pid = stack.enter_context(peer.serve(rig.bundle_folder(machine), folder))
                servers.append(Server(peer.NAME, url, {peer.NAME: pid}))
        runs: Runs = {(server.name, scenario.name): [] for server in servers for scenario in scenarios}
        for scenario in scenarios:
            for turn in range(repeats):
                for server in servers:
                    rig.tell(f"{server.name}, {scenario.name} ({turn + 1} of {repeats})")
                    one = load_server(server, bodies[scenario.name], scenario, seconds)
                    runs[server.name, scenario.name].append(one)
    return summary(runs)


def summary(runs: Runs) -> dict[str, Any]:
    """The answer of the bench from its runs."""
    ours, theirs = runs["ours", MANY.name], runs.get((mlserver.NAME, MANY.name))
    figures = {f"{server}_at_{scenario}": _figures(loads) for (server, scenario), loads in runs.items()}
    beside: dict[str, float | None] = {
        name: _median([load.requests_per_second for load in runs.get((name, MANY.name), [])])
        for name in (noop.NAME, mlserver.NAME)
    }
    for (server, scenario), loads in runs.items():
        beside[f"{server}_p50_ms_at_{scenario}"] = _median([load.p50_ms for load in loads])
        beside[f"{server}_p99_ms_at_{scenario}"] = _median([load.p99_ms for load in loads])
    ratios = [
        one.requests_per_second / other.requests_per_second
        for one, other in zip(ours, theirs or [], strict=theirs is not None)
    ]
    return {
        "bench": "gateway",
        "ours": _median([load.requests_per_second for load in ours]),
        "beside": beside,
        "ratio": _median(ratios),
        "ratios": ratios,
        "cpu_seconds": sum(sum(load.cpu_seconds.values()) for load in ours),
        "absent": [name for name in (noop.NAME, mlserver.NAME) if (name, MANY.name) not in runs],
        "figures": figures,
    }


def _figures(loads: Sequence[Load]) -> dict[str, Any]:
    """Medians over the repeats; CPU time in milliseconds a request, by process."""
    spent = [load.cpu_ms_per_request for load in loads]
    return {
        "requests_per_second": _median([load.requests_per_second for load in loads]),
        "p50_ms": _median([load.p50_ms for load in loads]),
        "p99_ms": _median([load.p99_ms for load in loads]),
        "cpu_ms_per_request": {name: _median([one[name] for one in spent]) for name in spent[0]},
        "generator_cpu_ms_per_request": _median(
            [1000 * load.generator_cpu_seconds / load.requests for load in loads]
        ),
    }


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _ours(machine: Machine) -> Server:
    names = {"gateway": "gateway", "scorer": "scorer-0", "kafka": "kafka"}
    pids = {name: pid for name, process in names.items() if (pid := machine.pid(process)) is not None}
    return Server("ours", machine.addresses.gateway or "", pids)


def write_bodies(machine: Machine, folder: Path, scenario: Scenario) -> Path:
    """A file of request bodies, all of whose rows the model answers: a refusal would be another thing."""
    wide = scenario.rows_per_request
    data = rig.answered_rows(machine, BODIES if wide == 1 else 64 * wide, seed=5)
    path = folder / f"{scenario.name}.bodies"
    parts = (data[start : start + wide] for start in range(0, len(data) - wide + 1, wide))
    path.write_bytes(b"\n".join(rig.request_body(part, f"{place:08x}") for place, part in enumerate(parts)))
    return path


def load_server(server: Server, bodies: Path, scenario: Scenario, seconds: float) -> Load:
    """Load a server.

    Raises
    ------
    RuntimeError
        where it answers with anything but 200.
    """
    loaded = run(
        f"{server.url}/v2/models/{bundles.NAME}/infer",
        bodies,
        connections=scenario.connections,
        seconds=seconds,
        warm_up_seconds=WARM_UP_SECONDS,
        pids=server.pids,
    )
    if set(loaded.statuses) != {"200"}:
        raise RuntimeError(f"{server.name} answered with {loaded.statuses}, expected 200 alone")
    return loaded
