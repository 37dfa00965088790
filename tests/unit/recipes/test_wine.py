"""The seed experiment's known figures."""

from pathlib import Path

import numpy as np
import pytest

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.errors import BundleError
from atalaia.inference.rows import Rows
from atalaia.monitors.checks import check_settings
from atalaia.monitors.configuration import monitor_settings
from recipes import wine
from tests.unit.recipes.marks import DATA_DIR, needs_data


@pytest.fixture(scope="module")
def data_dir() -> Path:
    return DATA_DIR


@pytest.fixture(scope="module")
def bundle(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return wine.train(tmp_path_factory.mktemp("wine") / "bundle", data_dir=data_dir)


def _accuracy(bundle: Bundle, rows: np.ndarray, quality: np.ndarray) -> tuple[float, float]:
    """Over all rows, and over the answered ones."""
    said = Predictor(bundle).predict(Rows(numeric=rows.astype(np.float64)))
    right = np.array(bundle.manifest.classes)[said.label] == quality
    return float(right.mean()), float(right[~said.abstained].mean())


@pytest.mark.data
@needs_data
def test_accuracy_is_the_known_one(bundle: Bundle, data_dir: Path) -> None:
    wines = wine.Wines.read(data_dir)
    assert (len(wines.training), len(wines.held_out), len(wines.weak), len(wines.strong)) == (
        893,
        298,
        1191,
        408,
    )
    every, answered = _accuracy(bundle, wines.held_out, wines.held_out_quality)
    assert round(every, 3) == 0.651
    assert answered == pytest.approx(0.651, abs=0.01)
    assert round(_accuracy(bundle, wines.strong, wines.strong_quality)[0], 3) == 0.385
    assert round(_accuracy(bundle, wines.weak, wines.weak_quality)[0], 3) == 0.853


@pytest.mark.data
@needs_data
def test_the_reference_is_held_out(bundle: Bundle) -> None:
    assert len(bundle.reference) == 893
    accuracy = bundle.reference.performance["accuracy"]
    assert accuracy is not None
    assert 0.55 < accuracy < 0.68  # on its own training rows the tree has .92
    assert not bundle.manifest.reference_is_training


@pytest.mark.data
@needs_data
def test_the_card_tells_how_it_was_made(bundle: Bundle) -> None:
    card = bundle.read_card()
    assert "| 10 | 144 | 0.9205 | 0.651 |" in card
    assert "at least 250 rows (500 is usual)" in card
    assert "this bundle lowers the minimum to 800" in card
    assert [row["depth"] for row in bundle.manifest.made["depth_sweep"]] == list(range(1, 21))
    assert bundle.manifest.made["figures"]["accuracy_all_1191"] == pytest.approx(0.853, abs=5e-4)


@pytest.mark.data
@needs_data
def test_the_monitors_settings_are_known_ones(bundle: Bundle) -> None:
    settings = monitor_settings(bundle.manifest.monitors)
    check_settings(settings, bundle.manifest)
    assert settings.drift.minimum_reference_rows == 800
    assert settings.drift.minimum_window_rows == 250


@pytest.mark.data
@needs_data
def test_another_accuracy_is_refused(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wine, "DEPTH", 9)
    with pytest.raises(
        BundleError, match=r"accuracy on the held-out rows is 0\.6174, expected 0\.651: scikit-learn"
    ):
        wine.train(tmp_path / "bundle", data_dir=data_dir)
    assert not (tmp_path / "bundle").exists()


def test_without_data_it_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="--data-dir or set ATALAIA_DATA_DIR"):
        wine.train(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"winequality-red\.csv cannot be read"):
        wine.train(tmp_path / "bundle", data_dir=tmp_path)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wine").mkdir()
    (tmp_path / "wine/winequality-red.csv").write_text("a;b\n1;2\n")
    with pytest.raises(BundleError, match="expected the red wines of UCI wine quality"):
        wine.train(tmp_path / "bundle", data_dir=tmp_path)
