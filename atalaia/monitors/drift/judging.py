"""What the counts of a window or a run say: tests, verdict, and where hits are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from atalaia.alerts import rfc3339
from atalaia.monitors.columns import WatchedColumn, WatchedColumns
from atalaia.monitors.verdicts import Hit, Judgement, Standing
from atalaia.results import DriftColumn, Range, ResultWindow
from atalaia.statistics.bins import IntArray
from atalaia.statistics.drift import Measured
from atalaia.statistics.localisation import Change, localise, since
from atalaia.statistics.missing import Missing
from atalaia.statistics.verdict import Finding, Rules, Verdict, judge
from atalaia.windows import Window


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts of a window or a run of windows, of so many rows, and what all tests say of them."""

    rows: int
    counts: IntArray
    measured: Sequence[Measured]

    def verdict(self, reference_rows: int, rules: Rules) -> Verdict:
        """What that comes to, were it judged alone."""
        return judge(self.measured, rows=self.rows, reference_rows=reference_rows, rules=rules)


def judgement_of(
    columns: WatchedColumns, counted: Counted, verdict: Verdict, around: Iterable[tuple[int, IntArray]]
) -> Judgement:
    """The verdict on a run, with hits localised over the panes ``around``, by start, in order of time."""
    found = [finding for finding in verdict.findings if finding.hit]
    panes = list(around) if found else []
    hits = [_hit(columns, finding, counted.counts, panes) for finding in found]
    outcomes = {column: outcome.value for column, outcome in verdict.outcomes.items()}
    return Judgement(outcomes, hits, verdict.why)


def columns_against_reference(
    columns: WatchedColumns, counted: Counted, verdict: Verdict, standing: Standing
) -> list[DriftColumn]:
    """All tests of a window; a hit is one of the run that it ends."""
    run = standing.run
    hits = {} if run is None else {(hit.column, hit.test): hit for hit in run.judgement.hits}
    return [
        _told(
            finding,
            decides=one.decides,
            hit=hits.get((one.column, one.test)),
            drifted=one.column in standing.drifted,
            undecided=columns.column(one.column).undecided,
        )
        for one, finding in zip(counted.measured, verdict.findings, strict=True)
    ]


def columns_against_earlier(measured: Sequence[Measured], earlier: Window) -> list[DriftColumn]:
    """All tests of a window against an earlier one; they decide nothing."""
    window = ResultWindow(rfc3339(earlier.start_ms), rfc3339(earlier.end_ms))
    return [
        DriftColumn(
            column=one.column,
            test=one.test,
            statistic=number(one.result.statistic),
            p_value=number(one.result.p_value),
            p_adjusted=None,
            effect=number(one.result.effect),
            n=one.result.n,
            hit=False,
            drifted=False,
            decides=False,
            ratio=number(one.result.ratio),
            why=one.result.why,
            earlier=window,
        )
        for one in measured
    ]


def number(value: float | None) -> float | None:
    """A number as records hold it; None where it is undefined."""
    return None if value is None or not np.isfinite(value) else float(value)


def _told(
    finding: Finding, *, decides: bool, hit: Hit | None, drifted: bool, undecided: str | None
) -> DriftColumn:
    result = finding.result
    return DriftColumn(
        column=finding.column,
        test=finding.test,
        statistic=number(result.statistic),
        p_value=number(result.p_value),
        p_adjusted=number(finding.p_adjusted),
        effect=number(result.effect),
        n=result.n,
        hit=hit is not None,
        drifted=drifted,
        decides=decides,
        ratio=number(result.ratio),
        why=result.why or undecided,
        since=None if hit is None or hit.since_ms is None else rfc3339(hit.since_ms),
        grew=None if hit is None else hit.grew,
        shrank=None if hit is None else hit.shrank,
    )


def _hit(
    columns: WatchedColumns, finding: Finding, counts: IntArray, panes: Sequence[tuple[int, IntArray]]
) -> Hit:
    column, result = columns.column(finding.column), finding.result
    since_ms, grew, shrank = None, None, None
    if finding.test != Missing.name:
        own = _own_bins(columns, column)
        changes = localise(column.tests.bins, counts[own])
        if changes is not None:
            grew, shrank = _range(changes[0]), _range(changes[1])
            most = max(changes, key=lambda change: abs(change.difference))
            since_ms = panes[since([vector[own] for _, vector in panes], most)][0]
    return Hit(
        column=finding.column,
        test=finding.test,
        statistic=number(result.statistic),
        effect=number(result.effect),
        p_adjusted=number(finding.p_adjusted),
        n=result.n,
        ratio=number(result.ratio),
        since_ms=since_ms,
        grew=grew,
        shrank=shrank,
    )


def _own_bins(columns: WatchedColumns, column: WatchedColumn) -> slice:
    """Where the bins of the column itself lie, which are the first of its part."""
    first = columns.parts[column.name].start
    return slice(first, first + len(column.tests.bins.expected))


def _range(change: Change) -> Range:
    return Range(change.share, change.reference_share, change.low, change.high, change.category)
