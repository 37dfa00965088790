"""Calls of one script, those that come at the same time in one exchange with Redis."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import redis
import redis.asyncio

from atalaia.errors import Refusal

Argument = bytes | str | int
_MOST = 100
"""Calls in one exchange: while a script runs, Redis does nothing else."""


class Together:
    """Calls a script that does the same for any number of callers.

    An exchange costs client and Redis many times what there is to do. So what comes while one is under way
    waits for it, and goes with all that waits then.

    Parameters
    ----------
    source : Lua; it is given the keys of all callers, ``common`` and the arguments of all callers, and
        returns one answer a caller
    common : arguments that all have in common
    refusal : makes of an error of Redis what callers are told
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        source: bytes,
        *,
        common: Sequence[Argument],
        refusal: Callable[[redis.RedisError], Refusal],
    ) -> None:
        self._client = client
        self._source = source
        self._digest = hashlib.sha1(source, usedforsecurity=False).hexdigest()
        self._common = tuple(common)
        self._refusal = refusal
        self._waiting: list[tuple[Sequence[Argument], Sequence[Argument], asyncio.Future[Any]]] = []
        self._exchanging: asyncio.Task[None] | None = None

    async def call(self, keys: Sequence[Argument], arguments: Sequence[Argument]) -> Any:
        """The script's answer to one caller.

        Raises
        ------
        Refusal
            where Redis does not answer.
        """
        said: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, arguments, said))
        if self._exchanging is None or self._exchanging.done():
            self._exchanging = asyncio.create_task(self._exchange_all())
        return await said

    async def _exchange_all(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            keys = [key for given, _, _ in together for key in given]
            arguments = [argument for _, given, _ in together for argument in given]
            try:
                answers = await self._run(len(keys), *keys, *self._common, *arguments)
            except redis.RedisError as error:
                refusal = self._refusal(error)
                for _, _, said in together:
                    if not said.done():
                        said.set_exception(refusal)
            else:
                for (_, _, said), answer in zip(together, answers, strict=True):
                    if not said.done():
                        said.set_result(answer)

    async def _run(self, *arguments: Argument) -> Any:
        """By its digest; a Redis that was restarted has to be told the source again."""
        execute: Callable[..., Awaitable[Any]] = self._client.execute_command
        try:
            return await execute("EVALSHA", self._digest, *arguments)
        except redis.exceptions.NoScriptError:
            return await execute("EVAL", self._source, *arguments)
