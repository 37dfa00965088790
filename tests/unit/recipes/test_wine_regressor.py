"""The regressor of wine quality."""

from pathlib import Path

import numpy as np
import pytest

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.inference.rows import Rows
from atalaia.monitors.checks import check_settings
from atalaia.monitors.configuration import monitor_settings
from recipes import wine_regressor
from recipes.wine import Wines
from tests.unit.recipes.marks import DATA_DIR, needs_data

pytestmark = [pytest.mark.data, needs_data]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return wine_regressor.train(tmp_path_factory.mktemp("wine") / "bundle", data_dir=DATA_DIR)


def _errors(bundle: Bundle, rows: np.ndarray, quality: np.ndarray) -> np.ndarray:
    said = Predictor(bundle).predict(Rows(numeric=rows.astype(np.float64)))
    assert said.value is not None
    assert said.label is None
    return np.asarray(said.value - quality)


def test_errors_are_those_of_the_card(bundle: Bundle) -> None:
    Predictor(bundle).self_test()
    wines = Wines.read(DATA_DIR)
    held_out = _errors(bundle, wines.held_out, wines.held_out_quality)
    strong = _errors(bundle, wines.strong, wines.strong_quality)
    assert np.abs(held_out).mean() < np.abs(wines.held_out_quality - wines.training_quality.mean()).mean()
    assert strong.mean() < -0.3
    card = bundle.read_card()
    assert f"| 298 held-out rows | {np.abs(held_out).mean():.3f} |" in card
    assert f"{strong.mean():+.3f}" in card


def test_the_reference_is_held_out(bundle: Bundle) -> None:
    wines = Wines.read(DATA_DIR)
    reference = np.abs(bundle.reference.answers.scores - wines.training_quality).mean()
    trained_on = np.abs(_errors(bundle, wines.training, wines.training_quality)).mean()
    assert reference > trained_on + 0.1


def test_the_bundle_is_a_regressors(bundle: Bundle) -> None:
    assert bundle.manifest.task == "regression"
    check_settings(monitor_settings(bundle.manifest.monitors), bundle.manifest)


def test_training_again_makes_the_same_bundle(bundle: Bundle, tmp_path: Path) -> None:
    assert wine_regressor.train(tmp_path / "again", data_dir=DATA_DIR).digest == bundle.digest
