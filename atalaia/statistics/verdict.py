"""From the tests of a window to hits, and from hits in disjoint windows to drift that lasts.

A hit is significant after correction across the columns *and* large enough; drift is hits that persist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from atalaia.statistics.bins import FloatArray
from atalaia.statistics.comparison import TestResult
from atalaia.statistics.drift import Measured


@dataclass(frozen=True, slots=True)
class Rules:
    """When a window is a hit, when hits are drift, and when drift has passed; chosen by simulation.

    ``q`` bounds the false discovery rate among the deciding tests of a window; ``effect`` is the least
    difference that is a hit, D or total variation, ``ratio`` the least multiple of a rate. Drift fires when
    ``hits`` of the last ``among`` windows are hits, the latest among them, and resolves after
    ``quiet_windows`` in a row without a hit whose difference is below ``quiet_effect`` (and ``quiet_ratio``)
    or has p above ``quiet_p``. A window judges with ``minimum_rows`` or more over ``minimum_seconds`` or
    more, of which a test needs ``minimum_values``, against ``minimum_reference_rows`` or more.
    """

    q: float = 0.01
    effect: float = 0.08
    ratio: float = 1.5
    hits: int = 2
    among: int = 3
    quiet_effect: float = 0.06
    quiet_ratio: float = 4 / 3
    quiet_p: float = 0.05
    quiet_windows: int = 3
    minimum_rows: int = 500
    minimum_seconds: float = 3600
    minimum_values: int = 100
    minimum_reference_rows: int = 1000
    most_merged: int = 24


DEFAULT = Rules()


@dataclass(frozen=True, slots=True)
class Finding:
    """One test of one column in one window; ``p_adjusted`` where it is in the family that was corrected."""

    column: str
    test: str
    result: TestResult
    p_adjusted: float | None
    hit: bool


class Outcome(Enum):
    """What a window says of a column."""

    HIT = "hit"
    QUIET = "quiet"
    BETWEEN = "between"
    SILENT = "silent"
    """No verdict: it neither confirms nor ends anything."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings of a window, and what they come to for each column; ``why`` there is no verdict."""

    findings: tuple[Finding, ...]
    outcomes: Mapping[str, Outcome]
    why: str | None = None


def benjamini_hochberg(p_values: FloatArray) -> FloatArray:
    """Adjusted p-values (k,): those at most q are the discoveries at a false discovery rate of q.

    p_adj(i) = min over j >= i of k p(j) / j, of the p-values in rising order.

    Source: Benjamini, Hochberg (1995), Controlling the false discovery rate; as
    ``scipy.stats.false_discovery_control``.

    >>> benjamini_hochberg(np.array([0.04, 0.01, 0.03])).tolist()
    [0.04, 0.03, 0.04]
    """
    k = len(p_values)
    falling = np.argsort(-p_values, kind="stable")
    scaled = p_values[falling] * k / np.arange(k, 0, -1)
    adjusted = np.empty(k)
    adjusted[falling] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return adjusted


def judge(measured: Sequence[Measured], *, rows: int, reference_rows: int, rules: Rules = DEFAULT) -> Verdict:
    """The verdict on one window of ``rows`` rows, of all tests of all columns.

    The family is that of the deciding tests with a p-value and enough values: constant and too small columns
    leave it. Below the minimum of rows, in the window or in the reference, everything is published and
    nothing judged.

    >>> found = TestResult(statistic=0.3, p_value=1e-9, effect=0.3, n=500)
    >>> verdict = judge([Measured("sodium", "ks", True, found)], rows=500, reference_rows=2000)
    >>> verdict.outcomes["sodium"].value, verdict.findings[0].p_adjusted
    ('hit', 1e-09)
    """
    why = None
    if reference_rows < rules.minimum_reference_rows:
        why = f"the reference has {reference_rows} rows, a verdict needs {rules.minimum_reference_rows}"
    elif rows < rules.minimum_rows:
        why = f"not enough data: {rows} rows, a verdict needs {rules.minimum_rows}"
    adjusted: dict[int, float] = {}
    if why is None:
        family = [place for place, one in enumerate(measured) if _testable(one, rules)]
        p_values = np.array([measured[place].result.p_value for place in family], np.float64)
        adjusted = dict(zip(family, benjamini_hochberg(p_values).tolist(), strict=True))
    findings = tuple(
        Finding(
            one.column,
            one.test,
            one.result,
            adjusted.get(place),
            _hit(one.result, adjusted.get(place), rules),
        )
        for place, one in enumerate(measured)
    )
    outcomes: dict[str, Outcome] = {}
    for finding in findings:
        said = _outcome(finding, rules)
        outcomes[finding.column] = _stronger(outcomes.get(finding.column, Outcome.SILENT), said)
    return Verdict(findings, outcomes, why)


