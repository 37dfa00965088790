"""The part of the OpenAPI document that is about keys."""

from services.gateway.access.needs import NEEDS
from services.gateway.openapi.components import Members, ref

_WHERE_KEYS = "Only where the gateway has keys. Scopes are `infer`, `label` and `admin`."

SCHEMES: Members = {
    "bearer": {"type": "http", "scheme": "bearer", "description": _WHERE_KEYS},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": _WHERE_KEYS},
}

_REFUSALS = (401, 403, 429)


def guarded(paths: Members) -> Members:
    """The paths, each operation with the scopes of which a key needs one, and what it gets without."""
    return {
        path: {method: _guarded(method, path, operation) for method, operation in operations.items()}
        for path, operations in paths.items()
    }


def _guarded(method: str, path: str, operation: Members) -> Members:
    needs = NEEDS[method.upper(), path]
    if not needs:
        return operation
    refusals = {str(status): ref("responses", str(status)) for status in _REFUSALS}
    responses = operation["responses"] | refusals
    return {
        **operation,
        "security": [{scheme: [scope]} for scope in needs for scheme in SCHEMES],
        "responses": dict(sorted(responses.items())),
    }
