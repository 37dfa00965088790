"""What is told of the windows of a stream: results, and alerts where drift lasts."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from atalaia.alerts import rfc3339
from atalaia.monitors.drift.alerting import AlertsState, StreamAlerts
from atalaia.monitors.drift.held import StreamPanes
from atalaia.monitors.drift.judging import (
    Counted,
    columns_against_earlier,
    columns_against_reference,
    judgement_of,
)
from atalaia.monitors.drift.plan import Plan
from atalaia.monitors.feeding import Found
from atalaia.monitors.publications import publish_event, publish_result
from atalaia.monitors.units import Publication
from atalaia.monitors.verdicts import (
    FoldState,
    JudgedWindows,
    Judgement,
    Standing,
    VerdictFold,
    columns_of,
)
from atalaia.results import Cut, DetectorResult, DriftColumn, DriftResult, JudgedRun, ResultWindow
from atalaia.statistics.verdict import Verdict
from atalaia.topics import DRIFT
from atalaia.windows import Window
from atalaia.windows.definitions import in_time


class Closed(NamedTuple):
    """What is known of a window when it closes, or is revised, with a message."""

    provisional: bool
    incomplete: bool
    late_rows: int
    ahead_rows: int


class Told(msgspec.Struct, frozen=True, array_like=True):
    """A window that was told and may be told again; ``standing`` is a digest of how it stood."""

    start_ms: int
    end_ms: int
    closed: Closed
    revision: int
    standing: str

    @property
    def window(self) -> Window:
        """Its event time."""
        return Window(self.start_ms, self.end_ms)


class TellingState(msgspec.Struct, frozen=True, array_like=True):
    """A `Telling` between two batches; ``former`` are revisions of windows as they were watched before."""

    told: list[Told]
    former: list[tuple[int, int, int]]
    fold: FoldState
    alerts: AlertsState


class Telling:
    """The results and alerts of one stream.

    Parameters
    ----------
    plan : how it is watched
    panes : its counts
    found : what its detectors have found
    """

    def __init__(self, plan: Plan, panes: StreamPanes, found: Callable[[], Sequence[Found]]) -> None:
        self._panes, self._found = panes, found
        self._told: dict[Window, Told] = {}
        self._former: dict[Window, int] = {}
        self.fold = VerdictFold(plan.drift)
        self._alerts = StreamAlerts(plan)
        self.plan = plan
        self._counted: dict[Window, Counted] = {}

    def replan(self, plan: Plan) -> None:
        """Other thresholds hold from now on."""
        self.plan = plan
        self.fold.set_rules(plan.drift)
        self._alerts.replan(plan)

    def follow(self, former: "Telling") -> None:
        """Take the place of a stream that was watched differently: revisions count on, alerts stand."""
        state = former.snapshot()
        self._former = {Window(*entry[:2]): entry[2] for entry in state.former}
        self._former |= {told.window: told.revision for told in state.told}
        self._alerts.restore(state.alerts)
        self._alerts.restart()

    def lapse(self) -> list[Publication]:
        """What alerts said so far is over, as a replay begins."""
        return [publish_event(event) for event in self._alerts.lapse()]

    def tell(self, closed: Mapping[Window, Closed], cut: Cut) -> list[Publication]:
        """What to publish of windows that closed or changed since the last time, and what follows of it."""
        self._counted.clear()
        final = [window for window, one in closed.items() if not one.provisional and self.plan.judges(window)]
        for window in final:
            self._put(window)
        runs = self.fold.judge(self._judge)
        publications = []
        for window in self._affected(closed, runs):
            standing = self.fold.standing(window)
            told = self._tell_again(window, closed.get(window), _mark(standing))
            if told is not None:
                self._told[window] = told
                publications.append(publish_result(DRIFT, self._result(told, standing, cut)))
        drifted = {window: self.fold.standing(window).drifted for window in runs}
        events = self._alerts.tell(runs, drifted, final, self._found())
        self._counted.clear()
        return publications + [publish_event(event) for event in events]

    def settle(self, frozen: Callable[[Window], bool]) -> None:
        """Forget what no row can change any more."""
        self.fold.settle(frozen)
        settled_ms = self.fold.settled_ms
        if settled_ms is None:
            return
        self._alerts.settle(settled_ms)
        gone = [window for window in self._told if window.end_ms <= settled_ms and frozen(window)]
        for window in gone:
            del self._told[window]
        self._former = {window: told for window, told in self._former.items() if window.end_ms > settled_ms}

    def end(self) -> list[Publication]:
        """Nothing will come any more."""
        return [publish_event(event) for event in self._alerts.end()]

    def snapshot(self) -> TellingState:
        """What `restore` takes."""
        former = [(*window, revision) for window, revision in self._former.items()]
        return TellingState(list(self._told.values()), former, self.fold.snapshot(), self._alerts.snapshot())

    def restore(self, state: TellingState) -> None:
        """Go on from where a snapshot was taken."""
        self._told = {told.window: told for told in state.told}
        self._former = {Window(*entry[:2]): entry[2] for entry in state.former}
        self.fold.restore(state.fold)
        self._alerts.restore(state.alerts)

    def _put(self, window: Window) -> None:
        settled_ms = self.fold.settled_ms
        if settled_ms is not None and window.start_ms < settled_ms:
            # Another replay tells of times that were judged for good: its windows are judged from here on.
            self.fold.restart()
            self._alerts.restart()
        self.fold.put(window, self._panes.rows(window))

    def _affected(
        self, closed: Mapping[Window, Closed], runs: Mapping[Window, JudgedWindows | None]
    ) -> list[Window]:
        affected = set(closed)
        if runs:
            first_ms = min(run.start_ms for run in runs)
            affected.update(window for window in self._told if window.end_ms > first_ms)
        return sorted(affected, key=in_time)

    def _tell_again(self, window: Window, closed: Closed | None, mark: str) -> Told | None:
        """A window as it is told now; None where that is as it was."""
        former = self._told.get(window)
        revision = self._former.pop(window, -1) + 1 if former is None else former.revision + 1
        if closed is not None:
            return Told(*window, closed, revision, mark)
        if former is None or former.standing == mark:
            return None
        return Told(*window, former.closed, revision, mark)

    def _judge(self, windows: Sequence[Window], rows: int) -> Judgement:
        plan, counted = self.plan, self._count(windows, rows)
        begin_ms = windows[0].start_ms - plan.drift.among * plan.size_ms
        around = self._panes.each(Window(begin_ms, windows[-1].end_ms))
        return judgement_of(plan.columns, counted, self._verdict(counted), around)

    def _verdict(self, counted: Counted) -> Verdict:
        return counted.verdict(self.plan.reference_rows, self.fold.rules)

    def _count(self, windows: Sequence[Window], rows: int) -> Counted:
        span = Window(windows[0].start_ms, windows[-1].end_ms)
        if span not in self._counted:
            counts = self._panes.total(windows)
            self._counted[span] = Counted(rows, counts, self.plan.columns.measure(counts))
        return self._counted[span]

    def _result(self, told: Told, standing: Standing, cut: Cut) -> DriftResult:
        plan, key, window = self.plan, self.plan.key, told.window
        counted = self._count([window], self._panes.rows(window))
        verdict = self._verdict(counted)
        run = standing.run
        return DriftResult(
            model=key.model,
            version=key.version,
            role=key.role,
            window=_named(window),
            revision=told.revision,
            provisional=told.closed.provisional,
            cut=cut,
            bundle=plan.watched.digest,
            configuration=plan.settings.digest,
            incomplete=told.closed.incomplete,
            n=counted.rows,
            drifted=bool(standing.drifted),
            columns=columns_against_reference(plan.columns, counted, verdict, standing),
            # Before event time has passed, the earlier window may change too, and would not tell this one.
            against_earlier=[] if told.closed.provisional else self._against_earlier(window, counted),
            detectors=self._detected(window),
            judged=None if run is None else _judged(run),
            why=self._why(told, verdict.why) if run is None else run.judgement.why,
            late_rows=told.closed.late_rows,
            ahead_rows=told.closed.ahead_rows,
        )

    def _why(self, told: Told, own: str | None) -> str:
        if told.closed.provisional:
            return "provisional: event time has not passed its end"
        if not self.plan.judges(told.window):
            return "it overlaps the windows that are judged"
        return own or "judged together with the windows that follow"

    def _against_earlier(self, window: Window, counted: Counted) -> list[DriftColumn]:
        columns: list[DriftColumn] = []
        for before_ms in self.plan.earlier_ms:
            earlier = Window(window.start_ms - before_ms, window.end_ms - before_ms)
            if self._panes.within(earlier):
                measured = self.plan.columns.compare(counted.counts, self._panes.total([earlier]))
                columns += columns_against_earlier(measured, earlier)
        return columns

    def _detected(self, window: Window) -> list[DetectorResult]:
        return [
            DetectorResult(
                detector=self.plan.detectors[found.place].detector,
                column=self.plan.detectors[found.place].column,
                at=rfc3339(found.at_ms),
                since=rfc3339(found.since_ms),
                rows=found.rows,
            )
            for found in sorted(self._found(), key=lambda found: (found.at_ms, found.place, found.rows))
            if window.contains(found.at_ms)
        ]


def _named(window: Window) -> ResultWindow:
    return ResultWindow(rfc3339(window.start_ms), rfc3339(window.end_ms))


def _judged(run: JudgedWindows) -> JudgedRun:
    return JudgedRun(
        window=_named(run.window),
        n=run.n,
        hits=columns_of(run.judgement.hits),
        why=run.judgement.why,
    )


def _mark(standing: Standing) -> str:
    return hashlib.sha256(msgspec.json.encode(standing.content)).hexdigest()[:16]
