"""Answers as bytes of JSON."""

from typing import Any

import orjson
from starlette.responses import Response

from atalaia.inference.binary import HEAD_LENGTH

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


def octets(body: bytes, head_length: int) -> Response:
    """200 with tensors as bytes behind a JSON head of that length."""
    return Response(body, headers={HEAD_LENGTH: str(head_length)}, media_type="application/octet-stream")


def json_response(content: Any, *, status: int = 200) -> Response:
    """``content`` as JSON; NaN and infinity become null."""
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
