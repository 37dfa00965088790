"""Answers are written to a Redis that still has those before them, or not at all."""

import time
import uuid
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
import redis

from atalaia.settings import KafkaSettings
from services.gateway.kept.keeping import ResultKeeper, _Forgotten
from services.gateway.kept.scripts import read_script

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
    client = redis.Redis.from_url(empty_redis_url)
    yield client
    client.close()


def test_an_answer_is_not_written_where_those_before_it_are_gone(store: redis.Redis, redis_url: str) -> None:
    keeper = ResultKeeper(KafkaSettings(topic_prefix=f"{uuid.uuid4().hex[:8]}."), redis_url)
    write = store.register_script(read_script("keep"))
    keeper._store([answer(0), answer(1)], write)
    keeper._store([answer(2)], write)
    assert len(list(store.scan_iter(match="*:answer:*"))) == 3
    store.flushall()
    with pytest.raises(_Forgotten):
        keeper._store([answer(3)], write)
    assert list(store.scan_iter()) == []


def test_what_was_shown_already_is_not_replaced(store: redis.Redis, redis_url: str) -> None:
    prefix = f"{uuid.uuid4().hex[:8]}."
    store.set(f"{prefix}gateway:answer:ticket-0", b"shown")
    keeper = ResultKeeper(KafkaSettings(topic_prefix=prefix), redis_url)
    keeper._store([answer(0), answer(1)], store.register_script(read_script("keep")))
    shown = [store.get(f"{prefix}gateway:answer:ticket-{at}") for at in range(2)]
    assert shown == [b"shown", b"{}"]
