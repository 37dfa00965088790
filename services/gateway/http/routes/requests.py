"""Answers of requests that were not waited for."""

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atalaia.inference.responses import out_of_distribution
from services.gateway.calls import Call, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.responses import json_response, raw_json
from services.gateway.inference.answers import read_answer
from services.gateway.kept.asking import kept_reply, location_of
from services.gateway.kept.memory import KEPT_MS
from services.gateway.kept.preferences import ticket_time_ms
from services.gateway.problems import NotFound

_SKEW_MS = 60_000
_HOURS = KEPT_MS // 3_600_000


def routes(gateway: Gateway) -> list[Route]:
    """One: the answer, or that it is not there yet."""

    async def fetch(request: Request, call: Call) -> Response:
        ticket = request.path_params["ticket"]
        _check(ticket, call.principal)
        call.take_key(ticket)
        value = await gateway.memory.answer(ticket)
        if value is None:
            return _pending(ticket)
        answer = read_answer(value)
        call.take(answer)
        if kept_reply(ticket, value).outcome is not None:
            served = gateway.view().loaded.get((answer.model, answer.version))
            cutoff = float("nan") if served is None else served.applicability.cutoff
            raise out_of_distribution(answer.outputs["applicability"][0], cutoff, [])
        return raw_json(value)

    return routes_of(gateway, [("GET", "/v2/requests/{ticket}", fetch)])


def _check(ticket: str, principal: str) -> None:
    given_ms = ticket_time_ms(ticket, principal)
    if given_ms is None:
        whose = f" of {principal}" if principal else ""
        raise NotFound(f"{ticket[:80]!r} is no request{whose} here; see the Location of the 202")
    age_ms = time.time_ns() // 1_000_000 - given_ms
    if age_ms > KEPT_MS:
        raise NotFound(f"answers are kept for {_HOURS} hours; this one is gone")
    if age_ms < -_SKEW_MS:
        raise NotFound(f"{ticket} is of a time to come; see the Location of the 202")


def _pending(ticket: str) -> Response:
    location = location_of(ticket)
    response = json_response({"id": ticket, "status": "pending", "location": location}, status=202)
    response.headers["location"] = location
    response.headers["retry-after"] = "1"
    return response
