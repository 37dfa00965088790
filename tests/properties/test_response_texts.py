"""What the writer formats from templates is JSON that says exactly what was predicted."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.bundles.manifest import ClassLabel, Feature, Manifest, ModelFile
from atalaia.errors import Refusal
from atalaia.inference.protocol import InferResponse, decode_response
from atalaia.inference.responses import ResponseWriter, error_response, mark_expired
from atalaia.inference.rows import Predictions

hostile = st.one_of(
    st.sampled_from(
        ['"', "\\", "%", "%b%s%(x)d", "{}", "\x00\x1f\x7f", "\u2028", "é\U0001f600", "", "],[", "a,b"]
    ),
    st.text(max_size=20),
)
float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
labels = st.one_of(
    st.lists(hostile, min_size=2, max_size=4, unique=True),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=4, unique=True),
    st.lists(st.one_of(hostile, st.integers(0, 9)), min_size=2, max_size=4, unique=True),
)


def column(values: list[float]) -> Any:
    return np.array(values, np.float32)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[ResponseWriter, Predictions]:
    rows = draw(st.integers(1, 5))
    numbers = st.lists(float32, min_size=rows, max_size=rows).map(column)
    classes: list[ClassLabel] = draw(st.one_of(st.just([]), labels))
    abstained = np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    task = "classification" if classes else "regression"
    writer = ResponseWriter(
        Manifest("m-1", "v.2", task, ModelFile("tensor"), (Feature("a"),), classes=tuple(classes))  # type: ignore[arg-type]
    )
    if not classes:
        values = draw(numbers)
        return writer, Predictions(values, draw(numbers), abstained, value=values)
    index = st.integers(0, len(classes) - 1)
    label = np.array(draw(st.lists(index, min_size=rows, max_size=rows)))
    probabilities = np.column_stack([draw(numbers) for _ in classes])
    if draw(st.booleans()):
        probabilities = np.asfortranarray(probabilities)
    return writer, Predictions(draw(numbers), draw(numbers), abstained, label, probabilities)


def assert_says(response: InferResponse, writer: ResponseWriter, said: Predictions, request_id: str) -> None:
    assert (response.model_name, response.model_version, response.id) == ("m-1", "v.2", request_id)
    assert response.error is None
    arrays: dict[str, Any] = {"score": said.score, "applicability": said.applicability}
    if said.label is None:
        arrays["value"] = said.value
    else:
        arrays["probabilities"] = said.probabilities
        assert response.output("label") == [writer.manifest.classes[place] for place in said.label]
    for name, array in arrays.items():
        read = np.array(response.output(name), np.float64).astype(np.float32)
        assert np.array_equal(read, array.ravel())
        assert np.array_equal(np.signbit(read), np.signbit(array.ravel()))
    assert response.output("abstained") == said.abstained.tolist()
    for output in response.outputs:
        assert np.prod(output.shape) == len(output.data)
        assert output.shape[0] == len(said)


@given(case=predictions(), request_id=hostile)
@settings(max_examples=200, deadline=None)
def test_many_rows_in_one_response(case: tuple[ResponseWriter, Predictions], request_id: str) -> None:
    writer, said = case
    text = writer.many_rows(request_id, said)
    assert_says(decode_response(text), writer, said, request_id)
    assert len(text) - len(writer.many_rows("", said)) <= 6 * len(request_id.encode())
    assert len(writer.many_rows("", said)) <= writer.derived_bytes(len(said))
    expired = decode_response(mark_expired(text))
    assert expired.parameters == {"expired": True}
    assert_says(expired, writer, said, request_id)


@given(case=predictions(), ids=st.lists(hostile, min_size=5, max_size=5))
@settings(max_examples=200, deadline=None)
def test_one_response_a_row(case: tuple[ResponseWriter, Predictions], ids: list[str]) -> None:
    writer, said = case
    texts = writer.single_rows(ids[: len(said)], said)
    assert len(texts) == len(said)
    for row, (request_id, text) in enumerate(zip(ids, texts, strict=False)):
        alone = said.part(row, row + 1)
        assert text == writer.many_rows(request_id, alone)
        assert_says(decode_response(text), writer, alone, request_id)
        assert len(writer.single_rows([""], alone)[0]) <= writer.derived_bytes(1)


@given(request_id=hostile, detail=hostile)
def test_error_predictions(request_id: str, detail: str) -> None:
    text = error_response(request_id=request_id, refusal=Refusal(detail), model_name=None, model_version=None)
    response = decode_response(text)
    assert (response.id, response.error, response.outputs) == (request_id, detail, [])


@pytest.mark.parametrize("start", range(0, 2**32, 2**32 // 16))
def test_derived_bytes_bound_every_float32(start: int) -> None:
    bits = (np.random.default_rng(start).integers(0, 2**28, 3_000) + start).astype(np.uint32)
    numbers = bits.view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    writer = ResponseWriter(Manifest("m-1", "v.2", "regression", ModelFile("tensor"), (Feature("a"),)))
    said = Predictions(numbers, numbers, np.zeros(len(numbers), bool), value=numbers)
    if not len(numbers):
        pytest.skip("only infinities and NaN have these bits")
    text = writer.many_rows("", said)
    assert len(text) <= writer.derived_bytes(len(numbers))
    assert_says(decode_response(text), writer, said, "")
