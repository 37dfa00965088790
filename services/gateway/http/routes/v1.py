"""KServe V1."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.gateway.calls import Call, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.inferring import infer
from services.gateway.http.responses import json_response, raw_json
from services.gateway.http.routes.oip import find_served
from services.gateway.inference.answers import plain_rows
from services.gateway.inference.intake import Asked, Intake


def routes(gateway: Gateway) -> list[Route]:
    """Models, their state, and predictions."""

    async def predict(request: Request, call: Call) -> Response:
        _, _, answer = await infer(gateway, request, call, _read_instances)
        return raw_json(plain_rows(answer))

    async def models(_: Request, __: Call) -> Response:
        return json_response({"models": sorted(gateway.view().records)})

    async def model(request: Request, call: Call) -> Response:
        served = find_served(gateway, call, request.path_params["model"], None)
        return json_response({"name": served.name, "ready": True})

    return routes_of(
        gateway,
        [
            ("POST", "/v1/models/{model}:predict", predict),
            ("GET", "/v1/models", models),
            ("GET", "/v1/models/{model}", model),
        ],
    )


def _read_instances(intake: Intake, body: bytes) -> Asked:
    return intake.read_plain(body, only_instances=True)
