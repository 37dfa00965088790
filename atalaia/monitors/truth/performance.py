"""Performance of one stream of rows, window by window."""

from dataclasses import asdict
from typing import Any

import msgspec
import numpy as np

from atalaia.alerts import AlertEvent, Finding, Rule, TrackState
from atalaia.monitors.configuration import DetectorSettings
from atalaia.monitors.truth.counting import ClassifierCounting, RegressorCounting, count_delays
from atalaia.monitors.truth.errors import ErrorWatch
from atalaia.monitors.truth.held import PaneCounts
from atalaia.monitors.truth.labeldrift import LabelDrift
from atalaia.monitors.truth.part import Part
from atalaia.monitors.truth.scoring import ClassifierScoring, RegressorScoring, Scoring
from atalaia.monitors.truth.timeline import Standing, TimelineState
from atalaia.monitors.truth.told import Relabelled, Rows, Watch
from atalaia.results import Cut, PerformanceResult
from atalaia.statistics import coverage
from atalaia.statistics.bins import IntArray
from atalaia.windows import Window

FEWEST_OF_USUAL = 0.5
"""An alert on coverage below this share of what is usual, where no minimum is set."""
AT_ONCE = Rule(hits=1, of=1, clear=1)


class PerformanceState(msgspec.Struct, frozen=True, array_like=True):
    """A `Performance` between two batches, its panes aside."""

    timeline: TimelineState
    tracks: dict[str, dict[str, TrackState]]
    errors: bytes


