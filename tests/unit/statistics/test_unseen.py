"""Unseen values: an excess over what the reference's singletons promise, and no more false alarms than p."""

import numpy as np
import pytest
from scipy.stats import betabinom

from atalaia.statistics.bins import CategoryBins, reference_of
from atalaia.statistics.comparison import TestResult
from atalaia.statistics.fisher import exact_tail
from atalaia.statistics.unseen import Unseen


def _result(reference: np.ndarray, window: np.ndarray) -> TestResult:
    unseen = Unseen(CategoryBins(reference_of(reference)))
    return unseen.result(unseen.count(window))


@pytest.mark.parametrize(
    ("k", "n", "s", "m"), [(1, 10, 0, 20), (5, 500, 2, 1000), (40, 5000, 3, 900), (7, 7, 0, 3)]
)
def test_the_tail_is_that_of_the_prediction_from_the_reference(k: int, n: int, s: int, m: int) -> None:
    assert exact_tail(k, n, s, m) == pytest.approx(float(betabinom.sf(k - 1, n, s + 1, m - s)), rel=1e-8)


def test_a_code_never_seen_before_is_found() -> None:
    result = _result(
        np.repeat(["a", "b"], 600).astype(np.object_), np.repeat(["a", "z"], [450, 50]).astype(np.object_)
    )
    assert result.effect == 0.1
    assert result.p_value is not None
    assert result.p_value < 1e-15


def test_nothing_unseen_is_no_sign_at_all() -> None:
    assert _result(np.repeat([1.0, 2.0], 600), np.repeat([1.0, 2.0], 100)).p_value == 1.0
    assert _result(np.repeat([1.0, 2.0], 600), np.full(10, np.nan)).why == "no values"


@pytest.mark.parametrize(("n", "m"), [(500, 1000), (50_000, 1000)])
def test_a_long_tail_of_codes_gives_no_more_false_alarms_than_p_allows(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    rates = 1 / np.arange(1, 401) ** 1.6
    rates /= rates.sum()
    p_values = []
    for _ in range(400):
        reference, window = rng.multinomial(m, rates), rng.multinomial(n, rates)
        p_values.append(exact_tail(int(window[reference == 0].sum()), n, int((reference == 1).sum()), m))
    assert (np.array(p_values) <= 0.01).mean() <= 0.03


def test_against_an_earlier_window_it_says_nothing() -> None:
    unseen = Unseen(CategoryBins(reference_of(np.array([1.0, 2.0]))))
    counts = unseen.count(np.array([1.0, 3.0]))
    assert unseen.result(counts, counts) == TestResult.undefined("known of the reference only", 2)
