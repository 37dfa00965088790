"""One connection to Redis from the event loop, on which nothing waits for what was sent before it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import hiredis
import redis
import structlog
from redis.asyncio.connection import AbstractConnection, ConnectionPool

_log = structlog.get_logger()

Argument = bytes | str | int

_AGAIN_SECONDS = 0.02
_MOST_TOLD = 5_000
"""So much of what Redis could not be told is kept for when it can: more than is in flight, by default."""
_READ_BYTES = 65_536
_NO_ANSWER = object()


class _Command(NamedTuple):
    """``said`` is who waits for the answer, ``heard`` who is told that Redis has done it, if anybody."""

    packed: bytes
    said: asyncio.Future[Any] | None = None
    heard: Callable[[], None] | None = None


class Line:
    """Sends the commands of each turn of the loop together, and reads answers as they come.

    The connection is redis-py's. What goes over it is written and read here, many commands and answers at a
    time: redis-py packs and reads them one by one, each read under a time limit of its own, and that costs
    more than all the rest.

    Commands must bear being sent twice: where the connection breaks, as of a Redis that was restarted, all
    that are not answered are sent once more.

    Parameters
    ----------
    url : of Redis
    timeout_seconds : within which Redis has to say something while answers are due
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        pool = ConnectionPool.from_url(url)
        self._connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._writer: asyncio.StreamWriter | None = None
        self._parser = _parser()
        self._waiting: list[_Command] = []
        self._sent: deque[_Command] = deque()
        self._untold: deque[_Command] = deque(maxlen=_MOST_TOLD)
        self._talking: asyncio.Task[None] | None = None
        self._tried_again = False
        self.answered_at = float("-inf")
        """When Redis last answered, by the monotonic clock."""

    def ask(self, *command: Argument) -> asyncio.Future[Any]:
        """What Redis answers; `redis.RedisError` where it refuses the command or is away."""
        said: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._add(_Command(hiredis.pack_command(command), said))
        return said

    def tell(self, *command: Argument, heard: Callable[[], None] | None = None) -> None:
        """A command whose answer nobody waits for; while Redis is away it is kept for its return."""
        self._add(_Command(hiredis.pack_command(command), heard=heard))

    async def close(self) -> None:
        """Close the connection, once all has been said."""
        while self._talking is not None:
            await self._talking
        await self._disconnect()

    def _add(self, command: _Command) -> None:
        self._waiting.append(command)
        if self._talking is None:
            self._talking = asyncio.create_task(self._talk())
        elif len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        if self._writer is None or not self._waiting:
            return
        try:
            self._writer.write(b"".join([command.packed for command in self._waiting]))
        except RuntimeError:
            return  # what uvloop says of a connection that was reset; who reads from it learns so, too
        self._sent.extend(self._waiting)
        self._waiting.clear()

    async def _talk(self) -> None:
        """Until nobody waits for an answer."""
        try:
            while self._sent or self._waiting:
                limit = asyncio.timeout(self._timeout_seconds)
                try:
                    async with limit:
                        await self._exchange(limit)
                except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
                    await self._disconnect()
                    if self._tried_again or limit.expired():
                        self._give_up(error)
                    else:
                        self._tried_again = True
                        await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            self._talking = None

    async def _exchange(self, limit: asyncio.Timeout) -> None:
        """Send all there is, and read answers until none is due."""
        reader = await self._connect()
        self._write()
        loop = asyncio.get_running_loop()
        while self._sent or self._waiting:
            read = await reader.read(_READ_BYTES)
            if not read:
                raise redis.ConnectionError("Redis closed the connection")
            self._take(read)
            limit.reschedule(loop.time() + self._timeout_seconds)

    def _take(self, read: bytes) -> None:
        self._parser.feed(read)
        while (answer := self._parser.gets()) is not _NO_ANSWER:
            if isinstance(answer, redis.ConnectionError):
                raise answer
            if not isinstance(answer, hiredis.PushNotification):
                self._tried_again = False
                _settle(self._sent.popleft(), answer)
        self.answered_at = time.monotonic()

    async def _connect(self) -> asyncio.StreamReader:
        """Where answers come from; on a new connection all that has none is sent again, the oldest first."""
        connection = self._connection
        if self._writer is None:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._parser = _parser()
            self._waiting[:0] = (*self._untold, *self._sent)
            self._untold.clear()
            self._sent.clear()
        reader, self._writer = connection._reader, connection._writer  # noqa: SLF001 - see the class
        assert reader is not None  # noqa: S101 - it is connected
        return reader

    async def _disconnect(self) -> None:
        self._writer = None
        try:
            await self._connection.disconnect(nowait=True)
        except (redis.RedisError, OSError, RuntimeError) as error:
            _log.warning("the connection to Redis could not be closed", reason=str(error))

    def _give_up(self, error: Exception) -> None:
        """Say so to all who wait, and keep what nobody waits for."""
        reason = f"{type(error).__name__} {error}".strip()
        failed = (*self._sent, *self._waiting)
        self._sent.clear()
        self._waiting.clear()
        self._tried_again = False
        for command in failed:
            if command.said is None:
                self._untold.append(command)
            elif not command.said.done():
                command.said.set_exception(redis.ConnectionError(reason))
        _log.warning("Redis does not answer", reason=reason, untold=len(self._untold))


def _parser() -> hiredis.Reader:
    return hiredis.Reader(replyError=_error, notEnoughData=_NO_ANSWER)


def _error(text: str) -> redis.RedisError:
    """What Redis refuses; while it reads its file it refuses everything, and is as good as away."""
    return redis.BusyLoadingError(text) if text.startswith("LOADING") else redis.ResponseError(text)


def _settle(command: _Command, answer: Any) -> None:
    refused = isinstance(answer, Exception)
    if command.said is None:
        if refused:
            _log.warning("Redis refused what it was told", reason=str(answer))
        elif command.heard is not None:
            command.heard()
    elif not command.said.done():
        if refused:
            command.said.set_exception(answer)
        else:
            command.said.set_result(answer)
