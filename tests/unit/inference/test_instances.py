"""Plain JSON rows against a model's signature."""

from typing import Any

import numpy as np
import pytest

from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.errors import FieldProblem, InvalidInput
from atalaia.inference.columns import MAX_PROBLEMS
from atalaia.inference.signature import Signature

MODEL = Signature(
    Manifest(
        "m",
        "1",
        "regression",
        ModelFile("columns"),
        (Feature("a"), Feature("b", missing=True), Feature("kind", "BYTES", categories=("red", "green"))),
        context=(ContextColumn("sex"), ContextColumn("age", "FP64", required=True)),
    )
)
ROW: dict[str, Any] = {"a": 1, "b": 2, "kind": "red", "age": 30}


def refusal(*instances: object) -> list[FieldProblem]:
    with pytest.raises(InvalidInput) as refused:
        MODEL.rows_of_instances(instances)
    return refused.value.problems


def test_objects_become_rows() -> None:
    rows = MODEL.rows_of_instances([ROW, {"age": 40, "kind": "green", "a": 3, "sex": "f"}])
    assert rows.numeric[0].tolist() == [1, 2]
    assert rows.numeric[1, 0] == 3
    assert np.isnan(rows.numeric[1, 1])
    assert rows.strings["kind"].tolist() == ["red", "green"]
    assert rows.context["sex"].tolist() == [None, "f"]
    assert rows.context["age"].tolist() == [30, 40]
    assert rows.event_time_ms is None


def test_arrays_are_in_feature_order() -> None:
    model = Signature(Manifest("m", "1", "regression", ModelFile("tensor"), (Feature("a"), Feature("b"))))
    assert model.rows_of_instances([[1, 2], [3, 4]]).numeric.tolist() == [[1, 2], [3, 4]]


def test_no_instances_are_refused() -> None:
    assert refusal() == [FieldProblem("instances", "no rows", "at least one row")]


@pytest.mark.parametrize(
    ("instance", "problem"),
    [
        ([1, 2], "2 values"),
        ([], "0 values"),
        ([1, 2, "red", 30], "4 values"),
        (5, "int"),
        ("text", "str"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_row_is_told_its_place(instance: object, problem: str) -> None:
    [told] = refusal(ROW, instance)
    assert told == FieldProblem(
        "instances", problem, "an object, or an array of 3 values in feature order", 1
    )


def test_missing_and_unknown_names_are_told_with_their_row() -> None:
    problems = refusal(ROW, {"a": 1, "kind": "red", "age": 3, "weight": 5}, {"b": 2, "age": 3})
    assert [(problem.field, problem.problem, problem.row) for problem in problems] == [
        ("weight", "unknown feature", 1),
        ("a", "missing", 2),
        ("kind", "missing", 2),
    ]
    assert problems[0].expected == "one of a, age, b, event_time, kind, sex"
    assert problems[2].expected == "a string, one of red, green"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"a": "1"}, "a"),
        ({"a": None}, "a"),
        ({"a": True}, "a"),
        ({"a": 1e39}, "a"),
        ({"a": [1]}, "a"),
        ({"kind": 1}, "kind"),
        ({"kind": "blue"}, "kind"),
        ({"kind": None}, "kind"),
        ({"age": None}, "age"),
        ({"age": "30"}, "age"),
        ({"sex": 1}, "sex"),
        ({"event_time": "now", "sex": "f"}, "event_time"),
    ],
)
def test_a_wrong_value_is_named(changed: dict[str, Any], field: str) -> None:
    assert [(problem.field, problem.row) for problem in refusal(ROW | changed)] == [(field, 0)]


def test_event_times_are_for_every_row_or_for_none() -> None:
    timed = [ROW | {"event_time": f"1970-01-01T00:00:0{second}Z"} for second in range(2)]
    times = MODEL.rows_of_instances(timed).event_time_ms
    assert times is not None
    assert times.tolist() == [0, 1000]
    [problem] = refusal(timed[0], ROW)
    assert problem == FieldProblem(
        "event_time", "given for some rows only", "a time for every row or for none"
    )


def test_problems_are_bounded_in_number_and_length() -> None:
    problems = refusal(*({"x" * 10_000: 1} for _ in range(1_000)))
    assert len(problems) == MAX_PROBLEMS
    assert all(len(problem.field) <= 200 for problem in problems)