@dataclass(frozen=True, slots=True)
class ColumnState:
    """What the disjoint windows so far say of a column: the state of the fold.

    ``recent`` holds whether each of the latest windows with a verdict was a hit, and its start; ``since`` is
    the start of the first hit that made it fire, until it has resolved.
    """

    recent: tuple[tuple[int, bool], ...] = ()
    quiet: int = 0
    drifted: bool = False
    since: int | None = None


def fold(state: ColumnState, outcome: Outcome, start: int, rules: Rules = DEFAULT) -> ColumnState:
    """The state after one more disjoint window, which starts at ``start`` (any unit, rising).

    Fold from the first window again when a window is revised: the state is a function of the outcomes alone.

    >>> state = ColumnState()
    >>> for start, outcome in enumerate([Outcome.HIT, Outcome.QUIET, Outcome.HIT]):
    ...     state = fold(state, outcome, start)
    >>> state.drifted, state.since
    (True, 0)
    >>> for start in (3, 4, 5):
    ...     state = fold(state, Outcome.QUIET, start)
    >>> state.drifted
    False
    """
    if outcome is Outcome.SILENT:
        return state
    recent = (*state.recent, (start, outcome is Outcome.HIT))[-rules.among :]
    quiet = state.quiet + 1 if outcome is Outcome.QUIET else 0
    state = replace(state, recent=recent, quiet=quiet)
    hits = [at for at, hit in recent if hit]
    if not state.drifted and outcome is Outcome.HIT and len(hits) >= rules.hits:
        return replace(state, drifted=True, since=hits[0])
    if state.drifted and quiet >= rules.quiet_windows:
        # The windows that fired it are behind; one new hit among old ones must not fire it again.
        return replace(state, recent=(), drifted=False, since=None)
    return state


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive windows judged as one: their places, bounds and rows; ``enough`` to judge."""

    first: int
    last: int
    start_ms: int
    end_ms: int
    rows: int
    enough: bool


def merge_small(windows: Sequence[tuple[int, int, int]], rules: Rules = DEFAULT) -> list[Run]:
    """Disjoint windows (start_ms, end_ms, rows), rising, as runs long and large enough to judge.

    A window too short or too small waits for the next; 24, or as many as make 24 hours, that together are
    still too small are a run that does not judge. Windows at the end that still wait are not in the answer.

    >>> hour = 3_600_000
    >>> sizes = [600, 300, 250, 100]
    >>> runs = merge_small([(i * hour, (i + 1) * hour, rows) for i, rows in enumerate(sizes)])
    >>> [(run.first, run.last, run.rows, run.enough) for run in runs]
    [(0, 0, 600, True), (1, 2, 550, True)]
    """
    runs = []
    first, rows = 0, 0
    for place, (_, end_ms, more) in enumerate(windows):
        rows += more
        start_ms = windows[first][0]
        length = (end_ms - start_ms) / (rules.minimum_seconds * 1000)
        enough = rows >= rules.minimum_rows and length >= 1
        if enough or min(length, place - first + 1) >= rules.most_merged:
            runs.append(Run(first, place, start_ms, end_ms, rows, enough))
            first, rows = place + 1, 0
    return runs


def large(result: TestResult, effect: float, ratio: float) -> bool:
    """Whether a difference is at least ``effect``, or a rate changed by a factor of ``ratio`` or more."""
    if result.effect is not None and result.effect >= effect:
        return True
    return result.ratio is not None and (result.ratio >= ratio or result.ratio <= 1 / ratio)


def _testable(one: Measured, rules: Rules) -> bool:
    return one.decides and one.result.p_value is not None and one.result.n >= rules.minimum_values


def _hit(result: TestResult, p_adjusted: float | None, rules: Rules) -> bool:
    return p_adjusted is not None and p_adjusted <= rules.q and large(result, rules.effect, rules.ratio)


def _outcome(finding: Finding, rules: Rules) -> Outcome:
    result = finding.result
    if finding.p_adjusted is None or result.p_value is None:
        return Outcome.SILENT
    if finding.hit:
        return Outcome.HIT
    # D < max(.06, D at p = .05) is D < .06 or p > .05.
    small = not large(result, rules.quiet_effect, rules.quiet_ratio)
    return Outcome.QUIET if small or result.p_value > rules.quiet_p else Outcome.BETWEEN


_STRENGTH = {Outcome.SILENT: 0, Outcome.QUIET: 1, Outcome.BETWEEN: 2, Outcome.HIT: 3}


def _stronger(one: Outcome, other: Outcome) -> Outcome:
    return max(one, other, key=_STRENGTH.__getitem__)
