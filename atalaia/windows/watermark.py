"""How far event time has come: the least of what the source partitions have shown."""

from collections.abc import Iterable

import msgspec
import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class WatermarkState(msgspec.Struct, frozen=True):
    """A `Watermark` as it is stored with the fence."""

    time_ms: int | None
    partitions: dict[int, int]
    ahead_rows: int


class Watermark:
    """The least, over source partitions, of the latest event time each has shown.

    ::

        partition 0   rows at 10:00, 10:07                    -> 10:07
        partition 1   a row at 10:02, then "at the end" 10:05 -> 10:05
                                                    watermark =  10:05

    A partition once seen is never left out: one that fell silent holds event time back until a mark says
    that it is at its end, and a mark counts as a row of that time. No clock is read, so the backlog behind
    a dead scorer is not late. One first seen behind the others holds event time where it is; nothing turns
    it back.

    Rows whose event time lies more than the tolerance beyond the time they were recorded at are counted in
    ``ahead_rows`` and belong to no window: they would hold panes open, or close windows, that no other row
    has come near.

    Parameters
    ----------
    tolerance_ms : how far event time may be ahead of record time
    expected : source partitions without which there is no watermark yet

    >>> mark = Watermark(tolerance_ms=1000)
    >>> mark.advance(0, 700); mark.advance(1, 900); mark.advance(0, 100)
    >>> mark.time_ms
    700
    """

    def __init__(self, *, tolerance_ms: int, expected: Iterable[int] = ()) -> None:
        self.tolerance_ms = tolerance_ms
        self.time_ms: int | None = None
        self.ahead_rows = 0
        self._expected = frozenset(expected)
        self._partitions: dict[int, int] = {}

    def plausible(self, times_ms: IntArray, record_time_ms: int | IntArray) -> BoolArray:
        """Which rows ``(n,)`` may be believed; the others are counted as ahead of their time."""
        believed: BoolArray = times_ms <= record_time_ms + self.tolerance_ms
        self.ahead_rows += len(times_ms) - int(np.count_nonzero(believed))
        return believed

    def advance(self, partition: int, time_ms: int) -> None:
        """A source partition has shown ``time_ms``: its latest believed row, or a mark "at the end"."""
        self._partitions[partition] = max(time_ms, self._partitions.get(partition, time_ms))
        if self._expected <= self._partitions.keys():
            least = min(self._partitions.values())
            self.time_ms = least if self.time_ms is None else max(self.time_ms, least)

    def snapshot(self) -> WatermarkState:
        """What `restore` takes."""
        return WatermarkState(self.time_ms, dict(self._partitions), self.ahead_rows)

    def restore(self, state: WatermarkState) -> None:
        """Go on from where a snapshot was taken."""
        self.time_ms, self._partitions, self.ahead_rows = (
            state.time_ms,
            dict(state.partitions),
            state.ahead_rows,
        )
