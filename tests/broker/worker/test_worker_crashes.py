"""Real Kafka, real Redis, a real worker that is killed: every committed record is counted once."""

import random
import time

import pytest

from atalaia.stream.ledger import read_topic
from atalaia.topics import DRIFT
from tests.broker.worker.conftest import Workers, expected
from tests.broker.worker.feeding import PARTITIONS, Feed

pytestmark = pytest.mark.broker


def test_counts_are_exact_over_kills_and_a_second_worker(workers: Workers) -> None:
    rng = random.Random(7)
    feed = Feed(workers.settings.kafka)
    first = workers.add(0)
    workers.supervisor.wait_ready(first)
    for round_ in range(5):
        for _ in range(40):
            feed.write(f"s{rng.randrange(3)}", rng.randrange(1, 50))
            if rng.random() < 0.2:
                feed.abort(5)
        if round_ == 2:
            workers.add(1)
        workers.supervisor.kill(first)
        time.sleep(rng.random())
    feed.write("last", 1)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))
    time.sleep(0.5)
    assert workers.counts() == expected(feed)
    assert not any("aborted" in counted.rows for counted in workers.counts())


def test_every_result_is_published_and_the_outbox_is_empty_in_the_end(workers: Workers) -> None:
    feed = Feed(workers.settings.kafka)
    name = workers.add(0)
    workers.supervisor.wait_ready(name)
    for _ in range(30):
        feed.write("s", 2)
    workers.supervisor.kill(name)
    feed.write("s", 2)
    feed.finish()
    workers.wait_for(lambda: workers.counts() == expected(feed))
    workers.wait_for(lambda: not any(workers.load(at).outbox for at in range(PARTITIONS)))
    messages = list(read_topic(workers.settings.kafka, DRIFT))
    headers = dict(messages[-1].headers() or ())
    assert headers["ce_source"] == b"/atalaia/drift"
    assert headers["ce_type"] == b"atalaia.drift"
    assert headers["generation"] == b"0"
