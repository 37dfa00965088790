"""PSI against its formula on raw rows; no bias; never a verdict."""

import numpy as np
import pytest

from atalaia.statistics.bins import bins_of, reference_of
from atalaia.statistics.psi import PopulationStability


def _psi(reference: np.ndarray, window: np.ndarray) -> float:
    psi = PopulationStability(bins_of(reference_of(reference)))
    value = psi.result(psi.count(window)).statistic
    assert value is not None
    return value


def _by_hand(reference: np.ndarray, window: np.ndarray) -> float:
    cuts = np.unique(np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf"))
    edges = np.concatenate([[-np.inf], cuts[cuts < reference.max()], [np.inf]])
    k, n, m = len(edges) - 1, len(window), len(reference)
    w, r = (
        np.bincount(np.searchsorted(edges[1:-1], sample, "left"), minlength=k)
        for sample in (window, reference)
    )
    p, q = (w + 0.5) / (n + k / 2), (r + 0.5) / (m + k / 2)
    return float(((p - q) * np.log(p / q)).sum() - (k - 1) * (1 / n + 1 / m))


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_formula_over_reference_deciles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    decimals = seed % 4
    reference = (rng.gamma(2.0, size=1500) * 4).round(decimals)
    window = (rng.gamma(2.0, 1.1, size=700) * 4).round(decimals)
    assert _psi(reference, window) == pytest.approx(_by_hand(reference, window), rel=1e-9, abs=1e-12)


def test_where_nothing_drifted_it_is_nothing_on_average() -> None:
    rng = np.random.default_rng(0)
    values = [_psi(rng.normal(size=1000), rng.normal(size=500)) for _ in range(600)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(600)


def test_one_value_in_most_rows_merges_the_deciles_it_spans() -> None:
    reference = np.concatenate([np.zeros(800), np.arange(1.0, 201.0)])
    assert _psi(reference, reference) == pytest.approx(-2 * 2 / 1000)  # three bins: 0, and two of the rest


def test_categories_are_its_bins_and_unseen_ones_another() -> None:
    reference, window = np.repeat([1.0, 2.0], 500), np.repeat([1.0, 2.0, 3.0], [200, 200, 100])
    p, q = (np.array([200, 200, 100]) + 0.5) / 501.5, (np.array([500, 500, 0]) + 0.5) / 1001.5
    expected = ((p - q) * np.log(p / q)).sum() - 2 * (1 / 500 + 1 / 1000)
    assert _psi(reference, window) == pytest.approx(expected)


def test_it_never_decides() -> None:
    psi = PopulationStability(bins_of(reference_of(np.arange(100.0))))
    result = psi.result(psi.count(np.full(500, 1e9)))
    assert not psi.decides
    assert result.p_value is None
    assert psi.result(psi.count(np.empty(0))).why == "no values"
