"""Which values became more frequent, and since when."""

import numpy as np
import pytest

from atalaia.statistics.bins import CategoryBins, ValueBins, bins_of, reference_of
from atalaia.statistics.ks import KolmogorovSmirnov
from atalaia.statistics.localisation import localise, since


def _by_search(window: np.ndarray, reference: np.ndarray) -> float:
    heights = np.append(0, np.cumsum(window / window.sum() - reference / reference.sum()))
    return float(max(heights[j] - heights[i] for i in range(len(heights)) for j in range(i, len(heights))))


@pytest.mark.parametrize("seed", range(20))
def test_no_range_grew_more_and_none_shrank_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins = ValueBins(reference_of(rng.normal(size=60).round(1)))
    rows = rng.normal(0.5, size=40).round(1)
    window = bins.count(rows)
    found = localise(bins, window)
    assert found is not None
    grew, shrank = found
    most, least = _by_search(window[:-1], bins.expected[:-1]), _by_search(bins.expected[:-1], window[:-1])
    assert 0.9 * most - 1e-12 <= grew.difference <= most + 1e-12
    assert 0.9 * least - 1e-12 <= -shrank.difference <= least + 1e-12
    distance = KolmogorovSmirnov(bins).result(window).statistic
    assert distance is not None
    assert max(grew.difference, -shrank.difference) >= 0.9 * distance - 1e-12
    low = -np.inf if grew.low is None else grew.low
    high = np.inf if grew.high is None else grew.high
    inside = ((rows >= low) & (rows <= high)).mean()
    assert inside >= grew.share - 1e-12  # ends in a gap are told as the values beside it


def test_a_bump_is_found_where_it_is() -> None:
    rng = np.random.default_rng(1)
    bins = bins_of(reference_of(rng.normal(140, 3, size=5000).round(1)))
    moved = np.concatenate([rng.normal(140, 3, size=900), rng.uniform(150, 152, size=100)]).round(1)
    found = localise(bins, bins.count(moved))
    assert found is not None
    grew = found[0]
    assert grew.low is not None
    assert 148 < grew.low < 151
    assert grew.share == pytest.approx(0.1, abs=0.02)


def test_categories_are_named() -> None:
    bins = CategoryBins(reference_of(np.array(["f"] * 50 + ["m"] * 50, np.object_)))
    found = localise(bins, bins.count(np.array(["f"] * 50 + ["x"] * 50, np.object_)))
    assert found is not None
    assert (found[0].category, found[0].share) == ("(unseen)", 0.5)
    assert (found[1].category, found[1].difference) == ("m", -0.5)


def test_no_values_have_no_place() -> None:
    bins = bins_of(reference_of(np.arange(20.0)))
    assert localise(bins, bins.count(np.full(3, np.nan))) is None


@pytest.mark.parametrize("seed", range(30))
def test_the_pane_of_the_change_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins = bins_of(reference_of(rng.normal(size=2000)))
    panes = np.array([bins.count(rng.normal(1.0 if pane >= 20 else 0.0, size=60)) for pane in range(40)])
    found = localise(bins, panes[20:].sum(axis=0))
    assert found is not None
    assert abs(since(panes, found[0]) - 20) <= 1


def test_without_a_change_it_is_since_the_first_pane() -> None:
    rng = np.random.default_rng(0)
    bins = bins_of(reference_of(rng.normal(size=2000)))
    panes = np.array([bins.count(rng.normal(1.0, size=60)) for _ in range(30)])
    found = localise(bins, panes.sum(axis=0))
    assert found is not None
    assert since(panes, found[0]) == 0
    assert since(panes[:1], found[0]) == 0
    assert since(np.zeros_like(panes), found[0]) == 0
