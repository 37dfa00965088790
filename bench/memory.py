"""Memory of gateway and scorer over two million rows, and of the monitors over five million.

Each step writes rows straight to Kafka, one a request, and posts as many again through the gateway: most in
requests of 256 rows, the rest one by one. The scorer therefore sees twice the rows of the gateway. Sizes are
resident sets in MB (10^6 bytes), shared libraries included, read once a step when all is answered. The
monitors come after that, on a machine of their own: `bench.memory_monitors`.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from atalaia.runtime.machine import Machine
from bench import bundles, memory_monitors, rig
from bench.http_load import run

STEP_ROWS = 100_000
STEPS = 20
SETTLED_ROWS = 1_000_000
"""From here on memory must be flat."""
LIMIT_MB = 150.0
ROWS_PER_REQUEST = 256
SINGLE_REQUESTS = 5_000
CONNECTIONS = 8
_SECONDS = 60.0


def measure(*, steps: int = STEPS, step_rows: int = STEP_ROWS) -> dict[str, Any]:
    """All figures; ``ours`` is the larger of the two processes after a million rows, ``ratio`` to 150 MB."""
    with (
        rig.machine(["gateway", "scorer"]) as machine,
        tempfile.TemporaryDirectory(prefix="atalaia-bench-") as folder,
    ):
        measured = {name: _process(machine, name) for name in ("gateway", "scorer-0")}
        posts = _bodies(machine, Path(folder))
        samples: dict[str, list[float]] = {"gateway": [], "scorer": []}
        rows = [0]
        cpu = sum(map(rig.cpu_seconds, measured.values()))
        _sample(measured, samples)
        for step in range(steps):
            rows.append(rows[-1] + _feed(machine, posts, step, step_rows))
            _sample(measured, samples)
            sizes = ", ".join(f"{name} {values[-1]:.0f} MB" for name, values in samples.items())
            rig.tell(f"{rows[-1]:,} rows through each: {sizes}")
        cpu = sum(map(rig.cpu_seconds, measured.values())) - cpu
    return with_monitors(summary(rows, samples, cpu_seconds=cpu), memory_monitors.sample())


def with_monitors(answer: dict[str, Any], taken: memory_monitors.Samples) -> dict[str, Any]:
    """The answer with what the monitors took beside."""
    return {
        **answer,
        "beside": {**answer["beside"], **memory_monitors.figures(taken)},
        "monitors": {"rows": taken.rows, "samples_mb": taken.sizes_mb},
    }


def summary(rows: Sequence[int], samples: dict[str, list[float]], *, cpu_seconds: float) -> dict[str, Any]:
    """The answer of the bench; ``samples`` are MB by process, one for each of ``rows``, the first at start.

    Raises
    ------
    ValueError
        where it ended too early to say anything of what comes after a million rows.
    """
    settled = next((place for place, count in enumerate(rows) if count >= SETTLED_ROWS), len(rows))
    if len(rows) - settled < 3:
        raise ValueError(f"{rows[-1]} rows are too few to see growth after {SETTLED_ROWS}")
    beside: dict[str, float | None] = {"limit_mb": LIMIT_MB}
    for name, values in samples.items():
        beside[f"{name}_at_start_mb"] = values[0]
        beside[f"{name}_mb"] = values[settled]
        beside[f"{name}_peak_mb"] = max(values)
        beside[f"{name}_growth_mb"] = growth(rows[settled:], values[settled:])
    ours = max(values[settled] for values in samples.values())
    return {
        "bench": "memory",
        "ours": ours,
        "beside": beside,
        "ratio": ours / LIMIT_MB,
        "cpu_seconds": cpu_seconds,
        "rows": list(rows),
        "samples_mb": samples,
    }


def growth(rows: Sequence[int], sizes: Sequence[float]) -> float:
    """Slope of the least-squares line, in the sizes' unit for a million rows.

    >>> round(growth([0, 1_000_000, 2_000_000], [100.0, 103.0, 106.0]), 6)
    3.0
    """
    return float(np.polyfit(np.asarray(rows) / 1e6, np.asarray(sizes), 1)[0])


def _process(machine: Machine, name: str) -> psutil.Process:
    pid = machine.pid(name)
    if pid is None:
        raise RuntimeError(f"{name} is down; it was to be measured")
    return psutil.Process(pid)


def _sample(measured: dict[str, psutil.Process], samples: dict[str, list[float]]) -> None:
    for process, values in zip(measured.values(), samples.values(), strict=True):
        values.append(process.memory_info().rss / 1e6)


def _bodies(machine: Machine, folder: Path) -> dict[int, Path]:
    """Files of request bodies, by rows a request."""
    paths = {}
    for wide in (ROWS_PER_REQUEST, 1):
        data = rig.answered_rows(machine, 64 * wide, seed=6)
        parts = (data[start : start + wide] for start in range(0, 64 * wide, wide))
        paths[wide] = folder / f"{wide}.bodies"
        paths[wide].write_bytes(b"\n".join(rig.request_body(part, "bench") for part in parts))
    return paths


def _feed(machine: Machine, posts: dict[int, Path], step: int, step_rows: int) -> int:
    """One step; how many rows went through the gateway, as many as straight to Kafka or a few more."""
    url = f"{machine.addresses.gateway}/v2/models/{bundles.NAME}/infer"
    counter = "atalaia_scorer_committed_rows_total"
    page = machine.addresses.metrics["scorer"]
    before = rig.metric(page, counter)
    written = rig.fill(machine.settings, bundles.rows(step_rows, seed=100 + step))
    posted = 0
    for wide, requests in (
        (ROWS_PER_REQUEST, -(-(step_rows - SINGLE_REQUESTS) // ROWS_PER_REQUEST)),
        (1, SINGLE_REQUESTS),
    ):
        loaded = run(url, posts[wide], connections=CONNECTIONS, seconds=_SECONDS, requests=requests)
        if set(loaded.statuses) != {"200"} or loaded.requests < requests:
            raise RuntimeError(
                f"{loaded.statuses} for {requests} requests of {wide} rows, expected 200 for all"
            )
        posted += loaded.requests * wide
    rig.wait_for_metric(page, counter, before + written + posted, timeout_seconds=60)
    return posted
