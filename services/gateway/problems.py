"""Refusals as problem documents (RFC 9457), each with the ``error`` member that protocol clients read."""

from typing import Any

import msgspec
import orjson
from starlette.responses import Response

from atalaia.access import AccessRefusal
from atalaia.errors import InvalidInput, OutOfDistribution, Refusal

MEDIA_TYPE = "application/problem+json"


class NotFound(Refusal):
    """No such path."""

    status, code, title = 404, "not_found", "No such resource"


class MethodNotAllowed(Refusal):
    """The path is there, the method is not."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class Starting(Refusal):
    """Not yet in touch with Kafka, or not any more."""

    status, code, title, retry_after_seconds = 503, "unavailable", "Kafka is not available", 2


class Draining(Refusal):
    """On the way out: what is under way is finished, a probe is told to look elsewhere."""

    status, code, title, retry_after_seconds = 503, "draining", "Shutting down", 1


class ModelNotReady(Refusal):
    """Deployed, but no version of it could be loaded."""

    status, code, title, retry_after_seconds = 503, "model_not_ready", "Model is not ready", 5


class Internal(Refusal):
    """Our own mistake; the log says which."""

    status, code, title = 500, "internal", "Internal error"


class Reported(Refusal):
    """What a scorer refused, passed on with the status and code it gave."""

    title = "Request refused by the scorer"

    def __init__(self, detail: str, *, status: int, code: str) -> None:
        super().__init__(detail)
        self.status, self.code = status, code


def document(refusal: Refusal, *, instance: str, request_id: str) -> dict[str, Any]:
    """The members of a problem document."""
    members: dict[str, Any] = {
        "type": f"urn:atalaia:problem:{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail,
        "instance": instance,
        "code": refusal.code,
        "request_id": request_id,
        "error": refusal.detail,
    }
    if isinstance(refusal, InvalidInput):
        members["errors"] = msgspec.to_builtins(refusal.problems)
    elif isinstance(refusal, OutOfDistribution):
        members["distance"] = refusal.distance
        members["cutoff"] = refusal.cutoff
        members["contributions"] = msgspec.to_builtins(refusal.contributions)
    return members


def respond(
    refusal: Refusal, *, instance: str, request_id: str, headers: dict[str, str] | None = None
) -> Response:
    """The answer to a request that is refused."""
    all_headers = dict(headers or {})
    if isinstance(refusal, AccessRefusal):
        all_headers |= refusal.headers
    if refusal.retry_after_seconds is not None:
        all_headers["retry-after"] = str(refusal.retry_after_seconds)
    body = orjson.dumps(document(refusal, instance=instance, request_id=request_id))
    return Response(body, status_code=refusal.status, headers=all_headers, media_type=MEDIA_TYPE)
