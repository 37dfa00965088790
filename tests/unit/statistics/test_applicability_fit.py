"""Applicability against its definition, and what must not break it."""

import math

import numpy as np
import pytest
from scipy import stats

from atalaia.statistics.applicability import Applicability, fit, rescale

RNG_ROWS = np.random.default_rng(7).normal(size=(3000, 4)) @ np.random.default_rng(8).normal(size=(4, 4)) + 5


def _fit(rows: np.ndarray, quantile: float = 0.999) -> Applicability:
    return fit([f"x{column}" for column in range(rows.shape[1])], rows, quantile=quantile).applicability


def test_distance_is_the_textbook_one() -> None:
    centred = RNG_ROWS - RNG_ROWS.mean(axis=0)
    precision = np.linalg.inv(np.cov(RNG_ROWS.T))
    expected = np.einsum("ij,jk,ik->i", centred, precision, centred)
    assert _fit(RNG_ROWS).squared_distance(RNG_ROWS) == pytest.approx(expected, rel=1e-9)


def test_cutoff_is_the_order_statistic_of_cross_fitted_distances() -> None:
    fitted = fit("abcd", RNG_ROWS, quantile=0.99)
    rank = math.ceil(3001 * 0.99)
    assert fitted.applicability.cutoff == np.sort(fitted.distances)[rank - 1]
    assert (fitted.distances > fitted.applicability.cutoff).sum() == 3000 - rank
    assert fitted.notes == ()
    in_sample = fitted.applicability.squared_distance(RNG_ROWS)
    assert fitted.distances.mean() > in_sample.mean() * 1.001  # each row was left out of its own fit


def test_refuses_about_the_share_it_promises_on_new_rows() -> None:
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(30):
        applicability = _fit(rng.normal(size=(2000, 5)))
        shares.append(
            applicability.refused(applicability.squared_distance(rng.normal(size=(20_000, 5)))).mean()
        )
    assert np.mean(shares) == pytest.approx(0.001, rel=0.35)


def test_too_few_rows_use_the_largest_distance_and_say_so() -> None:
    fitted = fit("abcd", RNG_ROWS[:200])
    assert fitted.applicability.cutoff == fitted.distances.max()
    assert any("200 reference rows, fewer than the 1000" in note for note in fitted.notes)


def test_same_rows_same_fit() -> None:
    one, two = fit("abcd", RNG_ROWS), fit("abcd", RNG_ROWS)
    assert np.array_equal(one.distances, two.distances)
    assert one.applicability.cutoff == two.applicability.cutoff


def test_constant_columns_take_no_part() -> None:
    rows = np.column_stack([RNG_ROWS, np.full(3000, 0.1), np.full(3000, np.nan)])
    fitted = fit(["a", "b", "c", "d", "same", "empty"], rows)
    assert fitted.applicability.constant == ("same", "empty")
    assert any("same, empty" in note for note in fitted.notes)
    moved = rows.copy()
    moved[:, 4:] = 1e9
    expected = _fit(RNG_ROWS).squared_distance(RNG_ROWS)
    assert np.array_equal(fitted.applicability.squared_distance(moved), expected)
    assert fitted.applicability.contributions(moved[0])[4:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("served", [np.float64, np.float32])
def test_collinear_columns_count_once(served: type) -> None:
    rows = np.column_stack([RNG_ROWS, RNG_ROWS[:, 0] * 3 - RNG_ROWS[:, 1] + 7]).astype(served).astype(float)
    fitted = fit("abcde", rows)
    assert fitted.applicability.degrees_of_freedom == 4
    assert any("1 of the numeric features follow" in note for note in fitted.notes)
    expected = _fit(RNG_ROWS).squared_distance(RNG_ROWS)
    assert fitted.applicability.squared_distance(rows) == pytest.approx(expected, rel=1e-3)


def test_nothing_to_watch_refuses_nothing() -> None:
    for rows in (np.ones((50, 3)), np.zeros((50, 0))):
        applicability = _fit(rows)
        distance = applicability.squared_distance(rows * 2)
        assert distance.tolist() == [0.0] * 50
        assert not applicability.refused(distance).any()


def test_contributions_sum_to_the_distance_and_name_the_culprit() -> None:
    applicability = _fit(RNG_ROWS)
    row = RNG_ROWS.mean(axis=0)
    row[2] += 100
    contributions = applicability.contributions(row)
    assert contributions.sum() == pytest.approx(applicability.squared_distance(row[None, :])[0])
    assert contributions.argmax() == 2


def test_missing_features_are_judged_on_the_observed_block() -> None:
    applicability = _fit(RNG_ROWS)
    rows = RNG_ROWS[:500].copy()
    rows[:, 1] = np.nan
    block = _fit(RNG_ROWS[:, [0, 2, 3]]).squared_distance(rows[:, [0, 2, 3]])
    assert applicability.squared_distance(rows) == pytest.approx(rescale(block, 3, 4))
    assert applicability.contributions(rows[0]).sum() == pytest.approx(
        applicability.squared_distance(rows)[0]
    )
    assert applicability.contributions(rows[0])[1] == 0.0
    assert applicability.squared_distance(np.full((1, 4), np.nan)).tolist() == [0.0]


def test_blocks_kept_are_bounded() -> None:
    rng = np.random.default_rng(0)
    applicability = _fit(rng.normal(size=(500, 12)))
    rows = rng.normal(size=(2000, 12))
    rows[rng.random(rows.shape) < 0.5] = np.nan
    first = applicability.squared_distance(rows)
    assert len(applicability._blocks) == 256
    assert np.array_equal(applicability.squared_distance(rows), first)


@pytest.mark.parametrize(
    ("observed", "bound"), [(1, 0.10), (2, 0.10), (3, 0.05), (6, 0.05), (10, 0.02), (20, 0.02)]
)
def test_rescaling_is_within_its_stated_bound(observed: int, bound: float) -> None:
    tail = np.concatenate([np.linspace(0.5, 0.001, 300), np.logspace(-3, -9, 60)])
    for whole in range(observed + 1, 31):
        exact = stats.chi2.isf(tail, whole)
        assert rescale(stats.chi2.isf(tail, observed), observed, whole) == pytest.approx(exact, rel=bound)


def test_rescaling_rises_and_never_underflows() -> None:
    distances = np.concatenate([[0.0], np.logspace(-6, 30, 2000)])
    answer = rescale(distances, 3, 16)
    assert (np.diff(answer) >= 0).all()
    assert (np.diff(answer[distances > 1]) > 0).all()
    assert np.isfinite(answer).all()


def test_missing_rows_are_refused_as_often_as_whole_ones() -> None:
    rng = np.random.default_rng(11)
    rows = rng.normal(size=(40_000, 8)) @ rng.normal(size=(8, 8))
    rows[rng.random(len(rows)) < 0.3, 4:] = np.nan
    applicability = _fit(rows[:20_000], quantile=0.99)
    refused = applicability.refused(applicability.squared_distance(rows[20_000:]))
    whole = ~np.isnan(rows[20_000:, 4])
    assert refused[whole].mean() == pytest.approx(0.01, abs=0.004)
    assert refused[~whole].mean() == pytest.approx(0.01, abs=0.004)


@pytest.mark.parametrize(("rows", "quantile"), [(1, 0.9), (50, 0.0), (50, 1.0)])
def test_refuses_what_it_cannot_fit(rows: int, quantile: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        fit("ab", np.ones((rows, 2)), quantile=quantile)
