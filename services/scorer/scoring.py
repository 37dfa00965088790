"""From a group of requests to their responses and what the monitors will read of them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import structlog

from atalaia.errors import Refusal, ScoringFailed
from atalaia.inference.protocol import decode_request
from atalaia.inference.responses import mark_expired
from atalaia.inference.rows import FloatArray, IntArray, Predictions, Rows, concatenate
from atalaia.records import Deployment
from services.scorer.intake import Failure, Group, Request
from services.scorer.served import Served

_log = structlog.get_logger()

Piece = tuple[list[Request], Rows]
"""Requests of one row each, or one request, and their rows in the same order."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Answered requests of one version: one response a request, rows in the same order.

    ``row_counts`` and ``expired`` have one entry a request, ``event_time_ms`` one a row.
    """

    served: Served
    deployment: Deployment
    requests: list[Request]
    responses: list[bytes]
    row_counts: npt.NDArray[np.int32]
    expired: npt.NDArray[np.bool_]
    rows: Rows
    predictions: Predictions
    event_time_ms: IntArray

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
    pieces += [([request], rows) for request, rows in group.others]
    if pieces:
        _answer(group, pieces, answers, now_ms=now_ms)
    return answers


def _read_singles(group: Group, answers: Answers) -> list[Piece]:
    """Single rows as one piece; one by one where any of them does not fit, to name it."""
    if not group.singles:
        return []
    served = group.served
    try:
        matrix: FloatArray = np.array(group.values, np.float64)
    except ValueError:
        rows = None
    else:
        rows = served.signature.rows_of_matrix(matrix)
    if rows is not None:
        return [(group.singles, rows)]
    pieces: list[Piece] = []
    for request in group.singles:
        try:
            pieces.append(([request], served.signature.rows(decode_request(request.value))))
        except Refusal as refusal:
            answers.failures.append(Failure(request, refusal, served.name, served.version))
    return pieces


def _answer(group: Group, pieces: list[Piece], answers: Answers, *, now_ms: int) -> None:
    """Score all pieces together; where the model fails, each request alone, so that one fails for itself."""
    rows = concatenate([rows for _, rows in pieces])
    failure: Exception | None = None
    try:
        predictions = group.served.predictor.predict(rows)
        if not np.isfinite(predictions.score).all():
            failure = ArithmeticError("the model's output is not finite")
    except Exception as error:  # noqa: BLE001 - whatever a model raises is its request's failure, not ours
        failure = error
    else:
        if failure is None:
            answers.scored.append(_scored(group, pieces, rows, predictions, now_ms=now_ms))
            return
    alone = [([request], part) for piece in pieces for request, part in _requests(piece)]
    if len(alone) > 1:
        for piece in alone:
            _answer(group, [piece], answers, now_ms=now_ms)
        return
    served, request = group.served, alone[0][0][0]
    _log.error(
        "scoring failed", model=served.name, version=served.version, id=request.id, reason=str(failure)
    )
    refusal = ScoringFailed(f"model {served.name} {served.version} could not score this request: {failure}")
    answers.failures.append(Failure(request, refusal, served.name, served.version))


def _requests(piece: Piece) -> list[tuple[Request, Rows]]:
    requests, rows = piece
    size = len(rows) // len(requests)
    return [(request, rows.part(i * size, (i + 1) * size)) for i, request in enumerate(requests)]


def _scored(
    group: Group, pieces: list[Piece], rows: Rows, predictions: Predictions, *, now_ms: int
) -> Scored:
    requests = [request for piece, _ in pieces for request in piece]
    row_counts = np.array([len(part) // len(piece) for piece, part in pieces for _ in piece], np.int32)
    expired = np.array(
        [request.expires_ms is not None and request.expires_ms < now_ms for request in requests]
    )
    responses = _responses(group.served, pieces, predictions)
    for index in np.flatnonzero(expired).tolist():
        responses[index] = mark_expired(responses[index])
    return Scored(
        served=group.served,
        deployment=group.deployment,
        requests=requests,
        responses=responses,
        row_counts=row_counts,
        expired=expired,
        rows=rows,
        predictions=predictions,
        event_time_ms=_event_times(pieces, row_counts, requests),
    )


def _responses(served: Served, pieces: list[Piece], predictions: Predictions) -> list[bytes]:
    responses: list[bytes] = []
    start = 0
    for requests, rows in pieces:
        part = predictions if len(rows) == len(predictions) else predictions.part(start, start + len(rows))
        start += len(rows)
        if len(rows) == len(requests):
            responses += served.writer.single_rows([request.id for request in requests], part)
        else:
            responses.append(served.writer.many_rows(requests[0].id, part))
    return responses


def _event_times(pieces: list[Piece], row_counts: npt.NDArray[np.int32], requests: list[Request]) -> IntArray:
    """The rows' own times; the message's where a request has none."""
    times = np.repeat(np.array([request.timestamp_ms for request in requests], np.int64), row_counts)
    start = 0
    for _, rows in pieces:
        if rows.event_time_ms is not None:
            times[start : start + len(rows)] = rows.event_time_ms
        start += len(rows)
    return times
