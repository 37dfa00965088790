"""A scorer killed (SIGKILL) or stopped (SIGTERM), another running or not, started again or not.

Every partition of `requests` gets a row every 20 ms. The figure is the longest silence on any partition
from the signal on: between two replies, and between two predictions for readers of committed data.
"""

import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import TopicPartition

from atalaia.runtime.ports import free_port
from atalaia.settings import Settings
from atalaia.stream.clients import consumer, producer
from atalaia.stream.headers import REPLY
from atalaia.topics import PREDICTIONS, REPLIES, REQUESTS
from bench import bundles, rig

REPEATS = 2
REPLY_LIMIT_SECONDS = 10.0
PERIOD_SECONDS = 0.02
SETTLE_SECONDS = 3.0
_CATCH_UP_SECONDS = 30.0
_REPLY_PARTITION = 0


@dataclass(frozen=True)
class Scenario:
    """What happens to the first of so many scorers, and how long it is watched from then on."""

    name: str
    told: str
    signal: signal.Signals
    scorers: int
    started_again: bool
    observed_seconds: float


SCENARIOS = (
    Scenario("killed", "one of two scorers killed", signal.SIGKILL, 2, False, 15.0),
    Scenario("stopped", "one of two scorers stopped", signal.SIGTERM, 2, False, 6.0),
    Scenario("restarted", "one of two killed, started again", signal.SIGKILL, 2, True, 8.0),
    Scenario("alone", "the only scorer killed, started again", signal.SIGKILL, 1, True, 8.0),
)

Arrivals = dict[str, float]
"""When the first message of a key was seen, in monotonic seconds."""


def measure(*, repeats: int = REPEATS) -> dict[str, Any]:
    """All figures, the worst of the repeats; ``ours`` is replies after SIGKILL, ``ratio`` to its limit."""
    found: dict[str, list[float]] = {}
    cpu_seconds = 0.0
    with rig.machine() as machine:
        for turn in range(repeats):
            for scenario in SCENARIOS:
                rig.tell(f"{scenario.told} ({turn + 1} of {repeats})")
                silences, taken = _round(machine.settings, scenario)
                cpu_seconds += taken
                for name, seconds in silences.items():
                    found.setdefault(f"{scenario.name}_{name}", []).append(seconds)
    worst = {name: max(values) for name, values in found.items()}
    ours = worst["killed_replies_seconds"]
    return {
        "bench": "failover",
        "ours": ours,
        "beside": {"limit_seconds": REPLY_LIMIT_SECONDS, **worst},
        "ratio": ours / REPLY_LIMIT_SECONDS,
        "cpu_seconds": cpu_seconds,
        "all": found,
    }


def longest_silence(arrivals: Sequence[float], since: float) -> float:
    """The longest time without an arrival, from ``since`` to the last one.

    >>> longest_silence([1.0, 2.0, 2.5, 6.5, 7.0], since=2.25)
    4.0
    """
    later = sorted(seen for seen in arrivals if seen > since)
    return max((after - before for before, after in pairwise([since, *later])), default=float("inf"))


def _round(settings: Settings, scenario: Scenario) -> tuple[dict[str, float], float]:
    """One signal: the longest silences and wait of a request for its reply; the scorers' CPU time."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atalaia-bench-")))
        scorers = [
            stack.enter_context(_scorer(settings, replica, folder)) for replica in range(scenario.scorers)
        ]
        victim = scorers[0][0]
        replies = stack.enter_context(_watch(settings, REPLIES.name, [_REPLY_PARTITION]))
        predictions = stack.enter_context(_watch(settings, PREDICTIONS.name, range(PREDICTIONS.partitions)))
        with _traffic(settings) as sent:
            _wait_for(sent, replies, partitions=REQUESTS.partitions)
            for _, url in scorers:
                rig.wait_for_metric(url, "atalaia_scorer_partitions", 1, timeout_seconds=_CATCH_UP_SECONDS)
            time.sleep(SETTLE_SECONDS)
            cpu_seconds = rig.cpu_seconds(victim)
            victim.send_signal(scenario.signal)
            at = time.monotonic()
            if scenario.started_again:
                victim.wait()
                scorers[0] = stack.enter_context(_scorer(settings, 0, folder))
            time.sleep(scenario.observed_seconds)
        _catch_up(sent, replies, "replies")
        _catch_up(sent, predictions, "committed predictions")
        living = scorers if scenario.started_again else scorers[1:]
        cpu_seconds += sum(rig.cpu_seconds(process) for process, _ in living)
    waits = [replies[key] - then for key, then in sent.items()]
    silences = {
        "replies_seconds": _worst_partition(replies, since=at),
        "committed_seconds": _worst_partition(predictions, since=at),
        "longest_wait_seconds": max(waits),
    }
    return silences, cpu_seconds


def _worst_partition(arrivals: Arrivals, *, since: float) -> float:
    by_partition: dict[str, list[float]] = {}
    for key, seen in arrivals.items():
        by_partition.setdefault(key.partition("-")[0], []).append(seen)
    return max(longest_silence(times, since) for times in by_partition.values())


@contextmanager
def _scorer(settings: Settings, replica: int, folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A scorer that is ready, and its page of metrics."""
    port = free_port()
    env = rig.environment(
        settings, ATALAIA_SCORER__METRICS_PORT=str(port), ATALAIA_SCORER__REPLICA=str(replica)
    )
    log = folder / f"scorer-{replica}.log"
    with rig.process(["services.scorer"], env, log) as started:
        rig.wait_for_answer(f"http://127.0.0.1:{port}/readyz", started, log)
        yield started, f"http://127.0.0.1:{port}/metrics"


