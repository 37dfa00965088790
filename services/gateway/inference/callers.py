"""Who waits for which reply, and until when. Pure."""

import asyncio
from collections.abc import Callable

from atalaia.errors import Refusal
from services.gateway.inference.replies import Reply

Outcome = Reply | Refusal
Tell = Callable[[Outcome], None]
"""Takes a reply, or why there is none."""


class Caller:
    """Somebody who waits for the reply to one request, and is told once.

    Parameters
    ----------
    tell : takes the reply, or the refusal
    seconds, until : how long the caller waits, and to what time of a clock that goes on; None is for ever
    accepted : where Kafka's having the request is waited for, too; a refusal before it goes there
    """

    __slots__ = ("accepted", "acknowledged", "seconds", "tell", "timer", "until")

    def __init__(
        self,
        tell: Tell,
        *,
        seconds: float,
        until: float | None,
        accepted: asyncio.Future[None] | None = None,
    ) -> None:
        self.tell = tell
        self.seconds = seconds
        self.until = until
        self.accepted = accepted
        self.acknowledged = False
        self.timer: asyncio.TimerHandle | None = None
        """Of a caller who waits for less than others do; what it was for ends with the wait."""

    def acknowledge(self) -> None:
        """Kafka has the request."""
        self.acknowledged = True
        if self.accepted is not None and not self.accepted.done():
            self.accepted.set_result(None)

    def answer(self, reply: Reply) -> None:
        """Here is the reply; whoever made it had the request from Kafka."""
        self.acknowledge()
        self.tell(reply)

    def refuse(self, refusal: Refusal) -> None:
        """Nothing more comes."""
        if self.accepted is None or self.acknowledged:
            self.tell(refusal)
        elif not self.accepted.done():
            self.accepted.set_exception(refusal)


class Callers:
    """Those who wait, by the key of their request."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, Caller] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: bytes, caller: Caller) -> None:
        """Somebody waits."""
        self._waiting[key] = caller

    def find(self, key: bytes) -> Caller | None:
        """Who waits for the reply to this request."""
        return self._waiting.get(key)

    def remove(self, key: bytes) -> Caller | None:
        """Nobody waits for the reply to this request any more; who did."""
        caller = self._waiting.pop(key, None)
        if caller is not None and caller.timer is not None:
            caller.timer.cancel()
        return caller

    def overdue(self, now: float) -> list[bytes]:
        """The requests whose callers have waited long enough.

        Callers come in the order in which their time ends: those who wait for less than others do are looked
        after elsewhere, and found here once it is late. So this stops at the first whose time has not come.

        >>> callers, told = Callers(), []
        >>> for key, until in ((b"a", 1.0), (b"b", None), (b"c", 1.5), (b"d", 2.5)):
        ...     callers.add(key, Caller(told.append, seconds=1.0, until=until))
        >>> callers.overdue(2.0)
        [b'a', b'c']
        """
        keys = []
        for key, caller in self._waiting.items():
            if caller.until is not None:
                if caller.until > now:
                    break
                keys.append(key)
        return keys
