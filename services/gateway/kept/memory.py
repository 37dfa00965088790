"""What Redis holds for gateways: answers that are kept, and who claimed which Idempotency-Key.

All of it can be lost: answers are read again from `results`; of a key that is forgotten the request is
taken anew.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import redis

from atalaia.errors import Unavailable
from atalaia.topics import RESULTS
from services.gateway.kept.line import Argument, Line
from services.gateway.kept.scripts import read_script
from services.gateway.kept.shown import Shown

KEPT_MS = RESULTS.retention_ms
"""How long answers and claims are kept: as long as `results` is."""
_TIMEOUT_SECONDS = 1.0
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
        self.shown = Shown()
        self._names = Names(prefix)
        self._line = None if url is None else Line(url, timeout_seconds=_TIMEOUT_SECONDS)
        self._given: dict[str, bytes] = {}
        self._keep = read_script("keep")
        self._claim = read_script("claim")
        self._release = read_script("release")

    async def check(self) -> None:
        """Say before a request is accepted whether its answer could be fetched; asked of Redis now and then.

        Raises
        ------
        MemoryUnavailable
        """
        if self._line is None or time.monotonic() - self._line.answered_at > _TRUSTED_SECONDS:
            await self._ask("PING")

    async def answer(self, ticket: str) -> bytes | None:
        """The kept answer of a ticket; None while there is none.

        Raises
        ------
        MemoryUnavailable
        """
        found: bytes | None = await self._ask("GET", self._names.answer(ticket))
        return found

    async def claim(self, name: str, *, fingerprint: str, ticket: str, lease_ms: int) -> Claim:
        """Take a key, or learn who has it; the lease is how long nobody else may while nothing is known.

        Raises
        ------
        MemoryUnavailable
            where Redis does not answer; it lets go of the key, should it have heard of the claim.
        """
        key = self._names.claim(name)
        claim = f"{fingerprint} {ticket} {ticket} {lease_ms} {KEPT_MS}"
        try:
            if await self._ask("SET", key, claim, "NX", "PX", KEPT_MS):
                return Claim("claimed", ticket)
            # The script is for who was not the first: it costs twice as much.
            keys = key, self._names.accepted(name)
            said = await self._ask("EVAL", self._claim, 2, *keys, claim, self._names.answer(""))
        except MemoryUnavailable:
            self.release(name, ticket)
            raise
        if said == 1:
            return Claim("claimed", ticket)
        state, held, *answer = said
        return Claim(state.decode(), held.decode(), answer[0] if answer else None)

    def keep(self, ticket: str, answer: bytes) -> None:
        """Show an answer to whoever asks from the loop's next turn on: a response to it is read no earlier.

        From `results` it comes only with its transaction.
        """
        if not self._given:
            asyncio.get_running_loop().call_soon(self._keep_given)
        self._given[ticket] = answer

    def accept(self, name: str, ticket: str) -> None:
        """Kafka has the request of this ticket: nobody takes its place any more."""
        self._tell("SET", self._names.accepted(name), ticket, "PX", KEPT_MS)

    def release(self, name: str, ticket: str) -> None:
        """The request that claimed this key with this ticket was not accepted: the next one may try."""
        self._tell("EVAL", self._release, 1, self._names.claim(name), ticket)

    async def close(self) -> None:
        """Close the connection."""
        self._keep_given()
        if self._line is not None:
            await self._line.close()

    def _keep_given(self) -> None:
        """Tell Redis of all answers at once: they come many at a time, and one command costs half as much."""
        given, self._given = self._given, {}
        if given:
            values = [value for answer in given.values() for value in (answer, KEPT_MS)]
            names = map(self._names.answer, given)
            heard = partial(self.shown.add, list(map(str.encode, given)), self.shown.time)
            self._tell("EVAL", self._keep, len(given), *names, 0, *values, heard=heard)

    def _tell(self, *command: Argument, heard: Callable[[], None] | None = None) -> None:
        if self._line is not None:
            self._line.tell(*command, heard=heard)

    async def _ask(self, *command: Argument) -> Any:
        if self._line is None:
            raise MemoryUnavailable
        try:
            return await self._line.ask(*command)
        except redis.RedisError as error:
            raise MemoryUnavailable from error


class Names(NamedTuple):
    """The names of what is kept."""

    prefix: str

    def answer(self, ticket: str) -> str:
        """Of a kept answer."""
        return f"{self.prefix}gateway:answer:{ticket}"

    def claim(self, name: str) -> str:
        """Of who holds a key."""
        return f"{self.prefix}gateway:key:{name}"

    def accepted(self, name: str) -> str:
        """Of whether Kafka has the request of who holds it."""
        return f"{self.prefix}gateway:accepted:{name}"

    def position(self, partition: int) -> str:
        """Of how far `results` has been taken in."""
        return f"{self.prefix}gateway:results:{partition}"
