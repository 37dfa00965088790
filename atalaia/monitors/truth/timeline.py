"""The windows of one stream of rows: which are told again, and how sure each has become."""

from typing import NamedTuple

import msgspec
import numpy as np

from atalaia.monitors.configuration import Windows
from atalaia.statistics import coverage
from atalaia.windows import LastRows, TimeWindows, Window, WindowBook
from atalaia.windows.book import BookState
from atalaia.windows.definitions import WindowDefinition, in_time
from atalaia.windows.watermark import BoolArray, IntArray

FAR_MS = 1 << 46
"""Beyond every time; what is not known yet is as long ago."""
FINALS = 30
"""So many windows, past their horizon when the one in question ended, say what coverage is usual."""

OPEN, ENDED, REACHED, PASSED = 0, 1, 2, 3
"""How far time has come for a window: not past its end and lateness; past them; the labels' time has also
reached its end; and the horizon after it."""


class Told(msgspec.Struct, array_like=True):
    """A window that has closed, and what it came to when it was last told."""

    start_ms: int
    end_ms: int
    stage: int = OPEN
    revision: int = -1
    rows: int = 0
    labelled: int = 0


class Standing(NamedTuple):
    """How sure a window is: ``mature`` ones are judged, of ``final`` ones no label is expected any more."""

    revision: int
    mature: bool
    final: bool
    usual_coverage: float


class TimelineState(msgspec.Struct, frozen=True, array_like=True):
    """A `Timeline` between two batches."""

    book: BookState
    told: list[Told]


