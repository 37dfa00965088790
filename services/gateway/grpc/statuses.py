"""Refusals as gRPC's status codes, with the problem document beside. Pure."""

from enum import IntEnum
from typing import Any

import orjson

from atalaia.errors import Refusal
from services.gateway.problems import document


class Status(IntEnum):
    """The codes of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


PROBLEM = b"problem-bin"
"""Trailing metadata: the problem document as JSON."""

RETRY_AFTER = b"retry-after"
"""Trailing metadata: seconds, where sending the same again may help."""

MAX_PROBLEM_BYTES = 4_000
MAX_MESSAGE_CHARACTERS = 500
"""Clients refuse metadata of more than 8 KB in all."""

_BY_CODE = {
    "out_of_distribution": Status.FAILED_PRECONDITION,
    "idempotency_key_reused": Status.ALREADY_EXISTS,
}
_BY_HTTP = {
    400: Status.INVALID_ARGUMENT,
    401: Status.UNAUTHENTICATED,
    403: Status.PERMISSION_DENIED,
    404: Status.NOT_FOUND,
    405: Status.UNIMPLEMENTED,
    409: Status.ABORTED,
    410: Status.DATA_LOSS,
    413: Status.RESOURCE_EXHAUSTED,
    415: Status.INVALID_ARGUMENT,
    422: Status.INVALID_ARGUMENT,
    429: Status.RESOURCE_EXHAUSTED,
    499: Status.CANCELLED,
    500: Status.INTERNAL,
    501: Status.UNIMPLEMENTED,
    503: Status.UNAVAILABLE,
    504: Status.DEADLINE_EXCEEDED,
}


def status_of(refusal: Refusal) -> Status:
    """The code of a refusal; the same HTTP status is the same code but where it means two things."""
    return _BY_CODE.get(refusal.code) or _BY_HTTP.get(refusal.status, Status.UNKNOWN)


def message_of(refusal: Refusal) -> str:
    """What a caller reads: the refusal's words, cut where they are many."""
    return _cut(refusal.detail, MAX_MESSAGE_CHARACTERS)


def trailers_of(refusal: Refusal, *, path: str, request_id: str) -> list[tuple[bytes, bytes]]:
    """Trailing metadata: the problem document as over HTTP, and when to come again."""
    trailers = [(PROBLEM, _fitting(document(refusal, instance=path, request_id=request_id)))]
    if refusal.retry_after_seconds is not None:
        trailers.append((RETRY_AFTER, b"%d" % refusal.retry_after_seconds))
    return trailers


def _fitting(members: dict[str, Any]) -> bytes:
    """The document, its lists and then its words cut until it can be carried."""
    text = orjson.dumps(members)
    lists = [name for name in ("errors", "contributions") if members.get(name)]
    while len(text) > MAX_PROBLEM_BYTES and any(len(members[name]) > 1 for name in lists):
        for name in lists:
            members[name] = members[name][: max(len(members[name]) // 2, 1)]
        text = orjson.dumps(members)
    if len(text) > MAX_PROBLEM_BYTES:
        words = {name: _cut(value, 250) for name, value in members.items() if isinstance(value, str)}
        numbers = {name: value for name, value in members.items() if name not in (*lists, *words)}
        text = orjson.dumps({**words, **numbers})
    return text


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
