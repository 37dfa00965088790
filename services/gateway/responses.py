"""Answers as bytes of JSON."""

from typing import Any

import orjson
from starlette.responses import Response

_TYPE = (b"content-type", b"application/json")


class RawJson(Response):
    """JSON that is bytes already, on the hot path: nothing is encoded, two headers are set."""

    def __init__(self, body: bytes) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [_TYPE, (b"content-length", str(len(body)).encode())]


def raw_json(body: bytes) -> Response:
    """200 with ``body`` unchanged."""
    return RawJson(body)


def json_response(content: Any, *, status: int = 200) -> Response:
    """``content`` as JSON; NaN and infinity become null."""
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
