"""Plain JSON for people: predictions and what a model takes."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.gateway.calls import Call, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.inferring import infer
from services.gateway.http.responses import json_response, raw_json
from services.gateway.http.routes.oip import find_served
from services.gateway.inference.answers import plain_row, plain_rows
from services.gateway.inference.intake import Intake
from services.gateway.inference.served import Served


def routes(gateway: Gateway) -> list[Route]:
    """Predictions and schemas, of the default model and of a named one."""

    async def predict(request: Request, call: Call) -> Response:
        asked, _, answer = await infer(gateway, request, call, Intake.read_plain)
        return raw_json(plain_rows(answer) if asked.instances else plain_row(answer))

    async def schema(request: Request, call: Call) -> Response:
        return json_response(describe(find_served(gateway, call, request.path_params.get("model"), None)))

    return routes_of(
        gateway,
        [
            ("POST", "/predict", predict),
            ("POST", "/models/{model}/predict", predict),
            ("GET", "/schema", schema),
            ("GET", "/models/{model}/schema", schema),
        ],
    )


def describe(served: Served) -> dict[str, Any]:
    """What a model takes and gives, for people and for programs that make forms."""
    manifest = served.manifest
    return {
        "model": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "description": manifest.description,
        "features": [
            {
                "name": feature.name,
                "datatype": feature.datatype,
                "unit": feature.unit,
                "description": feature.description,
                "range": None
                if feature.low is None and feature.high is None
                else [feature.low, feature.high],
                "categories": feature.categories,
                "missing": feature.missing,
            }
            for feature in manifest.features
        ],
        "context": [msgspec.to_builtins(column) | _defaults(column) for column in manifest.context],
        "classes": list(manifest.classes) or None,
        "positive_class": manifest.positive_class,
        "threshold": manifest.threshold,
        "applicability": {"cutoff": served.applicability.cutoff},
        "outputs": list(served.outputs),
        "example": served.example,
    }


def _defaults(column: Any) -> dict[str, Any]:
    return {
        "datatype": column.datatype,
        "categories": column.categories,
        "bands": column.bands,
        "protected": column.protected,
        "required": column.required,
    }
