"""What the benchmarks share: a machine of their own, requests on the topic, processes measured."""

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson
import psutil
from confluent_kafka import TopicPartition

from atalaia.bundles.folder import Bundle
from atalaia.inference.rows import FloatArray
from atalaia.runtime.machine import Machine
from atalaia.runtime.ports import free_port
from atalaia.runtime.probes import answers_http
from atalaia.settings import Settings, load
from atalaia.stream.admin import create_topics
from atalaia.stream.clients import consumer, producer
from atalaia.stream.deploy import deploy
from atalaia.topics import REQUESTS
from bench import bundles

_BUNDLE = "bundle"
_START_SECONDS = 60.0


def tell(line: str) -> None:
    """Say on stderr what is being done."""
    sys.stderr.write(f"bench: {line}\n")
    sys.stderr.flush()


@contextmanager
def machine(
    services: Sequence[str] = (),
    *,
    scorers: int = 1,
    gateways: int = 1,
    grpc: bool = False,
    monitors: bundles.Tables | None = None,
    binary: bool = False,
) -> Iterator[Machine]:
    """Kafka and Redis on free ports in a folder of their own, topics and the benchmark's model in place.

    ``grpc`` also has the gateway listen for gRPC, on a free port that its settings name. ``monitors`` are the
    model's ``[monitors]`` tables, where they are not the defaults; ``binary`` makes it one of two classes.
    """
    with tempfile.TemporaryDirectory(prefix="atalaia-bench-") as folder:
        bundle = Path(folder) / _BUNDLE
        bundles.make_bundle(bundle, monitors=monitors, binary=binary)
        settings = load(
            kafka={"port": 0, "controller_port": 0},
            redis={"port": 0},
            gateway={"port": 0, "processes": gateways, "grpc_port": free_port() if grpc else 0},
            scorer={"metrics_port": 0},
            drift={"metrics_port": 0},
            fairness={"metrics_port": 0},
            alerts={"metrics_port": 0},
        )

        def prepare(resolved: Settings) -> None:
            create_topics(resolved.kafka)
            deploy(bundle, settings=resolved)

        with Machine(
            settings, Path(folder) / "state", services=services, scorers=scorers, prepare=prepare
        ) as running:
            yield running


def bundle_folder(running: Machine) -> Path:
    """The bundle a `machine` serves."""
    return running.state_dir.parent / _BUNDLE


def answered_rows(running: Machine, count: int, *, seed: int) -> FloatArray:
    """Rows ``(count, 11)`` within the domain of the bundle a `machine` serves: none is refused."""
    applicability = Bundle.read(bundle_folder(running)).reference.applicability
    drawn = bundles.rows(count + count // 10 + 10, seed=seed)
    served = drawn.astype(np.float32).astype(np.float64)
    return drawn[~applicability.refused(applicability.squared_distance(served))][:count]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What a measured process is told beside its own environment."""
    return {**os.environ, "ATALAIA_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers or "", **more}


def end_positions(settings: Settings) -> list[int]:
    """Where each partition of `requests` ends now."""
    client = consumer(settings.kafka, **{"group.id": "bench"})
    topic = settings.kafka.topic_prefix + REQUESTS.name
    ends = [client.get_watermark_offsets(TopicPartition(topic, p), 10)[1] for p in range(REQUESTS.partitions)]
    client.close()
    return ends


def fill(settings: Settings, rows: FloatArray, *, rows_per_request: int = 1) -> int:
    """Write one request for every ``rows_per_request`` rows; the number of requests."""
    client = producer(settings.kafka, **{"linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    topic = settings.kafka.topic_prefix + REQUESTS.name
    count = len(rows) // rows_per_request
    for place in range(count):
        part = rows[place * rows_per_request : (place + 1) * rows_per_request]
        client.produce(topic, key=f"{place:08x}", value=request_body(part, f"{place:08x}"))
        if place % 1_000 == 0:
            client.poll(0)
    client.flush()
    return count


def request_body(rows: FloatArray, request_id: str) -> bytes:
    """An Open Inference Protocol request of one tensor."""
    tensor = {"name": "input", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}
    return orjson.dumps({"id": request_id, "inputs": [tensor]})


def run_json(arguments: Sequence[str], env: Mapping[str, str]) -> dict[str, float]:
    """Run ``python -m ...`` to its end; the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], env=env, check=True, capture_output=True, timeout=300
    )
    figures: dict[str, float] = orjson.loads(done.stdout.splitlines()[-1])
    return figures


@contextmanager
def process(arguments: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    """Run ``python -m ...`` beside us; terminated at the end."""
    with program([sys.executable, "-m", *arguments], env, log) as started:
        yield started


@contextmanager
def program(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    """Run a program beside us; terminated at the end."""
    with log.open("wb") as output:
        started = subprocess.Popen(command, env=env, stdout=output, stderr=output)
        try:
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def wait_for_answer(url: str, started: psutil.Process, log: Path) -> None:
    """Wait until GET gives 200.

    Raises
    ------
    RuntimeError
        with the end of the log, where the process ends or takes a minute.
    """
    until = time.monotonic() + _START_SECONDS
    while not answers_http(url):
        if time.monotonic() > until or started.status() == psutil.STATUS_ZOMBIE:
            said = log.read_text(errors="replace")[-1000:]
            raise RuntimeError(f"{url} does not answer after a start; its log ends:\n{said}")
        time.sleep(0.1)


def cpu_seconds(measured: psutil.Process) -> float:
    """CPU time of the process so far, all threads."""
    times = measured.cpu_times()
    return float(times.user + times.system)


def metric(url: str, name: str) -> float:
    """The sum of a metric over its labels, 0 where it is not there yet."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback endpoint
            lines = answer.read().decode().splitlines()
    except (OSError, http.client.HTTPException):
        return 0.0
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def wait_for_metric(url: str, name: str, at_least: float, *, timeout_seconds: float) -> None:
    """Wait until a metric has reached a value.

    Raises
    ------
    TimeoutError
        saying how far it came.
    """
    until = time.monotonic() + timeout_seconds
    while (value := metric(url, name)) < at_least:
        if time.monotonic() > until:
            raise TimeoutError(f"{name} is at {value:g} after {timeout_seconds:g} s, expected {at_least:g}")
        time.sleep(0.4)  # answering costs the measured process CPU time


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Of figures taken in turns: each of ours over theirs of the same turn, the middle one.

    >>> median_ratio([1.0, 6.0, 2.0], [2.0, 2.0, 2.0])
    1.0
    """
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
