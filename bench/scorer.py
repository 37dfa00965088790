"""From requests in Kafka to committed predictions and observations, one process.

Beside it, by CPU time in the same run: a bare consume-produce of the same bytes. The scorer's time
counts from before its consumer joins until the last row is committed, imports and model loading left out.
"""

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atalaia.inference.rows import FloatArray
from atalaia.runtime.ports import claim_port
from atalaia.settings import Settings
from bench import bundles, rig

ROWS = 600_000
BATCHED_ROWS = 1_024_000
ROWS_PER_REQUEST = 256
REPEATS = 3


@dataclass(frozen=True)
class Figures:
    """One measured run."""

    rows: int
    cpu_seconds: float
    seconds: float

    @property
    def rows_per_cpu_second(self) -> float:
        """What a core could do."""
        return self.rows / self.cpu_seconds

    @property
    def rows_per_second(self) -> float:
        """What this machine did, broker included."""
        return self.rows / self.seconds


def measure(*, repeats: int = REPEATS, rows: int = ROWS) -> dict[str, Any]:
    """All figures; ``ratio`` is the median of paired runs."""
    with rig.machine() as machine:
        settings = machine.settings
        data = bundles.rows(rows, seed=3)
        ours, bare, collecting = [], [], []
        for _ in range(repeats):
            starts = rig.end_positions(settings)
            requests = rig.fill(settings, data)
            bare.append(_pass_through(settings, requests, starts))
            ours.append(score(settings, rows))
        rig.fill(settings, data)
        collecting.append(score(settings, rows, ATALAIA_SCORER__COLLECT_GARBAGE="true"))
        rig.fill(settings, bundles.rows(BATCHED_ROWS, seed=4), rows_per_request=ROWS_PER_REQUEST)
        batched = score(settings, BATCHED_ROWS)
    ratios = [a.rows_per_cpu_second / b.rows_per_cpu_second for a, b in zip(ours, bare, strict=True)]
    return {
        "bench": "scorer",
        "ours": statistics.median(run.rows_per_cpu_second for run in ours),
        "beside": {
            "consume_produce": statistics.median(run.rows_per_cpu_second for run in bare),
            "ours_with_collector": collecting[0].rows_per_cpu_second,
            "ours_rows_per_second": statistics.median(run.rows_per_second for run in ours),
            "ours_256_rows_a_request_per_cpu_second": batched.rows_per_cpu_second,
            "ours_256_rows_a_request_per_second": batched.rows_per_second,
        },
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "cpu_seconds": sum(run.cpu_seconds for run in ours),
    }


def _pass_through(settings: Settings, messages: int, starts: list[int]) -> Figures:
    topic = settings.kafka.topic_prefix + "replies"
    arguments = ["bench.passthrough", topic, str(messages), *map(str, starts)]
    figures = rig.run_json(arguments, rig.environment(settings))
    return Figures(int(figures["rows"]), figures["cpu_seconds"], figures["seconds"])


def score(settings: Settings, rows: int, **more: str) -> Figures:
    """Of a scorer that finds so many rows, until they are committed; ``more`` is in its environment."""
    port = claim_port(0, setting="ATALAIA_SCORER__METRICS_PORT")
    env = rig.environment(settings, ATALAIA_SCORER__METRICS_PORT=str(port), **more)
    url = f"http://127.0.0.1:{port}/metrics"
    with (
        tempfile.TemporaryDirectory() as folder,
        rig.process(["services.scorer"], env, Path(folder) / "log") as scorer,
    ):
        rig.wait_for_metric(url, "atalaia_scorer_start_seconds", 0.001, timeout_seconds=60)
        before = rig.metric(url, "atalaia_scorer_start_cpu_seconds")
        began = rig.metric(url, "atalaia_scorer_start_seconds")
        rig.wait_for_metric(url, "atalaia_scorer_committed_rows_total", rows, timeout_seconds=120)
        after = rig.cpu_seconds(scorer)
        ended = rig.metric(url, "atalaia_scorer_last_commit_seconds")
    return Figures(rows, after - before, ended - began)


def request_bytes(data: FloatArray) -> int:
    """Size of a request of one row, for the record."""
    return len(rig.request_body(data[:1], "00000000"))
