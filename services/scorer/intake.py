"""From messages to groups of requests, one a model version; what cannot be read becomes a failure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from atalaia.errors import NotReadable, Refusal, UnknownModel
from atalaia.inference.protocol import (
    InferRequest,
    ParameterValue,
    TensorRequest,
    decode_request,
    decode_tensor,
)
from atalaia.inference.rows import Rows
from atalaia.records import Deployment
from atalaia.stream.catalog import View
from atalaia.stream.headers import DEADLINE, MODEL, REPLY, VERSION
from services.scorer.served import Served


class Message(Protocol):
    """What is read of a Kafka message without an error, so that everything it may lack is there."""

    def value(self) -> bytes | None:
        """The body."""

    def key(self) -> bytes | None:
        """The request's key."""

    def headers(self) -> Any:
        """Pairs of name and bytes, None where there are none."""

    def partition(self) -> Any:
        """Partition of `requests`."""

    def offset(self) -> Any:
        """Offset in it."""

    def timestamp(self) -> tuple[int, int]:
        """Kind and milliseconds since 1970."""


class Request(msgspec.Struct, gc=False):
    """One request as it lay on the topic.

    ``reply`` is the partition of `replies` its caller waits on, ``expires_ms`` when it stops waiting.
    """

    id: str
    key: bytes | None
    value: bytes
    partition: int
    offset: int
    timestamp_ms: int
    reply: int | None = None
    expires_ms: int | None = None


@dataclass(slots=True)
class Group:
    """Requests for one version in one role.

    ``singles`` are the common shape, one row of plain numbers, with their values in ``values``;
    ``others`` have been read into rows already.
    """

    served: Served
    deployment: Deployment
    singles: list[Request] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    others: list[tuple[Request, Rows]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that gets no prediction, and why."""

    request: Request
    refusal: Refusal
    model: str | None = None
    version: str | None = None


@dataclass(slots=True)
class Batch:
    """What one poll brought."""

    groups: list[Group] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


class Intake:
    """Sorts the messages of one poll.

    Parameters
    ----------
    view : the deployments in force for this poll
    topic : name of the topic, for ids of requests without one
    """

    def __init__(self, view: View[Served], *, topic: str) -> None:
        self._view = view
        self._topic = topic
        self._batch = Batch()
        self._groups: dict[tuple[str, str, str], Group] = {}
        self._routes: dict[tuple[str | None, int], tuple[int, Group]] = {}

    def take(self, messages: Iterable[Message]) -> Batch:
        """Groups and failures of ``messages``, which hold no errors."""
        for message in messages:
            key, value = message.key(), message.value()
            request = Request(
                id="",
                key=key,
                value=value or b"",
                partition=message.partition(),
                offset=message.offset(),
                timestamp_ms=message.timestamp()[1],
            )
            headers = message.headers()
            model, version = self._read_headers(request, headers) if headers else (None, None)
            tensor = decode_tensor(request.value)
            request.id = self._id(tensor, request)
            try:
                self._sort(request, tensor, model, version)
            except Refusal as refusal:
                self._batch.failures.append(Failure(request, refusal, model, version))
        return self._batch

    def _sort(
        self, request: Request, tensor: TensorRequest | None, model: str | None, version: str | None
    ) -> None:
        if tensor is not None and tensor.parameters is None and version is None:
            group = self._route(model, request)
            tensor_input = tensor.inputs[0]
            values: list[Any] = tensor_input.data
            if len(values) == 1 and isinstance(values[0], list):
                values = values[0]
            width = group.served.tensor_width
            if tensor_input.shape[0] == 1 and tensor_input.shape[1] == width == len(values):
                group.singles.append(request)
                group.values.append(values)
                return
        self._sort_general(request, model, version)

    def _sort_general(self, request: Request, model: str | None, version: str | None) -> None:
        """Any other shape: read to rows at once, so that the refusal names the request."""
        if not request.value:
            raise NotReadable("the value is empty; expected an Open Inference Protocol request")
        body = decode_request(request.value)
        request.id = self._id(body, request)
        parameters = body.parameters or {}
        model = model or _text(parameters, MODEL)
        version = version or _text(parameters, VERSION)
        group = self._route(model, request) if version is None else self._pinned(model, version)
        served = group.served
        try:
            rows = served.signature.rows(body)
            served.bounds.check(len(rows), len(request.value))
        except Refusal as refusal:
            self._batch.failures.append(Failure(request, refusal, served.name, served.version))
            return
        group.others.append((request, rows))

    def _route(self, model: str | None, request: Request) -> Group:
        """The group of the primary in force where the request lies."""
        known = self._routes.get((model, request.partition))
        if known is not None and request.offset >= known[0]:
            return known[1]
        deployments = self._view.primary_deployments(model)
        in_force = next(
            (entry for entry in deployments if entry.positions.get(request.partition, 0) <= request.offset),
            deployments[-1],
        )
        group = self._group(in_force, self._view.name_of(model))
        if in_force is deployments[0]:
            self._routes[model, request.partition] = (in_force.positions.get(request.partition, 0), group)
        return group

    def _pinned(self, model: str | None, version: str) -> Group:
        deployment, served = self._view.version(model, version)
        if deployment.role == "shadow":
            raise UnknownModel(f"version {version!r} of model {served.name!r} is a shadow and answers nobody")
        return self._group(deployment, served.name)

    def _group(self, deployment: Deployment, model: str) -> Group:
        key = (model, deployment.version, deployment.role)
        group = self._groups.get(key)
        if group is None:
            group = Group(self._view.loaded[model, deployment.version], deployment)
            self._groups[key] = group
            self._batch.groups.append(group)
        return group

    def _id(self, body: TensorRequest | InferRequest | None, request: Request) -> str:
        if body is not None and body.id:
            return body.id
        if request.key:
            return request.key.decode("utf-8", "replace")
        return f"{self._topic}-{request.partition}-{request.offset}"

    @staticmethod
    def _read_headers(request: Request, headers: list[tuple[str, bytes]]) -> tuple[str | None, str | None]:
        model = version = None
        for name, value in headers:
            if name == REPLY:
                request.reply = _digits(value)
            elif name == DEADLINE:
                request.expires_ms = _digits(value)
            elif name == MODEL:
                model = (value or b"").decode("utf-8", "replace")
            elif name == VERSION:
                version = (value or b"").decode("utf-8", "replace")
        return model, version


def _text(parameters: dict[str, ParameterValue], name: str) -> str | None:
    value = parameters.get(name)
    return None if value is None else str(value)


def _digits(value: bytes | None) -> int | None:
    """A number in a header; anything else counts as not given, since no one waits on it."""
    return int(value) if value and value.isdigit() and len(value) < 19 else None
