"""From messages to groups of requests, one a model version; what cannot be read becomes a failure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any, NamedTuple, Protocol, cast

from atalaia.deployments import Plan, newest_position, plan_at
from atalaia.errors import NotReadable, Refusal, UnknownModel
from atalaia.inference.protocol import (
    InferRequest,
    ParameterValue,
    TensorRequest,
    decode_request,
    decode_tensors,
)
from atalaia.inference.rows import Rows
from atalaia.records import Deployment, ObservedMark, TimeMark
from atalaia.stream.catalog import View
from atalaia.stream.headers import DEADLINE, MODEL, REPLY, RESULT, VERSION
from services.scorer.marks import FRAME_BYTES, is_mark, read_mark
from services.scorer.served import Served

BATCH_BYTES = 4_194_304
"""A batch that may add more than this to an observation takes no further request."""


class Message(Protocol):
    """What is read of a Kafka message without an error, so that everything it may lack is there."""

    def value(self) -> bytes | None:
        """The body."""

    def key(self) -> bytes | None:
        """The request's key."""

    def headers(self) -> Any:
        """Pairs of name and bytes, None where there are none."""

    def set_headers(self, value: Any, /) -> None:
        """Take these in their place."""

    def partition(self) -> Any:
        """Partition of `requests`."""

    def offset(self) -> Any:
        """Offset in it."""

    def timestamp(self) -> tuple[int, int]:
        """Kind and milliseconds since 1970."""


class Asked(NamedTuple):
    """What a request's headers say; most have none.

    ``reply`` is the partition of `replies` its caller waits on, ``expires_ms`` when it stops waiting;
    ``kept`` says that the answer is to be fetched later.
    """

    model: str | None = None
    version: str | None = None
    reply: int | None = None
    expires_ms: int | None = None
    kept: bool = False


NOTHING_ASKED = Asked()
_UNREADABLE: list[tuple[str, bytes | None]] = [("", None)]
"""Stands for headers that have a name that is no text."""
_headers_of = methodcaller("headers")
"""Unlike a method call, which Python specialises when hot, this sees at once that an error was set."""


class Request(NamedTuple):
    """One request as it lay on the topic, with the id its answer carries."""

    message: Message
    id: str
    asked: Asked


@dataclass(slots=True)
class Group:
    """Requests for one version in one role; a shadow's are answered by others.

    ``singles`` are the common shape, one row of plain numbers, with their ids in ``ids``, their numbers in
    ``values`` and, where they have headers, what these say in ``asked``. ``columns`` are single rows of any
    other form, to be read together; ``others`` have many rows and have been read already.
    ``single_bytes`` bounds what a single row adds to an observation beside its request's length.
    """

    served: Served
    deployment: Deployment
    single_bytes: int
    singles: list[Message] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    asked: dict[int, Asked] = field(default_factory=dict)
    columns: list[tuple[Request, InferRequest]] = field(default_factory=list)
    others: list[tuple[Request, Rows]] = field(default_factory=list)


