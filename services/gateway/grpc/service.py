"""The service ``inference.GRPCInferenceService``: each call by the way its route takes over HTTP."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog
from google.protobuf.message import DecodeError, Message
from starlette.requests import Request as HttpRequest

from atalaia import __version__
from atalaia.bundles.manifest import ContextColumn, Feature
from atalaia.errors import NotReadable, Refusal, TooLarge
from services.gateway.access.needs import INFER, OPEN, READ, Needs
from services.gateway.calls import Call
from services.gateway.gateway import Gateway
from services.gateway.grpc import inference_pb2 as messages
from services.gateway.grpc import requests
from services.gateway.grpc.calls import (
    BadCall,
    Head,
    answered,
    read_head,
    read_message,
    refused,
    refused_with,
)
from services.gateway.grpc.http2.connection import Request
from services.gateway.grpc.http2.listener import Answer
from services.gateway.grpc.responses import ResponseWriter
from services.gateway.grpc.statuses import Status
from services.gateway.http.routes.oip import PLATFORM, find_served
from services.gateway.inference.intake import Asked, Intake
from services.gateway.inference.way import infer_body
from services.gateway.problems import Internal

_log = structlog.get_logger()

_NAME = "/inference.GRPCInferenceService/"
_PREFER = b"prefer"
_Handler = Callable[[Call, Head, bytes], Awaitable[bytes]]
Kind = TypeVar("Kind", bound=Message)


class Service:
    """Answers the calls of the protocol.

    Every call leaves a line in the log and counts, as over HTTP, with the HTTP status that says the same.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._writer = ResponseWriter()
        self._methods: dict[bytes, tuple[str, Needs, _Handler]] = {}
        handlers: dict[str, tuple[Needs, _Handler]] = {
            "ModelInfer": (INFER, self._infer),
            "ServerLive": (OPEN, self._server_live),
            "ServerReady": (OPEN, self._server_ready),
            "ServerMetadata": (OPEN, self._server_metadata),
            "ModelReady": (READ, self._model_ready),
            "ModelMetadata": (READ, self._model_metadata),
        }
        for name, (needs, handler) in handlers.items():
            self._methods[f"{_NAME}{name}".encode()] = (f"{_NAME}{name}", needs, handler)

    async def answer(self, request: Request) -> Answer:
        """Answer one call; a refusal is an answer too."""
        try:
            head = read_head(request.headers)
            method = self._methods.get(head.path)
            if method is None:
                words = f"there is no method {head.path.decode('latin-1')[:200]}"
                return refused(Status.UNIMPLEMENTED, words)
            message = None if request.body is None else read_message(request.body)
        except BadCall as bad:
            return bad.answer
        return await self._answer(head, message, *method)

    async def _answer(
        self, head: Head, message: bytes | None, path: str, needs: Needs, handler: _Handler
    ) -> Answer:
        call = Call(path, _as_http(head))
        status, size = 200, 0
        try:
            call.admit(self._gateway, needs)
            content = await handler(call, head, _whole(message, self._gateway.settings.max_body_bytes))
            size = len(content)
            answer = answered(content)
        except Refusal as refusal:
            call.code, status = refusal.code, refusal.status
            answer = refused_with(refusal, path=path, request_id=call.request_id)
        except Exception:  # noqa: BLE001 - a mistake of ours ends one call, told as such, not the process
            _log.exception("call failed", route=path, request_id=call.request_id)
            internal = Internal("something went wrong here; the log says what")
            call.code, status = internal.code, internal.status
            answer = refused_with(internal, path=path, request_id=call.request_id)
        call.close(self._gateway, status, size)
        return answer

    async def _infer(self, call: Call, head: Head, payload: bytes) -> bytes:
        message = requests.decode(payload)

        def read(intake: Intake, _: bytes) -> Asked:
            return requests.read(intake, message)

        asked, _, answer = await infer_body(
            self._gateway,
            call,
            read,
            payload,
            model=message.model_name or None,
            version=message.model_version or None,
            path=call.route,
            deadline_seconds=head.timeout_seconds,
        )
        return self._writer.write(answer, asked.outputs, raw=bool(message.raw_input_contents))

    async def _server_live(self, _: Call, __: Head, payload: bytes) -> bytes:
        _parse(messages.ServerLiveRequest, payload)
        return messages.ServerLiveResponse(live=True).SerializeToString()

    async def _server_ready(self, _: Call, __: Head, payload: bytes) -> bytes:
        _parse(messages.ServerReadyRequest, payload)
        return messages.ServerReadyResponse(ready=_holds(self._gateway.check_ready)).SerializeToString()

    async def _server_metadata(self, _: Call, __: Head, payload: bytes) -> bytes:
        _parse(messages.ServerMetadataRequest, payload)
        return messages.ServerMetadataResponse(name="atalaia", version=__version__).SerializeToString()

    async def _model_ready(self, call: Call, _: Head, payload: bytes) -> bytes:
        asked = _parse(messages.ModelReadyRequest, payload)
        find = partial(find_served, self._gateway, call, asked.name or None, asked.version or None)
        return messages.ModelReadyResponse(ready=_holds(find)).SerializeToString()

    async def _model_metadata(self, call: Call, _: Head, payload: bytes) -> bytes:
        asked = _parse(messages.ModelMetadataRequest, payload)
        served = find_served(self._gateway, call, asked.name or None, asked.version or None)
        tensor = messages.ModelMetadataResponse.TensorMetadata
        columns: list[Feature | ContextColumn] = [*served.manifest.features, *served.manifest.context]
        described = messages.ModelMetadataResponse(
            name=served.name,
            versions=sorted(version for name, version in self._gateway.view().loaded if name == served.name),
            platform=PLATFORM,
            inputs=[tensor(name=column.name, datatype=column.datatype, shape=[-1, 1]) for column in columns],
            outputs=[tensor(**given) for given in served.outputs.values()],
        )
        return described.SerializeToString()


def _as_http(head: Head) -> HttpRequest:
    """The metadata that mean over gRPC what they mean as headers: all but ``prefer``, since a call waits."""
    return HttpRequest({"type": "http", "headers": [entry for entry in head.metadata if entry[0] != _PREFER]})


def _whole(message: bytes | None, max_bytes: int) -> bytes:
    if message is None:
        raise TooLarge(f"the message is larger than {max_bytes} bytes: send fewer rows a request")
    return message


def _parse(kind: type[Kind], payload: bytes) -> Kind:
    try:
        return kind.FromString(payload)
    except DecodeError as error:
        raise NotReadable(f"the message is no {kind.DESCRIPTOR.full_name}: {error}") from error


def _holds(check: Callable[[], object]) -> bool:
    """Whether there is nothing to wait for; what waiting does not help is refused."""
    try:
        check()
    except Refusal as refusal:
        if refusal.retry_after_seconds is None:
            raise
        return False
    return True
