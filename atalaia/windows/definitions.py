"""Panes, and windows as runs of panes: by time, or by the rows in them."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

_FAR_MS = 1 << 62


class Window(NamedTuple):
    """Event time from ``start_ms`` up to, not including, ``end_ms``."""

    start_ms: int
    end_ms: int

    def contains(self, time_ms: int) -> bool:
        """Whether a time, or the pane that starts there, lies within."""
        return self.start_ms <= time_ms < self.end_ms


def in_time(window: Window) -> tuple[int, int]:
    """The order windows close in: end, then start."""
    return window.end_ms, window.start_ms


def pane_of(time_ms: int, pane_ms: int) -> int:
    """Start of the pane a time lies in.

    >>> pane_of(125_000, 60_000), pane_of(-1, 60_000)
    (120000, -60000)
    """
    return time_ms // pane_ms * pane_ms


def panes_of(window: Window, pane_ms: int) -> range:
    """Starts of the panes a window is made of, those without rows too.

    >>> list(panes_of(Window(0, 180_000), 60_000))
    [0, 60000, 120000]
    """
    return range(window.start_ms, window.end_ms, pane_ms)


class WindowDefinition(ABC):
    """Which panes make which windows. Windows without a row do not exist."""

    pane_ms: int

    @abstractmethod
    def open_for(self, pane: int, closed: Collection[Window]) -> list[Window]:
        """The windows a pane belongs to, as far as they are known, in time order."""

    @abstractmethod
    def settles_ms(self, pane: int) -> int:
        """Event time from which on, lateness aside, a row for the pane comes too late for every window."""

    @abstractmethod
    def due(
        self, rows: Mapping[int, int], closed: Collection[Window], ripe_ms: int, *, whole: bool = True
    ) -> list[Window]:
        """Windows not yet closed that end by ``ripe_ms``, in time order; ``rows`` are those of each pane.

        Where not only ``whole`` ones are asked for, also those that wait for more rows.
        """


@dataclass(frozen=True, slots=True)
class TimeWindows(WindowDefinition):
    """Windows of ``size_ms`` that start every ``step_ms``, on whole multiples since 1970: a day is a UTC day.

    ::

        size 3, step 1      pane   0   1   2   3   4
                                 [---------)
                                     [---------)
                                         [---------)

    Tumbling where step is size. Both are multiples of the pane.

    >>> TimeWindows(size_ms=120, step_ms=60, pane_ms=60).open_for(60)
    [Window(start_ms=0, end_ms=120), Window(start_ms=60, end_ms=180)]
    """

    size_ms: int
    step_ms: int
    pane_ms: int

    def __post_init__(self) -> None:
        if not 0 < self.pane_ms <= self.step_ms <= self.size_ms:
            raise ValueError(
                f"pane {self.pane_ms} ms, step {self.step_ms} ms, size {self.size_ms} ms: expected "
                "0 < pane <= step <= size"
            )
        if self.step_ms % self.pane_ms or self.size_ms % self.pane_ms:
            raise ValueError(
                f"step {self.step_ms} ms and size {self.size_ms} ms must be multiples of the pane, "
                f"{self.pane_ms} ms"
            )

    def open_for(self, pane: int, closed: Collection[Window] = ()) -> list[Window]:  # noqa: ARG002
        """The windows a pane belongs to, in time order."""
        first = ((pane - self.size_ms) // self.step_ms + 1) * self.step_ms
        return [Window(start, start + self.size_ms) for start in range(first, pane + 1, self.step_ms)]

    def settles_ms(self, pane: int) -> int:
        """End of the last window the pane belongs to."""
        return pane // self.step_ms * self.step_ms + self.size_ms

    def due(
        self,
        rows: Mapping[int, int],
        closed: Collection[Window],
        ripe_ms: int,
        *,
        whole: bool = True,  # noqa: ARG002 -- whatever its rows, a window of time is whole
    ) -> list[Window]:
        """Windows with a row that have ended and are not closed."""
        over = {window for pane in rows for window in self.open_for(pane) if window.end_ms <= ripe_ms}
        return sorted(over.difference(closed), key=in_time)


@dataclass(frozen=True, slots=True)
class LastRows(WindowDefinition):
    """Disjoint runs of whole panes, each as short as holds at least ``count`` rows.

    ::

        count 100    pane   0    1    2    3    4    5
                     rows  60   30   20   90    0   40
                          [------------) [------------)

    A run is decided when its last pane can no longer change, so rows later than that are late.
    """

    count: int
    pane_ms: int

    def __post_init__(self) -> None:
        if self.count < 1 or self.pane_ms < 1:
            raise ValueError(f"{self.count} rows in panes of {self.pane_ms} ms: expected 1 or more of each")

    def open_for(self, pane: int, closed: Collection[Window]) -> list[Window]:
        """The closed run a pane belongs to; the open one is not known before it is full."""
        return [window for window in closed if window.contains(pane)]

    def settles_ms(self, pane: int) -> int:
        """End of the pane."""
        return pane + self.pane_ms

    def due(
        self, rows: Mapping[int, int], closed: Collection[Window], ripe_ms: int, *, whole: bool = True
    ) -> list[Window]:
        """The runs that have filled up since the last one; a run never reaches across one that is closed."""
        taken = sorted(closed)
        runs: list[Window] = []
        start, last, held, gap = None, 0, 0, 0
        for pane in sorted(pane for pane in rows if pane + self.pane_ms <= ripe_ms):
            after = bisect_right(taken, (pane, _FAR_MS))
            if after and taken[after - 1].contains(pane):
                continue
            if start is not None and after != gap:
                if not whole:
                    runs.append(Window(start, last))
                start, held = None, 0
            start = pane if start is None else start
            gap, last = after, pane + self.pane_ms
            held += rows[pane]
            if held >= self.count:
                runs.append(Window(start, last))
                start, held = None, 0
        if start is not None and not whole:
            runs.append(Window(start, last))
        return runs
