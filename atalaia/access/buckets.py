"""A limit on how often: the token bucket."""


class TokenBucket:
    """``rate`` tokens come in a second, up to one second's worth, one at least; each request takes one.

    Whoever was silent may send a second's worth at once. Over any span of t seconds at most
    ``rate x t + max(rate, 1)`` requests are let in.

    Parameters
    ----------
    rate : requests a second, above 0
    now_seconds : of a clock that never goes back

    >>> bucket = TokenBucket(2.0, now_seconds=10.0)
    >>> [bucket.take(10.0) for _ in range(3)]
    [0.0, 0.0, 0.5]
    >>> bucket.take(10.5)
    0.0
    """

    __slots__ = ("_tokens", "_updated_seconds", "capacity", "rate")

    def __init__(self, rate: float, *, now_seconds: float) -> None:
        self.rate = rate
        self.capacity = max(rate, 1.0)
        self._tokens = self.capacity
        self._updated_seconds = now_seconds

    def take(self, now_seconds: float) -> float:
        """0.0 where a request is let in, else the seconds until one will be."""
        passed = max(now_seconds - self._updated_seconds, 0.0)
        tokens = min(self._tokens + passed * self.rate, self.capacity)
        self._updated_seconds = max(now_seconds, self._updated_seconds)
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0.0
        self._tokens = tokens
        return (1.0 - tokens) / self.rate
