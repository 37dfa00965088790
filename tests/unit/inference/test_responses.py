"""Responses as text: what they say, and how large they may grow."""

import json
from typing import Any

import numpy as np
import pytest

from atalaia.bundles.manifest import ClassLabel, Feature, Manifest, ModelFile
from atalaia.errors import Contribution, InvalidInput, UnknownModel
from atalaia.inference.protocol import decode_response
from atalaia.inference.responses import (
    ResponseWriter,
    abstained_rows,
    error_response,
    mark_expired,
    out_of_distribution,
)
from atalaia.inference.rows import Predictions


def classifier(*classes: ClassLabel) -> ResponseWriter:
    features = (Feature("a"),)
    return ResponseWriter(Manifest("m", "1", "classification", ModelFile("tensor"), features, (), classes))


def regressor() -> ResponseWriter:
    return ResponseWriter(Manifest("m", "1", "regression", ModelFile("tensor"), (Feature("a"),)))


def two_rows() -> Predictions:
    return Predictions(
        score=np.array([0.25, 0.75], np.float32),
        applicability=np.array([1.5, 1e30], np.float32),
        abstained=np.array([False, True]),
        label=np.array([0, 1]),
        probabilities=np.array([[0.75, 0.25], [0.25, 0.75]], np.float32),
    )


def test_a_classifiers_response_names_its_outputs_with_their_shapes() -> None:
    body = json.loads(classifier("no", "yes").many_rows("id-1", two_rows()))
    assert body == {
        "model_name": "m",
        "model_version": "1",
        "id": "id-1",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["no", "yes"]},
            {"name": "score", "datatype": "FP32", "shape": [2], "data": [0.25, 0.75]},
            {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.75, 0.25, 0.25, 0.75]},
            {"name": "applicability", "datatype": "FP32", "shape": [2], "data": [1.5, 1e30]},
            {"name": "abstained", "datatype": "BOOL", "shape": [2], "data": [False, True]},
        ],
    }


def test_a_regressors_value_is_its_score() -> None:
    values = np.array([1.25, -3e-20], np.float32)
    predictions = Predictions(
        score=values, applicability=np.zeros(2, np.float32), abstained=np.zeros(2, bool), value=values
    )
    for response in (
        decode_response(regressor().many_rows("x", predictions)),
        decode_response(regressor().single_rows(["x", "y"], predictions)[0]),
    ):
        assert [output.name for output in response.outputs] == [
            "value",
            "score",
            "applicability",
            "abstained",
        ]
        assert response.output("value") == response.output("score")


@pytest.mark.parametrize(
    ("classes", "datatype"), [((0, 1), "INT64"), (("a", "b"), "BYTES"), ((1, "one"), "BYTES")]
)
def test_labels_are_of_the_class_values_own_type(classes: tuple[ClassLabel, ...], datatype: str) -> None:
    first, second = (
        decode_response(text) for text in classifier(*classes).single_rows(["x", "y"], two_rows())
    )
    assert first.outputs[0].datatype == datatype
    assert (first.output("label"), second.output("label")) == ([classes[0]], [classes[1]])
    assert (first.id, second.id) == ("x", "y")


def test_single_rows_want_one_id_a_row() -> None:
    with pytest.raises(ValueError, match="zip"):
        classifier("no", "yes").single_rows(["x"], two_rows())


def test_an_expired_response_says_so_and_is_otherwise_the_same() -> None:
    text = classifier("no", "yes").many_rows("x", two_rows())
    plain, marked = decode_response(text), decode_response(mark_expired(text))
    assert marked.parameters == {"expired": True}
    marked.parameters = None
    assert marked == plain


@pytest.mark.parametrize("names", [(None, None), ("m", None), ("m", "2")])
def test_an_error_prediction_gives_the_reason_and_the_model_where_known(
    names: tuple[str | None, str | None],
) -> None:
    refusal = UnknownModel('no model "x" is deployed')
    text = error_response(request_id="r\n1", refusal=refusal, model_name=names[0], model_version=names[1])
    response = decode_response(text)
    assert response.id == "r\n1"
    assert response.error == 'no model "x" is deployed'
    assert response.parameters == {"code": "unknown_model", "status": 404}
    assert (response.model_name, response.model_version) == names
    assert response.outputs == []
    assert b"null" not in text


def test_abstained_rows_are_those_marked() -> None:
    answered = decode_response(classifier("no", "yes").many_rows("x", two_rows()))
    failed = decode_response(
        error_response(request_id="x", refusal=InvalidInput([]), model_name=None, model_version=None)
    )
    assert abstained_rows(answered) == [False, True]
    assert abstained_rows(failed) == []


def test_out_of_distribution_names_what_pushed_the_row_out() -> None:
    contributions = [Contribution(f"f{i}", 10.0 - i) for i in range(5)]
    refusal = out_of_distribution(34.0, 12.5, contributions)
    assert "distance 34 is beyond the cutoff 12.5" in refusal.detail
    assert "f0, f1, f2." in refusal.detail
    assert (refusal.status, refusal.distance, refusal.cutoff) == (422, 34.0, 12.5)
    assert refusal.contributions == contributions


@pytest.mark.parametrize("writer", [regressor(), classifier("a" * 5_000, "b"), classifier(*range(40))])
@pytest.mark.parametrize("rows", [1, 7, 1_000])
def test_derived_bytes_bound_the_longest_numbers(writer: ResponseWriter, rows: int) -> None:
    longest = np.full(rows, -1.1754944e-38, np.float32)
    classes = len(writer.manifest.classes)
    arrays: dict[str, Any] = {"value": longest}
    if classes:
        arrays = {"label": np.zeros(rows, np.int64), "probabilities": np.tile(longest[:, None], classes)}
    predictions = Predictions(score=longest, applicability=longest, abstained=np.zeros(rows, bool), **arrays)
    assert len(writer.many_rows("", predictions)) <= writer.derived_bytes(rows)
