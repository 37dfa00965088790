"""The panes a stream holds: which there are, their rows and their counts."""

from collections.abc import Iterable, Iterator

from atalaia.monitors.counted import CountedPanes
from atalaia.statistics.bins import IntArray
from atalaia.windows import Window, WindowBook, panes_of


class StreamPanes:
    """The panes of a stream, as its book and its counts know them."""

    def __init__(self, book: WindowBook, counted: CountedPanes) -> None:
        self._book, self._counted = book, counted

    def within(self, window: Window) -> list[int]:
        """The panes of a window that hold rows, in order of time."""
        rows, pane_ms = self._book.rows, self._book.definition.pane_ms
        if (window.end_ms - window.start_ms) // pane_ms <= len(rows):
            return [pane for pane in panes_of(window, pane_ms) if pane in rows]
        return sorted(pane for pane in rows if window.contains(pane))

    def rows(self, window: Window) -> int:
        """How many rows a window holds."""
        return sum(self._book.rows[pane] for pane in self.within(window))

    def total(self, windows: Iterable[Window]) -> IntArray:
        """The counts of some windows together."""
        return self._counted.total(pane for window in windows for pane in self.within(window))

    def each(self, window: Window) -> Iterator[tuple[int, IntArray]]:
        """The counts of each pane of a window, in order of time."""
        for pane in self.within(window):
            counts = self._counted.read(pane)
            if counts is not None:
                yield pane, counts
