"""Two gateways and two scorers beside one of each: the same requests, the same generator, in turns.

Each has a machine of its own, broker included; one that is not loaded costs next to nothing. CPU time is
that of all processes of a machine. Where all cores are busy already, more processes cannot answer more
requests, and the CPU time a request says what they cost; with cores to spare throughput says what they give.
"""

import os
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from atalaia.runtime.machine import Machine
from bench import rig
from bench.gateway import BATCHED, MANY, Scenario, Server, load_server, write_bodies
from bench.load import Load

REPEATS = 3
SECONDS = 8.0
ONE, TWO = "one", "two"
PROCESSES = {ONE: 1, TWO: 2}
"""Gateways, and as many scorers."""
SCENARIOS = (MANY, BATCHED)

Runs = dict[tuple[str, str], list[Load]]
"""By size and scenario."""


def measure(
    *, repeats: int = REPEATS, seconds: float = SECONDS, scenarios: Sequence[Scenario] = SCENARIOS
) -> dict[str, Any]:
    """All figures; ``ratio`` is requests a second at 64 connections, two over one, the median of pairs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atalaia-bench-")))
        machines = {
            size: stack.enter_context(rig.machine(["gateway", "scorer"], scorers=count, gateways=count))
            for size, count in PROCESSES.items()
        }
        servers = {size: _server(size, machine) for size, machine in machines.items()}
        bodies = {scenario.name: write_bodies(machines[ONE], folder, scenario) for scenario in scenarios}
        runs: Runs = {(size, scenario.name): [] for size in servers for scenario in scenarios}
        for scenario in scenarios:
            for turn in range(repeats):
                for size, server in servers.items():
                    rig.tell(f"{size} of each, {scenario.name} ({turn + 1} of {repeats})")
                    loaded = load_server(server, bodies[scenario.name], scenario, seconds)
                    runs[size, scenario.name].append(loaded)
    return summary(runs)


def summary(runs: Runs) -> dict[str, Any]:
    """The answer of the bench from its runs."""
    beside: dict[str, float] = {"cores": float(os.cpu_count() or 1)}
    for (size, scenario), loads in runs.items():
        place = f"{size}_at_{scenario}"
        beside[f"{place}_per_second"] = statistics.median(load.requests_per_second for load in loads)
        beside[f"{place}_p50_ms"] = statistics.median(load.p50_ms for load in loads)
        beside[f"{place}_p99_ms"] = statistics.median(load.p99_ms for load in loads)
        beside[f"{place}_cpu_ms_a_request"] = statistics.median(
            sum(load.cpu_ms_per_request.values()) for load in loads
        )
        beside[f"{place}_cores_busy"] = statistics.median(
            (sum(load.cpu_seconds.values()) + load.generator_cpu_seconds) / load.seconds for load in loads
        )
    two = runs[TWO, MANY.name]
    return {
        "bench": "scale",
        "ours": statistics.median(load.requests_per_second for load in two),
        "beside": beside,
        "ratio": statistics.median(_ratios(runs, MANY)),
        "cpu_ratio": statistics.median(
            sum(more.cpu_ms_per_request.values()) / sum(one.cpu_ms_per_request.values())
            for more, one in zip(two, runs[ONE, MANY.name], strict=True)
        ),
        "ratios": {
            scenario.name: _ratios(runs, scenario) for scenario in SCENARIOS if (TWO, scenario.name) in runs
        },
        "cpu_seconds": sum(sum(load.cpu_seconds.values()) for load in two),
    }


def _ratios(runs: Runs, scenario: Scenario) -> list[float]:
    pairs = zip(runs[TWO, scenario.name], runs[ONE, scenario.name], strict=True)
    return [two.requests_per_second / one.requests_per_second for two, one in pairs]


def _server(size: str, machine: Machine) -> Server:
    pids = {name: pid for name in machine.supervisor.names if (pid := machine.pid(name)) is not None}
    return Server(f"{size} of each", machine.addresses.gateway or "", pids)
