"""The application: routes, and problem documents also where no route is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from atalaia.errors import Refusal
from services.gateway.calls import Call, refuse
from services.gateway.gateway import Gateway
from services.gateway.grpc.server import listening
from services.gateway.http.routes import (
    alerts,
    docs,
    health,
    labels,
    monitors,
    oip,
    plain,
    repository,
    requests,
    v1,
)
from services.gateway.problems import Internal, MethodNotAllowed, NotFound, Reported

_log = structlog.get_logger()
_UNMATCHED = "none"


def create_app(gateway: Gateway) -> FastAPI:
    """The gateway over HTTP; its lifespan brings ``gateway`` up and takes it down."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await gateway.start()
        async with listening(gateway):
            yield
        await gateway.stop()

    app = FastAPI(
        title="Atalaia",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for module in (oip, plain, v1, requests, repository, labels, monitors, alerts, health, docs):
        app.router.routes.extend(module.routes(gateway))

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
        call = Call(_UNMATCHED, request.scope["headers"])
        response = refuse(_as_refusal(error, request), request, call, headers=dict(error.headers or {}))
        call.close(gateway, response.status_code, len(response.body))
        return response

    async def on_failure(request: Request, error: Exception) -> Response:
        call = Call(_UNMATCHED, request.scope["headers"])
        _log.error("request failed outside of its route", reason=repr(error), request_id=call.request_id)
        response = refuse(Internal("something went wrong here; the log says what"), request, call)
        call.close(gateway, response.status_code, len(response.body))
        return response

    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_failure)
    return app


def _as_refusal(error: HTTPException, request: Request) -> Refusal:
    if error.status_code == 404:
        return NotFound(f"there is nothing at {request.url.path}; /docs lists what there is")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        return MethodNotAllowed(f"{request.method} is not allowed at {request.url.path}, expected {allowed}")
    return Reported(str(error.detail), status=error.status_code, code="http_error")
