"""Zombies, a Redis that loses its state or restarts, departures, and a worker that gets nowhere."""

import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import redis

from atalaia.runtime import redis as redis_runtime
from atalaia.runtime.ports import free_port
from atalaia.settings import RedisSettings
from atalaia.state.fence import Fence
from atalaia.stream.admin import create_topics
from atalaia.stream.ledger import read_topic
from atalaia.topics import DEAD_LETTERS, DRIFT, LABELS, OBSERVATIONS
from atalaia.worker.app import SESSION_SECONDS
from atalaia.worker.kafka_log import KafkaLog
from tests.broker.worker.conftest import Workers, expected
from tests.broker.worker.feeding import PARTITIONS, Feed

pytestmark = pytest.mark.broker


def logged(workers: Workers, name: str, text: str) -> bool:
    return text in (workers.supervisor.log_folder / f"{name}.log").read_text()


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def test_a_worker_that_wakes_as_a_zombie_counts_nothing_twice(workers: Workers) -> None:
    feed = Feed(workers.settings.kafka)
    first, second = workers.add(0), workers.add(1)
    workers.supervisor.wait_ready(first, second)
    for _ in range(20):
        feed.write("before", 3)
    workers.wait_for(lambda: workers.counts() == expected(feed))
    asleep = workers.supervisor.pid(first)
    assert asleep is not None
    os.kill(asleep, signal.SIGSTOP)
    began = time.monotonic()
    while time.monotonic() - began < SESSION_SECONDS + 3:
        feed.write("meanwhile", 3)
        time.sleep(0.05)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))
    os.kill(asleep, signal.SIGCONT)
    for _ in range(20):
        feed.write("after", 3)
        time.sleep(0.05)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))


def test_state_that_is_wiped_is_made_anew_and_says_nothing_twice(workers: Workers) -> None:
    feed = Feed(workers.settings.kafka)
    name = workers.add(0)
    workers.supervisor.wait_ready(name)
    feed.write("one", 3)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))
    workers.wait_for(lambda: not any(workers.load(at).outbox for at in range(PARTITIONS)))
    client = redis.Redis.from_url(workers.settings.redis.url or "")
    client.flushall()
    client.close()
    feed.write("two", 3)
    feed.finish()
    took = workers.wait_for(lambda: workers.counts() == expected(feed))
    assert workers.supervisor.restarts(name) >= 1
    assert took < 10
    loaded = workers.load(0)
    assert loaded.fence is not None
    assert loaded.fence.generation == 1
    workers.wait_for(lambda: not any(workers.load(at).outbox for at in range(PARTITIONS)))
    by_generation: dict[bytes, set[tuple[bytes, bytes]]] = {b"0": set(), b"1": set()}
    for message in read_topic(workers.settings.kafka, DRIFT):
        headers = {name: value for name, value in dict(message.headers() or ()).items() if value}
        said = by_generation[_bytes(headers["generation"])]
        said.add((_bytes(headers["ce_subject"]), _bytes(headers["content"])))
    assert by_generation[b"0"]
    assert by_generation[b"1"]
    assert not by_generation[b"0"] & by_generation[b"1"]


def test_an_old_redis_beside_a_new_log_is_made_anew(workers: Workers) -> None:
    feed = Feed(workers.settings.kafka)
    name = workers.add(0)
    workers.supervisor.wait_ready(name)
    for _ in range(5):
        feed.write("of the old log", 3)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))
    workers.supervisor.stop(name)
    kafka = workers.settings.kafka
    other = kafka.model_copy(update={"topic_prefix": f"other.{kafka.topic_prefix}"})
    workers.settings = workers.settings.model_copy(update={"kafka": other})
    create_topics(other)
    feed = Feed(other)
    for _ in range(10):
        feed.write("of the new log", 2)
    feed.finish()
    workers.add(0)
    workers.wait_for(lambda: workers.counts() == expected(feed))
    loaded = workers.load(0)
    assert loaded.fence is not None
    assert loaded.fence.generation == 1