class Performance(Part[PerformanceResult]):
    """Counts rows and labels by pane, tells windows and judges them once they are mature.

    Parameters
    ----------
    watch : the stream
    prefix : of the names its panes are stored under
    probabilities : whether rows have those of all classes
    """

    def __init__(self, watch: Watch, *, prefix: bytes, probabilities: bool) -> None:
        settings = watch.settings.performance
        super().__init__(watch, settings, PaneCounts(prefix + b"p/"))
        self.counting: ClassifierCounting | RegressorCounting
        self.scoring: Scoring
        if watch.manifest.task == "regression":
            self.counting = RegressorCounting(watch.reference)
            self.scoring = RegressorScoring(watch)
        else:
            self.counting = ClassifierCounting(watch.manifest, probabilities=probabilities)
            self.scoring = ClassifierScoring(watch, self.counting.statistic)
        self._label_drift = LabelDrift(watch, self.counting.label_tests(watch.reference))
        self.errors = ErrorWatch(
            _detectors(settings.detectors, watch.manifest.task),
            prefix=prefix + b"e/",
            binary=watch.manifest.task != "regression",
            timeline=self.timeline,
        )
        self.folds = {
            "performance": watch.fold("performance", _rule(settings)),
            "coverage": watch.fold("coverage", AT_ONCE),
            "drift": watch.fold("drift", _rule(watch.settings.drift)),
            "error": watch.fold("drift", AT_ONCE),
        }

    def change(self, watch: Watch) -> None:
        """Other thresholds from now on."""
        super().change(watch)
        self.scoring.watch = self._label_drift.watch = watch
        self.folds["performance"].rule = _rule(watch.settings.performance)
        self.folds["drift"].rule = _rule(watch.settings.drift)

    def arrive(self, rows: Rows) -> None:
        """Rows whose labels are unknown yet."""
        for pane, places in self.timeline.panes(rows.times_ms):
            some = rows.rows[places]
            truth = np.full(len(some), self.counting.unknown)
            counts = self.counting.count(some, truth, rows.abstained[places])
            self.panes.add(pane, np.concatenate([counts, np.zeros(coverage.DELAY_LENGTH, np.int64)]))

    def relabel(self, changed: Relabelled) -> None:
        """Labels came, or others in their place."""
        for pane, places in self.timeline.panes(changed.times_ms):
            if pane in self.panes:
                self.panes.add(pane, self._difference(changed.take(places)))
        self.timeline.touch(changed.times_ms)
        if self.errors:
            self.errors.record(changed, self.scoring.errors(changed.rows, changed.truth))

    def settle(self, watermark_ms: int | None, join_ms: int | None) -> list[int]:
        """Forget what nothing can change any more; the panes that were dropped."""
        dropped = super().settle(watermark_ms, join_ms)
        self.errors.forget(dropped)
        return dropped

    def snapshot(self) -> PerformanceState:
        """What `restore` takes, the panes aside."""
        tracks = {name: fold.snapshot() for name, fold in self.folds.items()}
        return PerformanceState(self.timeline.snapshot(), tracks, self.errors.snapshot())

    def restore(self, state: PerformanceState, panes: dict[bytes, bytes]) -> None:
        """Go on from where a snapshot was taken."""
        self.timeline.restore(state.timeline)
        for name, tracks in state.tracks.items():
            self.folds[name].restore(tracks)
        self.panes.restore(panes)
        self.errors.restore(state.errors, panes)

    def _difference(self, changed: Relabelled) -> IntArray:
        before = np.where(changed.had, changed.before, self.counting.unknown)
        counts = self.counting.count(changed.rows, changed.truth, None)
        counts = counts - self.counting.count(changed.rows, before, None)
        had = changed.had
        delays = count_delays(changed.label_ms, changed.times_ms)
        if had.any():
            delays = delays - count_delays(changed.label_ms_before[had], changed.times_ms[had])
        return np.concatenate([counts, delays])

    def _labelled(self, counts: IntArray) -> tuple[int, int]:
        rows, labelled, _ = self.counting.labelled(self._parts(counts)[0])
        return rows, labelled

    def _parts(self, counts: IntArray) -> tuple[IntArray, IntArray]:
        return counts[: self.counting.length], counts[self.counting.length :]

    def _result(
        self, window: Window, counts: IntArray, standing: Standing, cut: Cut, *, incomplete: bool
    ) -> PerformanceResult:
        state, delays = self._parts(counts)
        rows, labelled, abstained = self.counting.labelled(state)
        scored = self.scoring.score(state, judged=standing.mature)
        labels = self.counting.labels(state)
        drift = self._label_drift.columns(labels) if standing.mature and labels is not None else []
        header = self.watch.header(
            window, revision=standing.revision, mature=standing.mature, cut=cut, incomplete=incomplete
        )
        return PerformanceResult(
            **header,
            n=rows,
            labelled=labelled,
            metrics=scored.metrics,
            reference=self.scoring.reference_metrics,
            abstained=abstained,
            coverage=coverage.share(rows, labelled),
            coverage_by_class=scored.coverage_by_class,
            delay=coverage.delays(delays),
            confusion_matrix=scored.confusion_matrix,
            classes=list(self.watch.manifest.classes),
            biased=scored.biased,
            weighted=scored.weighted,
            judgements=[asdict(one) for one in scored.judgements],
            drift=drift,
            detectors=self.errors.within(window),
            why=scored.why,
        )

    def _judge(self, window: Window, result: PerformanceResult, standing: Standing) -> list[AlertEvent]:
        findings: dict[str, list[Finding]] = {name: [] for name in self.folds}
        if standing.mature:
            findings["performance"] = self.scoring.findings(result)
            findings["drift"] = self._label_drift.findings(result.drift)
        if standing.final:
            findings["coverage"] = self._coverage(result, standing)
            findings["error"] = self.errors.findings(result.detectors, self.watch)
        return [event for name, fold in self.folds.items() for event in fold.judge(window, findings[name])]

    def _coverage(self, result: PerformanceResult, standing: Standing) -> list[Finding]:
        settings = self.watch.settings.performance
        if result.coverage is None or result.n < settings.minimum_labelled_rows:
            return []
        least = settings.minimum_coverage
        if least is None:
            least = FEWEST_OF_USUAL * standing.usual_coverage
        evidence: dict[str, Any] = {
            "coverage": result.coverage,
            "least": least,
            "usual": standing.usual_coverage,
            "n": result.n,
        }
        return [Finding(self.watch.subject("labels"), hit=result.coverage < least, evidence=evidence)]


def _rule(settings: Any) -> Rule:
    return Rule(hits=settings.hits, of=settings.among, clear=settings.quiet_windows)


def _detectors(settings: tuple[DetectorSettings, ...], task: str) -> list[DetectorSettings]:
    """Those of the error; one that takes 0 and 1 gives way to ADWIN where errors are numbers."""
    chosen = [entry for entry in settings if entry.column == "error"]
    if task != "regression":
        return chosen
    return [
        msgspec.structs.replace(entry, detector="adwin", parameters={}) if _takes_errors(entry) else entry
        for entry in chosen
    ]


def _takes_errors(entry: DetectorSettings) -> bool:
    return entry.detector in ("ddm", "eddm", "hddm_a", "hddm_w")
