"""Binary tensors against an encoder of the test's own, made with struct from the extension's description."""

import json
import struct
from typing import Any, Literal

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.errors import InvalidInput, NotReadable
from atalaia.inference.binary import to_json, wanted_outputs, with_bytes

CODES = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}

WIDTHS: dict[str, Literal[16, 32, 64]] = {"FP16": 16, "FP32": 32, "FP64": 64}


def packed(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in values)
    return struct.pack(f"<{len(values)}{CODES[datatype]}", *values)


def request(*tensors: tuple[str, str, list[int], bytes | list[Any]], **more: Any) -> tuple[bytes, str]:
    """A body and the length of its head; data that are a list stay in the head."""
    inputs: list[dict[str, Any]] = []
    tail = b""
    for name, datatype, shape, data in tensors:
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if isinstance(data, bytes):
            tensor["parameters"] = {"binary_data_size": len(data)}
            tail += data
        else:
            tensor["data"] = data
        inputs.append(tensor)
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + tail, str(len(head))


def numbers(datatype: str) -> st.SearchStrategy[Any]:
    if datatype == "BYTES":
        return st.text(st.characters(codec="utf-8"), max_size=20)
    if datatype == "BOOL":
        return st.booleans()
    if datatype.startswith("FP"):
        return st.floats(allow_nan=False, allow_infinity=False, width=WIDTHS[datatype])
    bits, signed = int(datatype.lstrip("UINT")), datatype.startswith("INT")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high)


@given(st.data())
def test_what_is_sent_as_bytes_is_read_as_the_same_values_beside_what_is_sent_as_json(
    data: st.DataObject,
) -> None:
    tensors = []
    for place in range(data.draw(st.integers(1, 3))):
        datatype = data.draw(st.sampled_from([*CODES, "BYTES"]))
        values = data.draw(st.lists(numbers(datatype), min_size=1, max_size=6))
        tensors.append((f"t{place}", datatype, values, data.draw(st.booleans())))
    body, length = request(
        *((n, d, [len(v)], packed(d, v) if binary else v) for n, d, v, binary in tensors), id="mine"
    )
    document = json.loads(to_json(body, length))
    assert document["id"] == "mine"
    for found, (name, datatype, values, _) in zip(document["inputs"], tensors, strict=True):
        assert (found["name"], found["shape"]) == (name, [len(values)])
        assert "binary_data_size" not in found.get("parameters", {})
        if datatype.startswith("FP"):
            kind = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}[datatype]
            assert np.array(found["data"], kind).tolist() == values
        else:
            assert found["data"] == values


@given(st.data())
def test_outputs_are_written_as_they_can_be_read_again(data: st.DataObject) -> None:
    datatype = data.draw(st.sampled_from(["FP64", "INT64", "BOOL", "BYTES"]))
    values = data.draw(st.lists(numbers(datatype), min_size=1, max_size=6))
    answer = {
        "model_name": "m",
        "outputs": [
            {"name": "a", "datatype": datatype, "shape": [len(values)], "data": values},
            {"name": "b", "datatype": "FP64", "shape": [1], "data": [0.5]},
        ],
    }
    wanted = wanted_outputs(orjson.dumps({"outputs": [{"name": "a", "parameters": {"binary_data": True}}]}))
    assert wanted is not None
    body, head = with_bytes(answer, wanted)
    first, second = json.loads(body[:head])["outputs"]
    assert "data" not in first
    assert first["parameters"]["binary_data_size"] == len(body) - head
    assert second["data"] == [0.5]
    # Behind a head of a request the very bytes mean the values again.
    again, length = request(("a", datatype, [len(values)], body[head:]))
    assert json.loads(to_json(again, length))["inputs"][0]["data"] == values


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, set()),
        ({"parameters": {"binary_data_output": True}}, {"a", "b"}),
        ({"parameters": {"binary_data_output": "yes"}}, set()),
        ({"outputs": [{"name": "a", "parameters": {"binary_data": True}}, {"name": "b"}]}, {"a"}),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "a", "parameters": {"binary_data": False}}, {"name": "b"}],
            },
            {"b"},
        ),
        ({"outputs": [{"name": "a", "parameters": 5}, 7], "parameters": {"binary_data": 1}}, set()),
    ],
)
def test_a_request_says_which_outputs_it_wants_as_bytes(asked: dict[str, Any], wanted: set[str]) -> None:
    found = wanted_outputs(orjson.dumps(asked))
    assert {name for name in "ab" if found is not None and name in found} == wanted


SHORT, LONG = packed("FP32", [1.0]), packed("FP32", [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("body", "length", "said"),
    [
        (b"{}", "3", "expected the length"),
        (b"{}", "-1", "expected the length"),
        (b"{}", "two", "expected the length"),
        (b"{]", "2", "not JSON"),
        (*request(("x", "FP32", [2], [1.0, 2.0])), "none"),
    ],
)
def test_a_head_that_cannot_be_told_from_tensors_is_no_document(body: bytes, length: str, said: str) -> None:
    tail = b"left" if said == "none" else b""
    with pytest.raises(NotReadable, match=said):
        to_json(body + tail, length)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (("x", "FP32", [2], SHORT), "8 for shape"),
        (("x", "FP32", [2], LONG), "8 for shape"),
        (("x", "FP99", [1], SHORT), "unknown datatype"),
        (("x", "FP32", ["1"], SHORT), "no shape"),
        (("x", "FP32", [1], packed("FP32", [float("nan")])), "NaN or infinity"),
        (("x", "FP64", [1], packed("FP64", [float("inf")])), "NaN or infinity"),
        (("x", "BYTES", [1], struct.pack("<I", 9) + b"short"), "cut off"),
        (("x", "BYTES", [1], b"\x01\x00"), "cut off"),
        (("x", "BYTES", [2], packed("BYTES", ["one"])), "2 for shape"),
        (("x", "BYTES", [1], struct.pack("<I", 1) + b"\xff"), "no UTF-8"),
    ],
)
def test_a_tensor_that_is_not_what_it_says_is_named(tensor: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match="x") as refused:
        to_json(*request(tensor))
    [problem] = refused.value.problems
    assert problem.field == "x"
    assert said in f"{problem.problem}, {problem.expected}"


@pytest.mark.parametrize("size", [-1, "4", True, 1.5, 10**6])
def test_a_size_that_cannot_be_is_named(size: object) -> None:
    head = json.dumps(
        {
            "inputs": [
                {"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": size}}
            ]
        }
    ).encode()
    with pytest.raises(InvalidInput) as refused:
        to_json(head + SHORT, str(len(head)))
    assert refused.value.problems[0].field == "x"
