"""One connection to Redis from the event loop, on which what is asked at one time goes together."""

import asyncio
import contextlib
import time
from typing import Any

import hiredis
import redis
import structlog
from redis.asyncio.connection import AbstractConnection, ConnectionPool

_log = structlog.get_logger()

Argument = bytes | str | int

_AGAIN_SECONDS = 0.02


class Line:
    """Sends commands in one exchange for all that came while the last was under way: it costs the most.

    The connection is redis-py's, its pipelines are not used: they pack and read command by command, each
    read under a time limit of its own, which is two thirds of what an exchange costs here.

    Commands must bear being sent twice: where the connection breaks, as of a Redis that was restarted, all
    that wait are sent once more.

    Parameters
    ----------
    url : of Redis
    timeout_seconds : of an exchange
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        # Each exchange has one limit of time, not each of its reads.
        self._pool = ConnectionPool.from_url(url, socket_timeout=None)
        self._connection: AbstractConnection | None = None
        self._waiting: list[tuple[bytes, asyncio.Future[Any] | None]] = []
        self._exchanging: asyncio.Task[None] | None = None
        self.answered_at = float("-inf")
        """When Redis last answered, by the monotonic clock."""

    def ask(self, *command: Argument) -> asyncio.Future[Any]:
        """What Redis answers; `redis.RedisError` or `OSError` where it refuses the command or is away."""
        said: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._add(command, said)
        return said

    def tell(self, *command: Argument) -> None:
        """A command whose answer nobody waits for; it is carried out before all that is asked after it."""
        self._add(command, None)

    async def close(self) -> None:
        """Close the connection, once all has been said."""
        if self._exchanging is not None:
            await self._exchanging
        await self._pool.aclose()

    def _add(self, command: tuple[Argument, ...], said: asyncio.Future[Any] | None) -> None:
        self._waiting.append((hiredis.pack_command(command), said))
        if self._exchanging is None:
            self._exchanging = asyncio.create_task(self._exchange_all())

    async def _exchange_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                packed = b"".join(command for command, _ in together)
                try:
                    answers = await self._exchange(packed, len(together))
                    self.answered_at = time.monotonic()
                except (redis.RedisError, OSError) as error:
                    answers = [error] * len(together)
                for (_, said), answer in zip(together, answers, strict=True):
                    _settle(said, answer)
        finally:
            self._exchanging = None

    async def _exchange(self, packed: bytes, count: int) -> list[Any]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                with contextlib.suppress(redis.ConnectionError):
                    return await self._send(packed, count)
                await asyncio.sleep(_AGAIN_SECONDS)
                return await self._send(packed, count)
        except TimeoutError as error:
            raise redis.TimeoutError(f"no answer within {self._timeout_seconds:g} s") from error

    async def _send(self, packed: bytes, count: int) -> list[Any]:
        if self._connection is None:
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        connection = self._connection
        if not connection.is_connected:
            await connection.connect()
        await connection.send_packed_command(packed, check_health=False)
        return [await _read(connection) for _ in range(count)]


async def _read(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except redis.ResponseError as error:
        return error


def _settle(said: asyncio.Future[Any] | None, answer: Any) -> None:
    if said is None:
        if isinstance(answer, Exception):
            _log.warning("Redis did not take what it was told", reason=str(answer))
    elif not said.done():
        if isinstance(answer, Exception):
            said.set_exception(answer)
        else:
            said.set_result(answer)
