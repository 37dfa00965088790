"""Probes and metrics."""

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atalaia.telemetry import sharing
from services.gateway.calls import Call, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.responses import json_response


def routes(gateway: Gateway) -> list[Route]:
    """Whether the process lives, whether it can take requests, and its metrics."""

    async def healthz(_: Request, __: Call) -> Response:
        return json_response({"live": True})

    async def readyz(_: Request, __: Call) -> Response:
        gateway.check_ready()
        return json_response({"ready": True})

    async def metrics(_: Request, __: Call) -> Response:
        return Response(sharing.page(), media_type=CONTENT_TYPE_LATEST)

    return routes_of(
        gateway, [("GET", "/healthz", healthz), ("GET", "/readyz", readyz), ("GET", "/metrics", metrics)]
    )
