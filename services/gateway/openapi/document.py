"""The OpenAPI 3.1 document, with an example for every model it is told of."""

from collections.abc import Sequence
from typing import Any

from atalaia import __version__
from services.gateway.inference.served import Served
from services.gateway.openapi import monitor_paths, monitor_schemas, repository_paths
from services.gateway.openapi.components import REFUSALS, SCHEMAS, ref
from services.gateway.openapi.security import SCHEMES, guarded

Members = dict[str, Any]

_HEADERS: Members = {
    "prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`respond-async`: 202 with a Location instead of the answer, unless it comes within "
        "the seconds of `wait` (RFC 7240).",
        "schema": {"type": "string"},
        "example": "respond-async, wait=10",
    },
    "idempotency_key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A quoted string. A repeat with the same key, body and path within 24 hours returns "
        "the first answer and counts once.",
        "schema": {"type": "string", "maxLength": 202},
        "example": '"order-7"',
    },
}
_INFERENCE_REFUSALS = (400, 404, 409, 413, 415, 422, 429, 500, 503, 504)


def document(models: Sequence[Served] = ()) -> Members:
    """The document; ``models`` are those that answer now, the default one first."""
    paths = (
        _plain(models)
        | _protocol(models)
        | _v1(models)
        | _requests()
        | repository_paths.paths()
        | monitor_paths.paths(models)
        | _operation()
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Atalaia",
            "version": __version__,
            "summary": "Models served on Apache Kafka, and watched, from the same stream.",
            "description": "Every refusal is a problem document (RFC 9457) with a machine's `code`. "
            "200 means that the request is durable on Kafka.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "Plain JSON", "description": "For people."},
            {"name": "Open Inference Protocol v2"},
            {"name": "KServe V1"},
            {"name": "Late truth", "description": "202 means that the labels are durable on Kafka."},
            {"name": "Monitors"},
            {"name": "Alerts"},
            {"name": "Repository", "description": "Which versions there are, and which model answers."},
            {"name": "Operation"},
        ],
        "paths": guarded(paths),
        "components": {
            "securitySchemes": SCHEMES,
            "schemas": SCHEMAS | monitor_schemas.SCHEMAS | repository_paths.SCHEMAS,
            "responses": REFUSALS,
            "parameters": {
                "model": _path_parameter("model", [model.name for model in models]),
                "version": _path_parameter("version", [model.version for model in models]),
                "request_id": {
                    "name": "X-Request-Id",
                    "in": "header",
                    "description": "The client's own id, where the body has none; labels refer to it.",
                    "schema": {"type": "string", "maxLength": 200},
                },
                **_HEADERS,
            },
        },
    }


def _plain(models: Sequence[Served]) -> Members:
    paths: Members = {}
    for path, of in (("/predict", models[:1]), ("/models/{model}/predict", models)):
        paths[path] = {
            "post": _inference(
                "Plain JSON",
                f"Predict with {'a named' if '{' in path else 'the default'} model",
                schema="PlainRequest",
                answer="PlainResponse",
                examples=_plain_examples(of),
                path=path,
            )
        }
    for path in ("/schema", "/models/{model}/schema"):
        paths[path] = {"get": _get("Plain JSON", "What the model takes and gives", "ModelSchema", path, 404)}
    return paths


def _protocol(models: Sequence[Served]) -> Members:
    tag = "Open Inference Protocol v2"
    paths: Members = {
        "/v2": {"get": _get(tag, "Server metadata", "ServerMetadata", "/v2")},
        "/v2/health/live": {"get": _get(tag, "Whether the process lives", "Live", "/v2/health/live")},
        "/v2/health/ready": {
            "get": _get(tag, "Whether requests can be taken", "Ready", "/v2/health/ready", 503)
        },
    }
    examples = {
        model.name: {"summary": f"{model.name} {model.version}", "value": _protocol_example(model)}
        for model in models
    }
    for base in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        paths[base] = {"get": _get(tag, "Model metadata", "ModelMetadata", base, 404)}
        path = f"{base}/ready"
        paths[path] = {"get": _get(tag, "Whether the model can answer", "ModelReady", path, 404)}
        path = f"{base}/infer"
        paths[path] = {
            "post": _inference(
                tag,
                "Infer",
                schema="InferenceRequest",
                answer="InferenceResponse",
                examples=examples,
                path=path,
            )
        }
    return paths


