"""From answers to messages: packed or not, the values are those of the JSON."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.grpc.inference_pb2 import ModelInferResponse
from services.gateway.grpc.responses import ResponseWriter, encode
from services.gateway.inference.answers import Answer, read_answer

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
KINDS = {"INT64": "<i8", "FP32": "<f4", "BOOL": "?"}
FIELDS = {
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "BOOL": "bool_contents",
    "BYTES": "bytes_contents",
}


def answer(
    labels: list[Any],
    scores: list[float | None],
    *,
    request_id: str = "one",
    parameters: dict[str, Any] | None = None,
) -> Answer:
    n = len(labels)
    datatype = "BYTES" if labels and isinstance(labels[0], str) else "INT64"
    outputs = [
        ("label", datatype, [n], labels),
        ("score", "FP32", [n], scores),
        ("probabilities", "FP32", [n, 2], [value for score in scores for value in (score, 0.5)]),
        ("applicability", "FP32", [n], scores),
        ("abstained", "BOOL", [n], [place % 2 == 1 for place in range(n)]),
    ]
    body: dict[str, Any] = {
        "model_name": "panel",
        "model_version": "1",
        "id": request_id,
        "outputs": [
            {"name": name, "datatype": datatype, "shape": shape, "data": data}
            for name, datatype, shape, data in outputs
        ],
    }
    if parameters is not None:
        body["parameters"] = parameters
    return read_answer(orjson.dumps(body))


def values(response: ModelInferResponse) -> dict[str, list[Any]]:
    """The data of each output, read by nothing but the specification."""
    found: dict[str, list[Any]] = {}
    for place, output in enumerate(response.outputs):
        if not response.raw_output_contents:
            found[output.name] = list(getattr(output.contents, FIELDS[output.datatype]))
        elif output.datatype == "BYTES":
            rest, texts = response.raw_output_contents[place], []
            while rest:
                end = 4 + int.from_bytes(rest[:4], "little")
                texts.append(rest[4:end])
                rest = rest[end:]
            found[output.name] = texts
        else:
            raw = response.raw_output_contents[place]
            found[output.name] = np.frombuffer(raw, KINDS[output.datatype]).tolist()
    return found


@given(
    rows=st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 200), FLOATS), max_size=30),
    raw=st.booleans(),
    names=st.none() | st.lists(st.sampled_from(["score", "label", "abstained"]), unique=True, min_size=1),
)
def test_values_are_those_of_the_json_and_packing_changes_nothing(
    rows: list[tuple[int, float]], raw: bool, names: list[str] | None
) -> None:
    given_answer = answer([label for label, _ in rows], [score for _, score in rows])
    writer = ResponseWriter()
    for _ in range(2):  # the second time there is a pattern
        response = ModelInferResponse.FromString(writer.write(given_answer, names, raw=raw))
        assert response == ModelInferResponse.FromString(encode(given_answer, names, raw=raw))
        expected = given_answer.outputs
        assert values(response) == {name: expected[name] for name in names or expected}
        assert [output.name for output in response.outputs] == (names or list(expected))


@given(st.lists(st.tuples(st.integers(0, 300), FLOATS, st.text(max_size=300)), min_size=2, max_size=5))
def test_a_pattern_fits_the_next_answer_too(rows: list[tuple[int, float, str]]) -> None:
    writer = ResponseWriter()
    for raw in (False, True):
        for label, score, request_id in rows:
            one = answer([label], [score], request_id=request_id)
            response = ModelInferResponse.FromString(writer.write(one, None, raw=raw))
            assert (response.model_name, response.model_version, response.id) == ("panel", "1", request_id)
            assert values(response) == one.outputs


@pytest.mark.parametrize("raw", [False, True])
def test_classes_that_are_strings_are_bytes(raw: bool) -> None:
    response = ModelInferResponse.FromString(
        ResponseWriter().write(answer(["no", "grün", ""], [0.5, 0.25, 0.0]), None, raw=raw)
    )
    assert values(response)["label"] == [b"no", "grün".encode(), b""]
    assert response.outputs[0].datatype == "BYTES"


@pytest.mark.parametrize("raw", [False, True])
def test_a_number_that_json_cannot_hold_is_nan(raw: bool) -> None:
    writer = ResponseWriter()
    writer.write(answer([1], [0.5]), None, raw=raw)
    response = ModelInferResponse.FromString(writer.write(answer([1], [None]), None, raw=raw))
    assert np.isnan(values(response)["score"]).all()


def test_what_a_scorer_says_beside_is_carried() -> None:
    late = answer([1], [0.5], parameters={"expired": True})
    response = ModelInferResponse.FromString(ResponseWriter().write(late, None, raw=True))
    assert response.parameters["expired"].bool_param is True
