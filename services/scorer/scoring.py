"""From a group of requests to their responses and what the monitors will read of them."""

from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt
import structlog

from atalaia.errors import Refusal, ScoringFailed
from atalaia.inference.protocol import InferRequest, decode_request
from atalaia.inference.responses import mark_expired
from atalaia.inference.rows import FloatArray, IntArray, Predictions, Rows, concatenate
from atalaia.records import Deployment, Role
from services.scorer.intake import NOTHING_ASKED, Asked, Failure, Group, Message, Request
from services.scorer.served import Served

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Piece:
    """Requests whose rows were read together: many of one row each, or one of many rows.

    ``asked`` holds, by place in ``messages``, what the headers of those that have any say.
    """

    messages: list[Message]
    ids: list[str]
    asked: dict[int, Asked]
    rows: Rows

    @property
    def rows_per_request(self) -> int:
        """The same for every request of the piece."""
        return len(self.rows) // len(self.messages)

    def alone(self) -> "list[Piece]":
        """Every request by itself."""
        size = self.rows_per_request
        return [
            Piece(
                [message],
                [self.ids[i]],
                {0: self.asked[i]} if i in self.asked else {},
                self.rows.part(i * size, (i + 1) * size),
            )
            for i, message in enumerate(self.messages)
        ]


@dataclass(frozen=True, slots=True)
class Scored:
    """Answered requests of one version: one response a request, rows in the same order.

    ``row_counts`` and ``expired`` have one entry a request, ``event_time_ms`` one a row. ``waited_ms`` is how
    long the oldest of them had lain in Kafka.
    """

    served: Served
    deployment: Deployment
    messages: list[Message]
    ids: list[str]
    asked: dict[int, Asked]
    responses: list[bytes]
    row_counts: npt.NDArray[np.int32]
    expired: npt.NDArray[np.bool_]
    rows: Rows
    predictions: Predictions
    event_time_ms: IntArray
    waited_ms: int

    @property
    def role(self) -> Role:
        """In which the version took part."""
        role = self.deployment.role
        assert role != "retired"  # noqa: S101 - a plan has no such version
        return role

    @property
    def shadow(self) -> bool:
        """Whether these answers are for the monitors alone."""
        return self.role == "shadow"

    def refused(self, index: int) -> bool:
        """Whether the request has one row only and that row was out of distribution."""
        row = int(self.row_counts[:index].sum())
        return bool(self.row_counts[index] == 1 and self.predictions.abstained[row])


@dataclass(slots=True)
class Answers:
    """What became of a group."""

    scored: list[Scored] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def score(group: Group, *, now_ms: int) -> Answers:
    """The group's answers, and the requests that could not be answered, each with its own reason."""
    answers = Answers()
    pieces = _read_singles(group, answers)
    pieces += _read_columns(group, answers)
    pieces += [_piece(request, rows) for request, rows in group.others]
    if pieces:
        _answer(group, pieces, answers, now_ms=now_ms)
    return answers


def _read_singles(group: Group, answers: Answers) -> list[Piece]:
    """Single rows as one piece; one by one where any of them does not fit, to name it."""
    if not group.singles:
        return []
    served = group.served
    try:
        matrix = _matrix(group.values)
    except (TypeError, ValueError):  # a list among the numbers
        rows = None
    else:
        rows = served.signature.rows_of_matrix(matrix)
    if rows is not None:
        return [Piece(group.singles, group.ids, group.asked, rows)]
    requests = [
        Request(message, group.ids[i], group.asked.get(i, NOTHING_ASKED))
        for i, message in enumerate(group.singles)
    ]
    bodies = [decode_request(message.value() or b"") for message in group.singles]
    return _read_each(served, requests, bodies, answers)


def _read_columns(group: Group, answers: Answers) -> list[Piece]:
    """Single rows of one tensor a feature as one piece; one by one where they are not all alike."""
    if not group.columns:
        return []
    requests = [request for request, _ in group.columns]
    bodies = [body for _, body in group.columns]
    rows = group.served.signature.rows_of_columns(bodies)
    if rows is None:
        return _read_each(group.served, requests, bodies, answers)
    asked = {i: request.asked for i, request in enumerate(requests) if request.asked is not NOTHING_ASKED}
    return [
        Piece([request.message for request in requests], [request.id for request in requests], asked, rows)
    ]


