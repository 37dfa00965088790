"""Counts of parts are counts of the whole, in any order; the numbers are those of reference libraries."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import ks_2samp

from atalaia.statistics.bins import AnyArray, CategoryBins, ValueBins, bins_of, reference_of
from atalaia.statistics.drift import ColumnTests
from atalaia.statistics.ks import KolmogorovSmirnov
from atalaia.statistics.localisation import localise
from atalaia.statistics.verdict import ColumnState, Outcome, fold, merge_small

# Few values often repeat; all floats find what lies between, beyond and next to them.
NUMBERS = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(width=32),
    st.sampled_from([np.nan, np.inf, -np.inf, -0.0, 0.0]),
)
WORDS = st.one_of(st.sampled_from(["a", "b", "c", "", "unseen"]), st.none())


def _numbers(least: int = 0, most: int = 60) -> st.SearchStrategy[AnyArray]:
    return hnp.arrays(np.float64, st.integers(least, most), elements=NUMBERS)


def _words() -> st.SearchStrategy[AnyArray]:
    return st.lists(WORDS, max_size=40).map(lambda words: np.array(words, np.object_))


def _merged(column: ColumnTests, rows: AnyArray, data: st.DataObject) -> Any:
    order = data.draw(st.permutations(range(len(rows))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    parts = np.split(rows[list(order)], cuts)
    shuffled = data.draw(st.permutations(range(len(parts))))
    return sum(column.count(parts[place]) for place in shuffled)


@given(reference=_numbers(1), rows=_numbers(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_numbers_merge_in_any_parts_and_any_order(
    reference: AnyArray, rows: AnyArray, data: st.DataObject
) -> None:
    column = ColumnTests("any", reference_of(reference))
    whole = column.count(rows)
    assert whole.sum() == len(rows)
    assert (_merged(column, rows, data) == whole).all()
    assert (column.count(reference) == column.bins.expected).all()


@given(reference=_words(), rows=_words(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_words_merge_in_any_parts_and_any_order(
    reference: AnyArray, rows: AnyArray, data: st.DataObject
) -> None:
    column = ColumnTests("any", reference_of(reference))
    whole = column.count(rows)
    assert whole.sum() == len(rows)
    assert (_merged(column, rows, data) == whole).all()


@given(reference=_numbers(1), rows=_numbers(1), dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=200, deadline=None)
def test_ks_is_that_of_scipy_on_raw_rows(reference: AnyArray, rows: AnyArray, dtype: Any) -> None:
    reference = reference.astype(dtype)
    present: list[npt.NDArray[np.float64]] = [
        sample[~np.isnan(sample)].astype(dtype) for sample in (rows, reference)
    ]
    n, m = (len(sample) for sample in present)
    assume(n * m > 0.5 * (n + m))  # else scipy has no p
    ks = KolmogorovSmirnov(ValueBins(reference_of(reference)))
    result = ks.result(ks.count(rows))
    expected = ks_2samp(present[0], present[1], method="asymp")
    assert result.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert result.p_value == pytest.approx(expected.pvalue, abs=1e-12)


@given(reference=_numbers(), rows=_numbers(), earlier=_numbers())
@settings(max_examples=150, deadline=None)
def test_every_test_answers_whatever_the_columns_hold(
    reference: AnyArray, rows: AnyArray, earlier: AnyArray
) -> None:
    column = ColumnTests("any", reference_of(reference))
    counts, before = column.count(rows), column.count(earlier)
    for measured in (*column.results(counts), *column.results(counts, before)):
        result = measured.result
        assert result.p_value is None or 0 <= result.p_value <= 1 + 1e-12
        assert result.p_value is not None or result.why
        assert result.effect is None or not np.isnan(result.effect)
        assert 0 <= result.n <= len(rows)
    changes = localise(column.bins, counts)
    assert changes is None or all(-1 <= change.difference <= 1 for change in changes)


@given(reference=_numbers(1))
@settings(max_examples=60, deadline=None)
def test_the_reference_does_not_differ_from_itself(reference: AnyArray) -> None:
    column = ColumnTests("any", reference_of(reference))
    for measured in column.results(column.bins.expected):
        if measured.decides and measured.test != "unseen":
            assert measured.result.p_value is None or measured.result.p_value > 0.5
            assert measured.result.effect in (None, 0.0)


@given(values=st.lists(st.integers(0, 30), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_kind_of_bins_follows_from_the_distinct_values(values: list[int]) -> None:
    kind = ValueBins if len(set(values)) > 10 else CategoryBins
    assert isinstance(bins_of(reference_of(np.array(values, np.float64))), kind)


@given(outcomes=st.lists(st.sampled_from(Outcome), max_size=30))
@settings(max_examples=200, deadline=None)
def test_drift_lasts_from_two_hits_in_three_to_three_quiet_windows(outcomes: list[Outcome]) -> None:
    state = ColumnState()
    heard: list[Outcome] = []
    for start, outcome in enumerate(outcomes):
        before, state = state, fold(state, outcome, start)
        if outcome is Outcome.SILENT:
            assert state == before
            continue
        heard.append(outcome)
        if state.drifted and not before.drifted:
            assert outcome is Outcome.HIT
            assert heard[-3:].count(Outcome.HIT) >= 2
        if before.drifted and not state.drifted:
            assert heard[-3:] == [Outcome.QUIET] * 3
        if not state.drifted and not before.drifted and outcome is Outcome.HIT:
            assert len(heard) < 2 or heard[-2] is not Outcome.HIT


@given(rows=st.lists(st.integers(0, 700), max_size=80), cut=st.integers(0, 80))
@settings(max_examples=100, deadline=None)
def test_more_windows_never_change_the_runs_before_them(rows: list[int], cut: int) -> None:
    windows = [(place * 3_600_000, (place + 1) * 3_600_000, count) for place, count in enumerate(rows)]
    runs, before = merge_small(windows), merge_small(windows[:cut])
    assert runs[: len(before)] == before
    assert [run.first for run in runs] == [0, *(run.last + 1 for run in runs)][: len(runs)]
    assert all(run.enough == (run.rows >= 500) and run.last - run.first < 24 for run in runs)
