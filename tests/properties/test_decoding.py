"""Whatever arrives, the decoders answer with a request or a refusal that can be told."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.errors import Refusal
from atalaia.inference.columns import MAX_PROBLEMS
from atalaia.inference.protocol import InferRequest, decode_request, decode_response, decode_tensor
from atalaia.inference.responses import error_response
from atalaia.inference.signature import Signature

NUMERIC = Signature(
    Manifest("m", "1", "regression", ModelFile("tensor"), (Feature("a"), Feature("b", "INT8")))
)
MIXED = Signature(
    Manifest(
        "m",
        "1",
        "regression",
        ModelFile("columns"),
        (Feature("a", missing=True), Feature("k", "BYTES", categories=("x",)), Feature("f", "BOOL")),
        context=(ContextColumn("sex"), ContextColumn("age", "FP64", required=True)),
    )
)

names = st.sampled_from(["a", "b", "k", "f", "sex", "age", "event_time", "x", "", "%s", "é"])
numbers = st.one_of(
    st.integers(-130, 130),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.sampled_from([-0.0, 1e39, 10**400, 2**63]),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.sampled_from(["x", "2026-01-31T12:00:00Z", "%b", "\x00", "\udc80"]),
    st.text(max_size=5),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=8)
datatypes = st.sampled_from(["FP32", "FP64", "INT8", "BYTES", "BOOL", "FP", None])
shapes = st.one_of(st.lists(st.integers(-1, 3), max_size=3), st.lists(scalars, max_size=2), scalars)


def members(likely: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that mostly have these members, each now and then anything or missing."""
    required = {name: st.one_of(strategy, strategy, strategy, values) for name, strategy in likely.items()}
    return st.one_of(st.fixed_dictionaries(required), st.fixed_dictionaries({}, optional=required))


tensors = members(
    {"name": names, "shape": shapes, "datatype": datatypes, "data": st.lists(values, max_size=4)}
)
good_tensors = st.builds(
    lambda name, datatype, data: {"name": name, "shape": [len(data)], "datatype": datatype, "data": data},
    names,
    datatypes,
    st.lists(scalars, min_size=1, max_size=2),
)
requests = members(
    {
        "inputs": st.lists(st.one_of(tensors, good_tensors), max_size=6),
        "id": st.text(max_size=5),
        "parameters": st.dictionaries(names, scalars, max_size=2),
    }
)


def check_told(refusal: Refusal) -> None:
    """A refusal becomes headers, a log line and a problem document: it has to be short and sound text."""
    assert 400 <= refusal.status < 500
    refusal.detail.encode()
    assert len(refusal.detail) < (MAX_PROBLEMS + 6) * 700
    error_response(request_id="r", refusal=refusal, model_name=None, model_version=None)


def read(body: bytes) -> None:
    decode_tensor(body)
    try:
        request = decode_request(body)
    except Refusal as refusal:
        check_told(refusal)
        return
    for signature in (NUMERIC, MIXED):
        try:
            rows = signature.rows(request)
        except Refusal as refusal:
            check_told(refusal)
        else:
            assert len(rows) >= 1
            assert rows.numeric.shape[1] == len(signature.numeric)


@given(body=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes(body: bytes) -> None:
    read(body)


@given(prefix=st.integers(0, 200), junk=st.binary(max_size=8), request=requests)
@settings(max_examples=200, deadline=None)
def test_requests_cut_short_and_gone_on_with_junk(prefix: int, junk: bytes, request: dict[str, Any]) -> None:
    read(json.dumps(request).encode()[:prefix] + junk)


@given(request=requests, ascii_only=st.booleans())
@settings(max_examples=500, deadline=None)
def test_json_shaped_roughly_like_requests(request: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(request, ensure_ascii=ascii_only)
    read(text.encode("utf-8", "surrogatepass"))


@given(document=values)
@settings(max_examples=100, deadline=None)
def test_any_other_json(document: object) -> None:
    read(json.dumps(document).encode())


@given(
    instances=st.lists(
        st.one_of(st.dictionaries(names, values, max_size=6), st.lists(values, max_size=4), scalars),
        max_size=4,
    )
)
@settings(max_examples=300, deadline=None)
def test_arbitrary_instances(instances: list[object]) -> None:
    # Instances come out of a JSON decoder: no lone surrogates, which it refuses.
    sound = json.loads(json.dumps(instances).replace("\\udc80", "?"))
    for signature in (NUMERIC, MIXED):
        try:
            assert len(signature.rows_of_instances(sound)) == len(sound)
        except Refusal as refusal:
            check_told(refusal)


@given(body=st.binary(max_size=100), requests=st.lists(requests, max_size=3))
@settings(max_examples=100, deadline=None)
def test_many_arbitrary_requests_are_read_together_or_not_at_all(
    body: bytes, requests: list[dict[str, Any]]
) -> None:
    decoded: list[InferRequest] = []
    for text in [body, *(json.dumps(request).encode() for request in requests)]:
        try:
            decoded.append(decode_request(text))
        except Refusal as refusal:
            check_told(refusal)
    for signature in (NUMERIC, MIXED):
        together = signature.rows_of_columns(decoded)
        if together is not None:
            assert len(together) == len(decoded) == sum(len(signature.rows(request)) for request in decoded)


def test_a_response_is_no_place_for_a_request() -> None:
    assert decode_response(b'{"inputs":[]}').outputs == []
