"""Whether the monitors have taken all of a replay: their fences, and what they have yet to publish."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

import redis

from atalaia.replay.following import TIMEOUT_SECONDS
from atalaia.state.fence import Fence, Unit
from atalaia.topics import LABELS, OBSERVATIONS

SERVICES = ("drift", "fairness")
_LOOK_SECONDS = 0.2
_SEARCH_SECONDS = 2.0
_SCANNED_AT_ONCE = 1000


class Standing(NamedTuple):
    """How far one state of a service has come, and how many results it has yet to publish."""

    positions: Mapping[str, int]
    unpublished: int


class Fences(Protocol):
    """Where the standings of services are read."""

    def standings(self, service: str, partition: int) -> list[Standing]:
        """One for every configuration whose state is kept."""


class RedisFences:
    """The fences in a Redis; one that does not answer has none for the moment."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, protocol=2
        )
        self._found: dict[tuple[str, int], tuple[float, list[bytes]]] = {}

    def standings(self, service: str, partition: int) -> list[Standing]:
        """One for every configuration whose state is kept."""
        with contextlib.suppress(redis.RedisError):
            return [
                Standing(Fence.decode(stored).positions, int(str(self._client.hlen(prefix + b"outbox"))))
                for prefix in self._prefixes(service, partition)
                if (stored := self._stored(prefix)) is not None
            ]
        return []

    def close(self) -> None:
        """Leave Redis."""
        self._client.close()

    def _stored(self, prefix: bytes) -> bytes | None:
        stored = self._client.hget(prefix.decode() + "fence", "fence")
        return stored if isinstance(stored, bytes) else None

    def _prefixes(self, service: str, partition: int) -> list[bytes]:
        """How the keys of the units begin, searched for now and then: a search walks all of Redis."""
        looked, found = self._found.get((service, partition), (0.0, []))
        if not found or time.monotonic() - looked > _SEARCH_SECONDS:
            pattern = Unit(service, partition, "*").prefix + "fence"
            keys: Iterator[bytes] = self._client.scan_iter(match=pattern, count=_SCANNED_AT_ONCE)
            found = [key.removesuffix(b"fence") for key in keys]
            self._found[service, partition] = time.monotonic(), found
        return found


class Target(NamedTuple):
    """What is to be taken: positions of the model's partition; ``labels`` is None where there were none."""

    partition: int
    observations: int
    labels: int | None

    def positions(self, service: str) -> dict[str, int]:
        """Those a service has to reach."""
        wanted = {OBSERVATIONS.name: self.observations}
        if service == "fairness" and self.labels is not None:
            wanted[LABELS.name] = self.labels
        return wanted


def caught_up(standings: list[Standing], wanted: Mapping[str, int]) -> bool:
    """Whether a service has taken all that is wanted, and published what follows from it.

    >>> caught_up([Standing({"observations": 3}, 0), Standing({"observations": 9}, 0)], {"observations": 9})
    True
    """
    return any(
        standing.unpublished == 0
        and all(standing.positions.get(name, 0) >= position for name, position in wanted.items())
        for standing in standings
    )


class Clock(Protocol):
    """Time, to wait by."""

    def monotonic(self) -> float:
        """Seconds since some moment."""

    def sleep(self, seconds: float, /) -> None:
        """Let so many pass."""


def wait_for_monitors(
    fences: Fences,
    target: Target,
    *,
    patience_seconds: float,
    tell: Callable[[str], None],
    clock: Clock = time,
) -> dict[str, str]:
    """Wait until each service has caught up, or none has moved for a while; what each has come to.

    Parameters
    ----------
    patience_seconds : without any progress
    tell : is told which services are waited for
    """
    seen: dict[str, list[tuple[int, ...]]] = {}
    moved_at = clock.monotonic()
    while True:
        standings = {service: fences.standings(service, target.partition) for service in SERVICES}
        behind = [name for name in SERVICES if not caught_up(standings[name], target.positions(name))]
        progress = {name: _progress(standings[name], target.positions(name)) for name in SERVICES}
        if progress != seen:
            seen, moved_at = progress, clock.monotonic()
        if not behind or clock.monotonic() - moved_at > patience_seconds:
            return {name: _word(standings[name], behind=name in behind) for name in SERVICES}
        tell(f"waiting for the monitors: {', '.join(behind)}")
        clock.sleep(_LOOK_SECONDS)


def _progress(standings: list[Standing], wanted: Mapping[str, int]) -> list[tuple[int, ...]]:
    """What changes as a service comes closer; what it takes beyond does not count."""
    return [
        (*(min(standing.positions.get(name, 0), position) for name, position in wanted.items()),
         standing.unpublished)
        for standing in standings
    ]  # fmt: skip


def _word(standings: list[Standing], *, behind: bool) -> str:
    if not behind:
        return CAUGHT_UP
    return "behind" if standings else "not running"


CAUGHT_UP = "caught up"
