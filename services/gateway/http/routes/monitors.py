"""What the monitors say."""

import asyncio
from typing import Any, get_args

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atalaia.errors import FieldProblem, InvalidInput
from atalaia.records import Role
from services.gateway.calls import Call, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.responses import raw_json
from services.gateway.problems import NotFound
from services.gateway.watching.follower import RESULTS
from services.gateway.watching.windows import Found, read_window

PATH = "/v2/models/{model}/monitors/{monitor}"
EXPLANATIONS = "explanations"


def routes(gateway: Gateway) -> list[Route]:
    """The results of the monitors of a model."""

    async def monitor(request: Request, call: Call) -> Response:
        model = gateway.view().name_of(request.path_params["model"])
        call.model = model
        name = _monitor(request.path_params["monitor"])
        asked = request.query_params
        wanted = read_window(asked.get("window", "latest"))
        role = _role(asked.get("role"))
        found = gateway.windows().find(name, model, wanted, version=asked.get("version"), role=role)
        # Of a thousand windows it takes a while to unpack.
        return raw_json(await asyncio.to_thread(_answer, model, name, found))

    return routes_of(gateway, [("GET", PATH, monitor)])


def _answer(model: str, monitor: str, found: Found) -> bytes:
    head: dict[str, Any] = {"model": model, "monitor": monitor}
    head["not_kept"] = [entry._asdict() for entry in found.unkept]
    return orjson.dumps(head)[:-1] + b',"results":[' + b",".join(found.results()) + b"]}"


def _monitor(name: str) -> str:
    if name == EXPLANATIONS:
        raise NotFound("explanations are not published by this version")
    if name not in RESULTS:
        raise NotFound(f"there is no monitor {name[:80]!r}; there are {', '.join(RESULTS)}")
    return name


def _role(role: str | None) -> str | None:
    if role is not None and role not in get_args(Role):
        expected = f"one of {', '.join(get_args(Role))}"
        raise InvalidInput([FieldProblem("role", f"unknown role {role[:80]!r}", expected)])
    return role
