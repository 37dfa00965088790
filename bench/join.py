"""Predictions and labels in Kafka, joined and counted by one fairness worker, beside a plain pipeline.

Both logs are written beforehand, labels as columns as a gateway writes them; the worker is a real one. The
model is one of two classes, the horizon longer than the log, and the bound on held rows is just their number,
so that all are held at the end, in buckets as full as they are made for.
"""

import statistics
import time
from dataclasses import dataclass
from typing import Any

import redis

from atalaia.topics import LABELS, OBSERVATIONS
from bench import rig
from bench.catching_up import Caught, catch_up, ends
from bench.observed import Feed, Fences, Step, ids

ROWS = 500_000
MESSAGE_ROWS = 2_000
REPEATS = 3
PIPELINED_ROWS = 200_000
_PIPELINE_ROWS = 5_000
_PAYLOAD = b"p" * 13
"""As many bytes as the worker keeps of a prediction."""
_MATCHED = "atalaia_fairness_join_matched_total"
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Run:
    """One log taken, and what a plain pipeline did with as many ids on the same Redis."""

    worker: Caught
    bytes_a_row: float
    plain_seconds: float
    plain_cpu_seconds: float
    plain_bytes_a_row: float
    rows: int
    plain_rows: int

    @property
    def joined(self) -> float:
        """Rows between the worker's first stored fence and its last."""
        return float(self.worker.observations * MESSAGE_ROWS)

    @property
    def rows_per_second(self) -> float:
        """By the clock."""
        return self.joined / self.worker.seconds

    @property
    def plain_rows_per_second(self) -> float:
        """The plain pipeline's."""
        return self.plain_rows / self.plain_seconds


def measure(*, repeats: int = REPEATS, rows: int = ROWS) -> dict[str, Any]:
    """All figures; ``ours`` is joined rows a second, ``ratio`` that to the plain pipeline's."""
    runs = []
    for turn in range(repeats):
        rig.tell(f"{rows:,} rows and their labels ({turn + 1} of {repeats})")
        runs.append(_run(rows))
    return summary(runs)


def summary(runs: list[Run]) -> dict[str, Any]:
    """The answer of the bench; every figure is the median of the runs."""

    def median(of: Any) -> float:
        return float(statistics.median(of(run) for run in runs))

    return {
        "bench": "join",
        "ours": median(lambda run: run.rows_per_second),
        "beside": {
            "bytes_a_row_held": median(lambda run: run.bytes_a_row),
            "worker_cpu_us_a_row": median(lambda run: run.worker.cpu_seconds / run.joined * 1e6),
            "redis_cpu_us_a_row": median(lambda run: run.worker.redis_cpu_seconds / run.joined * 1e6),
            "rows_per_cpu_second_of_both": median(
                lambda run: run.joined / (run.worker.cpu_seconds + run.worker.redis_cpu_seconds)
            ),
            "plain_pipeline_rows_per_second": median(lambda run: run.plain_rows_per_second),
            "plain_pipeline_rows_per_cpu_second_of_both": median(
                lambda run: run.plain_rows / run.plain_cpu_seconds
            ),
            "plain_pipeline_bytes_a_row": median(lambda run: run.plain_bytes_a_row),
            "worker_mb": median(lambda run: run.worker.size_mb),
        },
        "ratio": median(lambda run: run.rows_per_second / run.plain_rows_per_second),
        "cpu_seconds": sum(run.worker.cpu_seconds for run in runs),
        "rows_per_second": [run.rows_per_second for run in runs],
    }


def plain_pipeline(url: str, rows: int) -> int:
    """The same match by single commands: HSET of predictions, HGET by labels, HSET of the pair; the matches.

    Parameters
    ----------
    url : of a Redis that may be written to
    """
    client = redis.Redis.from_url(url)
    matched = 0
    for start in range(0, rows, _PIPELINE_ROWS):
        batch = ids(start, min(_PIPELINE_ROWS, rows - start))
        pipe = client.pipeline(transaction=False)
        for name in batch:
            pipe.hset("plain:" + name[:-2], name[-2:], _PAYLOAD)
        pipe.execute()
        for name in batch:
            pipe.hget("plain:" + name[:-2], name[-2:])
        found = pipe.execute()
        for name, payload in zip(batch, found, strict=True):
            if payload is not None:
                matched += 1
                pipe.hset("plain:" + name[:-2], name[-2:], payload + b"label")
        pipe.execute()
    client.close()
    return matched


def _run(rows: int) -> Run:
    with rig.machine(binary=True, monitors={"labels": {"most_rows": rows}}) as running:
        feed = Feed(running, Step(_HOUR_MS, rows))
        feed.fill(0, rows, message_rows=MESSAGE_ROWS)
        feed.fill_labels(0, rows)
        fences = Fences(running)
        empty = fences.used_bytes()
        reach = ends(running, OBSERVATIONS, LABELS)
        caught = catch_up(running, "fairness", reach, counted={_MATCHED: feed.answered(rows)})
        held = fences.used_bytes()
        began, own, theirs = time.perf_counter(), time.process_time(), fences.cpu_seconds()
        matched = plain_pipeline(running.settings.redis.url or "", PIPELINED_ROWS)
        if matched != PIPELINED_ROWS:
            raise RuntimeError(f"the plain pipeline matched {matched} rows, expected {PIPELINED_ROWS}")
        seconds = time.perf_counter() - began
        cpu = time.process_time() - own + fences.cpu_seconds() - theirs
        plain = fences.used_bytes() - held
        fences.close()
    return Run(
        worker=caught,
        bytes_a_row=(held - empty) / rows,
        plain_seconds=seconds,
        plain_cpu_seconds=cpu,
        plain_bytes_a_row=plain / PIPELINED_ROWS,
        rows=rows,
        plain_rows=PIPELINED_ROWS,
    )
