"""What a request's headers ask beyond an answer: not to wait for it, or to be taken once only. Pure."""

import hashlib
import re
import time
from typing import NamedTuple

from atalaia.errors import FieldProblem, NotReadable, Refusal
from services.gateway.keys import new_key

MAX_KEY_CHARACTERS = 200
MAX_WAIT_SECONDS = 60.0
_PREFERENCE = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*("[^"]*"|[^\s;,]*))?\s*(?:;[^,]*)?')
_TICKET = re.compile(r"[0-9a-f]{48}")
_KEY = re.compile(r'"([^"\\]*(?:\\["\\][^"\\]*)*)"')


class BadHeader(NotReadable):
    """A header that cannot be read; the detail names it."""

    code, title = "bad_header", "Header cannot be read"

    def __init__(self, problem: FieldProblem) -> None:
        super().__init__(f"{problem.field}: {problem.problem}, expected {problem.expected}")


class KeyReused(Refusal):
    """An Idempotency-Key that came before with another request."""

    status, code, title = 422, "idempotency_key_reused", "Idempotency-Key used for another request"


class InFlight(Refusal):
    """An Idempotency-Key whose first request is not answered yet."""

    status, code, title, retry_after_seconds = 409, "idempotency_in_flight", "First request in flight", 1


class Preferences(NamedTuple):
    """``wait_seconds`` is how long an asynchronous request may be answered at once; 0 is not at all."""

    asynchronous: bool = False
    wait_seconds: float = 0.0
    key: str | None = None


def read_preferences(prefer: bytes | None, idempotency_key: bytes | None) -> Preferences:
    """The headers ``Prefer`` (RFC 7240) and ``Idempotency-Key``; preferences unknown to us are passed over.

    Raises
    ------
    BadHeader

    >>> read_preferences(b"respond-async, wait=10", b'"order-7"')
    Preferences(asynchronous=True, wait_seconds=10.0, key='order-7')
    """
    wanted = {} if prefer is None else _preferences(prefer.decode("latin-1"))
    wait = wanted.get("wait")
    if wait is not None and not wait.isdecimal():
        raise BadHeader(FieldProblem("Prefer", f"wait={wait[:40]!r}", "whole seconds: wait=10"))
    if wanted.get("respond-async"):
        raise BadHeader(FieldProblem("Prefer", "respond-async has a value", "respond-async alone"))
    seconds = min(float(wait), MAX_WAIT_SECONDS) if wait is not None else 0.0
    key = None if idempotency_key is None else _key(idempotency_key.decode("latin-1"))
    return Preferences("respond-async" in wanted, seconds, key)


def fingerprint(body: bytes) -> str:
    """What tells two requests with one Idempotency-Key apart."""
    return hashlib.sha256(body).hexdigest()[:32]


def claim_name(principal: str, route: str, key: str) -> str:
    """What an Idempotency-Key is claimed under: a key is its principal's and its route's own."""
    return hashlib.sha256(f"{principal}\0{route}\0{key}".encode()).hexdigest()[:32]


def new_ticket(principal: str, now_ms: int | None = None) -> str:
    """The key of a request whose answer is kept: 48 hexadecimal digits, its time, chance, and whose it is.

    An answer is kept under the whole of it, and whoever asks is held against its end, so a ticket that was
    seen by others is of no use to them. That takes no secret: to change the end is to ask for another answer.

    >>> ticket_time_ms(new_ticket("lab", 1_700_000_000_000), "lab")
    1700000000000
    """
    time_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    begun = f"{time_ms:012x}{new_key()[12:]}"
    return begun + _owner(begun, principal)


def ticket_time_ms(ticket: str, principal: str) -> int | None:
    """When a ticket was given to this principal; None for what is none, or another's.

    >>> ticket_time_ms("order-7", "lab")
    >>> ticket_time_ms(new_ticket("lab"), "ward")
    """
    if _TICKET.fullmatch(ticket) is None or _owner(ticket[:32], principal) != ticket[32:]:
        return None
    return int(ticket[:12], 16)


def _owner(begun: str, principal: str) -> str:
    return hashlib.sha256(f"{begun}\0{principal}".encode()).hexdigest()[:16]


def _preferences(text: str) -> dict[str, str]:
    """Names in lower case and their values without quotes; of a name given twice the first counts."""
    wanted: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _PREFERENCE.match(text, place)
        if match is None:
            if text[place:].strip(" ,"):
                expected = "names and values between commas: respond-async, wait=10"
                raise BadHeader(FieldProblem("Prefer", f"{text[:100]!r} cannot be read", expected))
            break
        wanted.setdefault(match[1].lower(), (match[2] or "").strip('"'))
        place = match.end()
        if place < len(text):
            if text[place] != ",":
                expected = "names and values between commas: respond-async, wait=10"
                raise BadHeader(FieldProblem("Prefer", f"{text[:100]!r} cannot be read", expected))
            place += 1
    return wanted


def _key(text: str) -> str:
    match = _KEY.fullmatch(text.strip())
    key = match[1] if match else text.strip()
    if not key or len(key) > MAX_KEY_CHARACTERS or not key.isprintable() or (match is None and '"' in key):
        expected = f'a string of 1 to {MAX_KEY_CHARACTERS} printable characters: "order-7"'
        raise BadHeader(FieldProblem("Idempotency-Key", f"{text[:60]!r}", expected))
    return key
