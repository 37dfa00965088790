"""Answers are written to a Redis that still has those before them, or not at all."""

import time
import uuid
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
import redis
from confluent_kafka import TopicPartition

from atalaia.settings import KafkaSettings
from services.gateway.kept.keeping import ResultKeeper, _Forgotten, connect
from services.gateway.kept.scripts import read_script
from services.gateway.kept.shown import Shown

pytestmark = pytest.mark.broker


def answer(offset: int) -> Mock:
    return Mock(
        key=lambda: b"ticket-%d" % offset,
        value=lambda: b"{}",
        partition=lambda: 0,
        offset=lambda: offset,
        timestamp=lambda: (1, time.time_ns() // 1_000_000),
    )


@pytest.fixture
def store(empty_redis_url: str) -> Iterator[redis.Redis]:
    client = connect(empty_redis_url)
    yield client
    client.close()


class Kept:
    """A keeper, and what it has written."""

    def __init__(self, store: redis.Redis) -> None:
        self.prefix, self.shown, self.store = f"{uuid.uuid4().hex[:8]}.", Shown(), store
        self._keeper = ResultKeeper(KafkaSettings(topic_prefix=self.prefix), "", self.shown)
        self._write = store.register_script(read_script("keep"))
        self.assign()

    def assign(self) -> None:
        self._keeper._assign(self.store, Mock(), [TopicPartition("results", 0)])

    def keep(self, *offsets: int) -> None:
        self._keeper._store([answer(offset) for offset in offsets], self._write)

    @property
    def answers(self) -> dict[int, object]:
        names = self.store.scan_iter(match=f"{self.prefix}gateway:answer:*")
        return {int(name.rsplit(b"-", 1)[1]): self.store.get(name) for name in names}


def test_an_answer_is_not_written_where_those_before_it_are_gone(store: redis.Redis) -> None:
    kept = Kept(store)
    kept.keep(0, 1)
    kept.keep(2)
    assert len(kept.answers) == 3
    store.flushall()
    with pytest.raises(_Forgotten):
        kept.keep(3)
    assert list(store.scan_iter()) == []


def test_what_was_shown_already_is_not_replaced(store: redis.Redis) -> None:
    kept = Kept(store)
    store.set(f"{kept.prefix}gateway:answer:ticket-0", b"shown")
    kept.keep(0, 1)
    assert kept.answers == {0: b"shown", 1: b"{}"}


def test_a_backlog_is_written_whole_and_positions_with_its_end(store: redis.Redis) -> None:
    kept = Kept(store)
    kept.keep(*range(120))
    assert sorted(kept.answers) == list(range(120))
    assert store.get(f"{kept.prefix}gateway:results:0") == b"120"


def test_what_this_process_has_put_into_redis_is_passed_over(store: redis.Redis) -> None:
    kept = Kept(store)
    kept.shown.add({b"ticket-0", b"ticket-2", b"ticket-3"}, kept.shown.time)
    kept.keep(0, 1)
    assert sorted(kept.answers) == [1]
    kept.assign()
    kept.keep(2)
    assert sorted(kept.answers) == [1, 2]
    assert store.get(f"{kept.prefix}gateway:results:0") == b"3"


@pytest.mark.parametrize("already", [0, 1])
def test_a_redis_that_was_wiped_after_it_was_shown_answers_is_noticed(
    store: redis.Redis, already: int
) -> None:
    kept = Kept(store)
    kept.keep(*range(already))
    kept.shown.add({b"ticket-9"}, kept.shown.time)
    store.flushall()
    with pytest.raises(_Forgotten):
        kept.keep(9)
    kept.assign()
    kept.keep(*range(10))
    assert sorted(kept.answers) == list(range(10))


def test_a_connection_that_broke_is_not_made_anew_in_silence(store: redis.Redis, redis_url: str) -> None:
    """The Redis behind it may be one that has lost its last second."""
    kept = Kept(store)
    kept.keep(0)
    with redis.Redis.from_url(redis_url) as other:
        other.client_kill_filter(skipme=True)
    with pytest.raises(redis.ConnectionError):
        kept.keep(1)
