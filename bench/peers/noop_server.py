"""The process of `bench.peers.noop`."""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_ANSWER = b'{"outputs":[]}'
DECLARED = "/declared"
"""Before the path of the route that FastAPI itself reads and answers."""


async def answer(request: Request) -> Response:
    """Read the body and say the same thing always."""
    await request.body()
    return Response(_ANSWER, media_type="application/json")


async def answer_declared(model: str, body: dict[str, Any]) -> dict[str, Any]:
    """The same, as FastAPI's users write it."""
    del model, body
    return {"outputs": []}


def main(port: int) -> None:
    """Serve until SIGTERM, configured as the gateway is."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.router.routes.append(Route("/v2/models/{model}/infer", answer, methods=["POST"]))
    app.post(f"{DECLARED}/v2/models/{{model}}/infer")(answer_declared)
    app.router.routes.append(Route("/readyz", answer, methods=["GET"]))
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
