"""The schemas and refusals that the OpenAPI document refers to."""

from typing import Any

from services.gateway.problems import MEDIA_TYPE

Members = dict[str, Any]

DATATYPES = ("BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32",
             "FP64", "BYTES")  # fmt: skip


def ref(kind: str, name: str) -> Members:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def object_of(required: Members, **optional: Any) -> Members:
    """A schema of an object with these members."""
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


_STRING: Members = {"type": "string"}
_NUMBER: Members = {"type": "number"}
_BOOLEAN: Members = {"type": "boolean"}
_STRINGS: Members = {"type": "array", "items": _STRING}
_SHAPE: Members = {"type": "array", "items": {"type": "integer"}}
_DATATYPE: Members = {"type": "string", "enum": list(DATATYPES)}
_LABEL: Members = {"type": ["integer", "string"]}
_PARAMETERS: Members = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
_ROW_ANSWER = {
    "label": {**_LABEL, "description": "of a classifier"},
    "value": {**_NUMBER, "description": "of a regressor"},
    "probabilities": {"type": "array", "items": _NUMBER, "description": "in the order of the classes"},
}
_ALWAYS = {
    "score": {**_NUMBER, "description": "of the positive or the predicted class; the value of a regressor"},
    "applicability": {**_NUMBER, "description": "squared Mahalanobis distance to the reference"},
    "abstained": {**_BOOLEAN, "description": "whether the row is beyond the cutoff"},
}
_IDENTITY = {"id": _STRING, "model": _STRING, "version": _STRING}
_CONTENT_ROW: Members = {
    "type": "object",
    "description": "feature values by name; context columns and event_time may be among them",
}

