"""From messages to what is published: the rows are those of the same request in JSON."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.errors import InvalidInput, NotReadable, Refusal, UnknownModel
from atalaia.inference.protocol import decode_request
from services.gateway.grpc import inference_pb2 as pb
from services.gateway.grpc.requests import as_json, decode, read
from services.gateway.inference.intake import Asked, Intake
from tests.unit.gateway.gateway_bundles import LOAN, PANEL, served, view

VIEW = view(served(PANEL), served(LOAN))
FIELDS = {
    "BOOL": ("bool_contents", "?"),
    "INT8": ("int_contents", "<i1"),
    "INT16": ("int_contents", "<i2"),
    "INT32": ("int_contents", "<i4"),
    "INT64": ("int64_contents", "<i8"),
    "UINT8": ("uint_contents", "<u1"),
    "UINT16": ("uint_contents", "<u2"),
    "UINT32": ("uint_contents", "<u4"),
    "UINT64": ("uint64_contents", "<u8"),
    "FP32": ("fp32_contents", "<f4"),
    "FP64": ("fp64_contents", "<f8"),
}


def add(
    message: pb.ModelInferRequest, name: str, datatype: str, shape: list[int], data: list[Any], *, raw: bool
) -> None:
    """An input; nothing but the specification is used to write it."""
    tensor = message.inputs.add(name=name, datatype=datatype, shape=shape)
    if datatype == "BYTES":
        elements = [text.encode() for text in data]
        if raw:
            joined = b"".join(len(element).to_bytes(4, "little") + element for element in elements)
            message.raw_input_contents.append(joined)
        else:
            tensor.contents.bytes_contents.extend(elements)
    elif raw or datatype == "FP16":
        kind = "<f2" if datatype == "FP16" else FIELDS[datatype][1]
        message.raw_input_contents.append(np.array(data, kind).tobytes())
    else:
        getattr(tensor.contents, FIELDS[datatype][0]).extend(data)


def asked_of(message: pb.ModelInferRequest, request_id: str | None = None) -> Asked:
    intake = Intake(VIEW, message.model_name or None, message.model_version or None, request_id, 100)
    return read(intake, decode(message.SerializeToString()))


def panel(data: list[float], *, raw: bool, datatype: str = "FP32", **more: Any) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="panel", **more)
    add(message, "x", datatype, [len(data) // 2, 2], data, raw=raw)
    return message


def republished(asked: Asked) -> Asked:
    """What comes of the body that was published when it is read as if it had come over HTTP."""
    return Intake(VIEW, asked.served.name, asked.version, None, 100).read_protocol(asked.body)


@given(
    data=st.lists(st.tuples(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32)), min_size=1),
    datatype=st.sampled_from(["FP32", "FP64"]),
    raw=st.booleans(),
)
def test_a_tensor_gives_the_rows_that_its_published_body_gives(
    data: list[tuple[float, float]], datatype: str, raw: bool
) -> None:
    flat = [value for row in data for value in row]
    asked = asked_of(panel(flat, raw=raw, datatype=datatype, id="mine"))
    expected = np.array(flat, np.float32).astype(np.float64).reshape(-1, 2) + 0.0
    assert asked.rows.numeric.tolist() == expected.tolist()
    assert republished(asked).rows.numeric.tolist() == expected.tolist()
    assert (asked.id, republished(asked).id) == ("mine", "mine")


@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.floats(-1e6, 1e6, width=32),
            st.integers(-(2**40), 2**40),
            st.sampled_from(["red", "green"]),
        ),
        min_size=1,
        max_size=20,
    ),
    raw=st.booleans(),
)
def test_columns_give_the_rows_of_the_same_request_in_json(
    rows: list[tuple[float | None, int, str]], raw: bool
) -> None:
    n = len(rows)
    message = pb.ModelInferRequest(model_name="loan")
    incomes = [np.nan if income is None else income for income, _, _ in rows]
    add(message, "income", "FP32", [n], incomes, raw=raw)
    add(message, "children", "INT64", [n, 1], [children for _, children, _ in rows], raw=raw)
    add(message, "colour", "BYTES", [n], [colour for _, _, colour in rows], raw=raw)
    columns = list(zip(*rows, strict=True))
    given_in_json = {
        "inputs": [
            {"name": "income", "shape": [n], "datatype": "FP32", "data": columns[0]},
            {"name": "children", "shape": [n, 1], "datatype": "INT64", "data": columns[1]},
            {"name": "colour", "shape": [n], "datatype": "BYTES", "data": columns[2]},
        ]
    }
    ours = asked_of(message)
    theirs = Intake(VIEW, "loan", None, None, 100).read_protocol(json.dumps(given_in_json).encode())
    np.testing.assert_array_equal(ours.rows.numeric, theirs.rows.numeric)
    assert ours.rows.strings["colour"].tolist() == theirs.rows.strings["colour"].tolist()
    np.testing.assert_array_equal(republished(ours).rows.numeric, theirs.rows.numeric)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("BOOL", [True, False]),
        ("INT8", [-128, 127]),
        ("INT16", [-(2**15), 2**15 - 1]),
        ("INT32", [-(2**31), 2**31 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("UINT8", [0, 255]),
        ("UINT16", [0, 2**16 - 1]),
        ("UINT32", [0, 2**32 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("FP32", [0.5, float(np.float32(0.1))]),
        ("FP64", [0.5, 0.1]),
        ("BYTES", ["", "grün"]),
    ],
)
def test_every_datatype_is_written_as_json_exactly(datatype: str, data: list[Any], raw: bool) -> None:
    message = pb.ModelInferRequest()
    add(message, "x", datatype, [2], data, raw=raw)
    [tensor] = json.loads(as_json(message))["inputs"]
    assert tensor == {"name": "x", "shape": [2], "datatype": datatype, "data": data}


def test_half_floats_come_raw() -> None:
    message = pb.ModelInferRequest()
    add(message, "x", "FP16", [2], [0.5, np.float16(0.1)], raw=True)
    [tensor] = json.loads(as_json(message))["inputs"]
    assert tensor["data"] == [0.5, float(np.float16(0.1))]


def test_a_float32_for_a_feature_of_more_digits_is_published_with_all_of_its_own() -> None:
    message = pb.ModelInferRequest(model_name="loan")
    add(message, "income", "FP32", [1], [0.1], raw=True)
    [tensor] = json.loads(as_json(message))["inputs"]
    assert tensor["data"] == [float(np.float32(0.1))]


def test_everything_else_of_a_request_is_carried_over() -> None:
    message = panel([1.0, 2.0], raw=False, id="mine")
    message.parameters["event_time"].string_param = "2026-01-31T12:00:00Z"
    message.parameters["count"].int64_param = 7
    message.parameters["flag"].bool_param = True
    message.inputs[0].parameters["unit"].string_param = "mmol"
    message.outputs.add(name="score")
    body = json.loads(as_json(message))
    assert body["id"] == "mine"
    assert body["parameters"] == {"event_time": "2026-01-31T12:00:00Z", "count": 7, "flag": True}
    assert body["inputs"][0]["parameters"] == {"unit": "mmol"}
    assert body["outputs"] == [{"name": "score"}]
    assert asked_of(message).outputs == ["score"]


@pytest.mark.parametrize("outputs", [[], ["score"]])
def test_an_event_time_among_the_parameters_counts(outputs: list[str]) -> None:
    message = panel([1.0, 2.0], raw=True)
    message.parameters["event_time"].string_param = "1970-01-01T00:00:01Z"
    message.outputs.extend(pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs)
    asked = asked_of(message)
    assert decode_request(asked.body).parameters == {"event_time": "1970-01-01T00:00:01Z"}
    message.parameters["event_time"].string_param = "yesterday"
    with pytest.raises(InvalidInput, match="RFC 3339"):
        asked_of(message)


def test_an_id_of_the_metadata_is_put_into_the_body_where_the_message_has_none() -> None:
    asked = asked_of(panel([1.0, 2.0], raw=True), request_id="theirs")
    assert asked.id == decode_request(asked.body).id == "theirs"
    asked = asked_of(panel([1.0, 2.0], raw=True, id="mine"), request_id="theirs")
    assert asked.id == decode_request(asked.body).id == "mine"


def test_names_are_optional() -> None:
    message = panel([1.0, 2.0], raw=True)
    message.model_name = ""
    assert asked_of(message).served.name == "panel"
    message.model_version = "9"
    with pytest.raises(UnknownModel, match="9"):
        asked_of(message)


def _raw(content: bytes, datatype: str = "FP32", shape: tuple[int, ...] = (1, 2)) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="panel", raw_input_contents=[content])
    message.inputs.add(name="x", datatype=datatype, shape=shape)
    return message


def _typed(**contents: Any) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="panel")
    message.inputs.add(name="x", datatype="FP32", shape=[1, 2], contents=pb.InferTensorContents(**contents))
    return message


def _two_raw_for_one() -> pb.ModelInferRequest:
    message = _raw(b"12345678")
    message.raw_input_contents.append(b"")
    return message


def _both() -> pb.ModelInferRequest:
    message = _raw(b"12345678")
    message.inputs[0].contents.fp32_contents.extend([1.0, 2.0])
    return message


def _parameter_without_value() -> pb.ModelInferRequest:
    message = panel([1.0, 2.0], raw=True)
    message.parameters["odd"].SetInParent()
    return message


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (pb.ModelInferRequest(model_name="panel"), "sodium: missing"),
        (_raw(b"123"), "3 bytes of raw content, expected a multiple of 4"),
        (_raw(b"12341234", shape=(1, 3)), "shape"),
        (_raw(b"12341234", shape=(-1, -2)), "shape"),
        (_raw(b"", shape=(0, 2)), "no rows"),
        (_raw(b"12345678", datatype="FP128"), "datatype 'FP128'"),
        (_raw(b"\x09\0\0\0abc", datatype="BYTES"), "element 0 is cut off"),
        (_raw(b"\0\0\0\0\1\0", datatype="BYTES"), "element 1 is cut off"),
        (_raw(b"\1\0\0\0\xff", datatype="BYTES"), "UTF-8"),
        (_raw(np.array([1, np.inf], "<f4").tobytes()), "element 1 is inf"),
        (_raw(np.array([1, np.nan], "<f4").tobytes()), "potassium"),
        (_typed(fp64_contents=[1.0, 2.0]), "values in fp64_contents, expected FP32 in fp32_contents"),
        (_typed(fp32_contents=[1.0, 2.0, 3.0]), "3 values"),
        (_typed(fp32_contents=[1.0, float("-inf")]), "element 1 is -inf"),
        (_two_raw_for_one(), "2 entries for 1 inputs"),
        (_both(), "contents beside raw contents"),
        (_parameter_without_value(), "parameters.odd"),
    ],
)
def test_what_does_not_fit_is_named(message: pb.ModelInferRequest, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        asked_of(message)


def test_half_floats_have_no_field() -> None:
    message = _typed(fp32_contents=[1.0, 2.0])
    message.inputs[0].datatype = "FP16"
    with pytest.raises(InvalidInput, match="FP16 as raw content"):
        asked_of(message)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        message = decode(payload)
    except NotReadable:
        return
    refused = None
    try:
        read(Intake(VIEW, message.model_name or None, None, None, 100), message)
    except Refusal as refusal:
        refused = refusal
    assert refused is None or 400 <= refused.status < 500
