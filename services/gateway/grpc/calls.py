"""What a call of gRPC looks like in HTTP/2: its headers, its message, and how it is answered. Pure."""

import re
from base64 import b64encode
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from atalaia.errors import Refusal
from services.gateway.grpc.http2.headers import Headers, write_headers
from services.gateway.grpc.http2.listener import Answer
from services.gateway.grpc.statuses import Status, message_of, status_of, trailers_of

PREFIX_BYTES = 5
"""Before a message: whether it is compressed, and its length."""

_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_PREFER = b"prefer"
_TYPE = (b"content-type", b"application/grpc")
_OK = b"\x88"
"""``:status: 200``, which has a number of its own."""

_HEAD = _OK + write_headers([_TYPE])
_TRAILERS = write_headers([(b"grpc-status", b"0")])
_NOT_GRPC = Answer(write_headers([(b":status", b"415")]))


class BadCall(Exception):
    """What is no call that this server takes; ``answer`` says so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("not a call that this server takes")
        self.answer = answer


class Head(NamedTuple):
    """The headers of a call; ``metadata`` mean what they mean as headers over HTTP.

    Not among them is ``prefer``: a call waits.
    """

    path: bytes
    metadata: Headers
    timeout_seconds: float | None


@lru_cache(maxsize=256)
def read_head(headers: Headers) -> Head:
    """Where a call goes to, and what beside.

    Raises
    ------
    BadCall
    """
    given = dict(headers)
    if not given.get(b"content-type", b"").startswith(_TYPE[1]) or given.get(b":method") != b"POST":
        raise BadCall(_NOT_GRPC)
    timeout = given.get(b"grpc-timeout")
    seconds = None
    if timeout is not None:
        match = _TIMEOUT.fullmatch(timeout)
        if match is None:
            raise BadCall(refused(Status.INTERNAL, f"grpc-timeout {timeout[:40]!r} is no time"))
        seconds = int(match[1]) * _SECONDS[match[2]]
    metadata = tuple(entry for entry in headers if not entry[0].startswith(b":") and entry[0] != _PREFER)
    return Head(given.get(b":path", b""), metadata, seconds)


def read_message(body: bytes) -> bytes:
    """The one message of a unary call.

    Raises
    ------
    BadCall

    >>> read_message(bytes([0, 0, 0, 0, 2]) + b"ok")
    b'ok'
    """
    if len(body) < PREFIX_BYTES or int.from_bytes(body[1:PREFIX_BYTES], "big") != len(body) - PREFIX_BYTES:
        raise BadCall(refused(Status.INTERNAL, "expected one whole message, the length before it"))
    if body[0]:
        accepted = [(b"grpc-accept-encoding", b"identity")]
        words = "the message is compressed, which is not taken: send it as it is"
        raise BadCall(refused(Status.UNIMPLEMENTED, words, accepted))
    return body[PREFIX_BYTES:]


def answered(message: bytes) -> Answer:
    """The answer to a call that went well."""
    return Answer(_HEAD, b"\0" + len(message).to_bytes(4, "big") + message, _TRAILERS)


def refused(status: Status, words: str, metadata: list[tuple[bytes, bytes]] | None = None) -> Answer:
    """The answer to a call that did not."""
    told = [(b"grpc-status", b"%d" % status), (b"grpc-message", _percent(words))]
    for name, value in metadata or ():
        told.append((name, b64encode(value) if name.endswith(b"-bin") else value))
    return Answer(_OK + write_headers([_TYPE, *told]))


def refused_with(refusal: Refusal, *, path: str, request_id: str) -> Answer:
    """The answer to a call that was refused, with the problem document."""
    metadata = trailers_of(refusal, path=path, request_id=request_id)
    return refused(status_of(refusal), message_of(refusal), metadata)


def _percent(words: str) -> bytes:
    """Words as gRPC carries them: ASCII that can be printed as it is, all else and ``%`` escaped."""
    return quote(words, safe=_PLAIN).encode()


_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
