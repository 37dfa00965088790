"""The short way of an inference request: from the server to its route, past what it has no use for."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

_POST = {"POST"}


class Shortcut:
    """An application that calls POST routes itself and leaves everything else to ``app``.

    FastAPI and Starlette wrap every route in a dozen layers (dependencies, exception handlers, limits) that
    take about a sixth of a busy gateway's CPU time. These routes need none of them: `calls.routes_of` makes
    routes that never raise, that ask for keys and that limit bodies themselves.

    Parameters
    ----------
    app : all routes, and the lifespan
    routes : those of ``app``; the first that matches answers, as there
    """

    def __init__(self, app: ASGIApp, routes: Sequence[object]) -> None:
        self._app = app
        self._routes = [
            (route.path_regex.match, route.endpoint)
            for route in routes
            if isinstance(route, Route) and route.methods == _POST
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "http" and scope["method"] == "POST" and not scope["root_path"]:
            path = scope["path"]
            for match, endpoint in self._routes:
                found = match(path)
                if found is not None:
                    scope["path_params"] = found.groupdict()
                    response = await endpoint(Request(scope, receive, send))
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)
