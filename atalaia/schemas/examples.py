"""Example messages of every topic, made by the code that makes the real ones."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import orjson

from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.deployments import add_deployment
from atalaia.errors import InvalidInput, Refusal
from atalaia.inference.protocol import InferInput, InferRequest, decode_request
from atalaia.inference.responses import ResponseWriter, error_response, mark_expired
from atalaia.inference.rows import Predictions
from atalaia.inference.signature import Signature
from atalaia.records import (
    Array,
    BundleRecord,
    Deployment,
    ModelObservation,
    ModelRecord,
    Observation,
    SourceRange,
)
from atalaia.schemas.watching import monitor_examples
from atalaia.stream.deadletters import dead_letter_headers

MANIFEST = Manifest(
    name="bmp",
    version="1",
    task="classification",
    model=ModelFile(inputs="tensor", probabilities="probabilities", label="label"),
    features=(
        Feature("sodium", unit="mmol/L"),
        Feature("potassium", unit="mmol/L"),
        Feature("glucose", unit="mg/dL"),
    ),
    context=(ContextColumn("sex"), ContextColumn("age", "FP64", bands=(30.0, 50.0))),
    classes=("healthy", "ill"),
    positive_class="ill",
    threshold=0.5,
)
"""A small model of which the examples speak."""

_TIME = "2026-01-31T12:00:00+00:00"
_TIME_MS = 1_769_860_800_000
_DIGEST = "sha256:" + "5f" * 32
_FIRST_ID, _SECOND_ID = "0b9c7a52-6d1e-4a51-9a4b-3f0f6c1d2e01", "0b9c7a52-6d1e-4a51-9a4b-3f0f6c1d2e02"


def examples() -> Iterator[tuple[str, str, bytes]]:
    """Topic, variant (empty for the plain case) and value of every example."""
    writer = ResponseWriter(MANIFEST)
    [answered] = writer.single_rows([_FIRST_ID], _predictions(1))
    [abstained] = writer.single_rows([_SECOND_ID], _predictions(2).part(1, 2))
    yield "requests", "tensor", msgspec.json.encode(_tensor_request())
    yield "requests", "columns", msgspec.json.encode(_column_request())
    for topic in ("predictions", "replies", "results"):
        yield topic, "", answered
        yield topic, "abstained", abstained
        yield topic, "error", _error()
    yield "predictions", "many-rows", writer.many_rows(_FIRST_ID, _predictions(2))
    yield "predictions", "expired", mark_expired(answered)
    yield "observations", "", msgspec.json.encode(_observation())
    yield "observations", "mark-of-time", msgspec.json.encode(_mark_of_time())
    yield from monitor_examples()
    yield "models", "", msgspec.json.encode(_model_record())
    location = "/var/lib/atalaia/bundles/bmp/1"
    yield "bundles", "", msgspec.json.encode(BundleRecord("bmp", "1", _DIGEST, location, _TIME))


def dead_letter_example() -> dict[str, Any]:
    """Headers and value of a dead letter; only its time is not the clock's."""
    value = '{"inputs": [{"name": "rows", "shape": [1, 3'
    try:
        decode_request(value.encode())
    except Refusal as refusal:
        headers = dead_letter_headers(topic="atalaia.requests", partition=2, offset=1042, refusal=refusal)
        shown = {name: text.decode() for name, text in headers if isinstance(text, bytes)}
        return {"headers": {**shown, "time": _TIME}, "payload": value}
    raise AssertionError("a request cut short was taken")


def _tensor_request() -> InferRequest:
    rows = InferInput("rows", [2, 3], "FP32", [138.0, 4.1, 92.0, 109.0, 7.9, 610.0])
    return InferRequest(inputs=[rows], id=_FIRST_ID, parameters={"model": "bmp"})


def _column_request() -> InferRequest:
    numbers = {"sodium": 138.0, "potassium": 4.1, "glucose": 92.0}
    inputs = [InferInput(name, [1], "FP32", [value]) for name, value in numbers.items()]
    inputs += [
        InferInput("sex", [1], "BYTES", ["female"]),
        InferInput("age", [1], "FP64", [41.0]),
        InferInput("event_time", [1], "BYTES", ["2026-01-31T11:59:30Z"]),
    ]
    return InferRequest(inputs=inputs, id=_SECOND_ID, parameters={"model": "bmp", "version": "1"})


def _predictions(rows: int) -> Predictions:
    """One row within the model's domain, then one beyond it."""
    ill = np.array([0.0625, 0.96875], np.float32)[:rows]
    return Predictions(
        score=ill,
        applicability=np.array([2.25, 187.5], np.float32)[:rows],
        abstained=np.array([False, True])[:rows],
        label=np.array([0, 1])[:rows],
        probabilities=np.column_stack([1 - ill, ill]),
    )


def _error() -> bytes:
    """The error prediction of a request without its glucose."""
    sodium, potassium, *_ = _column_request().inputs
    try:
        Signature(MANIFEST).rows(InferRequest(inputs=[sodium, potassium]))
    except InvalidInput as refusal:
        return error_response(request_id=_SECOND_ID, refusal=refusal, model_name="bmp", model_version="1")
    raise AssertionError("a request that lacks a feature was taken")


def _observation() -> Observation:
    predictions = _predictions(2)
    assert predictions.label is not None and predictions.probabilities is not None  # noqa: S101, PT018 - made above
    model = ModelObservation(
        model="bmp",
        version="1",
        role="primary",
        digest=_DIGEST,
        partition=Array.of(np.array([2, 2], np.int32)),
        offset=Array.of(np.array([1040, 1041])),
        id=[_FIRST_ID, _SECOND_ID],
        rows=Array.of(np.array([1, 1], np.int32)),
        expired=Array.of(np.array([False, False])),
        event_time_ms=Array.of(np.array([_TIME_MS - 30_000, _TIME_MS])),
        features={
            "sodium": Array.of(np.array([138.0, 109.0], np.float32)),
            "potassium": Array.of(np.array([4.1, 7.9], np.float32)),
            "glucose": Array.of(np.array([92.0, 610.0], np.float32)),
        },
        context={
            "sex": Array.of(np.array([0, -1], np.int32), categories=["female"]),
            "age": Array.of(np.array([41.0, np.nan])),
        },
        score=Array.of(predictions.score),
        applicability=Array.of(predictions.applicability),
        abstained=Array.of(predictions.abstained),
        label=Array.of(predictions.label),
        probabilities=Array.of(predictions.probabilities),
        classes=list(MANIFEST.classes),
        waited_ms=Array.of(np.array([4])),
        waited_rows=Array.of(np.array([2], np.int32)),
    )
    return Observation("scorer-0", [SourceRange(2, 1040, 1043, _TIME_MS)], [model])


def _mark_of_time() -> Observation:
    return Observation("scorer-0", [SourceRange(2, 1043, 1043, _TIME_MS + 1_000, at_end=True)], [])


def _model_record() -> ModelRecord:
    deployment = Deployment("1", _DIGEST, "primary", {0: 0, 1: 0, 2: 17, 3: 4}, _TIME)
    return add_deployment(None, "bmp", deployment)


def render(value: bytes) -> str:
    """An example as it is kept: the same JSON, indented."""
    return orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
