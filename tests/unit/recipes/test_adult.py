"""The recipe of Adult: strings in, and groups that the model does not see."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.bundles.reference_csv import ReferenceTable
from atalaia.errors import BundleError
from atalaia.monitors.checks import check_settings
from atalaia.monitors.configuration import monitor_settings
from recipes import adult
from tests.unit.recipes.marks import DATA_DIR, needs_data

ROW = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, ?, Not-in-family, White, Male, 2174, 0, 40, "
    "United-States, "
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return adult.train(tmp_path_factory.mktemp("adult") / "bundle", data_dir=DATA_DIR)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.mark.data
@needs_data
def test_shares_of_the_rich_are_the_known_ones() -> None:
    training, reference, held_out = adult.read(DATA_DIR)
    assert (len(training), len(reference) + len(held_out)) == (32_561, 16_281)
    for sex, share in (("Female", 0.1095), ("Male", 0.3057)):
        assert round(float(training.rich[training.columns["sex"] == sex].mean()), 4) == share


@pytest.mark.data
@needs_data
def test_the_bundle_answers_rows_with_strings(bundle: Bundle) -> None:
    predictor = Predictor(bundle)
    predictor.self_test()
    held_out = adult.read(DATA_DIR)[2]
    rows = held_out.rows()
    said = predictor.predict(rows)
    assert np.equal(said.label == 1, held_out.rich).mean() == pytest.approx(0.865, abs=0.01)
    assert said.abstained.mean() < 0.005
    assert any(value is None for value in rows.strings["occupation"])


@pytest.mark.data
@needs_data
def test_no_group_is_among_the_features(bundle: Bundle) -> None:
    manifest = bundle.manifest
    features = {feature.name for feature in manifest.features}
    assert not features & {"sex", "race", "age", "relationship"}
    assert {column.name for column in manifest.context} == {"sex", "age", "race"}
    assert all(column.protected for column in manifest.context)
    assert {feature.name for feature in manifest.features if feature.missing} == {
        "workclass",
        "occupation",
        "native_country",
    }
    assert all(feature.categories for feature in manifest.features if not feature.numeric)
    check_settings(monitor_settings(manifest.monitors), manifest)
    assert len(bundle.reference) == adult.REFERENCE_ROWS


@pytest.mark.data
@needs_data
def test_the_card_tells_of_groups(bundle: Bundle) -> None:
    card = bundle.read_card()
    assert "| Female | 2703 | 0.1095 |" in card
    assert "| Male | 5578 | 0.3057 |" in card


@pytest.mark.data
@needs_data
def test_csv_holds_rows_for_a_replay(tmp_path: Path) -> None:
    some = adult.read(DATA_DIR)[2].take(np.arange(200))
    some.write_csv(tmp_path / "adult.csv")
    read = ReferenceTable.read(tmp_path / "adult.csv")
    assert list(read.columns) == [*adult.FEATURES, "sex", "age", "race", adult.TARGET]
    assert read.columns[adult.TARGET] == some.labels.tolist()
    assert read.strings("occupation").tolist() == some.columns["occupation"].tolist()


def test_unknown_cells_are_missing_and_marks_are_read(tmp_path: Path) -> None:
    text = f"|1x3 Cross validator\n{ROW}<=50K.\n{ROW}>50K\n\n"
    people = adult.People.read(_write(tmp_path / "adult.test.gz", text))
    assert people.rich.tolist() == [False, True]
    assert people.columns["occupation"].tolist() == [None, None]
    assert people.rows().numeric[0].tolist() == [13.0, 2174.0, 0.0, 40.0]
    assert people.rows().context["age"].tolist() == [39.0, 39.0]


def test_without_data_it_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(
        BundleError, match=r"adult\.data\.gz and adult/adult\.test\.gz; give --data-dir or set"
    ):
        adult.train(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"adult\.data\.gz cannot be read"):
        adult.train(tmp_path / "bundle", data_dir=tmp_path)


@pytest.mark.parametrize("text", ["", "1, 2, 3\n", f"{ROW}rich\n"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    _write(tmp_path / "adult/adult.data.gz", text)
    with pytest.raises(BundleError, match="is not a file of UCI Adult"):
        adult.train(tmp_path / "bundle", data_dir=tmp_path)
