"""Answers do not depend on the batch, on the order or on the machine's mood."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.bundles.build import take
from atalaia.bundles.predictor import Predictor
from atalaia.bundles.reference_csv import ReferenceTable
from atalaia.bundles.source import read_rows
from atalaia.inference.rows import Predictions, Rows
from tests.unit.bundles import tiny_models

Case = tuple[Predictor, Rows, Predictions]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    made = {}
    for kind, make in tiny_models.KINDS.items():
        folder = tmp_path_factory.mktemp("predictor")
        predictor = Predictor(make().bundle(folder))
        rows = read_rows(predictor.manifest.features, ReferenceTable.read(folder / "reference.csv"))
        made[kind] = (predictor, rows, predictor.predict(rows))
    return made


@pytest.mark.parametrize("kind", tiny_models.KINDS)
@given(chosen=st.lists(st.integers(0, tiny_models.ROWS - 1), min_size=1, max_size=70))
@settings(max_examples=25, deadline=None)
def test_same_row_same_answer_to_the_last_bit(cases: dict[str, Case], kind: str, chosen: list[int]) -> None:
    predictor, rows, whole = cases[kind]
    which = np.array(chosen)
    part = predictor.predict(take(rows, which))
    for field in ("score", "applicability", "abstained", "label", "probabilities", "value"):
        found, expected = getattr(part, field), getattr(whole, field)
        assert (found is None) == (expected is None)
        if expected is not None:
            assert np.array_equal(found, expected[which]), field


@pytest.mark.parametrize("kind", tiny_models.KINDS)
def test_shapes_and_types_are_as_promised(cases: dict[str, Case], kind: str) -> None:
    predictor, rows, _ = cases[kind]
    for n in (0, 1, 2, 5):
        said = predictor.predict(take(rows, np.arange(n)))
        assert said.score.shape == said.applicability.shape == said.abstained.shape == (n,)
        assert said.score.dtype == said.applicability.dtype == np.float32
        if predictor.manifest.task == "regression":
            assert said.value is not None
            assert np.array_equal(said.value, said.score)
            assert said.label is None
        else:
            assert said.label is not None
            assert said.probabilities is not None
            assert said.label.dtype == np.int64
            assert said.probabilities.shape == (n, len(predictor.manifest.classes))
            assert said.probabilities.dtype == np.float32


def test_scores_are_of_the_positive_or_the_predicted_class(cases: dict[str, Case]) -> None:
    _, _, binary = cases["forest"]
    assert binary.probabilities is not None
    assert np.array_equal(binary.score, binary.probabilities[:, 1])
    _, _, several = cases["tree"]
    assert several.probabilities is not None
    assert np.array_equal(several.score, several.probabilities.max(axis=1))


def test_activations(cases: dict[str, Case]) -> None:
    for kind in ("one logit", "three logits"):
        _, _, said = cases[kind]
        assert said.probabilities is not None
        assert said.probabilities.sum(axis=1) == pytest.approx(1.0)
        assert said.probabilities.min() >= 0


def test_rows_beyond_the_cutoff_are_scored_and_flagged(cases: dict[str, Case]) -> None:
    predictor, rows, whole = cases["forest"]
    far = Rows(numeric=np.vstack([rows.numeric[:1], rows.numeric[1:2] + 1e6, rows.numeric[2:3]]))
    said = predictor.predict(far)
    assert said.abstained.tolist() == [False, True, False]
    assert said.score[[0, 2]].tolist() == whole.score[[0, 2]].tolist()
    assert np.isfinite(said.applicability).all()
    contributions = predictor.applicability.contributions(far.numeric[1])
    assert contributions.sum() == pytest.approx(said.applicability[1], rel=1e-6)


def test_self_test_passes_on_what_was_just_made(cases: dict[str, Case]) -> None:
    for predictor, _, _ in cases.values():
        predictor.self_test()


def test_serving_imports_no_heavy_library(tmp_path: Path) -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    folder = tiny_models.tree().bundle(tmp_path).folder
    program = (
        "import sys\n"
        "from atalaia.bundles.folder import Bundle\n"
        "from atalaia.bundles.predictor import Predictor\n"
        f"predictor = Predictor(Bundle.read({str(folder)!r}))\n"
        "predictor.self_test()\n"
        "heavy = {'scipy', 'sklearn', 'onnx', 'skl2onnx'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
