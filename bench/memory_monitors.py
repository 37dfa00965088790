"""Memory of the monitors over millions of rows and thousands of windows, which are a minute of event time.

Observations and their labels are written in steps, each taken by both workers before the next; sizes are read
after each. Where the time is up first, the rows that came by then are what is said.
"""

import time
from dataclasses import dataclass, field

from confluent_kafka import TopicPartition

from atalaia.runtime.machine import Machine
from atalaia.stream.clients import consumer
from atalaia.topics import DRIFT, LABELS, OBSERVATIONS
from bench import rig
from bench.bundles import Tables
from bench.catching_up import ends, started, wait
from bench.observed import Feed, Fences, Step

STEP_ROWS = 125_000
STEPS = 40
ROWS_A_WINDOW = 500
MESSAGE_ROWS = 2_500
MOST_SECONDS = 240.0
LIMIT_MB = 350.0
_LEAST_STEPS = 8
_MINUTE_MS = 60_000
_WINDOWS = {"window": "1m", "lateness": "1s"}
TABLES: Tables = {
    "drift": {**_WINDOWS, "earlier": [], "minimum_window": "1m", "minimum_window_rows": 100},
    "performance": _WINDOWS,
    "fairness": _WINDOWS,
    "labels": {"horizon": "1h", "most_rows": 200_000},
}


@dataclass
class Samples:
    """Sizes in MB by service, one for each of ``rows``; drift results published, and CPU time of both."""

    rows: list[int] = field(default_factory=list)
    sizes_mb: dict[str, list[float]] = field(default_factory=lambda: {"drift": [], "fairness": []})
    drift_results: int = 0
    cpu_seconds: float = 0.0


def sample(*, steps: int = STEPS, step_rows: int = STEP_ROWS, most_seconds: float = MOST_SECONDS) -> Samples:
    """Feed both workers step by step."""
    taken = Samples()
    with rig.machine(["drift", "fairness"], monitors=TABLES) as running:
        processes = {name: started(running, f"{name}-0") for name in taken.sizes_mb}
        feed, fences = Feed(running, Step(_MINUTE_MS, ROWS_A_WINDOW)), Fences(running)
        until = time.monotonic() + most_seconds
        for step in range(steps):
            if step >= _LEAST_STEPS and time.monotonic() > until:
                break
            feed.fill(step * step_rows, step_rows, message_rows=MESSAGE_ROWS)
            feed.fill_labels(step * step_rows, step_rows)
            to = ends(running, OBSERVATIONS, LABELS)
            wait(fences, "drift", {OBSERVATIONS: to[OBSERVATIONS]}, timeout_seconds=60)
            wait(fences, "fairness", to, timeout_seconds=60)
            taken.rows.append((step + 1) * step_rows)
            for name, process in processes.items():
                taken.sizes_mb[name].append(process.memory_info().rss / 1e6)
            sizes = ", ".join(f"{name} {values[-1]:.0f} MB" for name, values in taken.sizes_mb.items())
            rig.tell(f"{taken.rows[-1]:,} rows, {taken.rows[-1] // ROWS_A_WINDOW:,} windows: {sizes}")
        taken.drift_results = _published(running)
        taken.cpu_seconds = sum(map(rig.cpu_seconds, processes.values()))
        fences.close()
    return taken


def figures(taken: Samples) -> dict[str, float]:
    """What of it counts: the greatest size, and how much the last quarter is above the second.

    Raises
    ------
    ValueError
        where it ended too early for quarters.
    """
    count = len(taken.rows)
    if count < _LEAST_STEPS:
        raise ValueError(f"{count} samples are too few to see growth, expected {_LEAST_STEPS} or more")
    quarter = count // 4
    found: dict[str, float] = {
        "monitors_rows": taken.rows[-1],
        "monitors_windows": taken.rows[-1] // ROWS_A_WINDOW,
        "drift_results": taken.drift_results,
        "monitors_cpu_seconds": taken.cpu_seconds,
    }
    for name, sizes in taken.sizes_mb.items():
        second, last = sizes[quarter : 2 * quarter], sizes[-quarter:]
        found[f"{name}_peak_mb"] = max(sizes)
        found[f"{name}_grown_mb"] = sum(last) / quarter - sum(second) / quarter
    return found


def _published(running: Machine) -> int:
    client = consumer(running.settings.kafka, **{"group.id": "bench"})
    topic = running.settings.kafka.topic_prefix + DRIFT.name
    places = [TopicPartition(topic, partition) for partition in range(DRIFT.partitions)]
    total = sum(client.get_watermark_offsets(place, 10)[1] for place in places)
    client.close()
    return total
