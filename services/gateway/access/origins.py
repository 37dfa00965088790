"""Pages of other origins: which may read answers (CORS), and none may act where there are no keys."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from atalaia.errors import Refusal
from services.gateway.problems import respond

_SENT = ("authorization", "content-type", "idempotency-key", "prefer", "x-api-key", "x-request-id")
_READ = ("location", "preference-applied", "ratelimit", "ratelimit-policy", "retry-after", "www-authenticate")
_PREFLIGHT_SECONDS = 600


class ForeignOrigin(Refusal):
    """A page of an origin that is not among those allowed."""

    status, code, title = 400, "foreign_origin", "Origin not allowed"


class CrossOrigin(CORSMiddleware):
    """In front of everything, so that refusals and the short way have the headers too.

    Keys travel in headers of their own, never in cookies, so credentials of the browser's are not allowed.

    Parameters
    ----------
    origins : those whose pages may read answers
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=_SENT,
            expose_headers=_READ,
            max_age=_PREFLIGHT_SECONDS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser gets that asks before it sends."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        said = bytes(answer.body).decode()
        refusal = ForeignOrigin(f"{said}; ATALAIA_GATEWAY__CORS_ORIGINS lists origins that may ask")
        headers = {
            name: value
            for name, value in answer.headers.items()
            if name == "vary" or name.startswith("access-control-")
        }
        return respond(refusal, instance="", request_id="", headers=headers)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_ours(origin: bytes, allowed: Collection[str]) -> bool:
    """Whether a page of this origin may act without a key: one of this machine, or one that was named.

    >>> is_ours(b"http://127.0.0.1:8080", ()), is_ours(b"https://elsewhere.example", ())
    (True, False)
    """
    text = origin.decode("latin-1")
    if text in allowed:
        return True
    try:
        return is_loopback(urlsplit(text).hostname or "")
    except ValueError:
        return False
