"""Redis asked again for a few seconds where a question changes nothing."""

import time
from collections.abc import Callable
from typing import TypeVar

from atalaia.state.errors import RetryRead

_Answer = TypeVar("_Answer")
_TRIES = 20
_PAUSE_SECONDS = 0.25


def patiently(ask: Callable[[], _Answer], *, pause: Callable[[float], None] = time.sleep) -> _Answer:
    """The answer, asked for again for some five seconds.

    Raises
    ------
    RetryRead
        of the last attempt.
    """
    for _ in range(_TRIES - 1):
        try:
            return ask()
        except RetryRead:
            pause(_PAUSE_SECONDS)
    return ask()
