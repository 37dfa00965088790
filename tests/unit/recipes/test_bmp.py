"""The recipe of metabolic panels, simulated and of real people."""

from pathlib import Path

import numpy as np
import pytest

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.errors import BundleError
from atalaia.monitors.checks import check_settings
from atalaia.monitors.configuration import monitor_settings
from recipes import bmp, bmp_card
from recipes.bmp_panels import Panels
from recipes.bmp_rules import RetrospectiveRule, real_time_rule
from recipes.bmp_sources import Source, source_of
from tests.unit.recipes.marks import DATA_DIR, needs_data


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bmp.train(tmp_path_factory.mktemp("bmp") / "bundle")


@pytest.fixture(scope="module")
def real_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bmp.train(tmp_path_factory.mktemp("bmp") / "bundle", data_dir=DATA_DIR)


def _flagged(bundle: Bundle, panels: Panels) -> np.ndarray:
    return np.asarray(Predictor(bundle).predict(panels.rows()).label == 1)


def _beats_the_rules(bundle: Bundle, source: Source) -> None:
    """On panels drawn for this test alone."""
    panels = source.stationary(60_000, seed=99)
    rules = real_time_rule(panels) | RetrospectiveRule.fit(source.training(60_000, seed=98))(panels)
    flagged = _flagged(bundle, panels)
    truth = panels.contaminated
    assert flagged[truth].mean() > rules[truth].mean() + 0.2
    assert flagged[truth].mean() > 0.75
    assert truth[flagged].mean() >= truth[rules].mean()
    small = truth & (panels.fraction < 0.2)
    assert flagged[small].mean() > rules[small].mean() + 0.2


def test_the_bundle_beats_the_rules(bundle: Bundle) -> None:
    Predictor(bundle).self_test()
    _beats_the_rules(bundle, source_of(None))


@pytest.mark.data
@needs_data
def test_the_bundle_of_real_panels_beats_the_rules(real_bundle: Bundle) -> None:
    Predictor(real_bundle).self_test()
    assert len(real_bundle.reference) >= 2000
    _beats_the_rules(real_bundle, source_of(DATA_DIR))


@pytest.mark.data
@needs_data
def test_the_card_of_real_panels_tells_where_they_are_from(real_bundle: Bundle) -> None:
    card = real_bundle.read_card()
    assert "NHANES 2001-2018" in card
    assert "two of three triples" in card
    assert "| either rule | 0.4" in card


@pytest.mark.data
@needs_data
def test_saline_alone_gives_the_rules_their_known_figures() -> None:
    source = source_of(DATA_DIR)
    panels = source.stationary(60_000, seed=5, fluids={"NS": 1.0}, without_prior=0.0)
    rules = real_time_rule(panels) | RetrospectiveRule.fit(source.training(60_000, seed=6))(panels)
    truth, fraction = panels.contaminated, panels.fraction
    assert rules[truth].mean() == pytest.approx(0.68, abs=0.07)
    assert rules[truth & (fraction < 0.15)].mean() == pytest.approx(0.13, abs=0.1)
    assert rules[truth & (fraction >= 0.2) & (fraction < 0.3)].mean() == pytest.approx(0.93, abs=0.06)
    assert truth[rules].mean() > 0.98


def test_few_good_rows_are_refused(bundle: Bundle) -> None:
    said = Predictor(bundle).predict(source_of(None).stationary(30_000, seed=97).rows())
    assert said.abstained.mean() == pytest.approx(0.001, abs=0.0015)


def test_the_bundle_is_what_the_stream_needs(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert [feature.name for feature in manifest.features] == list(bmp.FEATURES)
    assert [feature.missing for feature in manifest.features] == [False] * 8 + [True] * 8
    assert [column.name for column in manifest.context] == ["sex", "age", "race_eth"]
    assert not any(column.required for column in manifest.context)
    assert manifest.context[1].bands == (30.0, 50.0, 70.0)
    assert manifest.positive_class == "contaminated"
    check_settings(monitor_settings(manifest.monitors), manifest)
    card = bundle.read_card()
    assert "Beside the rules of thumb" in card
    assert "not for use in care" in card
    assert "| Yang et al. (published) |  |  | .77 to .79 |" in card


def test_training_again_makes_the_same_bundle(bundle: Bundle) -> None:
    inode = bundle.folder.stat().st_ino
    assert bmp.train(bundle.folder).digest == bundle.digest
    assert bundle.folder.stat().st_ino == inode


def test_a_data_folder_without_the_files_is_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nhanes_bmp_2001_2018\.csv\.gz cannot be read .* simulated"):
        bmp.train(tmp_path / "bundle", data_dir=tmp_path)


def test_quality_is_counted_right() -> None:
    panels = source_of(None).stationary(1000, seed=1, contamination=0.5)
    truth = panels.contaminated
    assert bmp_card.quality("all right", panels, truth)[1:5] == ("1.000", "1.00000", "1.0000", "1.000")
    assert bmp_card.quality("all wrong", panels, ~truth)[1:5] == ("0.000", "0.00000", "0.0000", "-1.000")
    assert bmp_card.quality("none", panels, np.zeros(1000, np.bool_))[3:] == ("", "", "0.0")
    assert bmp_card.by_band(panels, truth) == ("1.000",) * 4