class Route(NamedTuple):
    """Who answers a request, and which versions are only to be heard."""

    answering: Group
    shadows: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that gets no prediction, and why."""

    request: Request
    refusal: Refusal
    model: str | None = None
    version: str | None = None


@dataclass(slots=True)
class Batch:
    """What could be taken at once of what a poll brought: the first ``taken`` messages.

    ``observation_bytes`` bounds what they add to an observation. ``awaited`` is a mark that announces a
    deployment of which there is no record yet: what follows it waits.
    """

    groups: list[Group] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    marks: list[ObservedMark] = field(default_factory=list)
    awaited: TimeMark | None = None
    taken: int = 0
    observation_bytes: int = 0


class Intake:
    """Sorts the messages of one poll.

    Parameters
    ----------
    view : the deployments in force for this poll
    topic : name of the topic, for ids of requests without one
    abandoned : deployments that were announced and never recorded
    """

    def __init__(
        self, view: View[Served], *, topic: str, abandoned: frozenset[str | None] = frozenset()
    ) -> None:
        self._view = view
        self._topic = topic
        self._abandoned = abandoned
        self._batch = Batch()
        self._groups: dict[tuple[str, str, str], Group] = {}
        self._routes: dict[tuple[str | None, int], tuple[int, Plan, Route]] = {}

    def take(self, messages: Sequence[Message]) -> Batch:
        """Groups and failures of as many ``messages``, none an error, as an observation has room for."""
        values = [message.value() for message in messages]
        headers = _all_headers(messages)
        tensors = decode_tensors(values)
        if not self._take_alike(messages, values, headers, tensors):
            self._take_each(messages, values, headers, tensors)
        return self._batch

    def _take_alike(
        self,
        messages: Sequence[Message],
        values: list[bytes | None],
        headers: list[Any],
        tensors: list[TensorRequest | None],
    ) -> bool:
        """Take all as columns where all are single rows of plain numbers for one version, without headers.

        A backlog of such requests is what the scorer has to be quick at; whether they are is found by a
        few passes in C.
        """
        count = len(messages)
        if headers.count(None) != count or None in tensors:
            return False
        known = cast("list[TensorRequest]", tensors)
        inputs = [tensor.inputs[0] for tensor in known]
        numbers: list[Any] = [entry.data for entry in inputs]
        ids = [tensor.id for tensor in known]
        shapes = {entry.shape for entry in inputs}
        if len(shapes) != 1 or not all(ids) or [tensor.parameters for tensor in known].count(None) != count:
            return False
        groups = self._route_all(messages)
        ((rows, width),) = shapes
        if not groups or rows != 1 or {width} != set(map(len, numbers)):
            return False
        if any(group.served.tensor_width != width for group in groups):
            return False
        bodies = sum(map(len, cast("list[bytes]", values)))
        size = sum(count * group.single_bytes + bodies for group in groups)
        if size > BATCH_BYTES:
            return False
        for group in groups:
            group.singles, group.ids, group.values = list(messages), cast("list[str]", ids), numbers
        self._batch.taken, self._batch.observation_bytes = count, size
        return True

    def _route_all(self, messages: Sequence[Message]) -> tuple[Group, ...]:
        """The groups that take all of the requests, which name no model; none where they differ."""
        firsts = {message.partition(): message for message in reversed(messages)}
        try:
            routes = [self._route(None, message) for message in firsts.values()]
        except Refusal:
            return ()
        known = [self._routes.get((None, partition)) for partition in firsts]
        if any(entry is None or entry[1].canary is not None for entry in known):
            return ()
        first = routes[0]
        return (first.answering, *first.shadows) if all(route == first for route in routes) else ()

    def _take_each(
        self,
        messages: Sequence[Message],
        values: list[bytes | None],
        headers: list[Any],
        tensors: list[TensorRequest | None],
    ) -> None:
        batch = self._batch
        for message, value, given, tensor in zip(messages, values, headers, tensors, strict=True):
            batch.taken += 1
            asked = NOTHING_ASKED if given is None or given is _UNREADABLE else _read_headers(given)
            try:
                if given is _UNREADABLE:
                    raise NotReadable("a header's name is not UTF-8; expected names that are text")
                if given is not None and is_mark(given):
                    if not self._take_mark(message, value or b""):
                        break
                elif tensor is None or tensor.parameters is not None or asked.version is not None:
                    self._sort_general(message, value, asked)
                else:
                    self._sort_tensor(message, value or b"", tensor, asked)
            except Refusal as refusal:
                request = Request(message, self._id(tensor, message), asked)
                batch.failures.append(Failure(request, refusal, asked.model, asked.version))
            if batch.observation_bytes > BATCH_BYTES:
                break

    def _sort_tensor(self, message: Message, value: bytes, tensor: TensorRequest, asked: Asked) -> None:
        """The common shape, kept as columns; a list among the values is found later, by numpy."""
        route = self._route(asked.model, message)
        numbers: list[Any] = tensor.inputs[0].data
        if len(numbers) == 1 and isinstance(numbers[0], list):
            numbers = numbers[0]
        rows, width = tensor.inputs[0].shape
        if rows != 1 or not (width == route.answering.served.tensor_width == len(numbers)):
            self._sort_general(message, value, asked)
            return
        request_id = tensor.id or self._id(tensor, message)
        for group in (route.answering, *route.shadows):
            if asked is not NOTHING_ASKED:
                group.asked[len(group.singles)] = asked
            group.singles.append(message)
            group.ids.append(request_id)
            group.values.append(numbers)
            self._batch.observation_bytes += group.single_bytes + len(value)

    def _sort_general(self, message: Message, value: bytes | None, asked: Asked) -> None:
        """Any other shape: many rows are read at once, so that what they add is known; one row is kept."""
        if not value:
            raise NotReadable("the value is empty; expected an Open Inference Protocol request")
        body = decode_request(value)
        parameters = body.parameters or {}
        model = asked.model or _text(parameters, MODEL)
        version = asked.version or _text(parameters, VERSION)
        request = Request(message, self._id(body, message), asked)
        try:
            route = self._route(model, message) if version is None else self._pinned(model, version)
        except Refusal as refusal:
            self._batch.failures.append(Failure(request, refusal, model, version))
            return
        for group in (route.answering, *route.shadows):
            self._keep(group, request, body, len(value))

    def _keep(self, group: Group, request: Request, body: InferRequest, size: int) -> None:
        served = group.served
        if claims_one_row(body):
            group.columns.append((request, body))
            self._batch.observation_bytes += group.single_bytes + size
            return
        try:
            rows = served.signature.rows(body)
            served.bounds.check(len(rows), size)
        except Refusal as refusal:
            if group.deployment.role != "shadow":
                self._batch.failures.append(Failure(request, refusal, served.name, served.version))
            return
        self._batch.observation_bytes += served.bounds.observation_bytes(len(rows), size)
        group.others.append((request, rows))

    def _take_mark(self, message: Message, value: bytes) -> bool:
        """A mark that is of a deployed model; False where what it announces is still to be waited for."""
        mark = read_mark(value)
        record = self._view.records[self._view.name_of(mark.model)]
        recorded = {*self._abandoned, *(entry.deployed_at for entry in record.deployments)}
        if mark.kind == "deployment" and mark.deployed_at not in recorded:
            self._batch.awaited = mark
            self._batch.taken -= 1
            return False
        self._batch.marks.append(ObservedMark(message.partition(), message.offset(), mark))
        self._batch.observation_bytes += FRAME_BYTES + len(value)
        return True

    def _route(self, model: str | None, message: Message) -> Route:
        """Who takes part in the request where it lies; of the newest plan the route is remembered."""
        partition, offset = message.partition(), message.offset()
        known = self._routes.get((model, partition))
        if known is not None and offset >= known[0]:
            _, plan, route = known
            return route if plan.canary is None else self._planned(plan, model, message)
        deployments = self._view.deployments(model)
        plan = plan_at(deployments, partition, offset)
        route = self._planned(plan, model, message)
        newest = newest_position(deployments, partition)
        if offset >= newest:
            self._routes[model, partition] = (newest, plan, route)
        return route

    def _planned(self, plan: Plan, model: str | None, message: Message) -> Route:
        name = self._view.name_of(model)
        answering = plan.answering(message.key() or b"%d-%d" % (message.partition(), message.offset()))
        if answering is None:
            raise self._view.no_primary(name)
        return Route(self._group(answering, name), tuple(self._group(entry, name) for entry in plan.shadows))

    def _pinned(self, model: str | None, version: str) -> Route:
        deployment, served = self._view.version(model, version)
        if deployment.role == "shadow":
            raise UnknownModel(f"version {version!r} of model {served.name!r} is a shadow and answers nobody")
        return Route(self._group(deployment, served.name))

    def _group(self, deployment: Deployment, model: str) -> Group:
        key = (model, deployment.version, deployment.role)
        group = self._groups.get(key)
        if group is None:
            served = self._view.loaded[model, deployment.version]
            group = Group(served, deployment, served.bounds.observation_bytes(1, 0))
            self._groups[key] = group
            self._batch.groups.append(group)
        return group

    def _id(self, body: TensorRequest | InferRequest | None, message: Message) -> str:
        """The client's own id, else the key, else where the request lies."""
        if body is not None and body.id:
            return body.id
        key = message.key()
        if key:
            return key.decode("utf-8", "replace")
        return f"{self._topic}-{message.partition()}-{message.offset()}"


