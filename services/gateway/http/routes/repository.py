"""The repository extension of the Open Inference Protocol."""

from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.gateway.calls import Call, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import read_body
from services.gateway.http.responses import json_response
from services.gateway.repository import READY, UNAVAILABLE, IndexNote, LoadNote, Repository, listing
from services.gateway.watching.notes import read_note

Note = TypeVar("Note", bound=msgspec.Struct)


def routes(gateway: Gateway) -> list[Route]:
    """Versions and their states; loading and unloading."""
    repository = Repository(gateway.kafka, gateway.view)

    async def read(request: Request, kind: type[Note]) -> Note:
        body = await read_body(request, max_bytes=gateway.settings.max_body_bytes)
        return read_note(body, kind) if body.strip() else kind()

    async def index(request: Request, _: Call) -> Response:
        note = await read(request, IndexNote)
        return json_response([entry._asdict() for entry in listing(gateway.view(), ready_only=note.ready)])

    async def load(request: Request, call: Call) -> Response:
        gateway.exchange.admit()
        call.model = gateway.view().name_of(request.path_params["model"])
        note = await read(request, LoadNote)
        call.version = await repository.load(call.model, note.version)
        return json_response({"name": call.model, "version": call.version, "state": READY})

    async def unload(request: Request, call: Call) -> Response:
        gateway.exchange.admit()
        call.model = gateway.view().name_of(request.path_params["model"])
        note = await read(request, LoadNote)
        await repository.unload(call.model, note.version)
        return json_response({"name": call.model, "state": UNAVAILABLE})

    one = "/v2/repository/models/{model}"
    return routes_of(
        gateway,
        [
            ("POST", "/v2/repository/index", index),
            ("POST", f"{one}/load", load),
            ("POST", f"{one}/unload", unload),
        ],
    )
