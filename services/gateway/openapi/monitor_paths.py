"""The part of the OpenAPI document that is about late truth, monitors and alerts."""

from collections.abc import Sequence
from typing import Any, get_args

from atalaia.alerts import Status
from atalaia.records import Role
from services.gateway.http.routes.monitors import EXPLANATIONS
from services.gateway.inference.served import Served
from services.gateway.openapi.components import Members, ref
from services.gateway.watching.follower import RESULTS

_STRING: Members = {"type": "string"}
_ID = "0b9c7a52-6d1e-4a51-9a4b-3f0f6c1d2e01"
_SILENCE = {"by": "ana", "duration": "2h", "comment": "new analyser", "matchers": {"monitor": "drift"}}


def paths(models: Sequence[Served]) -> Members:
    """Labels, results of monitors, alerts; ``models`` as for the whole document."""
    return {
        "/labels": _labels(models[:1], "the default"),
        "/feedback": _labels(models[:1], "the default", operation="post /feedback"),
        "/models/{model}/labels": _labels(models, "a named"),
        "/v2/models/{model}/monitors/{monitor}": {"get": _monitor()},
        "/alerts": {"get": _alerts()},
        "/alerts/{fingerprint}/acknowledge": {
            "post": _post(
                "Alerts",
                "Say that you have seen an alert, as it stands",
                path="/alerts/{fingerprint}/acknowledge",
                body="AcknowledgementNote",
                examples={"seen": {"value": {"by": "ana", "comment": "on it"}}},
                answer=("201", "Acknowledgement"),
                refusals=(400, 403, 404, 413, 415, 422, 429, 500, 503),
                parameters=[_path("fingerprint")],
            )
        },
        "/silences": {
            "get": _get("Alerts", "Silences that are not over", "/silences", "Silences", []),
            "post": _post(
                "Alerts",
                "Silence alerts for a while",
                path="/silences",
                body="SilenceNote",
                examples={"drift": {"value": _SILENCE}},
                answer=("201", "Silence"),
                refusals=(400, 403, 413, 415, 422, 429, 500, 503),
                parameters=[],
            ),
        },
        "/silences/{id}": {"delete": _end_silence()},
    }


def _labels(models: Sequence[Served], which: str, *, operation: str = "") -> Members:
    path = "/models/{model}/labels" if which == "a named" else "/labels"
    return {
        "post": _post(
            "Late truth",
            f"What turned out to be true of rows that {which} model was asked",
            path=path,
            body="Labels",
            examples={model.name: {"summary": model.name, "value": _example(model)} for model in models},
            answer=("202", "Accepted"),
            refusals=(400, 404, 413, 415, 422, 429, 500, 503),
            parameters=[ref("parameters", "model")] if "{model}" in path else [],
        )
        | {"operationId": operation or f"post {path}"}
    }


def _example(model: Served) -> list[Members]:
    """Two labels of one request."""
    classes = model.manifest.classes
    values: list[Any] = [classes[0], classes[-1]] if classes else [0.5, 1.25]
    first, second = values
    return [
        {"id": _ID, "label": first},
        {"id": _ID, "row": 1, "label": second, "time": "2026-01-31T12:00:00Z"},
    ]


def _monitor() -> Members:
    parameters = [
        ref("parameters", "model"),
        _path("monitor", enum=[*RESULTS, EXPLANATIONS]),
        _query("window", "`latest`, `all`, or `START/END`, RFC 3339", default="latest"),
        _query("version", "of this version alone"),
        _query("role", "in this role alone", enum=list(get_args(Role))),
    ]
    path = "/v2/models/{model}/monitors/{monitor}"
    return _get("Monitors", "What a monitor says of windows", path, "MonitorResults", parameters, 404, 422)


def _alerts() -> Members:
    parameters = [
        _query("status", "in this status alone", enum=list(get_args(Status))),
        _query("model", "of this model alone"),
    ]
    return _get("Alerts", "Alerts as they stand", "/alerts", "Alerts", parameters, 422)


def _end_silence() -> Members:
    return {
        "tags": ["Alerts"],
        "operationId": "delete /silences/{id}",
        "summary": "End a silence now",
        "parameters": [_path("id")],
        "responses": {"204": {"description": "It is over"}} | _refusals(403, 404, 413, 429, 500, 503),
    }


def _get(
    tag: str, summary: str, path: str, schema: str, parameters: list[Members], *refusals: int
) -> Members:
    answer = {"description": summary, "content": _json(ref("schemas", schema))}
    return {
        "tags": [tag],
        "operationId": f"get {path}",
        "summary": summary,
        "parameters": parameters,
        "responses": {"200": answer} | _refusals(*refusals, 500, 503),
    }


def _post(
    tag: str,
    summary: str,
    *,
    path: str,
    body: str,
    examples: Members,
    answer: tuple[str, str],
    refusals: tuple[int, ...],
    parameters: list[Members],
) -> Members:
    content = _json(ref("schemas", body))
    if examples:
        content["application/json"]["examples"] = examples
    status, schema = answer
    return {
        "tags": [tag],
        "operationId": f"post {path}",
        "summary": summary,
        "parameters": parameters,
        "requestBody": {"required": True, "content": content},
        "responses": {status: {"description": "Durable", "content": _json(ref("schemas", schema))}}
        | _refusals(*refusals),
    }


def _refusals(*statuses: int) -> Members:
    return {str(status): ref("responses", str(status)) for status in statuses}


def _path(name: str, **schema: Any) -> Members:
    return {"name": name, "in": "path", "required": True, "schema": {**_STRING, **schema}}


def _query(name: str, description: str, **schema: Any) -> Members:
    return {"name": name, "in": "query", "description": description, "schema": {**_STRING, **schema}}


def _json(schema: Members) -> Members:
    return {"application/json": {"schema": schema}}
