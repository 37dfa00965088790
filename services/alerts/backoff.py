"""How long to wait before another attempt."""

from collections.abc import Callable


class Backoff:
    """Exponential backoff with full jitter: anything up to a bound that doubles, so that many do not meet.

    Parameters
    ----------
    first_seconds, most_seconds : the bound after the first failure, and the greatest
    random : uniform on [0, 1)

    >>> Backoff(first_seconds=1.0, most_seconds=10.0, random=lambda: 0.5).seconds(2)
    2.0
    """

    def __init__(self, *, first_seconds: float, most_seconds: float, random: Callable[[], float]) -> None:
        self._first_seconds = first_seconds
        self._most_seconds = most_seconds
        self._random = random

    def seconds(self, failures_before: int) -> float:
        """The wait after as many failures in a row and one."""
        # Beyond 2^30 the bound is long reached, and floats have an end.
        bound = self._first_seconds * 2.0 ** min(failures_before, 30)
        return self._random() * min(self._most_seconds, bound)