def _read_each(
    served: Served, requests: list[Request], bodies: list[InferRequest], answers: Answers
) -> list[Piece]:
    pieces: list[Piece] = []
    for request, body in zip(requests, bodies, strict=True):
        try:
            pieces.append(_piece(request, served.signature.rows(body)))
        except Refusal as refusal:
            answers.failures.append(Failure(request, refusal, served.name, served.version))
    return pieces


def _matrix(values: list[list[float]]) -> FloatArray:
    """Equally long lists of numbers as ``(n, d)``; quicker than numpy's own reading of nested lists."""
    shape = len(values), len(values[0])
    return np.fromiter(chain.from_iterable(values), np.float64, shape[0] * shape[1]).reshape(shape)


def _piece(request: Request, rows: Rows) -> Piece:
    asked = {} if request.asked is NOTHING_ASKED else {0: request.asked}
    return Piece([request.message], [request.id], asked, rows)


def _answer(group: Group, pieces: list[Piece], answers: Answers, *, now_ms: int) -> None:
    """Score all pieces together; where the model fails, each request alone, so that one fails for itself."""
    served = group.served
    rows = concatenate([piece.rows for piece in pieces])
    try:
        predictions = served.predictor.predict(rows)
        if not np.isfinite(predictions.score).all():
            raise ArithmeticError("its output is not finite")  # noqa: TRY301 - handled as any failure of a model
    except Exception as error:  # noqa: BLE001 - whatever a model raises is its request's failure, not ours
        alone = [single for piece in pieces for single in piece.alone()]
        if len(alone) == 1:
            answers.failures.append(_failure(served, alone[0], error))
            return
        for piece in alone:
            _answer(group, [piece], answers, now_ms=now_ms)
    else:
        answers.scored.append(_scored(group, pieces, rows, predictions, now_ms=now_ms))


def _failure(served: Served, piece: Piece, error: Exception) -> Failure:
    request = Request(piece.messages[0], piece.ids[0], piece.asked.get(0, NOTHING_ASKED))
    _log.error("scoring failed", model=served.name, version=served.version, id=request.id, reason=str(error))
    refusal = ScoringFailed(f"model {served.name} {served.version} could not score this request: {error}")
    return Failure(request, refusal, served.name, served.version)


def _scored(
    group: Group, pieces: list[Piece], rows: Rows, predictions: Predictions, *, now_ms: int
) -> Scored:
    messages = [message for piece in pieces for message in piece.messages]
    row_counts = np.concatenate(
        [np.full(len(piece.messages), piece.rows_per_request, np.int32) for piece in pieces]
    )
    recorded_ms = np.array([message.timestamp()[1] for message in messages], np.int64)
    asked = _asked(pieces)
    expired = np.zeros(len(messages), np.bool_)
    responses = _responses(group.served, pieces, predictions)
    for index, said in asked.items():
        if said.expires_ms is not None and said.expires_ms < now_ms:
            expired[index] = True
            responses[index] = mark_expired(responses[index])
    return Scored(
        served=group.served,
        deployment=group.deployment,
        messages=messages,
        ids=[request_id for piece in pieces for request_id in piece.ids],
        asked=asked,
        responses=responses,
        row_counts=row_counts,
        expired=expired,
        rows=rows,
        predictions=predictions,
        event_time_ms=_event_times(pieces, row_counts, recorded_ms),
        waited_ms=max(0, now_ms - int(recorded_ms.min())),
    )


def _asked(pieces: list[Piece]) -> dict[int, Asked]:
    asked: dict[int, Asked] = {}
    start = 0
    for piece in pieces:
        asked.update((start + index, said) for index, said in piece.asked.items())
        start += len(piece.messages)
    return asked


def _responses(served: Served, pieces: list[Piece], predictions: Predictions) -> list[bytes]:
    responses: list[bytes] = []
    start = 0
    for piece in pieces:
        stop = start + len(piece.rows)
        part = predictions if stop - start == len(predictions) else predictions.part(start, stop)
        start = stop
        if piece.rows_per_request == 1:
            responses += served.writer.single_rows(piece.ids, part)
        else:
            responses.append(served.writer.many_rows(piece.ids[0], part))
    return responses


def _event_times(pieces: list[Piece], row_counts: npt.NDArray[np.int32], recorded_ms: IntArray) -> IntArray:
    """The rows' own times; the message's where a request has none."""
    times = np.repeat(recorded_ms, row_counts)
    start = 0
    for piece in pieces:
        if piece.rows.event_time_ms is not None:
            times[start : start + len(piece.rows)] = piece.rows.event_time_ms
        start += len(piece.rows)
    return times