SCHEMAS: Members = {
    "PlainRow": _CONTENT_ROW,
    "Instances": object_of(
        {
            "instances": {
                "type": "array",
                "minItems": 1,
                "items": {"anyOf": [ref("schemas", "PlainRow"), {"type": "array"}]},
                "description": "objects, or arrays in feature order",
            }
        }
    ),
    "PlainRequest": {"anyOf": [ref("schemas", "Instances"), ref("schemas", "PlainRow")]},
    "Later": object_of(
        {"id": _STRING, "status": {"type": "string", "enum": ["accepted", "pending"]}, "location": _STRING}
    ),
    "RowAnswer": object_of(_ALWAYS, **_ROW_ANSWER),
    "PlainAnswer": object_of({**_IDENTITY, **_ALWAYS}, **_ROW_ANSWER),
    "PlainRows": object_of(
        {**_IDENTITY, "predictions": {"type": "array", "items": ref("schemas", "RowAnswer")}}
    ),
    "PlainResponse": {"anyOf": [ref("schemas", "PlainAnswer"), ref("schemas", "PlainRows")]},
    "InputTensor": object_of(
        {"name": _STRING, "shape": _SHAPE, "datatype": _DATATYPE, "data": {"type": "array"}},
        parameters={"type": "object"},
    ),
    "InferenceRequest": object_of(
        {"inputs": {"type": "array", "minItems": 1, "items": ref("schemas", "InputTensor")}},
        id={"type": ["string", "null"]},
        parameters=_PARAMETERS,
        outputs={"type": "array", "items": object_of({"name": _STRING}, parameters={"type": "object"})},
    ),
    "OutputTensor": object_of(
        {"name": _STRING, "shape": _SHAPE, "datatype": _DATATYPE, "data": {"type": "array"}}
    ),
    "InferenceResponse": object_of(
        {
            "model_name": _STRING,
            "model_version": _STRING,
            "id": _STRING,
            "outputs": {"type": "array", "items": ref("schemas", "OutputTensor")},
        },
        parameters=_PARAMETERS,
    ),
    "ServerMetadata": object_of({"name": _STRING, "version": _STRING, "extensions": _STRINGS}),
    "TensorMetadata": object_of(
        {"name": _STRING, "datatype": _DATATYPE, "shape": _SHAPE}, parameters=_PARAMETERS
    ),
    "ModelMetadata": object_of(
        {
            "name": _STRING,
            "versions": _STRINGS,
            "platform": _STRING,
            "inputs": {"type": "array", "items": ref("schemas", "TensorMetadata")},
            "outputs": {"type": "array", "items": ref("schemas", "TensorMetadata")},
        }
    ),
    "ModelReady": object_of({"name": _STRING, "ready": _BOOLEAN}),
    "Live": object_of({"live": _BOOLEAN}),
    "Ready": object_of({"ready": _BOOLEAN}),
    "V1Models": object_of({"models": _STRINGS}),
    "ModelSchema": object_of(
        {
            "model": _STRING,
            "version": _STRING,
            "task": {"type": "string", "enum": ["classification", "regression"]},
            "features": {
                "type": "array",
                "items": object_of(
                    {"name": _STRING, "datatype": _DATATYPE, "missing": _BOOLEAN},
                    unit={"type": ["string", "null"]},
                    description={"type": ["string", "null"]},
                    range={"type": ["array", "null"], "items": {"type": ["number", "null"]}},
                    categories={"type": ["array", "null"], "items": _STRING},
                ),
            },
            "context": {
                "type": "array",
                "items": object_of({"name": _STRING, "datatype": _DATATYPE, "required": _BOOLEAN}),
            },
            "outputs": _STRINGS,
            "example": ref("schemas", "PlainRow"),
        },
        description={"type": ["string", "null"]},
        classes={"type": ["array", "null"], "items": _LABEL},
        positive_class={"type": ["integer", "string", "null"]},
        threshold={"type": ["number", "null"]},
        applicability=object_of({"cutoff": _NUMBER}),
    ),
    "FieldProblem": object_of(
        {"field": _STRING, "problem": _STRING, "expected": _STRING}, row={"type": "integer"}
    ),
    "Contribution": object_of({"feature": _STRING, "contribution": _NUMBER}),
    "Problem": object_of(
        {
            "type": _STRING,
            "title": _STRING,
            "status": {"type": "integer"},
            "detail": _STRING,
            "instance": _STRING,
            "code": {"type": "string", "description": "the machine's name of the reason"},
            "request_id": _STRING,
            "error": {"type": "string", "description": "the detail, where protocol clients look for it"},
        },
        errors={"type": "array", "items": ref("schemas", "FieldProblem")},
        distance=_NUMBER,
        cutoff=_NUMBER,
        contributions={"type": "array", "items": ref("schemas", "Contribution")},
    ),
}

_REASONS = {
    400: "The body cannot be read",
    401: "No key, or one that is not known or has expired; only where the gateway has keys",
    403: "The key lacks the scope, or without keys: a page of another origin",
    404: "No such model, version, or whatever else was named",
    409: "The first request with this Idempotency-Key is not answered yet; see Retry-After",
    413: "The body or the batch is too large; nothing was published",
    415: "The content type is not JSON",
    422: "The input does not fit the model (`errors`), or its one row is out of the model's domain "
    "(`distance`, `cutoff`, `contributions`)",
    429: "Too many requests in flight, or more than the key may send; see Retry-After",
    500: "The model failed, or the gateway did",
    503: "Kafka is not available, or no model is deployed; not accepted, see Retry-After",
    504: "Accepted, but no reply came before the deadline",
}
_RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
_WHO = {"WWW-Authenticate": {"description": "which keys are known (RFC 6750)", "schema": {"type": "string"}}}


def _headers(status: int) -> Members:
    if status in (409, 429, 503):
        return {"headers": _RETRY_AFTER}
    return {"headers": _WHO} if status == 401 else {}


REFUSALS: Members = {
    str(status): {
        "description": reason,
        "content": {MEDIA_TYPE: {"schema": ref("schemas", "Problem")}},
        **_headers(status),
    }
    for status, reason in _REASONS.items()
}
