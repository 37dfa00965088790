"""Which windows are open, closed, revised, and which panes are still needed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from atalaia.windows.definitions import Window, WindowDefinition, in_time
from atalaia.windows.watermark import BoolArray, IntArray

_FAR_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Closing:
    """A window to publish, as of the message at ``cut``.

    ``revision`` is 0 when a window first closes and grows with every message that changes it thereafter;
    ``mature`` says that no label can change it any more, ``provisional`` that it was closed by `flush` and
    event time has not passed it yet.
    """

    window: Window
    revision: int
    cut: int
    first: bool
    mature: bool
    provisional: bool = False


class ClosedWindow(msgspec.Struct, frozen=True, array_like=True):
    """A window that was closed and may still be revised."""

    start_ms: int
    end_ms: int
    revision: int
    mature: bool
    provisional: bool = False


class BookState(msgspec.Struct, frozen=True):
    """A `WindowBook` between two messages, as it is stored with the fence."""

    rows: dict[int, int]
    closed: list[ClosedWindow]
    late_rows: int
    label_too_late: int


class WindowBook:
    """The panes and windows of one stream of rows: one model, version and role.

    ::

        pane 1, windows of 3, lateness 1, horizon 4

        event time   0    1    2    3    4    5    6    7
        window       [--------------)
                     rows are taken      |
                                    closed              |
                                    labels revise it    mature, then forgotten

    A window closes when the watermark reaches its end and the lateness beyond: once, in time order. A row
    is late when every window over its pane is past that; then it is counted and not added. A row that an
    overlapping, younger window still takes revises the closed ones over the same pane; so does a label,
    until the horizon after its pane. Each message that changes a closed window makes one revision. What
    `flush` closes before its time is revised by any row, and once more when event time passes it.

    Times are those of the messages: the watermark of the observations, and for labels the join's time,
    min(watermark, mark of time of the labels).

    Parameters
    ----------
    definition : which panes make which windows
    lateness_ms : how long after its end a window waits for rows
    horizon_ms : how long after its pane a label may come; 0 where labels do not matter
    history_ms : how long after their windows' end panes are kept beyond that, to be compared with
    """

    def __init__(
        self, definition: WindowDefinition, *, lateness_ms: int, horizon_ms: int = 0, history_ms: int = 0
    ) -> None:
        self.definition = definition
        self.lateness_ms = lateness_ms
        self.horizon_ms = horizon_ms
        self.history_ms = history_ms
        self.late_rows = 0
        self.label_too_late = 0
        self.rows: dict[int, int] = {}
        self._revisions: dict[Window, int] = {}
        self._mature: set[Window] = set()
        self._provisional: set[Window] = set()
        self._changed: set[Window] = set()
        # The panes that event time, and the labels' horizon, had reached when they were last looked at.
        self._due_pane: int | None = None
        self._mature_pane: int | None = None

    def late_for(self, pane: int, watermark_ms: int | None) -> bool:
        """Whether a row of the pane comes too late for every window."""
        return (
            watermark_ms is not None and self.definition.settles_ms(pane) + self.lateness_ms <= watermark_ms
        )

    def is_closed(self, pane: int) -> bool:
        """Whether the pane lies in a window that has closed."""
        return any(window in self._revisions for window in self.definition.open_for(pane, self._revisions))

    def add(self, times_ms: IntArray, watermark_ms: int | None) -> BoolArray:
        """Take a message's rows ``(n,)``, at the watermark before it; which of them were not late."""
        starts, places, counts = _by_pane(times_ms, self.definition.pane_ms)
        kept = np.array([not self.late_for(pane, watermark_ms) for pane in starts], np.bool_)
        for pane, taken, count in zip(starts, kept.tolist(), counts.tolist(), strict=True):
            if taken:
                if pane not in self.rows:
                    self._due_pane = None
                self.rows[pane] = self.rows.get(pane, 0) + count
                self._change(pane)
            else:
                self.late_rows += count
        answer: BoolArray = kept[places]
        return answer

    def touch(self, times_ms: IntArray, join_time_ms: int | None) -> BoolArray:
        """Labels came for rows of these times ``(n,)``; which of them within the horizon of their pane."""
        pane_ms = self.definition.pane_ms
        panes = times_ms // pane_ms * pane_ms
        if join_time_ms is None:
            timely = np.ones(len(panes), np.bool_)
        else:
            timely = panes + (pane_ms + self.horizon_ms) > join_time_ms
        self.label_too_late += len(panes) - int(np.count_nonzero(timely))
        for pane in np.unique(panes[timely]).tolist():
            self._change(pane)
        return timely

    def close(self, watermark_ms: int | None, *, cut: int, join_time_ms: int | None = None) -> list[Closing]:
        """What a message changed: windows that closed with it, were revised by it, or became mature.

        Parameters
        ----------
        watermark_ms : event time after the message
        cut : the message's position
        join_time_ms : the time labels are compared with, where it is not the watermark
        """
        due: list[Window] = []
        if watermark_ms is not None:
            ripe_ms = watermark_ms - self.lateness_ms
            due = self._due(ripe_ms)
            passed = {window for window in self._provisional if window.end_ms <= ripe_ms}
            if passed:
                self._provisional -= passed
                self._changed |= passed
                self._mature_pane = None
        return self._close(due, cut, watermark_ms if join_time_ms is None else join_time_ms)

    def flush(self, watermark_ms: int | None, *, cut: int, join_time_ms: int | None = None) -> list[Closing]:
        """As `close`, and every window that is still open too: no more rows are expected for now.

        Windows that event time has not passed are provisional until it does. Of the last n rows, a run ends
        before it is full.
        """
        due = self.definition.due(self.rows, self._revisions.keys(), _FAR_MS, whole=False)
        passed_ms = None if watermark_ms is None else watermark_ms - self.lateness_ms
        early = {window for window in due if passed_ms is None or window.end_ms > passed_ms}
        told = self.close(watermark_ms, cut=cut, join_time_ms=join_time_ms)
        self._provisional |= early
        self._due_pane = None
        join_ms = watermark_ms if join_time_ms is None else join_time_ms
        return told + self._close(sorted(early, key=in_time), cut, join_ms)

    def forget(
        self, watermark_ms: int | None, *, join_time_ms: int | None = None, since_ms: int | None = None
    ) -> list[int]:
        """Drop, and name, the panes that no row, label or comparison can need any more.

        Those from ``since_ms`` on are kept.
        """
        if watermark_ms is None:
            return []
        join_ms = watermark_ms if join_time_ms is None else join_time_ms
        dropped = []
        for pane in sorted(self.rows):
            if since_ms is not None and pane >= since_ms:
                break
            windows = self.definition.open_for(pane, self._revisions.keys())
            if not windows or not all(self._frozen(window, watermark_ms, join_ms) for window in windows):
                break
            if windows[-1].end_ms + self.history_ms > watermark_ms:
                break
            dropped.append(pane)
        if dropped:
            for pane in dropped:
                del self.rows[pane]
            oldest = min(self.rows, default=None)
            for window in list(self._revisions):
                if (oldest is None or window.end_ms <= oldest) and self._frozen(
                    window, watermark_ms, join_ms
                ):
                    del self._revisions[window]
                    self._mature.discard(window)
                    self._provisional.discard(window)
        return dropped

    def snapshot(self) -> BookState:
        """What `restore` takes.

        Raises
        ------
        ValueError
            in the middle of a message, before its `close`.
        """
        if self._changed:
            raise ValueError("a snapshot is taken between messages: call close() first")
        closed = [
            ClosedWindow(*window, revision, window in self._mature, window in self._provisional)
            for window, revision in self._revisions.items()
        ]
        return BookState(dict(self.rows), closed, self.late_rows, self.label_too_late)

    def restore(self, state: BookState) -> None:
        """Go on from where a snapshot was taken."""
        self.rows = dict(state.rows)
        self.late_rows, self.label_too_late = state.late_rows, state.label_too_late
        windows = {Window(entry.start_ms, entry.end_ms): entry for entry in state.closed}
        self._revisions = {window: entry.revision for window, entry in windows.items()}
        self._mature = {window for window, entry in windows.items() if entry.mature}
        self._provisional = {window for window, entry in windows.items() if entry.provisional}
        self._changed = set()
        self._due_pane = self._mature_pane = None

    def _close(self, due: list[Window], cut: int, join_ms: int | None) -> list[Closing]:
        for window in due:
            self._revisions[window] = -1
        matured = [] if join_ms is None else self._matured(due, join_ms - self.horizon_ms)
        self._mature.update(matured)
        told = self._changed.union(due, matured)
        self._changed.clear()
        return [self._publish(window, cut) for window in sorted(told, key=in_time)]

    def _change(self, pane: int) -> None:
        if self._revisions:
            windows = self.definition.open_for(pane, self._revisions.keys())
            self._changed.update(window for window in windows if window in self._revisions)

    def _due(self, ripe_ms: int) -> list[Window]:
        """Ends lie on panes: without a new pane, nothing falls due before event time reaches another."""
        pane = ripe_ms // self.definition.pane_ms
        if pane == self._due_pane:
            return []
        self._due_pane = pane
        return self.definition.due(self.rows, self._revisions.keys(), ripe_ms)

    def _matured(self, due: list[Window], ripe_ms: int) -> list[Window]:
        pane = ripe_ms // self.definition.pane_ms
        candidates = due if pane == self._mature_pane else self._revisions.keys() - self._mature
        self._mature_pane = pane
        return [
            window for window in candidates if window.end_ms <= ripe_ms and window not in self._provisional
        ]

    def _frozen(self, window: Window, watermark_ms: int, join_ms: int) -> bool:
        """Whether neither a row nor a label can change a closed window any more."""
        last_pane = window.end_ms - self.definition.pane_ms
        return (
            window in self._revisions
            and self.definition.settles_ms(last_pane) + self.lateness_ms <= watermark_ms
            and window.end_ms + self.horizon_ms <= join_ms
        )

    def _publish(self, window: Window, cut: int) -> Closing:
        revision = self._revisions[window] = self._revisions[window] + 1
        mature, provisional = window in self._mature, window in self._provisional
        return Closing(window, revision, cut, revision == 0, mature, provisional)


def _by_pane(times_ms: IntArray, pane_ms: int) -> tuple[list[int], IntArray, IntArray]:
    """The panes of times (n,), the place of each row's among them, and how many rows each has."""
    panes = times_ms // pane_ms * pane_ms
    if len(panes) and (panes == panes[0]).all():
        return [int(panes[0])], np.zeros(len(panes), np.int64), np.array([len(panes)])
    starts, places, counts = np.unique(panes, return_inverse=True, return_counts=True)
    return starts.tolist(), places.reshape(-1), counts


def coalesce(closings: Iterable[Closing]) -> list[Closing]:
    """The last word on each window of a step, in time order; ``first`` where the step closed it."""
    latest: dict[Window, Closing] = {}
    for closing in closings:
        earlier = latest.get(closing.window)
        first = closing.first or (earlier is not None and earlier.first)
        latest[closing.window] = replace(closing, first=first)
    return sorted(latest.values(), key=lambda closing: in_time(closing.window))
