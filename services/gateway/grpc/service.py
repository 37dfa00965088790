"""The service ``inference.GRPCInferenceService``: each call by the way its route takes over HTTP."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from atalaia import __version__
from atalaia.bundles.manifest import ContextColumn, Feature
from atalaia.errors import NotReadable, Refusal, TooLarge
from services.gateway.access.needs import INFER, OPEN, READ, Needs
from services.gateway.calls import Call
from services.gateway.gateway import Gateway
from services.gateway.grpc import inference_pb2 as messages
from services.gateway.grpc import requests
from services.gateway.grpc.calls import BadCall, Head, read_head, read_message, refused
from services.gateway.grpc.http2.connection import Request
from services.gateway.grpc.http2.listener import Respond
from services.gateway.grpc.responses import ResponseWriter
from services.gateway.grpc.statuses import Status
from services.gateway.grpc.turn import Turn
from services.gateway.http.routes.oip import PLATFORM, find_served
from services.gateway.inference.callers import Outcome, Tell
from services.gateway.inference.intake import Asked, Intake
from services.gateway.way import ask, begin, conclude

_NAME = "/inference.GRPCInferenceService/"
_Handler = Callable[[Turn, Head, bytes], None]
Kind = TypeVar("Kind", bound=Message)


class Service:
    """Answers the calls of the protocol."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._writer = ResponseWriter()
        self._kept: set[asyncio.Task[None]] = set()
        self._methods: dict[bytes, tuple[str, Needs, _Handler]] = {}
        handlers: dict[str, tuple[Needs, _Handler]] = {
            "ModelInfer": (INFER, self._infer),
            "ServerLive": (OPEN, _at_once(self._server_live)),
            "ServerReady": (OPEN, _at_once(self._server_ready)),
            "ServerMetadata": (OPEN, _at_once(self._server_metadata)),
            "ModelReady": (READ, _at_once(self._model_ready)),
            "ModelMetadata": (READ, _at_once(self._model_metadata)),
        }
        for name, (needs, handler) in handlers.items():
            self._methods[f"{_NAME}{name}".encode()] = (f"{_NAME}{name}", needs, handler)

    def answer(self, request: Request, respond: Respond) -> None:
        """Answer one call, now or later; a refusal is an answer too."""
        try:
            head = read_head(request.headers)
            method = self._methods.get(head.path)
            if method is None:
                words = f"there is no method {head.path.decode('latin-1')[:200]}"
                respond(refused(Status.UNIMPLEMENTED, words))
                return
            message = None if request.body is None else read_message(request.body)
        except BadCall as bad:
            respond(bad.answer)
            return
        path, needs, handler = method
        turn = Turn(self._gateway, Call(path, head.metadata), respond)
        try:
            turn.call.admit(self._gateway, needs)
            handler(turn, head, _whole(message, self._gateway.settings.max_body_bytes))
        except Exception as error:  # noqa: BLE001 - told as what it is
            turn.refuse(error)

    def _infer(self, turn: Turn, head: Head, payload: bytes) -> None:
        """Publish a request and be told of its reply: a task for each would take as long as all else does."""
        message = requests.decode(payload)

        def read(intake: Intake, _: bytes) -> Asked:
            return requests.read(intake, message)

        model, version = message.model_name or None, message.model_version or None
        asked = begin(self._gateway, turn.call, read, payload, model=model, version=version)
        tell = partial(self._conclude, turn, asked, bool(message.raw_input_contents))
        if turn.call.idempotency_key is None:
            self._gateway.exchange.post(
                turn.call.key.encode(),
                asked.body,
                tell,
                model=asked.served.name,
                version=asked.version,
                deadline_seconds=head.timeout_seconds,
            )
        else:
            task = asyncio.get_running_loop().create_task(self._ask(turn, asked, payload, tell))
            self._kept.add(task)
            task.add_done_callback(self._kept.discard)

    async def _ask(self, turn: Turn, asked: Asked, payload: bytes, tell: Tell) -> None:
        """The long way, for what has an Idempotency-Key.

        It is waited for whatever the call's own deadline, since whoever asks again wants to find its answer.
        """
        try:
            outcome = await ask(self._gateway, turn.call, asked, payload, path=turn.call.route)
        except Exception as error:  # noqa: BLE001 - told as what it is
            turn.refuse(error)
        else:
            tell(outcome)

    def _conclude(self, turn: Turn, asked: Asked, raw: bool, outcome: Outcome) -> None:
        if isinstance(outcome, Refusal):
            turn.refuse(outcome)
            return
        try:
            answer = conclude(self._gateway, turn.call, asked, outcome)
            message = self._writer.write(answer, asked.outputs, raw=raw)
        except Exception as error:  # noqa: BLE001 - told as what it is
            turn.refuse(error)
        else:
            turn.answer(message)

    def _server_live(self, _: Call, payload: bytes) -> bytes:
        _parse(messages.ServerLiveRequest, payload)
        return messages.ServerLiveResponse(live=True).SerializeToString()

    def _server_ready(self, _: Call, payload: bytes) -> bytes:
        _parse(messages.ServerReadyRequest, payload)
        return messages.ServerReadyResponse(ready=_holds(self._gateway.check_ready)).SerializeToString()

    def _server_metadata(self, _: Call, payload: bytes) -> bytes:
        _parse(messages.ServerMetadataRequest, payload)
        return messages.ServerMetadataResponse(name="atalaia", version=__version__).SerializeToString()

    def _model_ready(self, call: Call, payload: bytes) -> bytes:
        asked = _parse(messages.ModelReadyRequest, payload)
        find = partial(find_served, self._gateway, call, asked.name or None, asked.version or None)
        return messages.ModelReadyResponse(ready=_holds(find)).SerializeToString()

    def _model_metadata(self, call: Call, payload: bytes) -> bytes:
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


def _at_once(write: Callable[[Call, bytes], bytes]) -> _Handler:
    """The handler of a call whose answer waits for nothing."""

    def handle(turn: Turn, _: Head, payload: bytes) -> None:
        turn.answer(write(turn.call, payload))

    return handle


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