def test_a_redis_that_restarts_is_noticed(workers: Workers, tmp_path: Path) -> None:
    port = free_port()
    spec = redis_runtime.server(redis_runtime.find_programs(), folder=tmp_path / "redis", port=port)
    workers.supervisor.start(spec)
    url = f"redis://{redis_runtime.HOST}:{port}/0"
    workers.settings = workers.settings.model_copy(update={"redis": RedisSettings(url=url)})
    feed = Feed(workers.settings.kafka)
    name = workers.add(0)
    workers.supervisor.wait_ready(name)
    for round_ in range(3):
        for _ in range(10):
            feed.write(f"round {round_}", 3)
        workers.supervisor.kill(spec.name)
        for _ in range(10):
            feed.write(f"round {round_}", 3)
        workers.supervisor.wait_ready(spec.name)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))
    assert workers.supervisor.restarts(name) >= 1


def test_a_worker_told_to_stop_leaves_at_once_and_others_take_over(workers: Workers) -> None:
    feed = Feed(workers.settings.kafka)
    first, second = workers.add(0), workers.add(1)
    workers.supervisor.wait_ready(first, second)
    feed.write("before", 1)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))
    began = time.monotonic()
    workers.supervisor.stop(first)
    assert time.monotonic() - began < 2
    feed.write("after", 1)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))
    assert time.monotonic() - began < SESSION_SECONDS


def test_records_that_expired_are_lost_in_name(workers: Workers) -> None:
    feed = Feed(workers.settings.kafka)
    name = workers.add(0)
    workers.supervisor.wait_ready(name)
    feed.write("one", 3)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))
    workers.supervisor.stop(name)
    for _ in range(5):
        feed.write("expired", 3)
    feed.expire(OBSERVATIONS)
    before = [
        Fence.decode(loaded.token.fence) for at in range(PARTITIONS) if (loaded := workers.load(at)).token
    ]
    name = workers.add(0)
    workers.supervisor.wait_ready(name)
    feed.write("two", 3)
    feed.finish()
    workers.wait_for(lambda: all(counted.rows.get("two") for counted in workers.counts()))
    counted = workers.counted(0)
    assert "expired" not in counted.rows
    assert counted.lost == 12 - before[0].positions[OBSERVATIONS.name]
    workers.wait_for(lambda: not any(workers.load(at).outbox for at in range(PARTITIONS)))
    letters = list(read_topic(workers.settings.kafka, DEAD_LETTERS))
    assert len(letters) == PARTITIONS
    assert all(dict(letter.headers() or ())["reason"] == b"lost_by_retention" for letter in letters)


def test_a_worker_that_gets_nowhere_says_so_and_ends(workers: Workers) -> None:
    feed = Feed(workers.settings.kafka)
    name = workers.add(0, environment={"HANG_AT_ROWS": "9"}, stuck_after=4.0)
    workers.supervisor.wait_ready(name)
    feed.write("one", 3)
    workers.wait_for(lambda: all(counted.rows.get("one") == 3 for counted in workers.counts()))
    feed.write("one", 6)
    feed.finish()
    statuses = set()
    before = workers.supervisor.restarts(name)

    def restarted() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{workers.ports[0]}/healthz", timeout=3) as answer:
                statuses.add(answer.status)
        except urllib.error.HTTPError as error:
            statuses.add(error.code)
        except OSError:
            pass
        return workers.supervisor.restarts(name) > before

    workers.wait_for(restarted, timeout_seconds=90)
    assert 503 in statuses
    assert logged(workers, name, "no progress on observations-")


def test_the_log_tells_committed_records_from_markers_and_aborted_ones(workers: Workers) -> None:
    feed = Feed(workers.settings.kafka)
    feed.write("s", 1)
    feed.abort(1)
    feed.write("s", 1)
    feed.finish()
    log = KafkaLog(workers.settings.kafka)
    assert log.bounds(OBSERVATIONS, 0) == (0, 6)
    assert log.offsets(OBSERVATIONS, 0, 0, 6) == [0, 4]
    assert log.offsets(OBSERVATIONS, 0, 1, 4) == []
    assert log.next_offset(OBSERVATIONS, 0, 1) == 4
    assert log.next_offset(OBSERVATIONS, 0, 5) is None
    assert log.topic_ids((OBSERVATIONS, LABELS)).keys() == {"observations", "labels"}
    log.close()
