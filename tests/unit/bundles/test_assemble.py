"""``atalaia bundle`` on every kind of model, and on everything that does not fit."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from atalaia.bundles.assemble import assemble_bundle
from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.errors import BundleError
from tests.unit.bundles import tiny_models
from tests.unit.bundles.tiny_models import KINDS, Tiny


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return KINDS[request.param]().bundle(tmp_path_factory.mktemp(request.param.replace(" ", "_")))


def test_any_kind_of_model_becomes_a_bundle_that_reads_back(made: Bundle) -> None:
    again = Bundle.read(made.folder)
    assert again.digest == made.digest
    assert again.manifest == made.manifest
    assert len(again.reference) == tiny_models.ROWS
    Predictor(again).self_test()


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("tree", ("classification", "tensor", (3, 4, 5), None)),
        ("forest", ("classification", "tensor", ("no", "yes"), "yes")),
        ("zipmap", ("classification", "tensor", (0, 1), 1)),
        ("columns", ("classification", "columns", ("<=50K", ">50K"), ">50K")),
        ("regressor", ("regression", "tensor", (), None)),
        ("double regressor", ("regression", "tensor", (), None)),
        ("one logit", ("classification", "tensor", ("a", "b"), "b")),
        ("three logits", ("classification", "tensor", (0, 1, 2), None)),
        ("flat integers", ("regression", "columns", (), None)),
    ],
)
def test_task_classes_and_feeding_are_found(kind: str, found: tuple[object, ...], tmp_path: Path) -> None:
    manifest = KINDS[kind]().bundle(tmp_path).manifest
    assert (manifest.task, manifest.model.inputs, manifest.classes, manifest.positive_class) == found


def test_columns_are_matched_by_name_in_the_models_order(tmp_path: Path) -> None:
    manifest = tiny_models.columns().bundle(tmp_path).manifest
    assert [(feature.name, feature.datatype) for feature in manifest.features] == [
        ("age", "FP32"), ("hours", "FP32"), ("work", "BYTES"),
    ]  # fmt: skip
    assert [feature.missing for feature in manifest.features] == [False, False, True]


def test_the_reference_counts_served_values_and_missing_ones(tmp_path: Path) -> None:
    tiny = tiny_models.columns()
    reference = tiny.bundle(tmp_path).reference
    work = reference.columns["work"]
    assert work.missing == tiny.columns["work"].count("")
    assert dict(zip(work.values.tolist(), work.counts.tolist(), strict=True)) == {
        value: tiny.columns["work"].count(value) for value in ("none", "private", "state")
    }
    assert reference.columns["age"].values.dtype == np.float32
    assert int(reference.columns["age"].counts.sum()) == tiny_models.ROWS


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_are_found(separator: str, tmp_path: Path) -> None:
    source = tiny_models.tree().write(tmp_path, separator)
    assert len(assemble_bundle(source, tmp_path / "bundle").manifest.features) == 4


def test_names_that_exporters_respell_are_matched(tmp_path: Path) -> None:
    tiny = tiny_models.columns()
    model = onnx.load_model_from_string(tiny.model)
    renamed = {"age": "age_of_person", "hours": "_hours", "work": "work"}
    for tensor in model.graph.input:
        tensor.name = renamed[tensor.name]
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    cells = {{"age": "age of-person"}.get(name, name): column for name, column in tiny.columns.items()}
    (tmp_path / "plain").mkdir()
    bundle = Tiny(model.SerializeToString(), cells).bundle(tmp_path)
    assert [(feature.name, feature.input) for feature in bundle.manifest.features] == [
        ("age of-person", "age_of_person"), ("hours", "_hours"), ("work", None),
    ]  # fmt: skip
    plain = tiny.bundle(tmp_path / "plain")
    assert np.array_equal(bundle.reference.answers.scores, plain.reference.answers.scores)


def test_unmet_inputs_and_unused_columns_are_named(tmp_path: Path) -> None:
    tiny = tiny_models.columns()
    changed = {name.replace("hours", "weekly"): cells for name, cells in tiny.columns.items()}
    with pytest.raises(BundleError, match=r"without a column: hours; columns without an input: weekly"):
        dataclasses.replace(tiny, columns=changed).bundle(tmp_path)


def test_a_wrong_number_of_columns_is_told(tmp_path: Path) -> None:
    tiny = tiny_models.tree()
    fewer = {name: cells for name, cells in tiny.columns.items() if name != "x2"}
    with pytest.raises(BundleError, match=r"takes 4 columns, .* has 3 beside target and context: x0, x1, x3"):
        dataclasses.replace(tiny, columns=fewer).bundle(tmp_path)


def _with_cell(tiny: Tiny, name: str, row: int, cell: str) -> Tiny:
    cells = list(tiny.columns[name])
    cells[row] = cell
    return dataclasses.replace(tiny, columns=tiny.columns | {name: cells})


@pytest.mark.parametrize(
    ("kind", "name", "cell", "message"),
    [
        ("tree", "x1", "NA", "row 8, column 'x1': 'NA' is not a number"),
        ("tree", "x1", "inf", "row 8, column 'x1': inf does not fit FP32"),
        ("tree", "x1", "1e39", "row 8, column 'x1': 1e39 does not fit FP32"),
        ("flat integers", "a", "", "row 8, column 'a': empty, but the model takes INT64"),
        ("flat integers", "a", "1.5", "row 8, column 'a': 1.5 does not fit INT64"),
        ("tree", "target", "9", r"row 8, target 'target': '9' is none of the classes \[3, 4, 5\]"),
        ("regressor", "target", "much", "row 8, target 'target': 'much' is not a number"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(
    kind: str, name: str, cell: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=message):
        _with_cell(KINDS[kind](), name, 7, cell).bundle(tmp_path)


def test_empty_numbers_are_missing_and_allowed_from_then_on(tmp_path: Path) -> None:
    bundle = _with_cell(tiny_models.forest(), "x1", 7, "").bundle(tmp_path)
    assert [feature.missing for feature in bundle.manifest.features] == [False, True, False, False]
    assert bundle.reference.columns["x1"].missing == 1


def test_empty_targets_are_unknown_labels(tmp_path: Path) -> None:
    bundle = _with_cell(tiny_models.tree(), "target", 7, "").bundle(tmp_path)
    assert bundle.reference.performance["labelled"] == tiny_models.ROWS - 1
    assert bundle.reference.answers.labels is not None
    assert bundle.reference.answers.labels[7] == -1


def test_true_and_false_are_one_and_zero(tmp_path: Path) -> None:
    tiny = tiny_models.zipmap()
    spelled = ["True" if cell == "1" else "False" for cell in tiny.columns["target"]]
    told = dataclasses.replace(tiny, columns=tiny.columns | {"target": spelled}).bundle(tmp_path / ".")
    assert told.reference.performance["accuracy"] == pytest.approx(0.95, abs=0.05)


def test_context_columns_are_protected_attributes_with_quartile_bands(tmp_path: Path) -> None:
    tiny = tiny_models.tree()
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, tiny_models.ROWS)
    extra = {"sex": rng.choice(["F", "M"], tiny_models.ROWS).tolist(), "age": [str(value) for value in age]}
    source = dataclasses.replace(tiny, columns=extra | tiny.columns).write(tmp_path)
    bundle = assemble_bundle(dataclasses.replace(source, context=("sex", "age")), tmp_path / "bundle")
    sex, years = bundle.manifest.context
    assert (sex.datatype, sex.bands, sex.protected, sex.required) == ("BYTES", None, True, False)
    assert (years.datatype, years.protected, years.required) == ("FP64", True, False)
    assert years.bands == tuple(np.quantile(age, [0.25, 0.5, 0.75]))


CONFIG = """
threshold = 0.3
description = "A test"
[features.x1]
unit = "mg/dL"
low = -1.0
[context.sex]
categories = ["F", "M"]
protected = false
[monitors.drift]
minimum_reference_rows = 500
"""


def test_config_overrides_what_was_found(tmp_path: Path) -> None:
    tiny = tiny_models.forest()
    columns = tiny.columns | {"sex": ["F", "M"] * (tiny_models.ROWS // 2)}
    source = dataclasses.replace(tiny, columns=columns, config=CONFIG).write(tmp_path)
    bundle = assemble_bundle(dataclasses.replace(source, context=("sex",)), tmp_path / "bundle")
    manifest = bundle.manifest
    assert (manifest.threshold, manifest.description) == (0.3, "A test")
    assert (manifest.features[1].unit, manifest.features[1].low) == ("mg/dL", -1.0)
    assert manifest.context[0].categories == ("F", "M")
    assert not manifest.context[0].protected
    assert "lowers the minimum to 500" in bundle.read_card()
    assert bundle.reference.answers.predicted is not None
    flagged = bundle.reference.answers.scores >= np.float32(0.3)
    assert np.array_equal(bundle.reference.answers.predicted == 1, flagged)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("tresholt = 1", "tresholt cannot be set here; expected some of .*threshold"),
        ("name = 'other'", "name cannot be set here"),
        ("[features.x9]\nunit = 'm'", r"\[features.x9\]: no such column; there are x0, x1, x2, x3"),
        ("[features.x1]\nunits = 'm'", "features.x1.units cannot be set here"),
        ("[features.x1]\nunit = 3", "features.*unit"),
        ("[context.sex]\nprotected = true", r"\[context.sex\]: no such column; there are none"),
        ("[model]\nactivation = 'relu'", "activation"),
        ("positive_class = 'maybe'", "positive_class 'maybe' is none of the classes"),
        ("threshold = 3.0", "threshold is 3.0, expected between 0 and 1"),
        ("features = []", r"expected tables \[features.NAME\]"),
        ("threshold = ", "is not TOML"),
        ("classes = ['yes', 'no']", r"its classes are \['no', 'yes'\], --config says \['yes', 'no'\]"),
    ],
)
def test_config_errors_name_what_is_wrong(config: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=message):
        dataclasses.replace(tiny_models.forest(), config=config).bundle(tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[features.work]\ncategories = ['private', 'none']", "column 'work': has 'state', which --config"),
        ("[features.work]\nmissing = false", "column 'work': has empty cells, which --config does not allow"),
    ],
)
def test_config_that_the_reference_breaks_is_refused(config: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=message):
        dataclasses.replace(tiny_models.columns(), config=config).bundle(tmp_path)


def test_the_positive_class_may_be_declared(tmp_path: Path) -> None:
    tiny = tiny_models.forest()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    last = tiny.bundle(tmp_path / "a").reference.answers.scores
    first = dataclasses.replace(tiny, config="positive_class = 'no'").bundle(tmp_path / "b")
    assert first.reference.answers.scores == pytest.approx(1 - last, abs=1e-6)


def test_logits_have_to_be_declared(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"are no probabilities .* activation"):
        dataclasses.replace(tiny_models.three_logits(), config="").bundle(tmp_path)


def test_one_number_a_row_and_two_targets_have_to_be_declared(tmp_path: Path) -> None:
    tiny = tiny_models.one_logit()
    target = ["1" if cell == "b" else "0" for cell in tiny.columns["target"]]
    ambiguous = dataclasses.replace(tiny, columns=tiny.columns | {"target": target}, config="")
    with pytest.raises(BundleError, match='say task = "classification" or task = "regression"'):
        ambiguous.bundle(tmp_path)
    config = 'task = "classification"\n[model]\nactivation = "sigmoid"\n'
    told = dataclasses.replace(ambiguous, config=config).bundle(tmp_path)
    assert told.manifest.classes == (0, 1)


def test_classes_that_do_not_fit_have_to_be_declared(tmp_path: Path) -> None:
    tiny = _with_cell(tiny_models.three_logits(), "target", 3, "7")
    with pytest.raises(
        BundleError, match=r"3 probabilities, but 'target' has 4 distinct values; say classes"
    ):
        tiny.bundle(tmp_path)
    told = dataclasses.replace(tiny_models.three_logits(), config=f"classes = [0, 1, 2]\n{tiny.config}")
    assert told.bundle(tmp_path).manifest.classes == (0, 1, 2)


def test_the_models_own_label_wins_where_it_is_not_the_likeliest_class(tmp_path: Path) -> None:
    tiny = tiny_models.forest()
    model = onnx.load_model_from_string(tiny.model)
    flip = helper.make_node(
        "LabelEncoder", [model.graph.output[0].name], ["flipped"], domain="ai.onnx.ml",
        keys_strings=["no", "yes"], values_strings=["yes", "no"],
    )  # fmt: skip
    model.graph.node.append(flip)
    next(opset for opset in model.opset_import if opset.domain == "ai.onnx.ml").version = 2
    del model.graph.output[0]
    model.graph.output.append(helper.make_tensor_value_info("flipped", TensorProto.STRING, [None]))
    bundle = dataclasses.replace(tiny, model=model.SerializeToString()).bundle(tmp_path)
    assert bundle.manifest.model.label == "flipped"
    answers = bundle.reference.answers
    assert answers.probabilities is not None
    assert answers.predicted is not None
    assert np.array_equal(answers.predicted, 1 - answers.probabilities.argmax(axis=1))


def test_a_fixed_batch_dimension_is_refused(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(tiny_models.tree().model)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(BundleError, match="takes exactly 1 rows; export the model with an open batch"):
        dataclasses.replace(tiny_models.tree(), model=model.SerializeToString()).bundle(tmp_path)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not an ONNX model"):
        dataclasses.replace(tiny_models.tree(), model=b"no model").bundle(tmp_path)


def test_too_few_rows_are_said_in_the_card(tmp_path: Path) -> None:
    card = tiny_models.tree().bundle(tmp_path).read_card()
    assert "600 reference rows are fewer than 1000: drift results are published without a verdict" in card
    assert "600 reference rows, fewer than the 1000 a quantile of 0.999 needs" in card


def test_a_training_reference_is_said_in_the_card(tmp_path: Path) -> None:
    source = dataclasses.replace(tiny_models.tree().write(tmp_path), reference_is_training=True)
    bundle = assemble_bundle(source, tmp_path / "bundle")
    assert bundle.manifest.reference_is_training
    assert "verdicts on score, class and performance are off" in bundle.read_card()


def test_constant_and_collinear_columns_break_nothing(tmp_path: Path) -> None:
    tiny = tiny_models.tree()
    x = tiny_models.numbers()
    x[:, 2], x[:, 3] = 7.25, x[:, 0] * 2
    target = np.array(tiny.columns["target"])
    bundle = dataclasses.replace(tiny, columns=tiny_models.as_columns(x, target)).bundle(tmp_path)
    assert bundle.reference.applicability.constant == ("x2",)
    assert bundle.reference.applicability.degrees_of_freedom == 2
    assert re.search(r"does not watch x2: one value in the reference", bundle.read_card())


def test_answers_are_those_of_onnxruntime(tmp_path: Path) -> None:
    tiny = tiny_models.columns()
    bundle = tiny.bundle(tmp_path)
    feed = {
        "age": np.array(tiny.columns["age"], np.float32)[:, None],
        "hours": np.array(tiny.columns["hours"], np.float32)[:, None],
        "work": np.array(tiny.columns["work"], np.object_)[:, None],
    }
    label, probabilities = onnxruntime.InferenceSession(tiny.model).run(None, feed)
    answers = bundle.reference.answers
    assert answers.predicted is not None
    assert np.array(bundle.manifest.classes)[answers.predicted].tolist() == label.tolist()
    assert answers.scores == pytest.approx(probabilities[:, 1])
