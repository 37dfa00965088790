"""The same rows in any form a request may take are the same rows."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.bundles.manifest import ContextColumn, Datatype, Feature, Manifest, ModelFile
from atalaia.errors import InvalidInput
from atalaia.inference.protocol import InferInput, InferRequest, decode_request, decode_tensor
from atalaia.inference.rows import Rows, concatenate
from atalaia.inference.signature import Signature

NUMBERS: dict[Datatype, st.SearchStrategy[float]] = {
    "FP64": st.floats(allow_nan=False, allow_infinity=False),
    "FP32": st.floats(-3e38, 3e38),
    "FP16": st.floats(-65000, 65000),
    "INT8": st.integers(-128, 127),
    "INT64": st.integers(-(2**53), 2**53),
    "UINT16": st.integers(0, 65535).map(float),
    "BOOL": st.integers(0, 1),
}


def assert_same(left: Rows, right: Rows) -> None:
    for part in fields(Rows):
        ours, theirs = getattr(left, part.name), getattr(right, part.name)
        if not isinstance(ours, dict):
            ours, theirs = {part.name: ours}, {part.name: theirs}
        assert ours.keys() == theirs.keys()
        for name, column in ours.items():
            np.testing.assert_array_equal(column, theirs[name], strict=True)
    assert not np.signbit(left.numeric[left.numeric == 0]).any()


def manifest(datatypes: Sequence[Datatype], context: tuple[ContextColumn, ...] = ()) -> Manifest:
    features = tuple(Feature(f"f{j}", datatype) for j, datatype in enumerate(datatypes))
    return Manifest("m", "1", "regression", ModelFile("tensor"), features, context=context)


@st.composite
def matrices(draw: st.DrawFn) -> tuple[list[Datatype], list[list[float]]]:
    alike = draw(st.booleans())
    datatypes: list[Datatype] = draw(st.lists(st.sampled_from(sorted(NUMBERS)), min_size=1, max_size=4))
    if alike:
        datatypes = [datatypes[0]] * len(datatypes)
    row = st.tuples(*(NUMBERS[datatype] for datatype in datatypes)).map(list)
    return datatypes, draw(st.lists(row, min_size=1, max_size=5))


@given(case=matrices(), nested=st.booleans(), deep=st.booleans())
@settings(max_examples=200, deadline=None)
def test_one_tensor_columns_and_instances_agree(
    case: tuple[list[Datatype], list[list[float]]], nested: bool, deep: bool
) -> None:
    datatypes, matrix = case
    signature = Signature(manifest(datatypes))
    n, width = len(matrix), len(datatypes)
    flat = [value for row in matrix for value in row]
    data = matrix if nested else flat
    body = msgspec.json.encode({"inputs": [InferInput("t", [n, width], "FP64", data)]})
    columns = [
        InferInput(f"f{j}", [n, 1] if deep else [n], "FP32", [[row[j]] if deep else row[j] for row in matrix])
        for j in range(width)
    ]
    reference = signature.rows(decode_request(body))
    by_position = [dict(zip((f"f{j}" for j in range(width)), row, strict=True)) for row in matrix]
    assert_same(reference, signature.rows(InferRequest(columns)))
    assert_same(reference, signature.rows_of_instances(matrix))
    assert_same(reference, signature.rows_of_instances(by_position))
    quick = decode_tensor(body)
    assert quick is not None
    rows = signature.rows_of_matrix(np.array(quick.inputs[0].data, np.float64).reshape(n, width))
    assert rows is not None
    assert_same(reference, rows)


any_number = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-300, 300),
    st.sampled_from([0.5, 127, 128, -129, 65520.0, 3.5e38, 2.0**63, 2.0**64, -1, 2]),
)


@given(
    datatypes=st.lists(st.sampled_from(sorted(NUMBERS)), min_size=1, max_size=3),
    rows=st.lists(st.lists(any_number, min_size=3, max_size=3), min_size=1, max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_the_matrix_way_takes_what_the_general_way_takes(
    datatypes: list[Datatype], rows: list[list[float]]
) -> None:
    signature = Signature(manifest(datatypes))
    matrix = np.array([row[: len(datatypes)] for row in rows], np.float64)
    quick = signature.rows_of_matrix(matrix)
    request = InferRequest([InferInput("t", list(matrix.shape), "FP64", matrix.ravel().tolist())])
    try:
        general = signature.rows(request)
    except InvalidInput:
        assert quick is None
    else:
        assert quick is not None
        assert_same(general, quick)


MIXED = Signature(
    Manifest(
        "m",
        "1",
        "regression",
        ModelFile("columns"),
        (
            Feature("a", missing=True),
            Feature("flag", "BOOL"),
            Feature("small", "INT8"),
            Feature("kind", "BYTES", categories=("red", "green")),
            Feature("note", "BYTES", missing=True),
        ),
        context=(ContextColumn("sex"), ContextColumn("age", "FP64")),
    )
)
times = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
likely: dict[str, st.SearchStrategy[Any]] = {
    "a": st.one_of(st.none(), st.floats(-3e38, 3e38), st.integers(-5, 5)),
    "flag": st.one_of(st.booleans(), st.integers(0, 1)),
    "small": st.integers(-128, 127),
    "kind": st.sampled_from(["red", "green"]),
    "note": st.one_of(st.none(), st.text(max_size=3)),
    "sex": st.one_of(st.none(), st.sampled_from("fm")),
    "age": st.one_of(st.none(), st.integers(0, 99)),
    "event_time": times,
}
STRINGS = {"kind", "note", "sex", "event_time"}
wrong = st.one_of(st.none(), st.booleans(), st.just("blue"), st.just(1e39), st.just(128), st.just([1.0]))


@st.composite
def alike_requests(draw: st.DrawFn, faults: bool) -> list[InferRequest]:
    """Single-row requests of the same inputs, in any order and shape; some values wrong where asked for."""
    given = draw(st.sets(st.sampled_from(["sex", "age", "event_time"])))
    names = [name for name in likely if name in given or name in {f.name for f in MIXED.features}]
    by_parameter = "event_time" not in given and draw(st.booleans())
    requests = []
    for _ in range(draw(st.integers(1, 5))):
        inputs = []
        for name in draw(st.permutations(names)):
            value = draw(wrong if faults and draw(st.integers(0, 15)) == 0 else likely[name])
            deep = draw(st.integers(0, 9)) == 0
            inputs.append(
                InferInput(
                    name,
                    [1, 1] if draw(st.booleans()) else [1],
                    "BYTES" if name in STRINGS else "FP32",
                    [[value]] if deep else [value],
                )
            )
        parameters: dict[str, Any] = {"event_time": draw(times)} if by_parameter else {"x": 1}
        requests.append(InferRequest(inputs, parameters=parameters))
    return requests


@given(requests=alike_requests(faults=False))
@settings(max_examples=200, deadline=None)
def test_many_requests_read_together_are_each_read_alone(requests: list[InferRequest]) -> None:
    together = MIXED.rows_of_columns(requests)
    assert together is not None
    assert_same(together, concatenate([MIXED.rows(request) for request in requests]))


@given(requests=alike_requests(faults=True))
@settings(max_examples=200, deadline=None)
def test_read_together_exactly_when_each_could_be_read_alone(requests: list[InferRequest]) -> None:
    together = MIXED.rows_of_columns(requests)
    try:
        alone = [MIXED.rows(request) for request in requests]
    except InvalidInput:
        assert together is None
    else:
        assert together is not None
        assert_same(together, concatenate(alone))
