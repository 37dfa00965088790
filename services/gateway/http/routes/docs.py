"""The OpenAPI document of what is deployed, and the pages that show it, from assets of our own."""

from pathlib import Path

import fastapi_offline
import orjson
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atalaia.errors import Refusal
from atalaia.stream.catalog import View
from services.gateway.calls import Call, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.responses import raw_json
from services.gateway.inference.served import Served
from services.gateway.openapi.document import document
from services.gateway.problems import NotFound

_ASSETS_FOLDER = Path(fastapi_offline.__file__).parent / "static"
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
    "favicon.png": "image/png",
}
_TITLE = "Atalaia"


class Documents:
    """The OpenAPI document, made again whenever what is deployed has changed."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._view: View[Served] | None = None
        self._bytes = b""
        self._plain = orjson.dumps(document())

    def current(self) -> bytes:
        """The document with an example for every deployed model; without models until they are known.

        Also without where there are keys: an example is a row of the reference, and this page is open.
        """
        if self._gateway.door.guarded:
            return self._plain
        try:
            view = self._gateway.view()
        except Refusal:
            return self._plain
        if view is not self._view:
            self._bytes = orjson.dumps(document(_answering(view)))
            self._view = view
        return self._bytes


def routes(gateway: Gateway) -> list[Route]:
    """``/openapi.json``, ``/docs``, ``/redoc`` and their assets."""
    documents = Documents(gateway)

    async def openapi(_: Request, __: Call) -> Response:
        return raw_json(documents.current())

    async def swagger(_: Request, __: Call) -> Response:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=_TITLE,
            swagger_js_url="assets/swagger-ui-bundle.js",
            swagger_css_url="assets/swagger-ui.css",
            swagger_favicon_url="assets/favicon.png",
        )

    async def redoc(_: Request, __: Call) -> Response:
        return get_redoc_html(
            openapi_url="openapi.json",
            title=_TITLE,
            redoc_js_url="assets/redoc.standalone.js",
            redoc_favicon_url="assets/favicon.png",
            with_google_fonts=False,
        )

    async def asset(request: Request, _: Call) -> Response:
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise NotFound(f"there is no asset {name[:80]!r}")
        content = (_ASSETS_FOLDER / name).read_bytes()
        headers = {"cache-control": "public, max-age=86400"}
        return Response(content, media_type=_ASSETS[name], headers=headers)

    return routes_of(
        gateway,
        [
            ("GET", "/openapi.json", openapi),
            ("GET", "/docs", swagger),
            ("GET", "/redoc", redoc),
            ("GET", "/assets/{name}", asset),
        ],
    )


def _answering(view: View[Served]) -> list[Served]:
    """The version of each model that answers now, the default model first."""
    names = sorted({name for name, _ in view.loaded}, key=lambda name: (name != view.default, name))
    served = []
    for name in names:
        try:
            served.append(view.primary(name))
        except Refusal:
            continue
    return served
