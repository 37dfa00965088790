"""Chi-squared against scipy on the table it makes, and what it pools."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from atalaia.statistics.bins import CategoryBins, reference_of
from atalaia.statistics.chi2 import ChiSquared, compare_categories, pool
from atalaia.statistics.comparison import TestResult


def _counts(*counts: int) -> np.ndarray:
    return np.array(counts, np.int64)


@pytest.mark.parametrize("seed", range(30))
def test_ample_categories_are_compared_as_scipy_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rates = rng.dirichlet(np.full(rng.integers(2, 9), 8.0))
    window, reference = rng.multinomial(800, rates), rng.multinomial(1500, rates)
    expected = chi2_contingency(np.array([window, reference]), correction=False)
    result = compare_categories(window, reference)
    assert result.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert result.p_value == pytest.approx(expected.pvalue, abs=1e-12)


def test_a_pool_that_is_too_small_takes_in_the_rarest_other() -> None:
    reference = _counts(600, 390, 4, 3, 3)
    window = _counts(300, 180, 20, 0, 0)
    pooled = np.array([[300, 180, 20], [600, 390, 10]])
    expected = chi2_contingency(pooled, correction=False)
    result = compare_categories(window, reference)
    assert result.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    assert result.effect == pytest.approx(np.abs(pooled[0] / 500 - pooled[1] / 1000).sum() / 2)


def test_what_is_pooled_does_not_depend_on_the_order_of_categories() -> None:
    rng = np.random.default_rng(3)
    reference, window = (
        rng.multinomial(900, rng.dirichlet(np.ones(30))),
        rng.multinomial(600, np.ones(30) / 30),
    )
    order = rng.permutation(30)
    one, other = compare_categories(window, reference), compare_categories(window[order], reference[order])
    assert one.p_value == pytest.approx(other.p_value, rel=1e-9)


@pytest.mark.parametrize(("rare", "before"), [(0, 0), (3, 1), (12, 2), (13, 0), (2, 4)])
def test_a_flag_too_rare_for_chi_squared_is_tested_exactly(rare: int, before: int) -> None:
    result = compare_categories(_counts(500 - rare, rare), _counts(1000 - before, before))
    if rare == before == 0:
        assert result.why == "constant"
        return
    table = np.array([[rare, 500 - rare], [before, 1000 - before]])
    expected = fisher_exact(table, alternative="greater").pvalue
    assert result.p_value == pytest.approx(expected, rel=1e-9)


def test_a_constant_column_has_no_p() -> None:
    assert compare_categories(_counts(500), _counts(1000)) == TestResult(
        None, None, 0.0, 500, 1.0, "constant"
    )


def test_too_few_rows_for_any_category_is_not_enough_data() -> None:
    assert compare_categories(_counts(1, 1, 1), _counts(400, 300, 300)).why == "not enough data"
    assert compare_categories(_counts(0, 0), _counts(4, 3)).why == "no values"


def test_the_rate_that_changed_most_is_told_as_a_ratio() -> None:
    doubled = compare_categories(_counts(460, 40), _counts(960, 40))
    assert doubled.ratio == pytest.approx(2.0)
    gone = compare_categories(_counts(500, 0), _counts(960, 40))
    assert gone.ratio == 0.0
    assert compare_categories(_counts(497, 3), _counts(999, 1)).ratio == pytest.approx(497 / 500 / 0.999)


def test_false_alarms_are_as_many_as_p_says() -> None:
    rng = np.random.default_rng(8)
    rates = np.array([0.5, 0.3, 0.15, 0.03, 0.01, 0.005, 0.005])
    p_values = [
        compare_categories(rng.multinomial(500, rates), rng.multinomial(1200, rates)).p_value
        for _ in range(4000)
    ]
    found = np.array(p_values, np.float64)
    assert 0.035 < (found <= 0.05).mean() < 0.065
    assert (found <= 0.001).mean() < 0.004


@pytest.mark.parametrize(("n", "m"), [(50_000, 1191), (500, 1191), (500, 20_000)])
def test_a_long_tail_of_categories_gives_no_more_false_alarms_than_p_says(n: int, m: int) -> None:
    rng = np.random.default_rng(n + m)
    rates = 1 / np.arange(1, 41) ** 1.3
    rates /= rates.sum()
    p_values = [
        compare_categories(rng.multinomial(n, rates), rng.multinomial(m, rates)).p_value for _ in range(1000)
    ]
    found = np.array(p_values, np.float64)
    assert 0.03 < (found <= 0.05).mean() < 0.075
    assert (found <= 0.01).mean() < 0.022


def test_dependence_divides_the_statistic() -> None:
    window, reference = _counts(300, 200), _counts(500, 500)
    alone = compare_categories(window, reference)
    dependent = compare_categories(window, reference, dependence=2.0)
    assert alone.statistic == dependent.statistic
    assert alone.p_value is not None
    assert dependent.p_value is not None
    assert dependent.p_value > alone.p_value


def test_values_that_the_reference_lacks_are_a_category_against_an_earlier_window() -> None:
    chi2 = ChiSquared(CategoryBins(reference_of(np.repeat(["a", "b"], 500).astype(np.object_))))
    window = chi2.count(np.array(["a"] * 200 + ["b"] * 200 + ["new"] * 100, np.object_))
    earlier = chi2.count(np.array(["a"] * 250 + ["b"] * 250, np.object_))
    assert chi2.result(window).p_value == pytest.approx(1.0)
    against_earlier = chi2.result(window, earlier).p_value
    assert against_earlier is not None
    assert against_earlier < 1e-20


def test_a_pool_of_all_is_one_cell() -> None:
    assert pool(np.full(200, 2.5)).max() == 0
    assert pool(np.full(1, 2.5)).tolist() == [0]
