"""One delivery, attempted as often as is sensible."""

from collections.abc import Callable
from typing import TypeVar

from services.alerts.backoff import Backoff
from services.alerts.breaker import Breaker
from services.alerts.errors import Interrupted, NotDelivered

_Taken = TypeVar("_Taken")


class Delivery:
    """Attempts with backoff, behind a breaker that all deliveries of a sink share.

    Parameters
    ----------
    attempts : how many, at most, for one delivery
    wait : waits so many seconds; False where it was ended from outside
    on_failure : told of every attempt that came to nothing
    """

    def __init__(
        self,
        *,
        attempts: int,
        backoff: Backoff,
        breaker: Breaker,
        wait: Callable[[float], bool],
        on_failure: Callable[[NotDelivered], None],
    ) -> None:
        self._attempts = attempts
        self._backoff = backoff
        self._breaker = breaker
        self._wait = wait
        self._on_failure = on_failure

    def run(self, attempt: Callable[[], _Taken]) -> _Taken:
        """What the first attempt that is answered returns.

        Raises
        ------
        NotDelivered
            by the last attempt, or by one that says that another would be in vain.
        Interrupted
            when waiting was ended from outside.
        """
        failures = 0
        while True:
            self._pause(self._backoff.seconds(failures - 1) if failures else 0.0)
            try:
                taken = attempt()
            except NotDelivered as error:
                self._on_failure(error)
                failures += 1
                if not error.again:
                    self._breaker.succeed()  # it did answer
                    raise
                self._breaker.fail()
                if failures >= self._attempts:
                    raise
            else:
                self._breaker.succeed()
                return taken

    def _pause(self, seconds: float) -> None:
        seconds = max(seconds, self._breaker.wait_seconds)
        if seconds > 0 and not self._wait(seconds):
            raise Interrupted("delivering ends before the alert was taken")