def _all_headers(messages: Sequence[Message]) -> list[Any]:
    headers = []
    for message in messages:
        try:
            headers.append(_headers_of(message))
        except SystemError:  # what confluent_kafka makes of a name that is no UTF-8
            message.set_headers(_UNREADABLE)  # asked again, it would hand out a null pointer
            headers.append(_UNREADABLE)
    return headers


def claims_one_row(body: InferRequest) -> bool:
    """Whether the request says it has one row; whether it has is found when it is read."""
    return bool(body.inputs) and body.inputs[0].shape[:1] == [1]


def _read_headers(headers: list[tuple[str, bytes | None]]) -> Asked:
    given = dict(headers)
    return Asked(
        model=_header_text(given.get(MODEL)),
        version=_header_text(given.get(VERSION)),
        reply=_digits(given.get(REPLY)),
        expires_ms=_digits(given.get(DEADLINE)),
        kept=RESULT in given,
    )


def _header_text(value: bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if value else None


def _digits(value: bytes | None) -> int | None:
    """A number in a header; anything else counts as not given, since no one waits on it."""
    return int(value) if value and value.isdigit() and len(value) < 19 else None


def _text(parameters: dict[str, ParameterValue], name: str) -> str | None:
    value = parameters.get(name)
    return None if value is None else str(value)
