"""From replies to answers and problem documents."""

import json
from typing import Any

import numpy as np
import pytest

from atalaia.errors import FieldProblem, InvalidInput, ScoringFailed, TooManyRequests
from atalaia.inference.responses import ResponseWriter, error_response
from atalaia.inference.rows import Predictions
from services.gateway.inference.answers import plain_row, plain_rows, read_answer, select_outputs
from services.gateway.problems import Reported, document, respond
from tests.unit.gateway.gateway_bundles import LOAN, PANEL, served

FLAGS = np.array([False, True])


def classified() -> bytes:
    predictions = Predictions(
        score=np.array([0.5, 0.25], np.float32),
        applicability=np.array([1.5, 99.0], np.float32),
        abstained=FLAGS,
        label=np.array([0, 2]),
        probabilities=np.array([[0.5, 0.25, 0.25], [0.0, 0.75, 0.25]], np.float32),
    )
    return ResponseWriter(PANEL).many_rows("r", predictions)


def test_rows_of_a_classifier_as_plain_json() -> None:
    assert json.loads(plain_rows(read_answer(classified()))) == {
        "id": "r",
        "model": "panel",
        "version": "1",
        "predictions": [
            {
                "label": 3,
                "score": 0.5,
                "probabilities": [0.5, 0.25, 0.25],
                "applicability": 1.5,
                "abstained": False,
            },
            {
                "label": 5,
                "score": 0.25,
                "probabilities": [0.0, 0.75, 0.25],
                "applicability": 99.0,
                "abstained": True,
            },
        ],
    }


def test_the_row_of_a_regressor_as_plain_json() -> None:
    value = np.array([4.5], np.float32)
    predictions = Predictions(score=value, value=value, applicability=value, abstained=FLAGS[:1])
    [reply] = ResponseWriter(LOAN).single_rows(["r"], predictions)
    assert json.loads(plain_row(read_answer(reply))) == {
        "id": "r",
        "model": "loan",
        "version": "7",
        "value": 4.5,
        "score": 4.5,
        "applicability": 4.5,
        "abstained": False,
    }


def test_the_tensors_named_are_those_a_response_has() -> None:
    for manifest, reply in ((PANEL, classified()),):
        described = served(manifest).outputs
        given = {output["name"]: output for output in json.loads(reply)["outputs"]}
        assert described.keys() == given.keys()
        assert {name: output["datatype"] for name, output in described.items()} == {
            name: output["datatype"] for name, output in given.items()
        }


def test_outputs_are_selected_in_the_order_asked_for() -> None:
    selected = json.loads(select_outputs(read_answer(classified()), ["score", "label"]))
    assert [output["name"] for output in selected["outputs"]] == ["score", "label"]
    assert selected["model_name"] == "panel"


def test_an_error_reply_keeps_its_status_and_code() -> None:
    reply = error_response(
        request_id="r", refusal=ScoringFailed("it broke"), model_name="panel", model_version="1"
    )
    with pytest.raises(Reported, match="it broke") as raised:
        read_answer(reply)
    assert (raised.value.status, raised.value.code) == (500, "scoring_failed")


@pytest.mark.parametrize("parameters", [{}, {"status": "x"}, {"status": 200}, {"status": True}])
def test_an_error_reply_of_another_writer_is_a_server_error(parameters: dict[str, Any]) -> None:
    with pytest.raises(Reported) as raised:
        read_answer(json.dumps({"id": "r", "error": "no", "parameters": parameters}).encode())
    assert raised.value.status == 500


def test_a_problem_document_says_everything_twice_for_protocol_clients() -> None:
    refusal = InvalidInput([FieldProblem("sodium", "a string 'x'", "a number", 3)])
    members = document(refusal, instance="/predict", request_id="r")
    assert members == {
        "type": "urn:atalaia:problem:invalid_input",
        "title": "Input does not fit the model",
        "status": 422,
        "detail": "sodium (row 3): a string 'x', expected a number",
        "instance": "/predict",
        "code": "invalid_input",
        "request_id": "r",
        "error": "sodium (row 3): a string 'x', expected a number",
        "errors": [{"field": "sodium", "problem": "a string 'x'", "expected": "a number", "row": 3}],
    }


def test_a_refusal_that_may_be_repeated_says_when() -> None:
    response = respond(TooManyRequests("full"), instance="/predict", request_id="r")
    assert response.headers["retry-after"] == "1"
    assert response.headers["content-type"] == "application/problem+json"


def test_contributions_are_sorted_and_sum_to_the_distance() -> None:
    panel = served(PANEL)
    row = np.array([0.5, 30.0])
    distance = float(panel.applicability.squared_distance(row[None, :])[0])
    refusal = panel.refuse_row(row, distance)
    assert [entry.feature for entry in refusal.contributions] == ["potassium", "sodium"]
    assert sum(entry.contribution for entry in refusal.contributions) == pytest.approx(distance)
    assert refusal.cutoff == panel.applicability.cutoff < distance


def test_the_example_fits_the_model_it_is_of() -> None:
    for manifest in (PANEL, LOAN):
        of = served(manifest)
        rows = of.signature.rows_of_instances([of.example])
        assert not of.applicability.refused(of.applicability.squared_distance(rows.numeric)).any()
    assert served(PANEL).example["sex"] == "F"
