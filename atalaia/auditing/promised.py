"""Windows that must have been told by a position of the log: none may be missing, or lack its last rows."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from atalaia.auditing.observed import Chunk, Lateness
from atalaia.auditing.published import Place, Published, Stream
from atalaia.windows import LastRows, WindowBook

_FAR_MS = 1 << 46


class Untold(NamedTuple):
    """A window of which the topic lacks what it came to with the message at ``position``."""

    place: Place
    position: int


class Promises:
    """What a monitor must have told of one model's windows.

    Where time begins anew, what was closed before may be revised or begun anew, as long as the monitor
    remembers; of such windows nothing is asked.

    Parameters
    ----------
    reached : by monitor, the position all before which it has told
    """

    def __init__(self, reached: Mapping[str, int]) -> None:
        self._reached = reached
        self._books: dict[tuple[Stream, str], tuple[Lateness, WindowBook]] = {}
        self._latest_ms: dict[tuple[Stream, str], int] = {}
        self._unsure: set[tuple[Stream, str]] = set()
        self._closed: dict[Place, bool] = {}
        self._told_at: dict[Place, int] = {}
        self._touched: dict[tuple[Stream, str], set[int]] = {}

    def add(self, stream: Stream, chunk: Chunk, lateness: Mapping[str, Lateness]) -> None:
        """Rows of a message, at the watermark before it."""
        for monitor, kept in chunk.kept.items():
            rule = lateness.get(monitor)
            if rule is None or monitor not in self._reached or not kept.any():
                continue
            key = stream, monitor
            if key in self._unsure:
                continue
            if key not in self._books or self._books[key][0] != rule:
                self._books[key] = rule, WindowBook(rule.definition, lateness_ms=rule.lateness_ms)
            times = chunk.times_ms[kept]
            self._books[key][1].add(times, chunk.watermark_ms)
            self._latest_ms[key] = max(int(times.max()), self._latest_ms.get(key, int(times.max())))
            panes = np.unique(times // rule.definition.pane_ms * rule.definition.pane_ms).tolist()
            self._touched.setdefault(key, set()).update(panes)

    def pass_time(self, watermark_ms: int | None, offset: int, *, ended: bool) -> None:
        """The end of a message; all that is open is told where a replay ``ended`` with it."""
        for (stream, monitor), (rule, book) in list(self._books.items()):
            touched = self._touched.pop((stream, monitor), set())
            unused = self._is_unused((stream, monitor), rule, watermark_ms)
            if ended or unused:
                closings = book.flush(watermark_ms, cut=offset, join_time_ms=-_FAR_MS)
            else:
                closings = book.close(watermark_ms, cut=offset, join_time_ms=-_FAR_MS)
            for closing in closings:
                place = Place(monitor, stream, closing.window)
                first = place not in self._closed
                revised = any(closing.window.contains(pane) for pane in touched) and self._closed.get(place)
                if first or revised:
                    self._closed[place] = True
                    self._note(place, offset)
            book.forget(watermark_ms)
            if unused:
                del self._books[stream, monitor], self._latest_ms[stream, monitor]

    def begin_anew(self, watermark_ms: int | None, offset: int) -> None:
        """A replay begins with a message: what is open is told as it is, what follows is of other rows."""
        self.pass_time(watermark_ms, offset, ended=True)
        self._books.clear()
        self._latest_ms.clear()
        self._unsure.clear()
        self._closed.clear()
        self._touched.clear()

    def restart(self) -> None:
        """Time, or settings, begin anew: of what is open now the monitor may have told the last.

        Where runs of rows begin depends on what it still has of those before, which is not asked.
        """
        by_rows = (key for key, (rule, _) in self._books.items() if isinstance(rule.definition, LastRows))
        self._unsure.update(by_rows)
        self._closed = dict.fromkeys(self._closed, False)
        self._books.clear()
        self._latest_ms.clear()
        self._touched.clear()

    def untold(self, latest: Mapping[Place, Published], *, since_ms: int | None) -> Iterator[Untold]:
        """What is missing of the latest results, of windows that start at a time or later."""
        for place, position in self._told_at.items():
            if since_ms is not None and place.window.start_ms < since_ms:
                continue
            published = latest.get(place)
            if published is None or published.result.cut.observations <= position:
                yield Untold(place, position)

    def _is_unused(self, key: tuple[Stream, str], rule: Lateness, watermark_ms: int | None) -> bool:
        if rule.unused_ms is None or watermark_ms is None:
            return False
        return watermark_ms - self._latest_ms[key] > rule.unused_ms

    def _note(self, place: Place, offset: int) -> None:
        if offset < self._reached[place.monitor]:
            self._told_at[place] = offset


def reached(results: Mapping[str, list[tuple[int, int, int]]]) -> dict[str, tuple[int, int]]:
    """By service, the positions of observations and labels all before which its results are on the topic.

    Results of one batch have one cut, and are published after those of the batch before: so of the newest
    history, the last cut but one.

    >>> reached({"drift": [(0, 5, -1), (0, 9, -1), (0, 9, -1)], "fairness": [(0, 5, 2)]})
    {'drift': (5, -1)}
    """
    answer = {}
    for service, cuts in results.items():
        generation = max(cuts)[0]
        newest = sorted({(observations, labels) for made, observations, labels in cuts if made == generation})
        if len(newest) > 1:
            answer[service] = newest[-2]
    return answer
