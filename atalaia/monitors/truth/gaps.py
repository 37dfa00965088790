"""Times from which part of the log had expired before it was read."""

import msgspec

from atalaia.monitors.truth.timeline import FAR_MS
from atalaia.windows import Window

MARGIN_MS = 60_000
MOST = 100


class GapsState(msgspec.Struct, frozen=True, array_like=True):
    """`Gaps` between two batches."""

    closed: list[tuple[int, int]] = []
    open_ms: int | None = None


class Gaps:
    """Event times that lost positions may have been of: from where time stood to where it is found again.

    >>> gaps = Gaps()
    >>> gaps.open(100); gaps.close(200)
    >>> gaps.touch(Window(50, 90)), gaps.touch(Window(50, 150))
    (False, True)
    """

    def __init__(self) -> None:
        self._closed: list[Window] = []
        self._open_ms: int | None = None

    def open(self, start_ms: int | None) -> None:
        """Positions are lost that may be of times from here on; None of any."""
        start_ms = -FAR_MS if start_ms is None else start_ms
        self._open_ms = start_ms if self._open_ms is None else min(start_ms, self._open_ms)

    def close(self, end_ms: int) -> None:
        """The first message after them has brought time so far."""
        if self._open_ms is not None:
            self._closed = [*self._closed, Window(self._open_ms, end_ms + MARGIN_MS)][-MOST:]
            self._open_ms = None

    def touch(self, window: Window) -> bool:
        """Whether a window may lack rows or labels."""
        return any(gap.start_ms < window.end_ms and window.start_ms <= gap.end_ms for gap in self._closed)

    def forget(self, before_ms: int) -> None:
        """No window begins earlier any more."""
        self._closed = [gap for gap in self._closed if gap.end_ms > before_ms]

    def snapshot(self) -> GapsState:
        """What `restore` takes."""
        return GapsState([(gap.start_ms, gap.end_ms) for gap in self._closed], self._open_ms)

    def restore(self, state: GapsState) -> None:
        """Go on from where a snapshot was taken."""
        self._closed = [Window(*gap) for gap in state.closed]
        self._open_ms = state.open_ms