def _v1(models: Sequence[Served]) -> Members:
    tag, one = "KServe V1", "/v1/models/{model}"
    examples = {
        model.name: {
            "summary": f"{model.name} {model.version}",
            "value": {"instances": [model.example, model.example]},
        }
        for model in models
    }
    return {
        "/v1/models": {"get": _get(tag, "Deployed models", "V1Models", "/v1/models")},
        one: {"get": _get(tag, "Whether the model can answer", "ModelReady", one, 404)},
        f"{one}:predict": {
            "post": _inference(
                tag,
                "Predict",
                schema="Instances",
                answer="PlainRows",
                examples=examples,
                path=f"{one}:predict",
            )
        },
    }


def _requests() -> Members:
    path = "/v2/requests/{ticket}"
    fetched = _get("Open Inference Protocol v2", "The answer of a request that was not waited for",
                   "InferenceResponse", path, 404, 422, 503)  # fmt: skip
    fetched["parameters"] = [{"name": "ticket", "in": "path", "required": True, "schema": {"type": "string"}}]
    fetched["responses"]["202"] = _later("Not there yet: ask again")
    return {path: {"get": fetched}}


def _later(description: str) -> Members:
    return {
        "description": description,
        "content": _json(ref("schemas", "Later")),
        "headers": {"Location": {"description": "where the answer is fetched", "schema": {"type": "string"}}},
    }


def _operation() -> Members:
    tag = "Operation"
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "/healthz": {"get": _get(tag, "Whether the process lives", "Live", "/healthz")},
        "/readyz": {"get": _get(tag, "Whether requests can be taken", "Ready", "/readyz", 503)},
        "/metrics": {
            "get": {
                "tags": [tag],
                "operationId": "get /metrics",
                "summary": "Metrics for Prometheus",
                "responses": {"200": {"description": "Metrics", "content": text}},
            }
        },
    }


def _get(tag: str, summary: str, schema: str, path: str, *refusals: int) -> Members:
    answer = {"description": summary, "content": _json(ref("schemas", schema))}
    reachable = (503,) if 404 in refusals or path == "/v1/models" else ()
    statuses = sorted({*refusals, *reachable, 500})
    return {
        "tags": [tag],
        "operationId": f"get {path}",
        "summary": summary,
        "parameters": _parameters(path),
        "responses": {"200": answer} | {str(status): ref("responses", str(status)) for status in statuses},
    }


def _inference(tag: str, summary: str, *, schema: str, answer: str, examples: Members, path: str) -> Members:
    content = _json(ref("schemas", schema))
    if examples:
        content["application/json"]["examples"] = examples
    return {
        "tags": [tag],
        "operationId": f"post {path}",
        "summary": summary,
        "parameters": [
            *_parameters(path),
            *(ref("parameters", name) for name in ("request_id", "prefer", "idempotency_key")),
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "The answer", "content": _json(ref("schemas", answer))},
            "202": _later("Durable, and not waited for, as `Prefer: respond-async` asked"),
        }
        | {str(status): ref("responses", str(status)) for status in _INFERENCE_REFUSALS},
    }


def _parameters(path: str) -> list[Members]:
    return [ref("parameters", name) for name in ("model", "version") if f"{{{name}}}" in path]


def _path_parameter(name: str, known: list[str]) -> Members:
    parameter: Members = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if known:
        parameter["examples"] = {value: {"value": value} for value in dict.fromkeys(known)}
    return parameter


def _json(schema: Members) -> Members:
    return {"application/json": {"schema": schema}}


def _plain_examples(models: Sequence[Served]) -> Members:
    examples: Members = {}
    for model in models:
        title = f"{model.name} {model.version}"
        examples[model.name] = {"summary": f"{title}, one row", "value": model.example}
        examples[f"{model.name}-rows"] = {
            "summary": f"{title}, many rows",
            "value": {"instances": [model.example, model.example]},
        }
    return examples


def _protocol_example(model: Served) -> Members:
    """The example row: one tensor where all features are numbers, else one a feature."""
    named = {feature.name: feature.datatype for feature in model.manifest.features}
    row = model.example
    tensors: list[Members] = []
    if model.signature.all_numeric and None not in (row[name] for name in named):
        data = [row[name] for name in named]
        tensors.append({"name": model.tensor_name, "shape": [1, len(data)], "datatype": "FP64", "data": data})
    else:
        tensors += [_column(name, datatype, row[name]) for name, datatype in named.items()]
    tensors += [
        _column(column.name, column.datatype, row[column.name])
        for column in model.manifest.context
        if column.name in row
    ]
    return {"inputs": tensors}


def _column(name: str, datatype: str, value: object) -> Members:
    return {"name": name, "shape": [1], "datatype": datatype, "data": [value]}
