"""A circuit breaker: who does not answer is left alone for a while."""

from collections.abc import Callable
from typing import Literal

State = Literal["closed", "half-open", "open"]


class Breaker:
    """Opens after failures in a row; after a pause it lets one attempt through, which decides.

    ::

        closed --failures in a row--> open --pause--> half-open --success--> closed
                                        ^                 |
                                        +----failure------+

    Parameters
    ----------
    failures : how many in a row open it
    pause_seconds : how long it then stays open
    now : a clock that only goes on
    """

    def __init__(self, *, failures: int, pause_seconds: float, now: Callable[[], float]) -> None:
        self._most = failures
        self._pause_seconds = pause_seconds
        self._now = now
        self._failures = 0
        self._opened_at: float | None = None

    @property
    def state(self) -> State:
        """Where it stands."""
        if self._opened_at is None:
            return "closed"
        return "open" if self.wait_seconds > 0 else "half-open"

    @property
    def wait_seconds(self) -> float:
        """How long until an attempt may be made; 0 where one may be made now."""
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self._pause_seconds - self._now())

    def succeed(self) -> None:
        """An attempt was answered."""
        self._failures = 0
        self._opened_at = None

    def fail(self) -> None:
        """An attempt was not."""
        self._failures += 1
        if self._opened_at is not None or self._failures >= self._most:
            self._opened_at = self._now()
