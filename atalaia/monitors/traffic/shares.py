"""Tumbling windows of counts: how many rows there were, and how many of them of one kind."""

from typing import NamedTuple

import msgspec
import numpy as np

from atalaia.windows import Window, pane_of
from atalaia.windows.watermark import IntArray

MOST_OPEN = 2_000
"""Windows open at once; a week of the usual ones. Rows that would open another are counted as late."""


class Tally(NamedTuple):
    """Rows of a window, those of them that count, and the greatest measure of any."""

    rows: int
    counted: int
    greatest: int


class SharesState(msgspec.Struct, frozen=True, array_like=True):
    """`ShareWindows` between two messages."""

    window_ms: int
    lateness_ms: int
    open: dict[int, tuple[int, int, int]] = {}
    late_rows: int = 0


class ShareWindows:
    """Counts by window, until its end and the lateness beyond have passed.

    >>> windows = ShareWindows(window_ms=10, lateness_ms=2)
    >>> ones = np.ones(3, np.int64)
    >>> windows.add(np.array([1, 9, 12]), rows=ones, counted=np.array([1, 0, 0]), time_ms=None)
    >>> windows.close(11), windows.close(12)
    ([], [(Window(start_ms=0, end_ms=10), Tally(rows=2, counted=1, greatest=0))])
    """

    def __init__(self, *, window_ms: int, lateness_ms: int) -> None:
        self.window_ms = window_ms
        self.lateness_ms = lateness_ms
        self.late_rows = 0
        self._open: dict[int, Tally] = {}

    @property
    def empty(self) -> bool:
        """Whether no window is open."""
        return not self._open

    def add(
        self,
        times_ms: IntArray,
        *,
        rows: IntArray,
        counted: IntArray,
        time_ms: int | None,
        greatest: int = 0,
    ) -> None:
        """Take entries ``(n,)`` of ``rows`` rows each, at the time reached before them.

        Parameters
        ----------
        counted : how many of each entry's rows count
        greatest : a measure of the entries together
        """
        starts, places = np.unique(times_ms // self.window_ms * self.window_ms, return_inverse=True)
        sums = np.zeros((len(starts), 2), np.int64)
        np.add.at(sums, places.reshape(-1), np.column_stack([rows, counted]))
        for start, (more, of_them) in zip(starts.tolist(), sums.tolist(), strict=True):
            before = self._open.get(start)
            if before is None:
                if self._is_late(start, time_ms) or len(self._open) >= MOST_OPEN:
                    self.late_rows += more
                    continue
                before = Tally(0, 0, 0)
            most = max(before.greatest, greatest)
            self._open[start] = Tally(before.rows + more, before.counted + of_them, most)

    def close(self, time_ms: int | None) -> list[tuple[Window, Tally]]:
        """The windows that a time ends, in order; they are forgotten."""
        if time_ms is None or not self._open:
            return []
        over = sorted(start for start in self._open if self._is_late(start, time_ms))
        return [(Window(start, start + self.window_ms), self._open.pop(start)) for start in over]

    def current(self, time_ms: int) -> int:
        """Start of the window that waits for no more rows last, at a time."""
        return pane_of(time_ms - self.lateness_ms, self.window_ms)

    def snapshot(self) -> SharesState:
        """What `restored` takes."""
        return SharesState(self.window_ms, self.lateness_ms, dict(self._open), self.late_rows)

    @classmethod
    def restored(cls, state: SharesState) -> "ShareWindows":
        """Windows that go on from where a snapshot was taken."""
        windows = cls(window_ms=state.window_ms, lateness_ms=state.lateness_ms)
        windows._open = {start: Tally(*tally) for start, tally in state.open.items()}
        windows.late_rows = state.late_rows
        return windows

    def _is_late(self, start: int, time_ms: int | None) -> bool:
        return time_ms is not None and start + self.window_ms + self.lateness_ms <= time_ms
