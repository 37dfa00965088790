"""Hits, the fold over disjoint windows, and which windows judge."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from atalaia.statistics.comparison import TestResult
from atalaia.statistics.drift import Measured
from atalaia.statistics.verdict import (
    ColumnState,
    Outcome,
    Rules,
    benjamini_hochberg,
    fold,
    judge,
    merge_small,
)

H, Q, B, S = Outcome.HIT, Outcome.QUIET, Outcome.BETWEEN, Outcome.SILENT
HOUR = 3_600_000


def _measured(
    column: str,
    p_value: float | None,
    effect: float,
    *,
    n: int = 500,
    ratio: float | None = None,
    decides: bool = True,
) -> Measured:
    return Measured(column, "ks", decides, TestResult(effect, p_value, effect, n, ratio))


@pytest.mark.parametrize("seed", range(20))
def test_adjusted_p_values_are_those_of_scipy(seed: int) -> None:
    p_values = np.random.default_rng(seed).random(seed + 1).round(1 + seed % 3)
    assert benjamini_hochberg(p_values) == pytest.approx(false_discovery_control(p_values), rel=1e-12)


def test_nothing_to_correct_is_no_error() -> None:
    assert len(benjamini_hochberg(np.empty(0))) == 0


def test_a_hit_is_significant_and_large() -> None:
    verdict = judge(
        [_measured("a", 1e-9, 0.09), _measured("b", 1e-9, 0.07), _measured("c", 0.2, 0.09)],
        rows=500,
        reference_rows=1000,
    )
    assert [finding.hit for finding in verdict.findings] == [True, False, False]
    assert verdict.outcomes == {"a": H, "b": B, "c": Q}
    assert verdict.why is None


def test_a_rate_that_changed_by_half_is_large() -> None:
    def hit(ratio: float) -> bool:
        return judge([_measured("a", 1e-9, 0.01, ratio=ratio)], rows=500, reference_rows=1000).findings[0].hit

    assert [hit(ratio) for ratio in (1.49, 1.5, 0.67, 2 / 3, 0.0)] == [False, True, False, True, True]


def test_the_family_is_what_could_decide() -> None:
    verdict = judge(
        [
            _measured("a", 0.004, 0.2),
            _measured("constant", None, 0.0),
            _measured("few values", 1e-9, 0.9, n=99),
            _measured("published", 1e-9, 0.9, decides=False),
        ],
        rows=500,
        reference_rows=1000,
    )
    assert [finding.p_adjusted for finding in verdict.findings] == [0.004, None, None, None]
    assert verdict.outcomes == {"a": H, "constant": S, "few values": S, "published": S}


def test_more_columns_ask_for_smaller_p_values() -> None:
    columns = [_measured("a", 0.004, 0.2), *(_measured(f"c{place}", 0.5, 0.0) for place in range(9))]
    verdict = judge(columns, rows=500, reference_rows=1000)
    assert verdict.findings[0].p_adjusted == pytest.approx(0.04)
    assert not verdict.findings[0].hit


@pytest.mark.parametrize(
    ("rows", "reference_rows", "why"), [(499, 1000, "not enough data"), (500, 999, "999 rows")]
)
def test_too_few_rows_are_published_without_a_verdict(rows: int, reference_rows: int, why: str) -> None:
    verdict = judge([_measured("a", 1e-9, 0.5)], rows=rows, reference_rows=reference_rows)
    assert verdict.why is not None
    assert why in verdict.why
    assert verdict.outcomes == {"a": S}
    assert verdict.findings[0].result.p_value == 1e-9
    assert not verdict.findings[0].hit


def test_a_column_is_as_bad_as_its_worst_test() -> None:
    columns = [_measured("a", 0.9, 0.0), _measured("a", 1e-9, 0.2), _measured("a", None, 0.5, decides=False)]
    assert judge(columns, rows=500, reference_rows=1000).outcomes == {"a": H}


#   windows        drifted after each
CASES = {
    "two in a row": ([H, H], "-D"),
    "two of three": ([H, Q, H], "--D"),
    "two of four do not": ([H, Q, Q, H], "----"),
    "the latest must be one": ([H, H, Q], "-DD"),
    "one is nothing": ([Q, Q, H, Q, Q], "-----"),
    "three quiet ones end it": ([H, H, Q, Q, Q], "-DDD-"),
    "one between starts the quiet over": ([H, H, Q, Q, B, Q, Q, Q], "-DDDDDD-"),
    "a hit starts the quiet over": ([H, H, Q, Q, H, Q, Q, Q], "-DDDDDD-"),
    "silent windows are not there": ([H, S, S, H, S, Q, S, Q, Q], "---DDDDD-"),
    "old hits do not fire it again": ([H, H, Q, Q, Q, H, H], "-DDD--D"),
    "silence alone ends nothing": ([H, H, S, S, S, S], "-DDDDD"),
}


@pytest.mark.parametrize("case", CASES)
def test_drift_begins_and_ends(case: str) -> None:
    outcomes, expected = CASES[case]
    state, seen = ColumnState(), ""
    for start, outcome in enumerate(outcomes):
        state = fold(state, outcome, start)
        seen += "D" if state.drifted else "-"
        assert (state.since is not None) == state.drifted
    assert seen == expected


def test_since_is_the_first_hit_that_fired_it() -> None:
    state = ColumnState()
    for start, outcome in enumerate([Q, H, Q, H, H, H]):
        state = fold(state, outcome, start)
    assert state.since == 1


def test_other_rules_are_followed() -> None:
    state = fold(ColumnState(), H, 0, Rules(hits=1, among=1))
    assert state.drifted


def _runs(*rows: int, length_ms: int = HOUR) -> list[tuple[int, int, int, bool]]:
    windows = [(place * length_ms, (place + 1) * length_ms, count) for place, count in enumerate(rows)]
    return [(run.first, run.last, run.rows, run.enough) for run in merge_small(windows)]


def test_small_windows_merge_with_the_next() -> None:
    assert _runs(600, 500, 700) == [(0, 0, 600, True), (1, 1, 500, True), (2, 2, 700, True)]
    assert _runs(200, 200, 200, 900) == [(0, 2, 600, True), (3, 3, 900, True)]
    assert _runs(499) == []


def test_short_windows_merge_to_an_hour_however_full_and_many() -> None:
    assert _runs(*[10_000] * 12, length_ms=HOUR // 6) == [(0, 5, 60_000, True), (6, 11, 60_000, True)]
    assert _runs(*[10_000] * 60, length_ms=HOUR // 60) == [(0, 59, 600_000, True)]


def test_twenty_four_that_are_still_too_small_judge_nothing() -> None:
    assert _runs(*[20] * 24, 800) == [(0, 23, 480, False), (24, 24, 800, True)]
    assert _runs(*[0] * 50) == [(0, 23, 0, False), (24, 47, 0, False)]
    assert _runs(*[1] * 300, length_ms=HOUR // 6) == [(0, 143, 144, False), (144, 287, 144, False)]
