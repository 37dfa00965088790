"""One connection to Redis from the event loop, on which what is asked at one time goes together."""

import asyncio
import time
from collections import deque
from typing import Any, NamedTuple

import hiredis
import redis
import structlog
from redis.asyncio.connection import AbstractConnection, ConnectionPool

_log = structlog.get_logger()

Argument = bytes | str | int

_AGAIN_SECONDS = 0.02
_MOST_TOLD = 1_000
"""So much of what Redis could not be told is kept for when it can."""


class _Command(NamedTuple):
    packed: bytes
    said: asyncio.Future[Any] | None
    """Who waits for the answer, if anybody does."""


class Line:
    """Sends commands in one exchange for all that came while the last was under way: it costs the most.

    The connection is redis-py's, its pipelines are not used: they pack and read command by command, each
    read under a time limit of its own, which is two thirds of what an exchange costs here.

    Commands must bear being sent twice: where the connection breaks, as of a Redis that was restarted, all
    that are not answered are sent once more.

    Parameters
    ----------
    url : of Redis
    timeout_seconds : of an exchange; who asks during one waits for the next
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        # Each exchange has one limit of time, not each of its reads.
        self._pool = ConnectionPool.from_url(url, socket_timeout=None)
        self._connection: AbstractConnection | None = None
        self._waiting: deque[_Command] = deque()
        self._untold: deque[_Command] = deque(maxlen=_MOST_TOLD)
        self._exchanging: asyncio.Task[None] | None = None
        self.answered_at = float("-inf")
        """When Redis last answered, by the monotonic clock."""

    def ask(self, *command: Argument) -> asyncio.Future[Any]:
        """What Redis answers; `redis.RedisError` where it refuses the command or is away."""
        said: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._add(_Command(hiredis.pack_command(command), said))
        return said

    def tell(self, *command: Argument) -> None:
        """A command whose answer nobody waits for; while Redis is away it is kept for its return."""
        self._add(_Command(hiredis.pack_command(command), None))

    async def close(self) -> None:
        """Close the connection, once all has been said."""
        while self._exchanging is not None:
            await self._exchanging
        try:
            await self._pool.aclose()
        except (redis.RedisError, OSError) as error:
            _log.warning("the connection to Redis could not be closed", reason=str(error))

    def _add(self, command: _Command) -> None:
        self._waiting.append(command)
        if self._exchanging is None:
            self._exchanging = asyncio.create_task(self._exchange_all())

    async def _exchange_all(self) -> None:
        try:
            while self._waiting:
                together = deque((*self._untold, *self._waiting))
                self._untold.clear()
                self._waiting.clear()
                await self._exchange(together)
        finally:
            self._exchanging = None

    async def _exchange(self, together: deque[_Command]) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                try:
                    await self._send(together)
                except redis.ConnectionError:
                    await asyncio.sleep(_AGAIN_SECONDS)
                    await self._send(together)
            self.answered_at = time.monotonic()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            reason = f"{type(error).__name__} {error}".strip()
            for command in together:
                if command.said is None:
                    self._untold.append(command)
                elif not command.said.done():
                    command.said.set_exception(redis.ConnectionError(reason))
            _log.warning("Redis does not answer", reason=reason, untold=len(self._untold))

    async def _send(self, together: deque[_Command]) -> None:
        """Each is taken out as its answer comes."""
        if self._connection is None:
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        connection = self._connection
        try:
            if not connection.is_connected:
                await connection.connect()
            packed = b"".join(command.packed for command in together)
            await connection.send_packed_command(packed, check_health=False)
        except RuntimeError as error:
            # What uvloop says of a connection that was reset while nothing was under way.
            raise redis.ConnectionError(str(error)) from error
        while together:
            answer = await _read(connection)
            _settle(together.popleft().said, answer)


async def _read(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except redis.ResponseError as error:
        return error


def _settle(said: asyncio.Future[Any] | None, answer: Any) -> None:
    if said is None:
        if isinstance(answer, Exception):
            _log.warning("Redis refused what it was told", reason=str(answer))
    elif not said.done():
        if isinstance(answer, Exception):
            said.set_exception(answer)
        else:
            said.set_result(answer)
