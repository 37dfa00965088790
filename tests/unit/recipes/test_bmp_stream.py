"""The stream of the demonstration: when nothing changes, when the laboratory does, and an unfair time."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ks_2samp

from recipes.bmp_figures import ANALYTES, CHANGE_OF_LABORATORY
from recipes.bmp_panels import FEATURES, Panels
from recipes.bmp_sources import source_of
from recipes.bmp_stream import DAY_MS, UNFAIR, joined, new_laboratory, stationary, unfair
from tests.unit.recipes.marks import DATA_DIR, needs_data

SOURCES = [
    pytest.param(None, id="simulated"),
    pytest.param(DATA_DIR, id="real", marks=(pytest.mark.data, needs_data)),
]
INSTRUMENT = {"chloride", "sodium", "potassium_plas", "co2_totl"}


def _distances(reference: Panels, panels: Panels) -> tuple[np.ndarray, np.ndarray]:
    """D and adjusted p of each feature."""
    found = [
        ks_2samp(one[~np.isnan(one)], other[~np.isnan(other)], method="asymp")
        for one, other in zip(reference.features.T, panels.features.T, strict=True)
    ]
    return np.array([each.statistic for each in found]), false_discovery_control(
        [each.pvalue for each in found]
    )


def _hits(reference: Panels, panels: Panels) -> set[str]:
    distance, p_value = _distances(reference, panels)
    hit = (distance >= 0.08) & (p_value <= 0.01)
    return {name for name, is_hit in zip(FEATURES, hit, strict=True) if is_hit}


@pytest.mark.parametrize("data_dir", SOURCES)
def test_nothing_fires_while_it_is_stationary(data_dir: Path | None) -> None:
    reference = source_of(data_dir).reference(2018)
    assert len(reference) >= 2000
    hits = [_hits(reference, stationary(500, seed, data_dir=data_dir).panels) for seed in range(40)]
    assert sum(map(len, hits)) <= 2
    assert not any(one & two for one, two in zip(hits[::2], hits[1::2], strict=True))


@pytest.mark.parametrize("data_dir", SOURCES)
def test_the_new_laboratory_moves_what_its_instrument_measures(data_dir: Path | None) -> None:
    reference = source_of(data_dir).reference(2018)
    many = new_laboratory(20_000, data_dir=data_dir).panels
    distance, _ = _distances(reference, many)
    expected = [CHANGE_OF_LABORATORY[name] for name in ANALYTES]
    assert distance[:8] == pytest.approx(expected, abs=0.045)
    assert distance[8:].max() < 0.05
    windows = [_hits(reference, new_laboratory(500, seed, data_dir=data_dir).panels) for seed in range(10)]
    assert all(hits >= INSTRUMENT for hits in windows)


@pytest.mark.parametrize("data_dir", SOURCES)
def test_an_unfair_time_differs_by_sex_alone(data_dir: Path | None) -> None:
    panels = unfair(20_000, data_dir=data_dir).panels
    for sex, share in UNFAIR.items():
        assert panels.contaminated[panels.sex == sex].mean() == pytest.approx(share, abs=0.01)
    usual = stationary(20_000, data_dir=data_dir).panels
    rates = [usual.contaminated[usual.sex == sex].mean() for sex in ("F", "M")]
    assert rates == pytest.approx([0.03, 0.03], abs=0.006)


def test_times_go_on_from_stream_to_stream() -> None:
    calm = stationary(100, start_ms=5_000, interval_ms=20)
    then = new_laboratory(50, start_ms=calm.end_ms, interval_ms=30, label_delay_ms=10)
    whole = joined(calm, then)
    assert calm.end_ms == 7_000
    assert len(whole) == 150
    assert np.diff(whole.event_time_ms).tolist() == [20] * 100 + [30] * 49
    assert set((whole.label_time_ms - whole.event_time_ms).tolist()) == {DAY_MS, 10}
    assert whole.end_ms == 7_000 + 50 * 30
    rows = whole.rows()
    assert rows.event_time_ms is whole.event_time_ms
    assert rows.numeric.shape == (150, 16)
    assert list(rows.context) == ["sex", "age", "race_eth"]
    assert whole.labels.tolist() == [*calm.labels, *then.labels]


def test_the_same_seed_is_the_same_stream() -> None:
    one, two, other = (stationary(200, seed).panels.features for seed in (1, 1, 2))
    assert np.array_equal(one, two, equal_nan=True)
    assert not np.array_equal(one, other, equal_nan=True)
