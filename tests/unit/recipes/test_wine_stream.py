"""The wines as a stream: calm over unseen rows, a hit in eight columns and more over stronger wines."""

from pathlib import Path

import numpy as np
import pytest

from atalaia.bundles.reference_csv import ReferenceTable
from recipes import wine, wine_stream
from recipes.wine import Wines
from tests.unit.recipes.marks import DATA_DIR, needs_data

WINDOW_ROWS = 300


@pytest.fixture(scope="module")
def wines() -> Wines:
    return Wines.read(DATA_DIR)


def _ks(reference: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Two-sample D, and p by Kolmogorov's series, with numpy alone."""
    values = np.union1d(reference, rows)
    shares = [np.searchsorted(np.sort(part), values, "right") / len(part) for part in (reference, rows)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    n = len(reference) * len(rows) / (len(reference) + len(rows))
    k = np.arange(1, 101)
    p_value = float(2 * ((-1.0) ** (k - 1) * np.exp(-2 * k**2 * n * distance**2)).sum())
    return distance, min(1.0, max(0.0, p_value))


def _hits(reference: np.ndarray, rows: np.ndarray) -> int:
    """Columns with D >= .08 that Benjamini-Hochberg lets through at q = .01."""
    found = [_ks(one, other) for one, other in zip(reference.T, rows.T, strict=True)]
    p_values = np.sort([p for _, p in found])
    passed = np.flatnonzero(p_values <= 0.01 * np.arange(1, len(found) + 1) / len(found))
    limit = p_values[passed[-1]] if len(passed) else -1.0
    return sum(distance >= 0.08 and p <= limit for distance, p in found)


@pytest.mark.data
@needs_data
def test_strong_wines_drift_in_every_column(wines: Wines) -> None:
    one_pass = wine_stream.drift(wines, passes=1)
    assert len(one_pass) == 408
    p_values = [_ks(one, other)[1] for one, other in zip(wines.training.T, one_pass.features.T, strict=True)]
    assert len(p_values) == 11
    assert max(p_values) < 0.05
    assert _hits(wines.training, one_pass.features) >= 8


@pytest.mark.data
@needs_data
def test_every_window_of_strong_wines_hits_eight_columns(wines: Wines) -> None:
    rows = wine_stream.drift(wines, passes=6).features
    windows = [rows[start : start + WINDOW_ROWS] for start in range(0, len(rows) - WINDOW_ROWS, WINDOW_ROWS)]
    assert len(windows) == 8
    assert min(_hits(wines.training, window) for window in windows) >= 8


@pytest.mark.data
@needs_data
def test_unseen_wines_hit_nothing(wines: Wines) -> None:
    rows = wine_stream.no_drift(wines, passes=20).features
    windows = [rows[start : start + WINDOW_ROWS] for start in range(0, len(rows) - WINDOW_ROWS, WINDOW_ROWS)]
    assert [_hits(wines.training, window) for window in windows] == [0] * 19


@pytest.mark.data
@needs_data
def test_passes_hold_every_row_in_new_order(wines: Wines) -> None:
    stream = wine_stream.no_drift(wines, passes=3)
    parts = np.split(stream.features, 3)
    known = sorted(map(tuple, wines.held_out))
    assert all(sorted(map(tuple, part)) == known for part in parts)
    assert not np.array_equal(parts[0], parts[1])
    assert len(wine_stream.replay_of_the_thesis(wines)) == 1191
    both = wine_stream.joined(stream, wine_stream.drift(wines, passes=1))
    assert len(both) == 3 * 298 + 408
    assert both.quality[-1] in range(3, 9)


def test_csv_has_the_features_and_the_mark(tmp_path: Path) -> None:
    features = np.array([[7.4, 0.7, 0, 1.9, 0.076, 11, 34, 0.9978, 3.51, 0.56, 9.4]], np.float32)
    wine_stream.WineRows(features, np.array([5])).write_csv(tmp_path / "wines.csv")
    read = ReferenceTable.read(tmp_path / "wines.csv")
    assert list(read.columns) == [*(name for name, _ in wine.FEATURES), "quality"]
    numbers = np.column_stack([read.numbers(name, "FP32") for name, _ in wine.FEATURES])
    assert np.array_equal(numbers.astype(np.float32), features)
    assert read.columns["quality"] == ["5"]
