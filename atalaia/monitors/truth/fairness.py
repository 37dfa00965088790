"""Fairness of one stream of rows, window by window."""

from typing import Any

import msgspec
import numpy as np

from atalaia.alerts import AlertEvent, Finding, Rule, TrackState
from atalaia.monitors.configuration import FairnessSettings
from atalaia.monitors.truth.cells import Cells
from atalaia.monitors.truth.grouping import ErrorGrouping, FlagGrouping, Grouping
from atalaia.monitors.truth.held import PaneCounts
from atalaia.monitors.truth.layout import attributes_of
from atalaia.monitors.truth.part import Part
from atalaia.monitors.truth.timeline import Standing, TimelineState
from atalaia.monitors.truth.told import Relabelled, Rows, Watch
from atalaia.results import Cut, FairnessGap, FairnessGroup, FairnessResult
from atalaia.statistics.bins import IntArray
from atalaia.statistics.gaps import Gap
from atalaia.statistics.group_rates import Group
from atalaia.windows import Window


class FairnessState(msgspec.Struct, frozen=True, array_like=True):
    """A `Fairness` between two batches, its panes aside."""

    timeline: TimelineState
    tracks: dict[str, TrackState]


class Fairness(Part[FairnessResult]):
    """Counts rows and labels by group and pane, tells windows and judges them once they are mature.

    Parameters
    ----------
    watch : the stream
    cells : the combinations of attributes its rows name
    prefix : of the names its panes are stored under
    """

    def __init__(self, watch: Watch, cells: Cells, *, prefix: bytes) -> None:
        self.cells = cells
        self.grouping = _grouping(watch)
        settings = watch.settings.fairness
        super().__init__(watch, settings, PaneCounts(prefix + b"f/", width=self.grouping.width))
        self.folds["fairness"] = watch.fold("fairness", _rule(settings))

    def change(self, watch: Watch) -> None:
        """Other thresholds from now on."""
        super().change(watch)
        self.grouping = _grouping(watch)
        self.folds["fairness"].rule = _rule(watch.settings.fairness)

    def arrive(self, rows: Rows) -> None:
        """Rows whose labels are unknown yet."""
        truth = np.full(len(rows.rows), self.grouping.unknown)
        cells = rows.rows["cell"].astype(np.int64)
        for pane, places in self.timeline.panes(rows.times_ms):
            counts = self.grouping.count(
                rows.rows[places], truth[places], cells[places], rows.abstained[places]
            )
            self.panes.add(pane, counts)

    def relabel(self, changed: Relabelled) -> None:
        """Labels came, or others in their place; they may say who a row is of, too."""
        for pane, places in self.timeline.panes(changed.times_ms):
            if pane in self.panes:
                some = changed.take(places)
                before = np.where(some.had, some.before, self.grouping.unknown)
                self.panes.add(pane, self.grouping.count(some.rows, some.truth, some.cell, None))
                self.panes.add(pane, -self.grouping.count(some.rows, before, some.cell_before, None))
        self.timeline.touch(changed.times_ms)

    def snapshot(self) -> FairnessState:
        """What `restore` takes, the panes aside."""
        return FairnessState(self.timeline.snapshot(), self.folds["fairness"].snapshot())

    def restore(self, state: FairnessState, panes: dict[bytes, bytes]) -> None:
        """Go on from where a snapshot was taken."""
        self.timeline.restore(state.timeline)
        self.folds["fairness"].restore(state.tracks)
        self.panes.restore(panes)

    def _labelled(self, counts: IntArray) -> tuple[int, int]:
        return self.grouping.labelled(counts)

    def _result(
        self, window: Window, counts: IntArray, standing: Standing, cut: Cut, *, incomplete: bool
    ) -> FairnessResult:
        grouped = self.grouping.result(counts, self.cells.keys)
        gaps = [_gap(gap, judged=standing.mature) for gap in grouped.gaps]
        rows, labelled = self.grouping.labelled(counts)
        header = self.watch.header(
            window, revision=standing.revision, mature=standing.mature, cut=cut, incomplete=incomplete
        )
        return FairnessResult(
            **header,
            n=rows,
            labelled=labelled,
            groups=[_group(group) for group in grouped.groups],
            gaps=gaps,
            errors=grouped.errors,
            why=grouped.why or (None if standing.mature else "not mature: labels are still expected"),
        )

    def _judge(self, window: Window, result: FairnessResult, standing: Standing) -> list[AlertEvent]:
        return self.folds["fairness"].judge(window, _findings(self.watch, result) if standing.mature else [])


def _group(group: Group) -> FairnessGroup:
    fields = {name: getattr(group, name) for name in FairnessGroup.__struct_fields__}
    return FairnessGroup(**{**fields, "biased": list(group.biased)})


def _gap(gap: Gap, *, judged: bool) -> FairnessGap:
    """As it was found; before a window is mature it is not judged."""
    fields = {name: getattr(gap, name) for name in FairnessGap.__struct_fields__}
    verdict = {"judged": gap.judged and judged, "hit": gap.hit and judged}
    return FairnessGap(**{**fields, **verdict, "between": list(gap.between)})


def _grouping(watch: Watch) -> Grouping:
    manifest, settings = watch.manifest, watch.settings
    attributes = attributes_of(manifest, settings)
    favourable = _favourable(watch)
    if favourable is None:
        return ErrorGrouping(attributes, depth=settings.fairness.depth, classes=bool(manifest.classes))
    return FlagGrouping(attributes, settings.fairness, favourable=favourable, task=manifest.task)


def _favourable(watch: Watch) -> float | None:
    """The favourable class as its place, or the least favourable value; None where none is declared."""
    declared, manifest = watch.settings.fairness.favourable, watch.manifest
    if manifest.task == "regression":
        return float(declared) if isinstance(declared, int | float) else None
    chosen = manifest.positive_class if declared is None else declared
    if chosen is None or chosen not in manifest.classes:
        return None
    return float(manifest.classes.index(chosen))


def _findings(watch: Watch, result: FairnessResult) -> list[Finding]:
    """One of each metric and attribute that could be judged, with the gap that says most."""
    gaps: dict[tuple[str, str], list[FairnessGap]] = {}
    for gap in result.gaps:
        if gap.judged:
            gaps.setdefault((gap.metric, gap.attribute), []).append(gap)
    answer = []
    for (metric, attribute), judged in gaps.items():
        # Of the widest gap and the surest one, the surest is the last.
        surest = next((gap for gap in judged if gap.hit), judged[-1])
        evidence: dict[str, Any] = {
            "value": surest.value,
            "low": surest.low,
            "high": surest.high,
            "level": surest.level,
            "between": surest.between,
            "n": result.n,
            "labelled": result.labelled,
        }
        subject = watch.subject(f"{metric} by {attribute}")
        answer.append(Finding(subject, hit=surest.hit, evidence=evidence))
    return answer


def _rule(settings: FairnessSettings) -> Rule:
    return Rule(hits=settings.hits, of=settings.among, clear=settings.quiet_windows)
