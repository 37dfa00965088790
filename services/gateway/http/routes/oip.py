"""Open Inference Protocol v2 over HTTP."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atalaia import __version__
from atalaia.bundles.manifest import ContextColumn, Feature
from atalaia.inference.binary import EXTENSION, to_json, wanted_outputs, with_bytes
from services.gateway.calls import Call, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.inferring import infer
from services.gateway.http.responses import json_response, octets, raw_json
from services.gateway.inference.answers import select_outputs, selection
from services.gateway.inference.intake import Asked, Intake
from services.gateway.inference.served import Served
from services.gateway.problems import ModelNotReady
from services.gateway.way import Reader

PLATFORM = "onnx_onnxv1"
EXTENSIONS = ["model_repository", EXTENSION]


def routes(gateway: Gateway) -> list[Route]:
    """The protocol's routes, the hot one first."""
    protocol = _Protocol(gateway)
    one, versioned = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    return routes_of(
        gateway,
        [
            ("POST", f"{one}/infer", protocol.infer),
            ("POST", f"{versioned}/infer", protocol.infer),
            ("GET", "/v2", protocol.server),
            ("GET", "/v2/health/live", protocol.live),
            ("GET", "/v2/health/ready", protocol.ready),
            ("GET", one, protocol.model),
            ("GET", f"{one}/ready", protocol.model_ready),
            ("GET", versioned, protocol.model),
            ("GET", f"{versioned}/ready", protocol.model_ready),
        ],
    )


class _Protocol:
    """The handlers of the protocol's routes."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def infer(self, request: Request, call: Call) -> Response:
        read = Intake.read_protocol if call.head_length is None else _reader_of_tensors(call.head_length)
        tensors = call.head_length is not None
        asked, reply, answer = await infer(self._gateway, request, call, read, tensors=tensors)
        wanted = wanted_outputs(asked.body)
        if wanted is not None:
            selected = answer.body if asked.outputs is None else selection(answer, asked.outputs)
            return octets(*with_bytes(selected, wanted))
        return raw_json(reply if asked.outputs is None else select_outputs(answer, asked.outputs))

    async def server(self, _: Request, __: Call) -> Response:
        return json_response({"name": "atalaia", "version": __version__, "extensions": EXTENSIONS})

    async def live(self, _: Request, __: Call) -> Response:
        return json_response({"live": True})

    async def ready(self, _: Request, __: Call) -> Response:
        self._gateway.check_ready()
        return json_response({"ready": True})

    async def model(self, request: Request, call: Call) -> Response:
        served = self._served(request, call)
        versions = (version for name, version in self._gateway.view().loaded if name == served.name)
        return json_response(_metadata(served, sorted(versions)))

    async def model_ready(self, request: Request, call: Call) -> Response:
        return json_response({"name": self._served(request, call).name, "ready": True})

    def _served(self, request: Request, call: Call) -> Served:
        named = request.path_params
        return find_served(self._gateway, call, named["model"], named.get("version"))


def _reader_of_tensors(head_length: bytes) -> Reader:
    def read(intake: Intake, body: bytes) -> Asked:
        return intake.read_protocol(to_json(body, head_length.decode("latin-1")))

    return read


def find_served(gateway: Gateway, call: Call, model: str | None, version: str | None) -> Served:
    """The version a request speaks of, noted on its call.

    Raises
    ------
    UnknownModel, ModelNotReady, NoPrimary
    """
    view = gateway.view()
    name = view.name_of(model)
    if not any(loaded == name for loaded, _ in view.loaded):
        reasons = [why for (refused, _), why in view.refused.items() if refused == name]
        raise ModelNotReady(f"no version of model {name!r} could be loaded: {'; '.join(reasons) or 'yet'}")
    served = view.primary(name) if version is None else view.version(name, version)[1]
    call.model, call.version = served.name, served.version
    return served


def _metadata(served: Served, versions: list[str]) -> dict[str, Any]:
    manifest = served.manifest
    return {
        "name": served.name,
        "versions": versions,
        "platform": PLATFORM,
        "inputs": [
            *(_input(feature) for feature in manifest.features),
            *({**_input(column), "parameters": {"context": True}} for column in manifest.context),
        ],
        "outputs": list(served.outputs.values()),
    }


def _input(column: Feature | ContextColumn) -> dict[str, Any]:
    return {"name": column.name, "datatype": column.datatype, "shape": [-1, 1]}
