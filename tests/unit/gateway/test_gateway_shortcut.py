import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from services.gateway.http.shortcut import Shortcut


async def echo(request: Request) -> Response:
    return JSONResponse({"named": request.path_params, "body": (await request.body()).decode()})


APP = Starlette(
    routes=[
        Route("/v2/models/{model}/infer", echo, methods=["POST"]),
        Route("/v1/models/{model}:predict", echo, methods=["POST"]),
        Route("/predict", echo, methods=["POST"]),
        Route("/v2/models/{model}", echo, methods=["GET"]),
    ]
)


def ask(method: str, path: str) -> tuple[httpx.Response, httpx.Response, list[str]]:
    """The answer by the shortcut and by the application alone, and what the shortcut passed on."""
    passed: list[str] = []

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["path"])
        await APP(scope, receive, send)

    async def both() -> list[httpx.Response]:
        answers = []
        for app in (Shortcut(whole, APP.routes), APP):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                answers.append(await client.request(method, path, content=b"{}"))
        return answers

    shortcut, alone = asyncio.run(both())
    return shortcut, alone, passed


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/predict", {}),
        ("/v2/models/wine/infer", {"model": "wine"}),
        ("/v2/models/a%20b%C3%A9/infer", {"model": "a bé"}),
        ("/v1/models/wine:predict", {"model": "wine"}),
    ],
)
def test_posts_are_answered_without_the_application_and_as_it_would(path: str, named: dict[str, str]) -> None:
    shortcut, alone, passed = ask("POST", path)
    assert passed == []
    assert shortcut.json() == alone.json() == {"named": named, "body": "{}"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/wine", 200),
        ("GET", "/predict", 405),
        ("POST", "/v2/models/wine", 405),
        ("POST", "/v2/models/a/b/infer", 404),
        ("POST", "/predict/", 307),
    ],
)
def test_everything_else_is_left_to_the_application(method: str, path: str, status: int) -> None:
    shortcut, alone, passed = ask(method, path)
    assert len(passed) == 1
    assert shortcut.status_code == alone.status_code == status
