"""Late truth in."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atalaia.errors import InvalidInput
from atalaia.telemetry import metrics
from services.gateway.calls import Call, metered, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import read_body
from services.gateway.http.responses import json_response
from services.gateway.http.routes.oip import find_served
from services.gateway.truth.acceptance import accept, model_of


def routes(gateway: Gateway) -> list[Route]:
    """Labels of the default model, and of a named one."""

    async def labels(request: Request, call: Call) -> Response:
        gateway.exchange.admit()
        gateway.view()
        body = await read_body(request, max_bytes=gateway.settings.max_body_bytes)
        served = find_served(gateway, call, model_of(body, request.path_params.get("model")), None)
        # From here to `take` nothing is awaited: the time a label is stamped with orders it among the marks.
        now_ms = gateway.labels.now_ms()
        try:
            rows = accept(body, served.manifest, now_ms=now_ms, max_labels=gateway.settings.max_rows)
        except InvalidInput as refusal:
            places = {problem.row for problem in refusal.problems}
            metered(metrics.GATEWAY_REFUSED_LABELS, served.name, served.version).inc(len(places))
            raise
        call.rows = len(rows)
        await asyncio.shield(gateway.labels.take(served.name, rows, body_bytes=len(body)))
        metered(metrics.GATEWAY_LABELS, served.name, served.version).inc(len(rows))
        return json_response({"accepted": len(rows)}, status=202)

    paths = ("/labels", "/feedback", "/models/{model}/labels")
    return routes_of(gateway, [("POST", path, labels) for path in paths])
