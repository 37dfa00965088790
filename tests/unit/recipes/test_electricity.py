"""The recipes of electricity: a tree that time leaves behind, and a decision that is made elsewhere."""

import gzip
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.bundles.reference_csv import ReferenceTable
from atalaia.errors import BundleError
from atalaia.inference.rows import Rows
from atalaia.monitors.checks import check_settings
from atalaia.monitors.configuration import monitor_settings
from recipes import electricity, electricity_previous
from recipes.electricity import FEATURES, FILE, HalfHours, split
from recipes.electricity_previous import Decisions
from tests.unit.recipes.marks import DATA_DIR, needs_data

HEADER = "period,nswprice,nswdemand,vicprice,vicdemand,transfer,class"
ROWS = "0.0,0.05,0.44,0.003,0.42,0.41,1\n0.02,0.06,0.41,0.003,0.42,0.41,0\n0.04,0.05,0.38,0.1,0.5,0.4,0\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return electricity.train(tmp_path_factory.mktemp("tree") / "bundle", data_dir=DATA_DIR)


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return electricity_previous.train(tmp_path_factory.mktemp("previous") / "bundle", data_dir=DATA_DIR)


def data_folder(folder: Path, text: str) -> Path:
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_bytes(gzip.compress(text.encode()))
    return folder


@pytest.mark.data
@needs_data
def test_the_tree_knows_the_first_days_and_is_left_behind_by_later_ones(tree: Bundle) -> None:
    training, reference, later = split(HalfHours.read(DATA_DIR))
    assert (len(training), len(reference), len(later)) == (5760, 2880, 36_672)
    assert len(tree.reference) == 2880
    accuracy = tree.reference.performance["accuracy"]
    assert accuracy is not None
    assert round(accuracy, 2) == 0.84
    said = Predictor(tree).predict(Rows(numeric=later.features.astype(np.float64)))
    assert said.label is not None
    right = np.equal(said.label, later.labels)[~said.abstained]
    assert right.mean() < accuracy - 0.08
    assert 0 < said.abstained.sum() < 200


@pytest.mark.data
@needs_data
def test_constant_columns_take_no_part_in_what_is_refused(tree: Bundle) -> None:
    assert tree.reference.applicability.constant == ("vicprice", "vicdemand", "transfer")
    assert "Applicability does not watch vicprice, vicdemand, transfer" in tree.read_card()


@pytest.mark.data
@needs_data
def test_the_previous_label_is_passed_through_and_never_refused(previous: Bundle) -> None:
    market = HalfHours.read(DATA_DIR)
    assert round(1 - market.up.mean(), 4) == 0.5755
    decisions = Decisions.of(market)
    said = Predictor(previous).predict(Rows(numeric=decisions.previous[:, None].astype(np.float64)))
    assert said.label is not None
    assert said.label.tolist() == decisions.previous.tolist()
    assert not said.abstained.any()
    assert round(float((said.label == decisions.labels).mean()), 3) == 0.853


@pytest.mark.data
@needs_data
def test_both_can_be_watched_as_they_say_and_say_that_they_hold_rows(tree: Bundle, previous: Bundle) -> None:
    for bundle in (tree, previous):
        check_settings(monitor_settings(bundle.manifest.monitors), bundle.manifest)
        assert "do not pass the bundle on" in bundle.read_card()


def test_rows_are_read_in_order_and_written_for_a_replay(tmp_path: Path) -> None:
    market = HalfHours.read(data_folder(tmp_path, f"{HEADER}\n{ROWS}"))
    assert market.labels.tolist() == [1, 0, 0]
    market.write_csv(tmp_path / "rows.csv")
    read = ReferenceTable.read(tmp_path / "rows.csv")
    assert list(read.columns) == [*FEATURES, "class"]
    assert read.numbers("vicprice", "FP32").tolist() == market.features[:, 3].tolist()
    decisions = Decisions.of(market)
    assert (decisions.previous.tolist(), decisions.labels.tolist()) == ([1, 0], [0, 0])
    decisions.write_csv(tmp_path / "decisions.csv")
    assert (tmp_path / "decisions.csv").read_text().split() == ["previous,class", "1,0", "0,0"]


@pytest.mark.parametrize("recipe", [electricity, electricity_previous])
def test_without_data_it_says_what_is_needed(tmp_path: Path, recipe: ModuleType) -> None:
    with pytest.raises(BundleError, match=r"needs elec/elec\.csv\.gz; give --data-dir or set"):
        recipe.train(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"elec\.csv\.gz cannot be read"):
        recipe.train(tmp_path / "bundle", data_dir=tmp_path)


@pytest.mark.parametrize("text", ["", "period,class\n0,1\n", f"{HEADER}\n0,1,2\n", f"{HEADER}\n"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    folder = data_folder(tmp_path, text)
    with pytest.raises(BundleError, match="is not Electricity NSW: expected rows of period"):
        HalfHours.read(folder)
