"""What Redis holds for gateways: answers that are kept, and who claimed which Idempotency-Key.

All of it can be lost: answers are read again from `results`; of a key that is forgotten the request is
taken anew.
"""

import asyncio
import time
from importlib import resources
from typing import Any, NamedTuple

import redis
import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from atalaia.errors import Unavailable
from atalaia.topics import RESULTS

_log = structlog.get_logger()

KEPT_MS = RESULTS.retention_ms
"""How long answers and claims are kept: as long as `results` is."""
_TIMEOUT_SECONDS = 1.0
_AGAIN_SECONDS = 0.02
_TRUSTED_SECONDS = 0.25
"""How long Redis is believed to be there after it answered."""


class MemoryUnavailable(Unavailable):
    """Redis does not answer, and the request needs it."""

    title = "Redis is not available"

    def __init__(self) -> None:
        super().__init__(
            "Redis does not answer, so requests with an Idempotency-Key or `Prefer: respond-async` are not "
            "accepted; send it again later, or without these headers"
        )


class Claim(NamedTuple):
    """What became of a claim, the ticket of the request that holds the key, and its answer.

    ``claimed``: this request holds it. ``reused``: another body did. ``leased``: the first is on its way.
    ``accepted``: Kafka has the first. ``answered``: it is done.
    """

    state: str
    ticket: str
    answer: bytes | None = None


class Memory:
    """Reads and claims, from the event loop.

    Parameters
    ----------
    url : of Redis, None where there is none: everything is then unavailable
    prefix : of names, as topics have it
    """

    def __init__(self, url: str | None, prefix: str) -> None:
        self._names = Names(prefix)
        self._waiting: list[tuple[tuple[bytes | str | int, ...], asyncio.Future[Any]]] = []
        self._answered_at = float("-inf")
        self._exchanging: asyncio.Task[None] | None = None
        self._client = (
            None
            if url is None
            else redis.asyncio.Redis.from_url(
                url,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                # Of a Redis that was restarted the old connections are found closed when they are used.
                retry=Retry(ConstantBackoff(_AGAIN_SECONDS), 1),
            )
        )
        scripts = resources.files("services.gateway.kept").joinpath("scripts")
        self._claim = scripts.joinpath("claim.lua").read_bytes()

    async def check(self) -> None:
        """Say before a request is accepted whether its answer could be fetched; asked of Redis now and then.

        Raises
        ------
        MemoryUnavailable
        """
        now = time.monotonic()
        if now - self._answered_at > _TRUSTED_SECONDS:
            await self._ask("ping")
            self._answered_at = now

    async def answer(self, ticket: str) -> bytes | None:
        """The kept answer of a ticket; None while there is none.

        Raises
        ------
        MemoryUnavailable
        """
        found: bytes | None = await self._ask("get", self._names.answer(ticket))
        return found

    async def claim(self, name: str, *, fingerprint: str, ticket: str, lease_ms: int) -> Claim:
        """Take a key, or learn who has it; the lease is how long nobody else may while nothing is known.

        Raises
        ------
        MemoryUnavailable
        """
        keys = self._names.claim(name), self._names.lease(name)
        # The source itself, not its digest, of which redis-py would ask each time whether Redis knows it.
        state, held, *answer = await self._together(
            "EVAL", self._claim, 2, *keys, fingerprint, ticket, lease_ms, KEPT_MS, self._names.answer("")
        )
        # A claim asked again after its connection broke finds itself.
        own = state == b"leased" and held.decode() == ticket
        return Claim("claimed" if own else state.decode(), held.decode(), answer[0] if answer else None)

    async def keep(self, ticket: str, answer: bytes) -> None:
        """Show an answer at once: from `results` it comes with its transaction, and who has it may ask again.

        Raises
        ------
        MemoryUnavailable
        """
        await self._together("SET", self._names.answer(ticket), answer, "PX", KEPT_MS)

    async def accept(self, name: str) -> None:
        """Kafka has the request that claimed this key: nobody takes its place any more."""
        await self._ask("hset", self._names.claim(name), "accepted", "1")

    async def release(self, name: str) -> None:
        """The request that claimed this key was not accepted: the next one may try."""
        await self._ask("delete", self._names.claim(name), self._names.lease(name))

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _together(self, *command: bytes | str | int) -> Any:
        """One exchange with Redis for all that came while the last was under way: it costs the most."""
        if self._client is None:
            raise MemoryUnavailable
        said: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, said))
        if self._exchanging is None or self._exchanging.done():
            self._exchanging = asyncio.create_task(self._exchange_all(self._client))
        return await said

    async def _exchange_all(self, client: "redis.asyncio.Redis") -> None:
        while self._waiting:
            together, self._waiting = self._waiting, []
            try:
                pipeline = client.pipeline(transaction=False)
                for command, _ in together:
                    pipeline.execute_command(*command)
                answers = await pipeline.execute(raise_on_error=False)
            except redis.RedisError as error:
                answers = [error] * len(together)
            for (_, said), answer in zip(together, answers, strict=True):
                if said.done():
                    continue
                if isinstance(answer, redis.RedisError):
                    said.set_exception(_unavailable(answer))
                else:
                    said.set_result(answer)

    async def _ask(self, command: str, *arguments: str) -> Any:
        if self._client is None:
            raise MemoryUnavailable
        try:
            return await getattr(self._client, command)(*arguments)
        except redis.RedisError as error:
            raise _unavailable(error) from error


class Names(NamedTuple):
    """The names of what is kept."""

    prefix: str

    def answer(self, ticket: str) -> str:
        """Of a kept answer."""
        return f"{self.prefix}gateway:answer:{ticket}"

    def claim(self, name: str) -> str:
        """Of who holds a key."""
        return f"{self.prefix}gateway:claim:{name}"

    def lease(self, name: str) -> str:
        """Of how long its claim stands without more being known."""
        return f"{self.prefix}gateway:lease:{name}"

    def position(self, partition: int) -> str:
        """Of how far `results` has been taken in."""
        return f"{self.prefix}gateway:results:{partition}"


def _unavailable(error: redis.RedisError) -> MemoryUnavailable:
    _log.warning("Redis does not answer", reason=str(error))
    return MemoryUnavailable()
