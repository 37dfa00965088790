"""From observations in Kafka to fenced state, one drift worker, beside what others do with the same rows.

The log is written beforehand, in messages of several sizes; the worker is a real one, its fence in Redis.
Event time goes on by a window every 100,000 rows, so the tests of a window are in the figures. Peers have the
rows in memory already: neither Kafka nor decoding is in theirs.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from river.stats import KolmogorovSmirnov

from atalaia.topics import OBSERVATIONS
from bench import bundles, rig
from bench.catching_up import Caught, catch_up, ends
from bench.observed import Feed, Step
from bench.peers import profiles

WINDOW_ROWS = 100_000
ROWS = {10_000: 1_000_000, 2_000: 1_000_000, 500: 500_000}
"""How many, by rows a message."""
REPEATS = 2
RIVER_ROWS = (1_000, 10_000)
"""Its cost a row grows with their number, so both are less than a window's would be."""
_HOUR_MS = 3_600_000


def measure(*, repeats: int = REPEATS) -> dict[str, Any]:
    """All figures; ``ours`` is rows a CPU second in messages of 2,000 rows, ``ratio`` that to whylogs'."""
    runs: dict[int, list[Caught]] = {size: [] for size in ROWS}
    peers: list[profiles.Figures | None] = []
    for turn in range(repeats):
        for size, rows in ROWS.items():
            rig.tell(f"{rows:,} rows in messages of {size:,} ({turn + 1} of {repeats})")
            runs[size].append(_catch_up(size, rows))
        rig.tell(f"whylogs, Evidently ({turn + 1} of {repeats})")
        peers.append(profiles.run() if profiles.available() else None)
    rig.tell("river")
    river = {rows: river_rows_per_cpu_second(rows) for rows in RIVER_ROWS}
    return summary(runs, river=river, peers=peers)


def summary(
    runs: dict[int, list[Caught]], *, river: dict[int, float], peers: Sequence[profiles.Figures | None]
) -> dict[str, Any]:
    """The answer of the bench; peers' ratios are medians of those of each turn, river is measured once."""
    by_size = {
        size: {
            "cpu": [size * run.observations / run.cpu_seconds for run in turns],
            "wall": [size * run.observations / run.seconds for run in turns],
        }
        for size, turns in runs.items()
    }
    ours = by_size[2_000]["cpu"]
    beside: dict[str, float | None] = {}
    for size, rates in by_size.items():
        beside[f"rows_per_second_of_{size}_a_message"] = statistics.median(rates["wall"])
        beside[f"rows_per_cpu_second_of_{size}_a_message"] = statistics.median(rates["cpu"])
    beside["worker_mb"] = max(run.size_mb for turns in runs.values() for run in turns)
    for rows, rate in river.items():
        beside[f"river_rows_per_cpu_second_over_{rows}"] = rate
        beside[f"of_river_over_{rows}"] = statistics.median(ours) / rate
    absent = []
    for name in profiles.NAMES:
        theirs = [turn.get(name) if turn else None for turn in peers]
        known = [rate for rate in theirs if rate is not None]
        pairs = [one / rate for one, rate in zip(ours, theirs, strict=True) if rate is not None]
        beside[f"{name}_rows_per_cpu_second"] = statistics.median(known) if known else None
        beside[f"of_{name}"] = statistics.median(pairs) if pairs else None
        if not known:
            absent.append(name)
    return {
        "bench": "drift",
        "ours": statistics.median(ours),
        "beside": beside,
        "ratio": beside["of_whylogs"],
        "absent": absent,
        "cpu_seconds": sum(run.cpu_seconds for turns in runs.values() for run in turns),
        "runs": {str(size): rates for size, rates in by_size.items()},
    }


def river_rows_per_cpu_second(rows: int) -> float:
    """River's incremental statistic, a value of each feature at a time against one of a reference."""
    values, reference = bundles.rows(rows, seed=21), bundles.rows(rows, seed=22)
    tests = [KolmogorovSmirnov() for _ in range(bundles.FEATURES)]
    began = time.process_time()
    for row, known in zip(values.tolist(), reference.tolist(), strict=True):
        for place, test in enumerate(tests):
            test.update(row[place], known[place])
    seconds = time.process_time() - began
    if not all(np.isfinite(test.get()) for test in tests):
        raise RuntimeError("river gives no statistic of these rows")
    return rows / seconds


def _catch_up(size: int, rows: int) -> Caught:
    with rig.machine() as running:
        feed = Feed(running, Step(_HOUR_MS, WINDOW_ROWS))
        feed.fill(0, rows, message_rows=size)
        return catch_up(running, "drift", ends(running, OBSERVATIONS))
