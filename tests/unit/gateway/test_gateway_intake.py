"""From bodies to what is published."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.errors import InvalidInput, NoPrimary, NotReadable, Refusal, TooLarge, UnknownModel
from atalaia.inference.protocol import decode_request, decode_tensor
from services.gateway.inference.intake import Intake, with_id
from tests.unit.gateway.gateway_bundles import LOAN, PANEL, served, view

VIEW = view(served(PANEL), served(LOAN))
ROW: dict[str, Any] = {"sodium": 0.25, "potassium": -0.5}
TENSOR: dict[str, Any] = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.25, -0.5]}


def intake(
    model: str | None = None,
    version: str | None = None,
    *,
    request_id: str | None = None,
    max_rows: int = 100,
) -> Intake:
    return Intake(VIEW, model, version, request_id, max_rows)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_protocol_body_is_published_byte_for_byte() -> None:
    body = (
        b' {"x" : 1, "inputs":[{"data":[2.50, 1e0],"name":"x","shape":[1,2],"datatype":"FP32"}], "id":"a"} '
    )
    asked = intake("panel").read_protocol(body)
    assert asked.body == body
    assert asked.id == "a"
    assert asked.rows.numeric.tolist() == [[2.5, 1.0]]


def test_the_default_model_is_the_first_deployed() -> None:
    asked = intake().read_plain(encoded(ROW))
    assert (asked.served.name, asked.version, asked.instances) == ("panel", None, False)


@pytest.mark.parametrize(
    "inputs",
    [
        [TENSOR],
        [TENSOR | {"data": [[0.25, -0.5]]}],
        [TENSOR | {"name": name, "shape": [1], "data": [value]} for name, value in ROW.items()],
        [TENSOR, {"name": "age", "shape": [1], "datatype": "FP64", "data": [40]}],
    ],
)
def test_every_form_of_a_request_gives_the_same_rows(inputs: list[dict[str, Any]]) -> None:
    asked = intake("panel").read_protocol(encoded({"inputs": inputs}))
    assert asked.rows.numeric.tolist() == [[0.25, -0.5]]


@pytest.mark.parametrize("body", [{"instances": [ROW, [1, 2]]}, {"instances": [[0.25, -0.5], [1, 2]]}])
def test_instances_become_one_tensor_that_the_hot_path_reads(body: dict[str, Any]) -> None:
    asked = intake().read_plain(encoded(body))
    tensor = decode_tensor(asked.body)
    assert tensor is not None
    assert tensor.inputs[0].shape == (2, 2)
    assert tensor.inputs[0].data == [0.25, -0.5, 1.0, 2.0]
    assert asked.instances


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "income": st.none() | st.floats(-1e6, 1e6, width=32),
                "children": st.integers(-5, 2**40),
                "colour": st.sampled_from(["red", "green"]),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_published_of_columns_is_read_back_as_the_same_rows(rows: list[dict[str, Any]]) -> None:
    asked = intake("loan", request_id="mine").read_plain(encoded({"instances": rows}))
    request = decode_request(asked.body)
    again = asked.served.signature.rows(request)
    np.testing.assert_array_equal(again.numeric, asked.rows.numeric)
    assert again.strings["colour"].tolist() == [row["colour"] for row in rows]
    assert request.id == "mine"


def test_context_and_event_time_are_published_where_they_were_given() -> None:
    row = ROW | {"age": 41.5, "event_time": "2026-01-31T12:00:00.250+01:00"}
    request = decode_request(intake().read_plain(encoded(row)).body)
    tensors = {tensor.name: tensor.data for tensor in request.inputs}
    assert tensors["age"] == [41.5]
    assert tensors["event_time"] == ["2026-01-31T11:00:00.250+00:00"]
    assert "sex" not in tensors


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"inputs":[]}', {"id": "me", "inputs": []}),
        (b'\n { "inputs":[] }', {"id": "me", "inputs": []}),
        (b'{"inputs":[],"id":null}', {"inputs": [], "id": "me"}),
        (b'{"inputs":[],"id":""}', {"inputs": [], "id": "me"}),
        (b'{"inputs":[],"x":"\\"id\\""}', {"inputs": [], "x": '"id"', "id": "me"}),
        (b'{"inputs":[{"id":1}]}', {"inputs": [{"id": 1}], "id": "me"}),
    ],
)
def test_a_body_without_an_id_is_given_one(body: bytes, expected: dict[str, Any]) -> None:
    assert json.loads(with_id(body, "me")) == expected


def test_the_outputs_asked_for() -> None:
    body = {"inputs": [TENSOR], "outputs": [{"name": "label"}, {"name": "score"}, {"name": "label"}]}
    assert intake("panel").read_protocol(encoded(body)).outputs == ["label", "score"]
    assert intake("panel").read_protocol(encoded({"inputs": [TENSOR], "outputs": []})).outputs is None


def test_the_route_s_version_goes_before_the_body_s() -> None:
    body = encoded({"inputs": [TENSOR], "parameters": {"version": "1"}})
    assert intake("panel").read_protocol(body).version == "1"
    with pytest.raises(UnknownModel, match="2"):
        intake("panel", "2").read_protocol(body)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", NotReadable),
        (b"{", NotReadable),
        (b"[]", NotReadable),
        (b'{"sodium": NaN, "potassium": 1}', InvalidInput),
        (b'{"sodium": 1e400, "potassium": 1}', InvalidInput),
        (b'{"instances": []}', InvalidInput),
        (b'{"instances": {}}', InvalidInput),
        (encoded({"instances": [ROW] * 101}), TooLarge),
    ],
)
def test_plain_bodies_that_are_refused(body: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        intake().read_plain(body)


def test_a_batch_is_refused_before_its_values_are_read() -> None:
    huge = {"name": "x", "shape": [10**6, 2], "datatype": "FP32", "data": ["no number"]}
    with pytest.raises(TooLarge, match="1000000 rows"):
        intake("panel").read_protocol(encoded({"inputs": [huge]}))


def test_a_request_larger_than_its_topic_takes_is_refused() -> None:
    row = ROW | {"sex": "F"}
    body = encoded({"instances": [row] * 80_000})
    with pytest.raises(TooLarge, match="bytes as published"):
        intake(max_rows=10**6).read_plain(body)


def test_a_refused_request_still_says_which_version_it_was_for() -> None:
    reader = intake("loan")
    with pytest.raises(InvalidInput):
        reader.read_plain(b"{}")
    assert reader.served is not None
    assert reader.served.version == "7"


def test_nothing_deployed_and_shadows_answer_nobody() -> None:
    with pytest.raises(NoPrimary):
        Intake(view(), None, None, None, 10).read_plain(encoded(ROW))
    shadow = view(served(PANEL), role="shadow")
    with pytest.raises(NoPrimary):
        Intake(shadow, "panel", None, None, 10).read_plain(encoded(ROW))
    with pytest.raises(UnknownModel, match="shadow"):
        Intake(shadow, "panel", "1", None, 10).read_plain(encoded(ROW))


MEMBERS = ("inputs", "instances", "name", "shape", "datatype", "data", "id", "outputs", "sodium")
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=15,
)


@given(st.binary(max_size=60) | DOCUMENTS.map(encoded))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    for read in (Intake.read_protocol, Intake.read_plain):
        refused: Refusal | None = None
        try:
            asked = read(intake("panel"), body)
        except Refusal as refusal:
            refused = refusal
        else:
            assert np.isfinite(asked.rows.numeric).all()
            assert len(asked.rows) > 0
        if refused is not None:
            assert 400 <= refused.status < 500
            assert refused.detail
