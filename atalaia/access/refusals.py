"""What is told to whoever may not."""

from datetime import datetime

from atalaia.access.keys import Scope
from atalaia.errors import Refusal

_REALM = 'Bearer realm="atalaia"'


class AccessRefusal(Refusal):
    """A request that is refused for who sent it; ``headers`` are those of the answer over HTTP."""

    def __init__(self, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Unauthorized(AccessRefusal):
    """Without a key, or with one that is not known, or not any more."""

    status, code, title = 401, "unauthorized", "A key is needed"


class Forbidden(AccessRefusal):
    """Known, but not allowed to do this."""

    status, code, title = 403, "forbidden", "Not allowed"


class RateLimited(AccessRefusal):
    """More requests than the key may send."""

    status, code, title = 429, "rate_limited", "Too many requests with this key"


def no_key() -> Unauthorized:
    """Nothing was presented."""
    return Unauthorized(
        "this needs a key: send `Authorization: Bearer KEY` or `X-API-Key: KEY`", www_authenticate=_REALM
    )


def unreadable() -> Unauthorized:
    """What was presented is not read; it is not repeated either, since it may hold a key."""
    return Unauthorized(
        "the Authorization header cannot be read, expected `Authorization: Bearer KEY`",
        www_authenticate=f'{_REALM}, error="invalid_request"',
    )


def unknown_key() -> Unauthorized:
    """A key that is not in the file."""
    return Unauthorized(
        "this key is not known here: it is mistyped, or was revoked; `atalaia keys list` shows those known",
        www_authenticate=f'{_REALM}, error="invalid_token"',
    )


def expired(name: str, when: datetime) -> Unauthorized:
    """A key that was known until lately."""
    return Unauthorized(
        f"this key of {name} expired at {when.isoformat(timespec='seconds')}; "
        "`atalaia keys add` makes another",
        www_authenticate=f'{_REALM}, error="invalid_token"',
    )


def lacks(name: str, given: tuple[Scope, ...], needed: tuple[Scope, ...]) -> Forbidden:
    """A key that may do other things."""
    return Forbidden(
        f"this needs the scope {' or '.join(needed)}; the key of {name} has {', '.join(given)}",
        www_authenticate=f'{_REALM}, error="insufficient_scope", scope="{" ".join(needed)}"',
    )


def too_often(name: str, rate: float, wait_seconds: int) -> RateLimited:
    """A key that asks more often than it may; ``wait_seconds`` until the next request is let in."""
    refusal = RateLimited(
        f"the key of {name} may send {rate:g} requests a second; send this one again in {wait_seconds} s",
        ratelimit=f'"key";r=0;t={wait_seconds}',
        ratelimit_policy=f'"key";q={max(int(rate), 1)};w={max(round(1 / rate), 1)}',
    )
    refusal.retry_after_seconds = wait_seconds
    return refusal
