"""SIGTERM and SIGINT, handled alike by the commands that have something to end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def interrupted_by(handle: Callable[[], None]) -> Iterator[None]:
    """Call ``handle`` at either signal, in the main thread, wherever that is.

    SIGINT too is asked for: a process that a shell began in the background is born ignoring it.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        handle()

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
