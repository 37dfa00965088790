"""The join's state alone: predictions stored, labels matched, in fenced steps on a real Redis.

One client and one Redis share the machine. Every figure counts all of the work between two columns and the
next fence: digests of the ids, reading, joining, writing. `python -m bench.join_state` prints it.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import redis

from atalaia.join.matching import JoinCounts, JoinRules, Labels, Predictions, plan, resolve
from atalaia.join.rows import row_ids
from atalaia.join.sweep import JoinSpace, Sweep
from atalaia.runtime import redis as redis_runtime
from atalaia.runtime.ports import free_port
from atalaia.runtime.supervisor import Supervisor
from atalaia.state.fence import Fence, Outcome, Step, Token, Unit
from atalaia.state.redis import RedisState, connect

ROWS = 500_000
BATCH_ROWS = 10_000
BEHIND = 10
"""Batches by which labels follow their predictions."""

_RULES = JoinRules(horizon_ms=ROWS // 3, grace_ms=1000, payload_bytes=8)
"""At a row a millisecond, two thirds of the run are in balance: as many rows expire as come in."""
_UNIT = Unit("fairness", 0, "bench")


@dataclass
class _Worker:
    store: RedisState
    space: JoinSpace
    token: Token | None = None
    incarnation: bytes = b"12345678"

    def __post_init__(self) -> None:
        self.counts = JoinCounts()
        self.sweep = Sweep(self.space, _RULES.horizon_ms)
        self.steps = 0
        self.step_seconds: list[float] = []

    def step(self, given: Predictions, told: Labels, join_time_ms: int | None) -> None:
        began = time.perf_counter()
        self._step(given, told, join_time_ms)
        self.step_seconds.append(time.perf_counter() - began)

    def least_noisy(self, *, steps: int) -> int:
        """Rows a second of the fastest tenth of the latest steps, others having the machine at times."""
        return round(BATCH_ROWS / float(np.quantile(self.step_seconds[-steps:], 0.1)))

    def _step(self, given: Predictions, told: Labels, join_time_ms: int | None) -> None:
        planned = plan(given, told, buckets=self.space.buckets)
        found = self.store.read_rows(_UNIT, self.incarnation, planned.keys)
        resolved = resolve(_RULES, planned, found, given, told, room=1 << 40)
        self.counts.add(resolved.counts)
        writes = resolved.writes
        looked = self.sweep.due(join_time_ms, rows=len(given.ids), held_rows=self.counts.held_rows)
        if looked and join_time_ms is not None:
            ids = np.concatenate([given.ids, told.ids])
            swept = self.store.read_expired(_UNIT, self.incarnation, looked, join_time_ms)
            dropped, counts = self.sweep.drop(looked, swept, join_time_ms, ids)
            self.counts.add(counts)
            writes = writes.merge(dropped)
        self.steps += 1
        fence = Fence({"observations": self.steps}, {"observations": "bench"})
        step = Step(self.token, fence, os.urandom(16), self.incarnation, rows=writes)
        if self.store.step(_UNIT, step) is not Outcome.APPLIED:
            raise AssertionError("the only worker lost its fence")
        self.token = step.token


def measure(*, rows: int = ROWS) -> dict[str, Any]:
    """Stores alone, matches alone, and both in turn with the sweep, as a worker in step with its input."""
    with tempfile.TemporaryDirectory() as name, Supervisor(Path(name) / "logs") as supervisor:
        port = free_port()
        programs = redis_runtime.find_programs()
        supervisor.start(redis_runtime.server(programs, folder=Path(name), port=port))
        client = redis.Redis(port=port)
        apart = _apart(client, port, rows)
        client.flushall()
        together = _together(client, port, rows)
        version = client.info("server")["redis_version"]
        client.close()
    return {"bench": "join_state", "redis": version, "rows": rows, **apart, **together}


def _apart(client: redis.Redis, port: int, rows: int) -> dict[str, float]:
    worker = _Worker(connect(f"redis://127.0.0.1:{port}/0"), JoinSpace(rows))
    ids = _ids(rows)
    empty = int(client.info("memory")["used_memory"])
    began = time.perf_counter()
    for start in range(0, rows, BATCH_ROWS):
        worker.step(_predictions(ids[start : start + BATCH_ROWS], start), _labels([], 0), None)
    stored = time.perf_counter() - began
    quiet_stores = worker.least_noisy(steps=rows // BATCH_ROWS)
    waiting_bytes = int(client.info("memory")["used_memory"]) - empty
    began = time.perf_counter()
    for start in range(0, rows, BATCH_ROWS):
        worker.step(_predictions([], 0), _labels(ids[start : start + BATCH_ROWS], start), None)
    matched = time.perf_counter() - began
    matched_bytes = int(client.info("memory")["used_memory"]) - empty
    worker.store.close()
    if worker.counts.matched != rows:
        raise AssertionError(f"{worker.counts.matched} rows matched, expected {rows}")
    return {
        "stores_per_second": round(rows / stored),
        "matches_per_second": round(rows / matched),
        "stores_per_second_least_noisy": quiet_stores,
        "matches_per_second_least_noisy": worker.least_noisy(steps=rows // BATCH_ROWS),
        "bytes_per_waiting_row": round(waiting_bytes / rows, 1),
        "bytes_per_matched_row": round(matched_bytes / rows, 1),
    }


def _together(client: redis.Redis, port: int, rows: int) -> dict[str, float]:
    worker = _Worker(connect(f"redis://127.0.0.1:{port}/0"), JoinSpace(rows))
    ids = _ids(rows + BEHIND * BATCH_ROWS)
    own, theirs = time.process_time(), _cpu_seconds(client)
    began = time.perf_counter()
    for start in range(0, rows, BATCH_ROWS):
        late = start - BEHIND * BATCH_ROWS
        told = ids[late : late + BATCH_ROWS] if late >= 0 else []
        worker.step(_predictions(ids[start : start + BATCH_ROWS], start), _labels(told, max(late, 0)), start)
    seconds = time.perf_counter() - began
    worker.store.close()
    return {
        "joined_rows_per_second": round(worker.counts.matched / seconds),
        "joined_rows_per_second_least_noisy": worker.least_noisy(steps=rows // BATCH_ROWS // 2),
        "worker_cpu_us_per_joined_row": round((time.process_time() - own) / worker.counts.matched * 1e6, 2),
        "redis_cpu_us_per_joined_row": round(
            (_cpu_seconds(client) - theirs) / worker.counts.matched * 1e6, 2
        ),
    }


def _ids(count: int) -> list[str]:
    digits = np.random.default_rng(0).bytes(16 * count).hex()
    return [digits[32 * place : 32 * place + 32] for place in range(count)]


def _predictions(ids: list[str], start: int) -> Predictions:
    times = np.arange(start, start + len(ids), dtype=np.int64)
    return Predictions(row_ids("m", ids), times, times, np.full((len(ids), 8), 7, np.uint8))


def _labels(ids: list[str], start: int) -> Labels:
    times = np.arange(start, start + len(ids), dtype=np.int64) + 5
    values = np.random.default_rng(max(start, 0)).integers(0, 2, len(ids)).astype(np.float64)
    return Labels(row_ids("m", ids), times, times, times, values.view(np.uint8).reshape(-1, 8))


def _cpu_seconds(client: redis.Redis) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


if __name__ == "__main__":
    os.write(1, msgspec.json.encode(measure()) + b"\n")
