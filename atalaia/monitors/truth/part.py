"""What performance and fairness have in common: windows that are told, revised, and judged once mature."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from atalaia.alerts import AlertEvent, AlertFold
from atalaia.monitors.configuration import Windows
from atalaia.monitors.truth.gaps import Gaps
from atalaia.monitors.truth.held import PaneCounts
from atalaia.monitors.truth.timeline import FAR_MS, Standing, Timeline
from atalaia.monitors.truth.told import Relabelled, Rows, Telling, Watch
from atalaia.results import Cut, Result
from atalaia.statistics.bins import IntArray
from atalaia.windows import Window

ResultT = TypeVar("ResultT", bound=Result)


class Part(ABC, Generic[ResultT]):
    """Counts rows and labels of one stream by pane, and says what windows come to.

    Parameters
    ----------
    watch : the stream
    windows : as set
    panes : where its counts are held
    """

    def __init__(self, watch: Watch, windows: Windows, panes: PaneCounts) -> None:
        self.watch = watch
        labels = watch.settings.labels
        self.timeline = Timeline(windows, horizon_ms=labels.horizon_ms, declared_coverage=labels.coverage)
        self.panes = panes
        self.folds: dict[str, AlertFold] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing can change any more and no alert is pending or fires."""
        return not self.timeline.book.rows and not any(fold.current() for fold in self.folds.values())

    @abstractmethod
    def arrive(self, rows: Rows) -> None:
        """Rows whose labels are unknown yet."""

    @abstractmethod
    def relabel(self, changed: Relabelled) -> None:
        """Labels came, or others in their place."""

    def change(self, watch: Watch) -> None:
        """Other thresholds from now on."""
        self.watch = watch
        self.timeline.declared_coverage = watch.settings.labels.coverage

    def tell(self, *, cut: Cut, gaps: Gaps) -> Telling:
        """The windows that the batch has changed.

        First of all of them what they come to: what coverage is usual for one hangs on others.
        """
        states: dict[Window, IntArray] = {}
        for window in self.timeline.due():
            counts = self.panes.over(window)
            if counts is not None:
                states[window] = counts
                rows, labelled = self._labelled(counts)
                self.timeline.tell(window, rows=rows, labelled=labelled)
        answer = Telling([], [])
        for window, counts in states.items():
            standing = self.timeline.standing(window)
            result = self._result(window, counts, standing, cut, incomplete=gaps.touch(window))
            answer.results.append(result)
            answer.events.extend(self._judge(window, result, standing))
        return answer

    def settle(self, watermark_ms: int | None, join_ms: int | None) -> list[int]:
        """Forget what nothing can change any more; the panes that were dropped."""
        before_ms = self.timeline.settled_before(watermark_ms, join_ms)
        if before_ms > -FAR_MS:
            for fold in self.folds.values():
                fold.settle(before_ms)
        dropped = self.timeline.forget(watermark_ms, join_ms)
        self.panes.drop(dropped)
        return dropped

    @abstractmethod
    def _labelled(self, counts: IntArray) -> tuple[int, int]:
        """Answered rows, and those of them that are labelled."""

    @abstractmethod
    def _result(
        self, window: Window, counts: IntArray, standing: Standing, cut: Cut, *, incomplete: bool
    ) -> ResultT:
        """What a window comes to."""

    @abstractmethod
    def _judge(self, window: Window, result: ResultT, standing: Standing) -> list[AlertEvent]:
        """What follows for alerts; a window that is not mature may have been before."""
