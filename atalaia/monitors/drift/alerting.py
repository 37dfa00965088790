"""The alerts of a stream: that columns have drifted, and what its detectors found."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from atalaia.alerts import AlertEvent, AlertFold, Finding, Rule, TrackState, rfc3339
from atalaia.monitors.drift.plan import Plan
from atalaia.monitors.feeding import Found
from atalaia.monitors.verdicts import Hit, JudgedWindows
from atalaia.windows import Window


class AlertsState(msgspec.Struct, frozen=True, array_like=True):
    """`StreamAlerts` between two batches."""

    columns: dict[str, TrackState]
    detectors: dict[str, TrackState]


class StreamAlerts:
    """One alert for all columns, judged by runs of windows, and one for each detector that may alert.

    The one of the columns fires when the first of them has drifted and ends when none has any more; it is
    pending while windows are hit.
    """

    def __init__(self, plan: Plan) -> None:
        key, rule = plan.key, _rule(plan)
        self._plan = plan
        self._columns = AlertFold(model=key.model, version=key.version, monitor="drift", rule=rule)
        self._detectors = AlertFold(model=key.model, version=key.version, monitor="drift", rule=rule)

    def replan(self, plan: Plan) -> None:
        """Other thresholds hold from now on."""
        self._plan = plan
        self._columns.rule = self._detectors.rule = _rule(plan)

    def tell(
        self,
        runs: Mapping[Window, JudgedWindows | None],
        drifted: Mapping[Window, Mapping[str, int]],
        windows: Sequence[Window],
        found: Sequence[Found],
    ) -> list[AlertEvent]:
        """What follows from runs as they were judged, None for those that are none any more.

        ``drifted`` are the columns by the end of each run and since when; ``windows`` have closed, with what
        detectors have ``found``.
        """
        columns = {
            window: [] if run is None or run.judgement.why else [self._finding(run, drifted[window])]
            for window, run in runs.items()
        }
        detectors = {
            window: [
                self._detected(window, place, found)
                for place, detector in enumerate(self._plan.detectors)
                if detector.alerts
            ]
            for window in windows
        }
        return self._columns.judge_all(columns) + self._detectors.judge_all(detectors)

    def restart(self) -> None:
        """Begin anew at any window; what readers believe stands until the next one."""
        self._columns.restart()
        self._detectors.restart()

    def lapse(self) -> list[AlertEvent]:
        """Begin anew at any window; what stood until now is over."""
        return self._columns.lapse() + self._detectors.lapse()

    def settle(self, before_ms: int) -> None:
        """Windows that end by then cannot change any more."""
        self._columns.settle(before_ms)
        self._detectors.settle(before_ms)

    def end(self) -> list[AlertEvent]:
        """No window will come any more."""
        return self._columns.end() + self._detectors.end()

    def snapshot(self) -> AlertsState:
        """What `restore` takes."""
        return AlertsState(self._columns.snapshot(), self._detectors.snapshot())

    def restore(self, state: AlertsState) -> None:
        """Go on from where a snapshot was taken."""
        self._columns.restore(state.columns)
        self._detectors.restore(state.detectors)

    def _finding(self, run: JudgedWindows, drifted: Mapping[str, int]) -> Finding:
        return Finding(
            self._plan.key.subject,
            hit=bool(run.judgement.hits),
            evidence={
                "n": run.n,
                "columns": [_evidence(hit) for hit in run.judgement.hits],
                "drifted": sorted(drifted),
            },
            clear=not drifted,
            fires=bool(drifted),
            since_ms=min(drifted.values(), default=None),
        )

    def _detected(self, window: Window, place: int, found: Sequence[Found]) -> Finding:
        within = [one for one in found if one.place == place and window.contains(one.at_ms)]
        changes = [{"at": rfc3339(one.at_ms), "since": rfc3339(one.since_ms)} for one in within]
        return Finding(
            self._plan.key.subject_of(self._plan.detectors[place]),
            hit=bool(within),
            evidence={"changes": changes},
            fires=bool(within),
            since_ms=min((one.since_ms for one in within), default=None),
        )


def _rule(plan: Plan) -> Rule:
    return Rule(hits=plan.drift.hits, of=plan.drift.among, clear=1)


def _evidence(hit: Hit) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(hit)
    since_ms = told.pop("since_ms", None)
    return told if since_ms is None else {**told, "since": rfc3339(since_ms)}
