"""Requests against a model's signature: every row of the table of refusals, and what is taken."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from atalaia.bundles.manifest import ContextColumn, Datatype, Feature, Manifest, ModelFile
from atalaia.errors import FieldProblem, InvalidInput
from atalaia.inference.columns import MAX_PROBLEMS
from atalaia.inference.protocol import InferInput, InferRequest
from atalaia.inference.signature import Signature


def signature(*features: Feature, context: Iterable[ContextColumn] = ()) -> Signature:
    return Signature(
        Manifest("m", "1", "regression", ModelFile("columns"), tuple(features), context=tuple(context))
    )


def tensor(
    name: str, data: Sequence[Any], *, shape: list[int] | None = None, datatype: Datatype = "FP32"
) -> InferInput:
    return InferInput(name, [len(data)] if shape is None else shape, datatype, list(data))


def refusal(model: Signature, *inputs: InferInput, **parameters: Any) -> list[FieldProblem]:
    with pytest.raises(InvalidInput) as refused:
        model.rows(InferRequest(list(inputs), parameters=parameters or None))
    assert refused.value.status == 422
    return refused.value.problems


TWO = signature(Feature("a"), Feature("b"))
MIXED = signature(
    Feature("a"),
    Feature("kind", "BYTES", categories=("red", "green")),
    Feature("note", "BYTES", missing=True),
    context=[ContextColumn("sex"), ContextColumn("age", "FP64", required=True)],
)


def mixed(**changed: InferInput | None) -> list[InferInput]:
    inputs: dict[str, InferInput | None] = {
        "a": tensor("a", [1.0, 2.0]),
        "kind": tensor("kind", ["red", "green"], datatype="BYTES"),
        "note": tensor("note", [None, "x"], datatype="BYTES"),
        "age": tensor("age", [30, 40], datatype="FP64"),
    }
    return [given for given in (inputs | changed).values() if given is not None]


class TestShapes:
    @pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
    def test_one_tensor_of_any_name_is_read_row_by_row_in_feature_order(self, data: list[Any]) -> None:
        rows = TWO.rows(InferRequest([tensor("whatever", data, shape=[2, 2])]))
        assert rows.numeric.tolist() == [[1, 2], [3, 4]]

    @pytest.mark.parametrize("shape", [[2], [2, 1]])
    def test_one_tensor_a_feature_in_any_order(self, shape: list[int]) -> None:
        inputs = [tensor("b", [3, 4], shape=shape), tensor("a", [1, 2], shape=shape)]
        assert TWO.rows(InferRequest(inputs)).numeric.tolist() == [[1, 3], [2, 4]]

    def test_a_tensor_named_as_a_feature_but_as_wide_as_all_holds_all(self) -> None:
        rows = TWO.rows(InferRequest([tensor("a", [1, 2], shape=[1, 2])]))
        assert rows.numeric.tolist() == [[1, 2]]

    @pytest.mark.parametrize("shape", [[2], [2, 1]])
    def test_a_tensor_named_as_a_feature_and_one_wide_is_that_feature(self, shape: list[int]) -> None:
        [problem] = refusal(TWO, tensor("a", [1, 2], shape=shape))
        assert (problem.field, problem.problem) == ("b", "missing")
        assert problem.expected == "a number in every row"

    @pytest.mark.parametrize("shape", [[1], [1, 1]])
    def test_a_model_of_one_feature_takes_its_tensor_by_name(self, shape: list[int]) -> None:
        one = signature(Feature("a"))
        assert one.rows(InferRequest([tensor("a", [5], shape=shape)])).numeric.tolist() == [[5]]

    @pytest.mark.parametrize("shape", [[], [2], [4], [2, 3], [2, 2, 1], [1, 2, 2], [-2, 2], [2, -2], [2, 0]])
    def test_a_tensor_of_another_shape_is_told_the_shape_due(self, shape: list[int]) -> None:
        [problem] = refusal(TWO, tensor("x", [1, 2, 3, 4], shape=shape))
        assert problem == FieldProblem("x", f"shape {shape}", "shape [n, 2]")

    @pytest.mark.parametrize("shape", [[], [1, 2], [1, 1, 1], [-1]])
    def test_a_column_of_another_shape_is_told_the_shape_due(self, shape: list[int]) -> None:
        problems = refusal(TWO, tensor("a", [1], shape=shape), tensor("b", [1]))
        assert problems == [FieldProblem("a", f"shape {shape}", "shape [n] or [n, 1]")]

    @pytest.mark.parametrize(
        ("data", "shape", "problem", "expected"),
        [
            ([1, 2, 3], [2, 2], "3 values", "4 values for shape [2, 2]"),
            ([[1, 2]], [2, 2], "2 values", "4 values for shape [2, 2]"),
            ([], [1, 2], "0 values", "2 values for shape [1, 2]"),
            ([[1, 2], [3]], [2, 2], "rows of differing length", "2 values a row"),
            ([[1, 2], 3, 4], [2, 2], "rows of differing length", "2 values a row"),
            ([[1, 2, 3, 4]], [2, 2], "rows of differing length", "2 values a row"),
        ],
    )
    def test_ragged_or_too_little_data(
        self, data: list[Any], shape: list[int], problem: str, expected: str
    ) -> None:
        assert refusal(TWO, tensor("x", data, shape=shape)) == [FieldProblem("x", problem, expected)]

    @pytest.mark.parametrize("data", [[1, [2]], [[[1, 2]]], [[[1], [2]]]])
    def test_lists_where_numbers_are_due(self, data: list[Any]) -> None:
        assert refusal(TWO, tensor("x", data, shape=[1, 2]))

    def test_a_huge_shape_is_refused_in_few_words(self) -> None:
        problems = refusal(TWO, tensor("x", [1], shape=[10**4299, 2]), tensor("y", [1], shape=[1] * 10_000))
        problems += refusal(TWO, tensor("x", [1], shape=[10**4299, 2]))
        problems += refusal(TWO, tensor("a", [1], shape=[10**4299]), tensor("b", [1]))
        assert all(len(problem.problem) <= 200 and len(problem.expected) < 600 for problem in problems)

    @pytest.mark.parametrize(
        "inputs",
        [
            [],
            [tensor("x", [], shape=[0, 2])],
            [tensor("a", [], shape=[0]), tensor("b", [], shape=[0])],
        ],
    )
    def test_no_rows_are_refused(self, inputs: list[InferInput]) -> None:
        assert refusal(TWO, *inputs)

    def test_columns_of_differing_length_are_refused_with_their_counts(self) -> None:
        [problem] = refusal(TWO, tensor("a", [1, 2]), tensor("b", [1]))
        assert problem == FieldProblem("inputs", "row counts differ (a: 2, b: 1)", "the same number of rows")

    def test_context_of_another_length_is_refused(self) -> None:
        model = signature(Feature("a"), context=[ContextColumn("sex")])
        [problem] = refusal(model, tensor("a", [1, 2]), tensor("sex", ["f"], datatype="BYTES"))
        assert "row counts differ" in problem.problem

    def test_event_times_of_another_length_are_refused(self) -> None:
        times = tensor("event_time", ["2026-01-31T12:00:00Z"] * 3, datatype="BYTES")
        [problem] = refusal(TWO, tensor("x", [1, 2], shape=[1, 2]), times)
        assert "row counts differ" in problem.problem


class TestNames:
    def test_every_missing_feature_is_named_with_what_was_expected(self) -> None:
        problems = refusal(MIXED, tensor("age", [30], datatype="FP64"))
        assert [(problem.field, problem.problem, problem.expected) for problem in problems] == [
            ("a", "missing", "a number in every row"),
            ("kind", "missing", "a string, one of red, green in every row"),
            ("note", "missing", "a string or null in every row"),
        ]

    def test_a_required_context_column_is_named_when_missing(self) -> None:
        inputs = [given for given in mixed() if given.name != "age"]
        assert refusal(MIXED, *inputs) == [FieldProblem("age", "missing", "a number")]

    def test_an_unknown_input_is_named_with_those_there_are(self) -> None:
        problems = refusal(MIXED, *mixed(), tensor("weight", [1, 2]))
        assert problems == [
            FieldProblem("weight", "unknown input", "one of a, kind, note, sex, age, event_time")
        ]

    def test_an_input_given_twice_is_refused(self) -> None:
        problems = refusal(TWO, tensor("a", [1]), tensor("b", [1]), tensor("a", [2]))
        assert problems == [FieldProblem("inputs", "an input is given twice", "each name once")]

    def test_two_tensors_of_all_features_are_refused(self) -> None:
        both = [tensor(name, [1, 2], shape=[1, 2]) for name in ("x", "y")]
        fields = [problem.field for problem in refusal(TWO, *both)]
        assert fields == ["x", "y", "a", "b"]

    def test_thousands_of_unknown_inputs_make_few_and_short_problems(self) -> None:
        inputs = [tensor(f"{'n' * 5_000}{i}", [1]) for i in range(1_000)]
        problems = refusal(TWO, *inputs)
        assert len(problems) <= MAX_PROBLEMS + 2
        assert all(len(problem.field) <= 200 for problem in problems)

    def test_several_faults_are_told_at_once(self) -> None:
        problems = refusal(
            MIXED,
            *mixed(a=tensor("a", ["1", True]), kind=tensor("kind", ["red", "blue"], datatype="BYTES")),
        )
        assert [(problem.field, problem.row) for problem in problems] == [("a", 0), ("a", 1), ("kind", 1)]


class TestValues:
    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ("12", "a string '12'"),
            (True, "a boolean True"),
            (False, "a boolean False"),
            (None, "missing (null)"),
            ([1], "a list"),
            ({"v": 1}, "an object"),
            (float("nan"), "nan is not finite"),
            (float("inf"), "inf is not finite"),
            (float("-inf"), "-inf is not finite"),
            (10**400, "a number too large for a float"),
            (1e39, "1e+39 does not fit FP32"),
            (-1e39, "-1e+39 does not fit FP32"),
            (10**39, "1e+39 does not fit FP32"),
        ],
    )
    def test_a_value_that_is_no_fp32_is_named_with_its_row(self, value: object, problem: str) -> None:
        problems = refusal(TWO, tensor("a", [0, value]), tensor("b", [0, 0]))
        assert problems == [FieldProblem("a", problem, "a number", 1)]

    @pytest.mark.parametrize(
        ("datatype", "fit", "unfit"),
        [
            ("INT8", [-128, 127, 0, 5.0], [-129, 128, 0.5, 1e300]),
            ("INT16", [-32768, 32767], [-32769, 32768]),
            ("INT32", [-(2**31), 2**31 - 1], [-(2**31) - 1, 2**31]),
            ("INT64", [-(2**63), 2**62, 2**63 - 1024], [2**63, 2**64, -(2**63) - 2048, 0.1]),
            ("UINT8", [0, 255], [-1, 256, 1.5]),
            ("UINT16", [65535], [65536, -1]),
            ("UINT32", [2**32 - 1], [2**32, -1]),
            ("UINT64", [0, 2**63, 2**64 - 2048], [-1, 2**64]),
            ("BOOL", [True, False, 0, 1, 1.0], [2, -1, 0.5]),
            ("FP16", [65504, -65504, 1e-9], [65520, -1e5]),
            ("FP32", [3.4028234e38, 1e-50], [3.5e38, -1e39]),
            ("FP64", [1.7e308, -1.7e308, 5e-324], []),
        ],
    )
    def test_limits_of_a_datatype(self, datatype: Datatype, fit: list[Any], unfit: list[Any]) -> None:
        model = signature(Feature("v", datatype), Feature("w"))
        for value in fit:
            rows = model.rows(InferRequest([tensor("v", [value]), tensor("w", [0])]))
            served = rows.numeric[0, 0]
            assert np.isfinite(served)
            if not datatype.startswith("FP"):
                assert int(served) == value
        for value in unfit:
            [problem] = refusal(model, tensor("v", [value]), tensor("w", [0]))
            assert problem.field == "v"
            assert problem.problem.endswith(f"does not fit {datatype}")

    def test_numbers_become_what_the_model_is_served(self) -> None:
        model = signature(Feature("half", "FP16"), Feature("single"), Feature("double", "FP64"))
        inputs = [tensor(name, [0.1]) for name in ("half", "single", "double")]
        expected = [float(np.float16(0.1)), float(np.float32(0.1)), 0.1]
        assert model.rows(InferRequest(inputs)).numeric.tolist() == [expected]

    @pytest.mark.parametrize("datatype", ["FP32", "FP64", "FP16", "INT8"])
    def test_minus_zero_is_zero(self, datatype: Datatype) -> None:
        model = signature(Feature("a", datatype), Feature("b", datatype))
        by_column = model.rows(InferRequest([tensor("a", [-0.0]), tensor("b", [-0.0])]))
        by_matrix = model.rows_of_matrix(np.array([[-0.0, -0.0]]))
        assert by_matrix is not None
        assert not np.signbit([by_column.numeric, by_matrix.numeric]).any()

    def test_null_is_missing_where_allowed_only(self) -> None:
        model = signature(Feature("a", missing=True), Feature("b"))
        rows = model.rows(InferRequest([tensor("a", [None, 1.0]), tensor("b", [1.0, 2.0])]))
        assert np.isnan(rows.numeric[0, 0])
        assert rows.numeric[1].tolist() == [1, 2]
        [problem] = refusal(model, tensor("a", [None, None]), tensor("b", [None, 2.0]))
        assert problem == FieldProblem("b", "missing (null)", "a number", 0)

    def test_nan_is_no_way_to_say_missing(self) -> None:
        model = signature(Feature("a", missing=True), Feature("b"))
        [problem] = refusal(model, tensor("a", [None, float("nan")]), tensor("b", [1.0, 2.0]))
        assert (problem.field, problem.row, problem.expected) == ("a", 1, "a number or null")

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            (5, "int"),
            (True, "a boolean True"),
            (None, "null"),
            (["red"], "a list"),
            ("blue", "unknown category 'blue'"),
            ("Red", "unknown category 'Red'"),
            ("", "unknown category ''"),
            ("r" * 1001, "1001 characters"),
        ],
    )
    def test_a_value_that_is_no_category_is_named_with_its_row(self, value: object, problem: str) -> None:
        problems = refusal(MIXED, *mixed(kind=tensor("kind", ["red", value], datatype="BYTES")))
        [told] = problems
        assert (told.field, told.problem, told.row) == ("kind", problem, 1)

    def test_strings_and_missing_strings_are_kept(self) -> None:
        rows = MIXED.rows(InferRequest(mixed()))
        assert rows.strings["kind"].tolist() == ["red", "green"]
        assert rows.strings["note"].tolist() == [None, "x"]

    @pytest.mark.parametrize(("name", "datatype"), [("a", "BYTES"), ("kind", "FP32"), ("age", "BYTES")])
    def test_strings_for_numbers_are_told_by_the_tensors_datatype(
        self, name: str, datatype: Datatype
    ) -> None:
        given = next(entry for entry in mixed() if entry.name == name)
        wrong = tensor(name, given.data, datatype=datatype)
        [problem] = refusal(MIXED, *mixed(**{name: wrong}))[:1]
        assert (problem.field, problem.problem) == (name, f"datatype {datatype}")
        assert problem.expected == ("BYTES" if name == "kind" else "a numeric datatype such as FP32")

    def test_problems_are_bounded(self) -> None:
        problems = refusal(TWO, tensor("a", ["x"] * 500), tensor("b", [1e99] * 500))
        assert len(problems) == MAX_PROBLEMS


class TestContext:
    def test_context_is_kept_apart_and_missing_throughout_where_not_given(self) -> None:
        rows = MIXED.rows(InferRequest(mixed()))
        assert rows.context["age"].tolist() == [30, 40]
        assert rows.context["sex"].tolist() == [None, None]
        assert rows.numeric.shape == (2, 1)

    def test_optional_context_may_be_null_and_required_may_not(self) -> None:
        sex = tensor("sex", ["f", None], datatype="BYTES")
        assert MIXED.rows(InferRequest([*mixed(), sex])).context["sex"].tolist() == ["f", None]
        [problem] = refusal(MIXED, *mixed(age=tensor("age", [30, None], datatype="FP64")))
        assert problem == FieldProblem("age", "missing (null)", "a number", 1)

    def test_one_tensor_and_context_beside_it(self) -> None:
        model = signature(Feature("a"), Feature("b"), context=[ContextColumn("age", "FP64")])
        rows = model.rows(
            InferRequest([tensor("x", [1, 2, 3, 4], shape=[2, 2]), tensor("age", [None, 7], datatype="FP64")])
        )
        assert rows.numeric.tolist() == [[1, 2], [3, 4]]
        assert np.isnan(rows.context["age"][0])
        assert rows.context["age"][1] == 7

    def test_a_model_takes_a_bare_tensor_unless_it_has_strings_or_required_context(self) -> None:
        assert TWO.takes_tensor
        assert signature(Feature("a"), context=[ContextColumn("sex")]).takes_tensor
        assert not signature(Feature("a"), context=[ContextColumn("sex", required=True)]).takes_tensor
        assert not MIXED.takes_tensor


class TestEventTimes:
    NOON_MS = int(dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC).timestamp()) * 1000

    @pytest.mark.parametrize(
        "text",
        [
            "2026-01-31T12:00:00Z",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00.000Z",
        ],
    )
    def test_times_of_any_zone_become_milliseconds(self, text: str) -> None:
        features = tensor("x", [1, 2], shape=[1, 2])
        by_tensor = TWO.rows(InferRequest([features, tensor("event_time", [text], datatype="BYTES")]))
        by_parameter = TWO.rows(InferRequest([features], parameters={"event_time": text}))
        for rows in (by_tensor, by_parameter):
            assert rows.event_time_ms is not None
            assert rows.event_time_ms.tolist() == [self.NOON_MS]

    def test_without_a_time_there_is_none(self) -> None:
        assert TWO.rows(InferRequest([tensor("x", [1, 2], shape=[1, 2])])).event_time_ms is None

    def test_the_parameter_is_every_rows_and_the_tensor_wins(self) -> None:
        features = tensor("x", [1, 2, 3, 4], shape=[2, 2])
        parameters: dict[str, Any] = {"event_time": "2026-01-31T12:00:00Z"}
        rows = TWO.rows(InferRequest([features], parameters=parameters))
        assert rows.event_time_ms is not None
        assert rows.event_time_ms.tolist() == [self.NOON_MS] * 2
        times = tensor("event_time", ["1970-01-01T00:00:01Z"] * 2, datatype="BYTES")
        rows = TWO.rows(InferRequest([features, times], parameters=parameters))
        assert rows.event_time_ms is not None
        assert rows.event_time_ms.tolist() == [1000, 1000]

    @pytest.mark.parametrize(
        "value", ["yesterday", "", "2026-13-01T00:00:00Z", "2026-01-31T25:00:00Z", 5, True]
    )
    def test_what_is_no_time_is_refused_with_an_example_of_one(self, value: Any) -> None:
        features = tensor("x", [1, 2], shape=[1, 2])
        [by_tensor] = refusal(TWO, features, tensor("event_time", [value], datatype="BYTES"))
        [by_parameter] = refusal(TWO, features, event_time=value)
        assert (by_tensor.field, by_tensor.row) == ("event_time", 0)
        assert by_parameter.field == "parameters.event_time"
        assert "2026-01-31T12:00:00Z" in by_tensor.expected
        assert "2026-01-31T12:00:00Z" in by_parameter.expected

    def test_null_is_no_time(self) -> None:
        [problem] = refusal(
            TWO, tensor("x", [1, 2], shape=[1, 2]), tensor("event_time", [None], datatype="BYTES")
        )
        assert problem.problem == "null"


class TestMatrix:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
    def test_a_value_that_does_not_fit_sends_the_request_the_general_way(self, value: float) -> None:
        assert TWO.rows_of_matrix(np.array([[1.0, 2.0], [3.0, value]])) is None

    @pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, 128.0])
    def test_so_does_one_beside_integers(self, value: float) -> None:
        model = signature(Feature("a", "INT8"), Feature("b", "FP64"))
        assert model.rows_of_matrix(np.array([[value, 0.5]])) is None
        whole = model.rows_of_matrix(np.array([[127.0, 0.5]]))
        assert whole is not None
        assert whole.numeric.tolist() == [[127, 0.5]]

    def test_declared_context_is_there_and_missing(self) -> None:
        model = signature(Feature("a"), context=[ContextColumn("sex"), ContextColumn("age", "FP64")])
        rows = model.rows_of_matrix(np.array([[1.0], [2.0]]))
        assert rows is not None
        assert rows.context["sex"].tolist() == [None, None]
        assert np.isnan(rows.context["age"]).all()


class TestManyRequests:
    @staticmethod
    def requests(count: int) -> list[InferRequest]:
        inputs = [
            [
                tensor("a", [float(i)]),
                tensor("kind", ["red"], datatype="BYTES"),
                tensor("note", [None], datatype="BYTES"),
                tensor("age", [30 + i], datatype="FP64"),
            ]
            for i in range(count)
        ]
        return [InferRequest(tensors) for tensors in inputs]

    def test_requests_of_one_form_are_read_together(self) -> None:
        requests = self.requests(3)
        requests[1].inputs.reverse()
        requests[2].inputs[0] = tensor("a", [[7]], shape=[1, 1], datatype="INT32")
        rows = MIXED.rows_of_columns(requests)
        assert rows is not None
        assert rows.numeric.tolist() == [[0], [1], [7]]
        assert rows.context["age"].tolist() == [30, 31, 32]
        assert rows.strings["kind"].tolist() == ["red"] * 3
        assert rows.event_time_ms is None

    def test_times_are_taken_where_all_have_one(self) -> None:
        requests = self.requests(2)
        for second, request in enumerate(requests):
            request.parameters = {"event_time": f"1970-01-01T00:00:0{second}Z"}
        rows = MIXED.rows_of_columns(requests)
        assert rows is not None
        assert rows.event_time_ms is not None
        assert rows.event_time_ms.tolist() == [0, 1000]
        requests[1].parameters = {"model": "m"}
        assert MIXED.rows_of_columns(requests) is None

    @pytest.mark.parametrize(
        "inputs",
        [
            [],
            [tensor("a", [1.0])],
            [*mixed(), tensor("weight", [1])],
            [*mixed(), tensor("a", [1])],
            mixed(),
        ],
    )
    def test_a_request_of_another_form_sends_all_one_by_one(self, inputs: list[InferInput]) -> None:
        assert MIXED.rows_of_columns([*self.requests(2), InferRequest(inputs)]) is None
        assert MIXED.rows_of_columns([InferRequest(inputs)]) is None

    @pytest.mark.parametrize(
        "wrong",
        [
            tensor("a", ["1"]),
            tensor("a", [True]),
            tensor("a", [None]),
            tensor("a", [1e39]),
            tensor("a", [10**400]),
            tensor("a", [1.0], datatype="BYTES"),
            tensor("a", [1.0], shape=[2]),
            tensor("a", [1.0, 2.0], shape=[1]),
            tensor("a", [], shape=[1]),
            tensor("a", [[1.0, 2.0]], shape=[1, 1]),
            tensor("a", [[]], shape=[1, 1]),
            tensor("a", [[[1.0]]], shape=[1, 1]),
            tensor("kind", ["blue"], datatype="BYTES"),
            tensor("kind", ["red"]),
            tensor("age", [None], datatype="FP64"),
        ],
    )
    def test_one_wrong_value_sends_all_one_by_one(self, wrong: InferInput) -> None:
        requests = self.requests(3)
        inputs = requests[1].inputs
        inputs[[entry.name for entry in inputs].index(wrong.name)] = wrong
        assert MIXED.rows_of_columns(requests) is None
        with pytest.raises(InvalidInput):
            MIXED.rows(requests[1])

    def test_inputs_that_could_be_dealt_out_evenly_are_still_irregular(self) -> None:
        first, second, third = self.requests(3)
        second.inputs += third.inputs
        third.inputs = []
        assert MIXED.rows_of_columns([first, second, third]) is None
        assert MIXED.rows_of_columns([]) is None
