"""The answers this process has put into Redis itself: `results` need not bring them there again."""

import threading
from collections.abc import Collection

_MOST = 20_000
"""Tickets in each of two generations; they come with their transaction, some tenths of a second later."""


class Shown:
    """Tickets whose answers Redis has said it holds.

    The event loop adds, the thread that reads `results` takes. What is missing here is written twice, which
    changes nothing; so what is old may be forgotten, and is.

    >>> shown = Shown()
    >>> shown.add({b"a", b"b"}, shown.time)
    >>> shown.take(b"a"), shown.take(b"a")
    (True, False)
    >>> before = shown.time
    >>> shown.forget()
    >>> shown.add({b"c"}, before)
    >>> shown.take(b"b"), shown.take(b"c")
    (False, False)
    """

    def __init__(self) -> None:
        self.time = 0
        """How often all was forgotten: what was sent to a Redis before it was found empty says nothing."""
        self._lock = threading.Lock()
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def add(self, tickets: Collection[bytes], time: int) -> None:
        """Redis holds the answers of these; they were sent to it at ``time``."""
        with self._lock:
            if time != self.time:
                return
            if len(self._new) >= _MOST:
                self._old, self._new = self._new, set()
            self._new.update(tickets)

    def take(self, ticket: bytes) -> bool:
        """Whether Redis holds the answer of this one, which is then asked no more."""
        for generation in (self._new, self._old):
            if ticket in generation:
                generation.discard(ticket)
                return True
        return False

    def forget(self) -> None:
        """Redis has lost what it held."""
        with self._lock:
            self.time += 1
            self._new, self._old = set(), set()
