"""The recipe that needs no download."""

import os
from pathlib import Path

import numpy as np
import pytest

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from recipes import bmp, bmp_figures
from recipes.bmp_panels import simulate


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bmp.train(tmp_path_factory.mktemp("bmp") / "bundle")


def test_the_same_arguments_give_the_same_panels() -> None:
    one, two = simulate(500, seed=3), simulate(500, seed=3)
    assert np.array_equal(one.features, two.features, equal_nan=True)
    assert np.array_equal(one.contaminated, two.contaminated)
    assert not np.array_equal(one.features, simulate(500, seed=4).features, equal_nan=True)


def test_panels_have_the_figures_they_are_drawn_from() -> None:
    panels = simulate(60_000, seed=1, contamination=0.0, without_prior=0.0)
    group = (panels.sex == "F") & (panels.age >= 50) & (panels.age < 70)
    assert group.mean() == pytest.approx(bmp_figures.SHARES["F", 2], abs=0.006)
    logs = np.log(panels.features[group, :8])
    assert logs.mean(axis=0) == pytest.approx(bmp_figures.LOG_MEANS["F", 2], abs=0.015)
    assert logs.std(axis=0) == pytest.approx(bmp_figures.LOG_SDS["F", 2], rel=0.05)
    correlation = np.asarray(np.corrcoef(logs.T))
    assert correlation[1, 0] == pytest.approx(bmp_figures.LOG_CORRELATION[0][0], abs=0.04)
    ratios = np.log(panels.features[:, :8] / (panels.features[:, :8] - panels.features[:, 8:]))
    assert ratios.std(axis=0) == pytest.approx(bmp_figures.RATIO_SDS, rel=0.06)
    assert panels.age.min() == 18
    assert panels.age.max() == 85


def test_contamination_moves_the_sample_towards_the_fluid() -> None:
    clean, mixed = (
        simulate(4000, seed=2, contamination=share, fluids={"NS": 1.0}).features for share in (0.0, 1.0)
    )
    sodium, chloride, potassium = ((mixed - clean)[:, column].mean() for column in (0, 1, 2))
    assert sodium > 2
    assert chloride > 8
    assert potassium < -0.7


def test_shares_of_contaminated_and_first_panels_are_as_asked() -> None:
    panels = simulate(40_000, seed=5, contamination=0.2, without_prior=0.3)
    assert panels.contaminated.mean() == pytest.approx(0.2, abs=0.01)
    assert np.isnan(panels.features[:, 8:]).all(axis=1).mean() == pytest.approx(0.3, abs=0.01)
    assert panels.fraction[panels.contaminated].min() >= 0.1
    assert panels.fraction.max() <= 0.8


def test_values_are_rounded_as_reported() -> None:
    features = simulate(1000, seed=6).features
    for column, places in enumerate((*bmp_figures.DECIMALS, *bmp_figures.DECIMALS)):
        scaled = features[:, column] * 10**places
        assert np.nanmax(np.abs(scaled - np.round(scaled))) < 1e-6


def test_a_shift_moves_one_analyte() -> None:
    plain, moved = (simulate(2000, seed=7, shift=shift).features for shift in ({}, {"chloride": 3.0}))
    assert (moved - plain)[:, 1].mean() == pytest.approx(3.0, abs=0.2)
    assert np.array_equal(moved[:, [0, 2, 3, 4]], plain[:, [0, 2, 3, 4]])


def test_the_bundle_answers_simulated_panels_better_than_the_rule(bundle: Bundle) -> None:
    predictor = Predictor(bundle)
    predictor.self_test()
    panels = simulate(30_000, seed=99)
    said = predictor.predict(panels.rows())
    assert said.label is not None
    flagged = said.label == 1
    ruled = bmp.rule_of_thumb(panels)
    assert flagged[panels.contaminated].mean() > 0.88 > ruled[panels.contaminated].mean()
    assert panels.contaminated[flagged].mean() > 0.9
    assert panels.contaminated[ruled].mean() > 0.9
    assert said.abstained[~panels.contaminated].mean() == pytest.approx(0.001, abs=0.0015)


def test_the_bundle_is_what_the_stream_needs(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert [feature.name for feature in manifest.features] == list(bmp.FEATURES)
    assert [feature.missing for feature in manifest.features] == [False] * 8 + [True] * 8
    assert manifest.context[1].bands == (30.0, 50.0, 70.0)
    assert len(bundle.reference) == 10_000
    card = bundle.read_card()
    assert "rule of thumb" in card
    assert "not for use in care" in card


def test_training_again_makes_the_same_bundle(bundle: Bundle) -> None:
    inode = bundle.folder.stat().st_ino
    assert bmp.train(bundle.folder).digest == bundle.digest
    assert bundle.folder.stat().st_ino == inode


def test_csv_holds_what_the_panels_hold(tmp_path: Path) -> None:
    panels = simulate(50, seed=8, contamination=0.5)
    panels.write_csv(tmp_path / "panels.csv")
    header, *lines = (tmp_path / "panels.csv").read_text().splitlines()
    assert header.split(",") == [*bmp.FEATURES, "sex", "age", bmp.TARGET]
    cells = [line.split(",") for line in lines]
    values = np.array([[float(cell) if cell else np.nan for cell in row[:16]] for row in cells])
    assert values == pytest.approx(panels.features, nan_ok=True)
    assert [row[-1] for row in cells] == panels.labels.tolist()


@pytest.mark.data
@pytest.mark.skipif(
    not os.environ.get("ATALAIA_DATA_DIR"), reason="set ATALAIA_DATA_DIR to the folder of the data"
)
def test_figures_are_those_of_the_files() -> None:
    found = bmp_figures.recompute(Path(os.environ["ATALAIA_DATA_DIR"]))
    assert found == {name: getattr(bmp_figures, name) for name in found}
    assert len(found) == 6
