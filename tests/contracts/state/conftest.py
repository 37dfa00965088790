"""The same tests for the real store and its twin; what differs is how each is opened, wiped and restarted."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redis

from atalaia.state.fence import StateStore, Unit
from atalaia.state.memory import MemoryServer, MemoryState
from atalaia.state.redis import RedisState, connect


@dataclass(frozen=True)
class Backend:
    """A store that workers open; ``wipe`` loses all, ``restart`` leaves a store of before it."""

    open: Callable[[], StateStore]
    wipe: Callable[[], None]
    restart: Callable[[StateStore], None]
    unit: Unit


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.broker)])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A store of its own for one test."""
    unit = Unit(f"test-{os.urandom(6).hex()}", 0, "c0ffee")
    if request.param == "memory":
        yield memory_backend(unit)
        return
    client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
    opened: list[RedisState] = []
    try:
        yield redis_backend(client, request.getfixturevalue("redis_url"), unit, opened)
    finally:
        drop(client, unit)
        client.close()
        for store in opened:
            store.close()


def memory_backend(unit: Unit) -> Backend:
    server = MemoryServer()
    return Backend(lambda: MemoryState(server), server.wipe, lambda _: server.restart(), unit)


def redis_backend(client: redis.Redis, url: str, unit: Unit, opened: list[RedisState]) -> Backend:
    def open_store() -> StateStore:
        opened.append(connect(url))
        return opened[-1]

    def restart(store: StateStore) -> None:
        # The session's server is not restarted; a store opened on another run is what a restart leaves.
        assert isinstance(store, RedisState)
        store.run_id = "0" * 40

    return Backend(open_store, lambda: drop(client, unit), restart, unit)


def drop(client: redis.Redis, unit: Unit) -> None:
    for key in client.scan_iter(match=f"atalaia:{{{unit.service}:*", count=1000):
        client.delete(key)