@contextmanager
def _traffic(settings: Settings) -> Iterator[Arrivals]:
    """Write a row to each partition every period; yields when each was sent, by key ``partition-number``."""
    client = producer(settings.kafka, **{"linger.ms": 0})
    topic = settings.kafka.topic_prefix + REQUESTS.name
    row = bundles.rows(1, seed=7)
    headers: list[tuple[str, str | bytes | None]] = [(REPLY, str(_REPLY_PARTITION).encode())]
    sent: Arrivals = {}
    stop = threading.Event()

    def write() -> None:
        due = time.monotonic()
        run = f"{due:.3f}"
        while not stop.wait(max(due - time.monotonic(), 0.0)):
            for partition in range(REQUESTS.partitions):
                key = f"{partition}-{run}-{len(sent)}"
                value = rig.request_body(row, key)
                client.produce(topic, key=key, value=value, partition=partition, headers=headers)
                sent[key] = time.monotonic()
            client.poll(0)
            due += PERIOD_SECONDS

    with _thread(write, stop):
        yield sent
    client.flush()


@contextmanager
def _watch(settings: Settings, name: str, partitions: Sequence[int]) -> Iterator[Arrivals]:
    """Read a topic from its present ends on: replies as they come, everything else when committed."""
    isolation = "read_uncommitted" if name == REPLIES.name else "read_committed"
    client = consumer(
        settings.kafka, **{"group.id": "bench", "isolation.level": isolation, "fetch.wait.max.ms": 20}
    )
    topic = settings.kafka.topic_prefix + name
    places = [TopicPartition(topic, partition) for partition in partitions]
    ends = [client.get_watermark_offsets(place, timeout=10)[1] for place in places]
    client.assign(
        [TopicPartition(topic, place.partition, end) for place, end in zip(places, ends, strict=True)]
    )
    arrivals: Arrivals = {}
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            for message in client.consume(500, 0.02):
                key = message.key()
                if message.error() is None and isinstance(key, bytes):
                    arrivals.setdefault(key.decode(), time.monotonic())

    with _thread(read, stop):
        yield arrivals
    client.close()


@contextmanager
def _thread(run: Any, stop: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10.0)


def _wait_for(sent: Arrivals, replies: Arrivals, *, partitions: int) -> None:
    """Until every partition has been answered."""
    until = time.monotonic() + _CATCH_UP_SECONDS
    while (
        len({key.partition("-")[0] for key in list(replies)} & {str(p) for p in range(partitions)})
        < partitions
    ):
        if time.monotonic() > until:
            raise TimeoutError(f"{len(replies)} of {len(sent)} requests were answered, not on all partitions")
        time.sleep(0.05)


def _catch_up(sent: Arrivals, arrivals: Arrivals, what: str) -> None:
    """Until everything sent has arrived."""
    until = time.monotonic() + _CATCH_UP_SECONDS
    while missing := sent.keys() - arrivals.copy().keys():
        if time.monotonic() > until:
            raise TimeoutError(f"{len(missing)} of {len(sent)} {what} did not come; one is {min(missing)}")
        time.sleep(0.1)