class Timeline:
    """A `WindowBook`, and the standing of its windows.

    Whether a window is mature is a function of the rows and labels so far, not of when it was looked at:
    time must have reached it in both topics, and its coverage .8 of what is usual, by the windows that had
    passed their horizon when it ended. So it does not matter how the log is cut into batches.

    Parameters
    ----------
    windows, horizon_ms, declared_coverage : as set
    """

    def __init__(self, windows: Windows, *, horizon_ms: int, declared_coverage: float | None) -> None:
        self.definition: WindowDefinition
        if windows.last_rows is not None:
            self.definition = LastRows(count=windows.last_rows, pane_ms=windows.pane_ms)
            self.size_ms = windows.pane_ms
        else:
            self.definition = TimeWindows(
                size_ms=windows.window_ms, step_ms=windows.step_ms, pane_ms=windows.pane_ms
            )
            self.size_ms = windows.window_ms
        self.lateness_ms, self.horizon_ms = windows.lateness_ms, horizon_ms
        self.declared_coverage = declared_coverage
        self.book = WindowBook(self.definition, lateness_ms=self.lateness_ms, horizon_ms=horizon_ms)
        self._told: dict[Window, Told] = {}
        self._due: set[Window] = set()
        self._reached: tuple[int, ...] = ()

    @property
    def pane_ms(self) -> int:
        """Length of a pane."""
        return self.definition.pane_ms

    @property
    def settled_ms(self) -> int:
        """How long after its end neither row nor label is expected of a window."""
        return max(self.horizon_ms, self.size_ms + self.lateness_ms)

    def panes(self, times_ms: IntArray) -> list[tuple[int, IntArray]]:
        """The panes of rows (n,), each with the places of its rows."""
        return by_pane(times_ms, self.pane_ms)

    def add(self, times_ms: IntArray, watermark_ms: int | None) -> BoolArray:
        """Take a message's rows; which of them were not late."""
        return self.book.add(times_ms, watermark_ms)

    def close(self, watermark_ms: int | None, *, offset: int) -> None:
        """After a message."""
        self._note(watermark_ms, offset)

    def flush(self, *, offset: int) -> None:
        """Close what is open as it is."""
        self._note(FAR_MS, offset)

    def touch(self, times_ms: IntArray) -> None:
        """What is known of rows of these times has changed."""
        self.book.touch(times_ms, None)

    def advance(self, watermark_ms: int | None, join_ms: int | None) -> None:
        """Time has come so far, that of the observations and that of both topics."""
        if watermark_ms is None:
            return
        known_ms = -FAR_MS if join_ms is None else join_ms
        pane_ms = self.pane_ms
        reached = (
            (watermark_ms - self.lateness_ms) // pane_ms,
            known_ms // pane_ms,
            (known_ms - self.horizon_ms) // pane_ms,
        )
        if reached == self._reached:
            return
        self._reached = reached
        for window, told in self._told.items():
            stage = self._stage(window.end_ms, watermark_ms, known_ms) if told.stage < PASSED else PASSED
            if stage > told.stage:
                told.stage = stage
                self._due.add(window)

    def due(self) -> list[Window]:
        """The windows to tell, in time order, now that a batch is over."""
        self._note(-FAR_MS, 0)
        due = sorted(self._due, key=in_time)
        self._due.clear()
        return due

    def tell(self, window: Window, *, rows: int, labelled: int) -> None:
        """A window comes to so many answered and labelled rows; say so of all that are due first."""
        told = self._told[window]
        told.rows, told.labelled = rows, labelled
        told.revision += 1

    def standing(self, window: Window) -> Standing:
        """How sure a window is that was told."""
        told = self._told[window]
        usual = coverage.usual(self._finals(window.end_ms - self.settled_ms), self.declared_coverage)
        enough = coverage.mature(
            rows=told.rows,
            labelled=told.labelled,
            usual_coverage=usual,
            horizon_passed=told.stage == PASSED,
        )
        return Standing(told.revision, told.stage >= REACHED and enough, told.stage == PASSED, usual)

    def forget(self, watermark_ms: int | None, join_ms: int | None) -> list[int]:
        """Drop, and name, the panes that nothing can change any more."""
        dropped = self.book.forget(watermark_ms, join_time_ms=-FAR_MS if join_ms is None else join_ms)
        if dropped:
            oldest = min(self.book.rows, default=max(window.end_ms for window in self._told))
            passed = sorted(
                (window for window in self._told if window.end_ms <= oldest - self.settled_ms), key=in_time
            )
            for window in passed[:-FINALS]:
                del self._told[window]
        return dropped

    def settled_before(self, watermark_ms: int | None, join_ms: int | None) -> int:
        """Windows that end by then cannot be revised."""
        if watermark_ms is None or join_ms is None:
            return -FAR_MS
        return min(watermark_ms - self.lateness_ms - self.size_ms, join_ms - self.horizon_ms)

    def snapshot(self) -> TimelineState:
        """What `restore` takes."""
        return TimelineState(self.book.snapshot(), list(self._told.values()))

    def restore(self, state: TimelineState) -> None:
        """Go on from where a snapshot was taken."""
        self.book.restore(state.book)
        self._told = {Window(told.start_ms, told.end_ms): told for told in state.told}

    def _note(self, watermark_ms: int | None, offset: int) -> None:
        for closing in self.book.close(watermark_ms, cut=offset, join_time_ms=-FAR_MS):
            self._due.add(closing.window)
            if closing.window not in self._told:
                self._told[closing.window] = Told(*closing.window)
                self._reached = ()

    def _stage(self, end_ms: int, watermark_ms: int, known_ms: int) -> int:
        if watermark_ms < end_ms + self.lateness_ms:
            return OPEN
        if known_ms < end_ms:
            return ENDED
        return PASSED if known_ms >= end_ms + self.horizon_ms else REACHED

    def _finals(self, before_ms: int) -> list[float]:
        shares = [
            told.labelled / told.rows
            for window, told in sorted(self._told.items(), key=lambda item: in_time(item[0]))
            if window.end_ms <= before_ms and told.rows
        ]
        return shares[-FINALS:]


def by_pane(times_ms: IntArray, pane_ms: int) -> list[tuple[int, IntArray]]:
    """Times (n,) by the pane they lie in: its start, and their places."""
    if not len(times_ms):
        return []
    panes = times_ms // pane_ms
    first, last = int(panes.min()), int(panes.max())
    if first == last:
        return [(first * pane_ms, np.arange(len(panes)))]
    order = np.argsort(panes, kind="stable")
    starts, places = np.unique(panes[order], return_index=True)
    parts = np.split(order, places[1:])
    return [(start * pane_ms, part) for start, part in zip(starts.tolist(), parts, strict=True)]
