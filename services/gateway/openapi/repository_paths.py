"""The part of the OpenAPI document that is about the repository of models."""

from services.gateway.openapi.components import Members, object_of, ref
from services.gateway.repository import READY, UNAVAILABLE

_STRING: Members = {"type": "string"}
_STATE: Members = {"type": "string", "enum": [READY, UNAVAILABLE]}

SCHEMAS: Members = {
    "RepositoryIndex": {
        "type": "array",
        "items": object_of({"name": _STRING, "version": _STRING, "state": _STATE, "reason": _STRING}),
    },
    "IndexNote": object_of({}, ready={"type": "boolean", "description": "only what can be asked"}),
    "LoadNote": object_of(
        {}, parameters={"type": "object", "properties": {"version": {"type": ["string", "null"]}}}
    ),
    "RepositoryState": object_of({"name": _STRING, "state": _STATE}, version=_STRING),
}


def paths() -> Members:
    """Index, load and unload; their bodies may be left out."""
    one = "/v2/repository/models/{model}"
    return {
        "/v2/repository/index": {
            "post": _post("Versions and their states", "/v2/repository/index", "IndexNote", "RepositoryIndex")
        },
        f"{one}/load": {
            "post": _post(
                "Make a model answer that answers nobody, or the version that is named",
                f"{one}/load",
                "LoadNote",
                "RepositoryState",
                404,
                504,
            )
        },
        f"{one}/unload": {
            "post": _post(
                "Retire all versions of a model, or the one that is named",
                f"{one}/unload",
                "LoadNote",
                "RepositoryState",
                404,
                504,
            )
        },
    }


def _post(summary: str, path: str, body: str, answer: str, *refusals: int) -> Members:
    statuses = sorted({*refusals, 400, 413, 415, 422, 500, 503})
    return {
        "tags": ["Repository"],
        "operationId": f"post {path}",
        "summary": summary,
        "parameters": [ref("parameters", "model")] if "{model}" in path else [],
        "requestBody": {"required": False, "content": {"application/json": {"schema": ref("schemas", body)}}},
        "responses": {
            "200": {
                "description": summary,
                "content": {"application/json": {"schema": ref("schemas", answer)}},
            }
        }
        | {str(status): ref("responses", str(status)) for status in statuses},
    }
