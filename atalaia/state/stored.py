"""Which units have state, and what it stands for: read for people, never to go on from."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from atalaia.errors import AtalaiaError
from atalaia.state.fence import Fence, Unit

_PATTERN = "atalaia:{*}:*:fence"
_SCANNED_AT_ONCE = 1000


class StoredFence(NamedTuple):
    """A unit and its fence."""

    unit: Unit
    fence: Fence


class StateUnavailable(AtalaiaError):
    """Redis does not answer."""


def read_fences(url: str, *, timeout_seconds: float = 3.0) -> list[StoredFence]:
    """The fences of all units; of a service and partition with several configurations the furthest.

    Raises
    ------
    StateUnavailable
        where Redis does not answer.
    """
    try:
        client = redis.Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            protocol=2,
        )
        with client:
            client.ping()
            return _furthest(_fences(client))
    except (redis.RedisError, ValueError) as error:
        raise StateUnavailable(f"Redis at {url} does not answer: {error}") from error


def unit_of(key: str) -> Unit | None:
    """The unit whose fence has this key.

    >>> unit_of(Unit("drift", 3, "c0ffee").prefix + "fence")
    Unit(service='drift', partition=3, configuration='c0ffee')
    """
    service, _, rest = key.removeprefix("atalaia:{").partition(":")
    partition, _, rest = rest.partition("}:")
    configuration, _, last = rest.rpartition(":")
    if not partition.isdecimal() or last != "fence":
        return None
    return Unit(service, int(partition), configuration)


def _fences(client: redis.Redis) -> Iterator[StoredFence]:
    for key in client.scan_iter(match=_PATTERN, count=_SCANNED_AT_ONCE):
        unit, stored = unit_of(key.decode("utf-8", "replace")), client.hget(key, "fence")
        if unit is not None and isinstance(stored, bytes):
            try:
                yield StoredFence(unit, Fence.decode(stored))
            except msgspec.DecodeError:
                continue  # another version's, which the worker will say itself


def _furthest(fences: Iterator[StoredFence]) -> list[StoredFence]:
    found: dict[tuple[str, int], StoredFence] = {}
    for entry in fences:
        key = entry.unit.service, entry.unit.partition
        if key not in found or _progress(found[key]) < _progress(entry):
            found[key] = entry
    return [found[key] for key in sorted(found)]


def _progress(entry: StoredFence) -> int:
    return sum(entry.fence.positions.values())
