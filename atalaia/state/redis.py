"""Fenced state in Redis: each operation one script, so that it happens at one moment."""

import os
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from typing import Any, NoReturn

import numpy as np
import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from atalaia.join.rows import ExpiredRows, RowKeys, RowValues, pack_time, unpack_time
from atalaia.state.errors import ExitAndReload, ResendStepOrExit, RetryRead, UnsafeRedis
from atalaia.state.fence import Loaded, OutboxEntry, Outcome, Step, Token, Unit

INCARNATION_BYTES = 8
_SEQUENCE_BYTES = 8
_LOADING_RETRY_SECONDS = 0.2
_SCANNED_AT_ONCE = 1000


class RedisState:
    """The `StateStore` of a Redis server, 6.2 or later.

    The server is the one it was opened on: one that was restarted since, and may have lost its last
    second, is refused by every step.

    Raises
    ------
    UnsafeRedis
        when the server may evict keys.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        client.ping()  # refused while the server reads its files, unlike INFO
        memory = client.info("memory")
        policy = memory.get("maxmemory_policy")
        if policy != "noeviction":
            raise UnsafeRedis(
                f"Redis has maxmemory-policy {policy} and may drop state that a fence stands for: expected "
                "noeviction. Set it in redis.conf, or give a Redis of its own with ATALAIA_REDIS__URL."
            )
        self.run_id = str(client.info("server")["run_id"])
        self._load, self._step, self._discard, self._rows, self._expired, self._orphans = (
            _script(client, name) for name in ("load", "step", "discard", "rows", "expired", "orphans")
        )

    def load(self, unit: Unit) -> Loaded:
        """All of a unit but its rows, as it is at one moment."""
        answer = self._read(self._load, keys=_keys(unit))
        if answer[0].decode() != self.run_id:
            self._restarted()
        if answer[1] is None:
            return Loaded(None, b"", {}, [], os.urandom(INCARNATION_BYTES))
        _, fence, nonce, metadata, incarnation, torn, panes, outbox = answer
        return Loaded(
            token=Token(fence, nonce),
            metadata=metadata,
            panes=dict(_pairs(panes)),
            outbox=_in_order(_pairs(outbox)),
            incarnation=incarnation,
            torn=torn is not None,
        )

    def step(self, unit: Unit, step: Step) -> Outcome:
        """Apply a step as a whole, if the stored fence is the expected one."""
        try:
            answer = self._step(
                keys=[*_keys(unit), _rows_prefix(unit, step.incarnation)], args=self._arguments(step)
            )
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise ResendStepOrExit(f"Redis did not say whether the step was applied: {error}") from error
        except redis.ResponseError as error:
            raise ExitAndReload(
                f"Redis refused the step of {unit.service} on partition {unit.partition}: {error}. Out of "
                "memory: give it more, or lower the horizon; else the state is discarded when it is loaded."
            ) from error
        if answer == b"restarted":
            self._restarted()
        return Outcome(answer.decode())

    def pending(self, unit: Unit) -> list[OutboxEntry]:
        """What is not yet acknowledged, in the order it was put there."""
        return _in_order(self._read(self._client.hgetall, _keys(unit)[2]).items())

    def acknowledge(self, unit: Unit, ids: Iterable[bytes]) -> None:
        """Kafka has these."""
        known = list(ids)
        if known:
            self._read(self._client.hdel, _keys(unit)[2], *known)

    def discard(self, unit: Unit, expected: Token | None) -> bool:
        """Forget a unit, to rebuild it, if the stored token is still the expected one; whether it was."""
        return bool(self._read(self._discard, keys=_keys(unit), args=list(expected or (b"", b""))))

    def read_rows(self, unit: Unit, incarnation: bytes, keys: RowKeys) -> RowValues:
        """What the join holds of the ids asked for, in their order."""
        lengths, values = self._read(
            self._rows, keys=[_rows_prefix(unit, incarnation)], args=[keys.ids, keys.buckets]
        )
        return RowValues(keys.ids, lengths, values)

    def read_expired(self, unit: Unit, incarnation: bytes, buckets: Sequence[int], by_ms: int) -> ExpiredRows:
        """What some buckets of the join hold that expires by a time."""
        places = np.array(buckets, ">u4").tobytes()
        *found, earliest = self._read(
            self._expired, keys=[_rows_prefix(unit, incarnation)], args=[places, pack_time(by_ms)]
        )
        return ExpiredRows(RowValues(*found), unpack_time(earliest) if earliest else None)

    def drop_orphans(self, unit: Unit, incarnation: bytes) -> int:
        """Remove rows that discarded states, of any configuration, left behind; how many buckets.

        Nothing, unless the unit stored is of this incarnation: nobody else knows that the others are dead.
        """
        own = _rows_prefix(unit, incarnation)
        tag = unit.prefix.removesuffix(f"{unit.configuration}:").encode()
        dropped = 0
        scan = self._client.scan_iter(match=_literally(tag) + b"*", count=_SCANNED_AT_ONCE)
        for batch in _batches(key for key in scan if b":rows:" in key and not key.startswith(own)):
            dropped += self._read(self._orphans, keys=[_keys(unit)[0], *batch], args=[incarnation])
        return dropped

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _arguments(self, step: Step) -> list[bytes | int | str]:
        expected = step.expected or Token(b"", b"")
        arguments: list[bytes | int | str] = [
            self.run_id,
            *expected,
            *step.token,
            step.incarnation,
            step.metadata,
            len(step.writes),
            len(step.deletes),
            len(step.outbox),
            len(step.rows.groups),
            *step.deletes,
        ]
        for name, value in step.writes.items():
            arguments += (name, value)
        for entry in step.outbox:
            arguments += entry
        arguments += (step.rows.deletes.ids, step.rows.deletes.buckets)
        for group in step.rows.groups:
            arguments += (group.width, group.keys.ids, group.keys.buckets, group.values)
        return arguments

    def _read(self, command: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return command(*arguments, **named)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise RetryRead(f"Redis does not answer: {error}") from error

    def _restarted(self) -> NoReturn:
        raise ExitAndReload(
            f"Redis was restarted since this worker began (run_id was {self.run_id}): what it holds may be "
            "ahead of what is stored"
        )


def connect(url: str, *, timeout_seconds: float = 30.0, loading_seconds: float = 120.0) -> RedisState:
    """The state in a Redis, waiting for one that is still reading its files.

    Nothing is sent twice on its own accord: a step without an answer is the worker's to resend.
    """
    client = redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        single_connection_client=True,
        protocol=2,
    )
    loading = Retry(
        ConstantBackoff(_LOADING_RETRY_SECONDS),
        round(loading_seconds / _LOADING_RETRY_SECONDS),
        supported_errors=(redis.BusyLoadingError,),
    )
    state: RedisState = loading.call_with_retry(lambda: RedisState(client), lambda _: None)
    return state


def _script(client: redis.Redis, name: str) -> Any:
    source = resources.files("atalaia.state").joinpath("scripts", f"{name}.lua").read_text("utf-8")
    return client.register_script(source)


def _keys(unit: Unit) -> list[bytes]:
    return [(unit.prefix + part).encode() for part in ("fence", "panes", "outbox")]


def _rows_prefix(unit: Unit, incarnation: bytes) -> bytes:
    return f"{unit.prefix}rows:".encode() + incarnation


def _pairs(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _in_order(entries: Iterable[tuple[bytes, bytes]]) -> list[OutboxEntry]:
    ordered = sorted(entries, key=lambda entry: entry[1][:_SEQUENCE_BYTES])
    return [OutboxEntry(name, value[_SEQUENCE_BYTES:]) for name, value in ordered]


def _literally(text: bytes) -> bytes:
    """As a pattern of SCAN that matches itself only."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]^-\\" else bytes([byte]) for byte in text)


def _batches(keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for key in keys:
        batch.append(key)
        if len(batch) == _SCANNED_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
